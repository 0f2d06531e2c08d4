"""Prompts: questions to users with a deadline and a default, and their answers.

A prompt is opened by the event ``prompt`` and settled by ``prompt_resolved``; the events' data are what is
read and made here. The hub resolves each exactly once; here are the rules of questions and answers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tasktree_rt.core.events import Json, micros_to_time, normalise_time, shown
from tasktree_rt.core.ids import is_node_id
from tasktree_rt.core.json_schema import Judge, PlainJudge
from tasktree_rt.core.topics import user_id
from tasktree_rt.errors import InvalidInput

MAX_ID: Final = 128
MAX_MESSAGE: Final = 4_096
MAX_FEEDBACK: Final = 4_096
MAX_OPTIONS: Final = 50
MAX_LABEL: Final = 256
MAX_TIMEOUT: Final = 30 * 86_400
"""Seconds; a deadline may be this far away."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_KNOWN: Final = frozenset(
    {
        "prompt_id",
        "project_id",
        "user_id",
        "node_id",
        "message",
        "options",
        "schema",
        "deadline",
        "timeout",
        "default",
        "data",
    }
)


HERE: Final = PlainJudge()


def read_prompt(
    given: Json, *, prompt_id: str, now: int, timeout: float, field: str = "", judge: Judge = HERE
) -> Json:
    """The data of the event ``prompt`` that `given` asks for; its deadline is set, its default whole.

    `prompt_id` names it if `given` does not; `now` is in microseconds since the Unix epoch; `timeout`
    (seconds) holds if it has neither ``deadline`` nor ``timeout``. ``project_id`` is left as it is. `judge`
    says whether its schema is taken, and whether its default satisfies it.

    Raises:
        InvalidInput: naming the field.
    """
    at = _Fields(given, field)
    at.only(_KNOWN)
    prompt: Json = {"prompt_id": prompt_id}
    if given.get("prompt_id") is not None:
        prompt["prompt_id"] = _id(at)
    if given.get("project_id") is not None:
        prompt["project_id"] = given["project_id"]
    if given.get("user_id") is not None:
        prompt["user_id"] = user_id(given["user_id"], at.name("user_id"))
    if given.get("node_id") is not None:
        prompt["node_id"] = _node(at)
    prompt["message"] = at.text("message", MAX_MESSAGE)
    if given.get("options") is not None:
        prompt["options"] = _options(at)
    if given.get("schema") is not None:
        if "options" in prompt:
            raise InvalidInput("options and schema exclude each other", field=at.name("schema"))
        judge.schema(given["schema"], at.name("schema"))
        prompt["schema"] = given["schema"]
    prompt["deadline"] = micros_to_time(_deadline(at, now, timeout))
    prompt["default"] = _default(at, prompt, judge)
    if given.get("data") is not None:
        prompt["data"] = _data(at)
    return prompt


def read_answer(prompt: Json, given: Json, field: str = "", *, judge: Judge = HERE) -> Json:
    """What an answer says to `prompt`: ``proceed``, and ``value`` and ``feedback`` if they are given. `judge`
    says whether the value satisfies the prompt's schema.

    Raises:
        InvalidInput: naming the field.
    """
    at = _Fields(given, field)
    proceed = given.get("proceed")
    if type(proceed) is not bool:
        raise at.wrong("proceed", "a boolean")
    answer: Json = {"proceed": proceed}
    if "value" in given or proceed:
        _check_choice(prompt, given, at, judge)
    if "value" in given:
        answer["value"] = given["value"]
    if given.get("feedback") is not None:
        answer["feedback"] = at.text("feedback", MAX_FEEDBACK, least=0)
    return answer


def deadline_of(prompt: Json) -> int:
    """In microseconds since the Unix epoch."""
    return _micros(prompt["deadline"])


def _node(at: _Fields) -> str:
    node_id = at.given["node_id"]
    if not is_node_id(node_id):
        raise at.wrong("node_id", "1-512 characters without control characters")
    return node_id


