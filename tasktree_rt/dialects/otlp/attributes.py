"""Which attributes of a span a node gets: what is content, what is secret, and how much of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import field, frozen

from tasktree_rt.dialects.otlp.records import Attributes, Value
from tasktree_rt.dialects.otlp.redaction import HIDDEN, Redaction

MAX_VALUE: Final = 1_024
"""Characters of an attribute that a node has."""
MAX_ALL: Final = 16 * 1024
"""Bytes, about, of all attributes of a node."""
PREVIEW: Final = 512
"""Characters of content with the setting ``preview``."""
FULL: Final = 32 * 1024
"""Characters of one content with the setting ``full``."""

_CONTENT: Final = re.compile(
    r"(?:input|output)\.value$|llm\.(?:input_messages|output_messages|prompts|completions|tools|prompt_template"
    r"|invocation_parameters|function_call)\b"
    r"|gen_ai\.(?:input\.messages|output\.messages|system_instructions|prompt|completion|tool\.definitions"
    r"|tool\.call\.(?:arguments|result)|content|event\.content|evaluation\.explanation|choice"
    r"|(?:system|user|assistant|tool)\.message)\b"
    r"|traceloop\.entity\.(?:input|output)|(?:retrieval|reranker)\.|embedding\.(?:embeddings|text|vector)"
    r"|(?:db\.(?:statement|query\.(?:text|parameter)))\b|tool(?:_call)?\.(?:parameters|arguments|response|result)"
    r"|gen_ai\.task\.(?:input|output)|all_messages|pydantic_ai\.all_messages|final_result|prompt$|messages$|(?:url|http)\.(?:query|request\.body|response\.body)"
    r"|events$|logfire\.(?:msg|json_schema)$|message\.content|langsmith\.(?:metadata|span\.tags)|args$|kwargs$|celery\.task_(?:args|kwargs)"
    r"|(?:inputs|outputs|arguments|tool_arguments|tool_response|model_request_parameters)$"
)
"""Names, from their beginning, of what people and models said, and of statements with values in them."""
_ENDINGS: Final = (
    ".input",
    ".output",
    ".inputs",
    ".outputs",
    ".messages",
    ".content",
    ".prompt",
    ".completion",
    ".arguments",
    ".result",
    ".responses",
)
"""Endings of the names that others may call the same things by."""
_FLAT: Final = re.compile(r"\.\d+\.")
"""Part of the name of a flattened list: ``llm.input_messages.7.message.role``."""
OWN: Final = "tasktree."

INPUTS: Final = (
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "input.value",
    "traceloop.entity.input",
    "tool_arguments",
)
"""Attributes that hold what a model or a tool got; the first that is there becomes the node's ``input``."""
OUTPUTS: Final = (
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    "output.value",
    "traceloop.entity.output",
    "tool_response",
    "final_result",
)


@frozen
class Showing:
    """What of spans and log records may be seen.

    Attributes:
        content: ``none``, ``preview`` or ``full``.
        redaction: hides secrets in all that is seen.
        internal: scopes and names of spans that are plumbing, from their beginning.
    """

    content: str = "none"
    redaction: Redaction = field(factory=Redaction)
    internal: tuple[str, ...] = ()


def is_content(name: str) -> bool:
    """Return whether an attribute holds what people, models or tools said."""
    return _CONTENT.match(name) is not None or name.endswith(_ENDINGS)


def shown_attributes(given: Attributes, showing: Showing) -> tuple[Attributes, int]:
    """Return the attributes that a node has, and how many were left out.

    Flattened lists come last, so that they take no room from others.
    """
    found: Attributes = {}
    room, left_out = MAX_ALL, 0
    for name in sorted(given, key=lambda name: _FLAT.search(name) is not None):
        if name.startswith(OWN):
            continue
        content = is_content(name)
        if (content and showing.content == "none") or room <= 0:
            left_out += 1
            continue
        value = shown_value(given[name], showing, name, MAX_VALUE if not content else _most(showing))
        room -= len(name) + _size(value)
        if room < 0:
            left_out += 1
        else:
            found[name] = value
    return found, left_out


def shown_content(given: Attributes, names: Iterable[str], showing: Showing) -> Value:
    """Return the first of the attributes that is there, as far as content may be seen; None without one."""
    if showing.content == "none":
        return None
    for name in names:
        value = given.get(name)
        if value is not None and value != "":
            return shown_value(value, showing, name, FULL if showing.content == "full" else PREVIEW)
    return None


def _most(showing: Showing) -> int:
    return MAX_VALUE if showing.content == "full" else PREVIEW


def shown_value(value: Value, showing: Showing, name: str, most: int) -> Value:
    """Return a value without secrets, its texts cut; what is no number of JSON's is text."""
    redaction = showing.redaction
    if name and redaction.names_secret(name):
        return HIDDEN
    if isinstance(value, str):
        return redaction.cut(value, most)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (list, dict)):
        return _nested(value, showing, most)
    return value


def _nested(value: list[Value] | Attributes, showing: Showing, most: int) -> Value:
    """A list or an object within `most` characters, about; what does not fit is left out."""
    left = most
    if isinstance(value, list):
        items: list[Any] = []
        for one in value:
            if left <= 0:
                break
            items.append(shown_value(one, showing, "", left))
            left -= _size(items[-1])
        return items
    found: Attributes = {}
    for name, one in value.items():
        if left <= 0:
            break
        found[name] = shown_value(one, showing, name, left)
        left -= len(name) + _size(found[name])
    return found


def _size(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return 2 + sum(map(_size, value))
    if isinstance(value, dict):
        return 2 + sum(len(name) + 4 + _size(one) for name, one in value.items())
    return 8