def _data(at: _Fields) -> Json:
    """What the producer wants kept beside the question, for programs that show it."""
    data = at.given["data"]
    if not isinstance(data, dict):
        raise at.wrong("data", "an object")
    return data


def _id(at: _Fields) -> str:
    """One that can stand in an address, as a project's."""
    name = at.given["prompt_id"]
    if type(name) is not str or _ID.fullmatch(name) is None:
        expected = "1-128 characters of A-Z a-z 0-9 . _ : @ ~ -, beginning with a letter or a digit"
        raise at.wrong("prompt_id", expected)
    return name


def _options(at: _Fields) -> list[Json]:
    given = at.given["options"]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_OPTIONS:
        raise at.wrong("options", f"an array of 1-{MAX_OPTIONS} objects")
    options: list[Json] = []
    for index, one in enumerate(given):
        place = at.name(f"options[{index}]")
        if not isinstance(one, dict):
            raise InvalidInput(f"expected an object, got {shown(one)}", field=place)
        inner = _Fields(one, place)
        inner.only(frozenset({"id", "label"}))
        name = inner.text("id", MAX_ID)
        options.append({"id": name, "label": inner.text("label", MAX_LABEL) if "label" in one else name})
    names = [one["id"] for one in options]
    if len(set(names)) < len(names):
        raise InvalidInput("expected different ids", field=at.name("options"))
    return options


def _deadline(at: _Fields, now: int, timeout: float) -> int:
    given = at.given
    if given.get("deadline") is not None:
        if given.get("timeout") is not None:
            raise InvalidInput("deadline and timeout exclude each other", field=at.name("timeout"))
        deadline = _micros(normalise_time(given["deadline"], at.name("deadline")))
        if deadline > now + MAX_TIMEOUT * 1_000_000:
            raise InvalidInput("expected a time within 30 days", field=at.name("deadline"))
        return deadline
    seconds: float = timeout if given.get("timeout") is None else given["timeout"]
    if type(seconds) not in (int, float) or not 0 <= seconds <= MAX_TIMEOUT:
        raise at.wrong("timeout", f"seconds from 0 to {MAX_TIMEOUT}")
    return now + round(seconds * 1_000_000)


def _default(at: _Fields, prompt: Json, judge: Judge) -> Json:
    given = at.given.get("default")
    if given is None:
        return {"proceed": False}
    if not isinstance(given, dict):
        raise at.wrong("default", "an object")
    inner = _Fields(given, at.name("default"))
    inner.only(frozenset({"proceed", "value"}))
    return read_answer(prompt, given, inner.place, judge=judge)


def _check_choice(prompt: Json, given: Json, at: _Fields, judge: Judge) -> None:
    options, schema = prompt.get("options"), prompt.get("schema")
    if options is not None:
        names = [one["id"] for one in options]
        if given.get("value") not in names:
            raise at.wrong("value", "one of " + ", ".join(map(repr, names)))
    elif schema is not None:
        if "value" not in given:
            raise at.wrong("value", "a value as the schema says")
        judge.value(schema, given["value"], at.name("value"))


def _micros(time: str) -> int:
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)


class _Fields:
    """An object given by a peer, and its place in the message."""

    def __init__(self, given: Json, place: str) -> None:
        self.given = given
        self.place = place

    def name(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def wrong(self, key: str, expected: str) -> InvalidInput:
        value = self.given.get(key, object())
        return InvalidInput(f"expected {expected}, got {shown(value)}", field=self.name(key))

    def text(self, key: str, most: int, *, least: int = 1) -> str:
        value = self.given.get(key)
        if type(value) is not str or not least <= len(value) <= most:
            raise self.wrong(key, f"a string of {least}-{most} characters")
        return value

    def only(self, known: frozenset[str]) -> None:
        """A misspelt ``defualt`` must not become no default."""
        for key in self.given:
            if key not in known:
                raise InvalidInput(f"expected one of {', '.join(sorted(known))}", field=self.name(key))
