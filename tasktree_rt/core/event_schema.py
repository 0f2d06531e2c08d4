"""The shape that the data of each known event type must have, and the errors for what does not fit.

Unknown types have no shape, and unknown keys no field: they pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

from attrs import frozen

from tasktree_rt.core.ids import is_node_id
from tasktree_rt.core.usage import MAX_COST, MAX_TOKENS, TOKENS
from tasktree_rt.errors import InvalidInput

MAX_MODEL: Final = 256
"""Characters of the name of a model."""
MAX_SERIES: Final = 128
"""Characters of the name of a series."""
MAX_RUN: Final = 64
"""Characters of what a run is called in its series."""
MISSING: Final = object()
"""Marks a missing key; shown as "nothing"."""


@frozen
class Field:
    """One key of an object.

    Attributes:
        name: the key.
        kind: what is expected there, e.g. ``a string``.
        holds: returns True for an accepted value.
        required: True if the key must be present.
        form: the expected form of a string, if any.
        inner: the shape of an object.
    """

    name: str
    kind: str
    holds: Callable[[object], bool]
    required: bool = False
    form: str = ""
    inner: Shape | None = None

    def expected(self, value: object) -> str:
        """Return the error message for `value`."""
        return self.form if self.form and type(value) is str else self.kind


class Shape:
    """The fields of an object; keys it does not know may hold anything."""

    __slots__ = ("_required", "fields")

    def __init__(self, *fields: Field) -> None:
        self.fields: Final = {field.name: field for field in fields}
        self._required: Final = [field for field in fields if field.required]

    def fault(self, data: Mapping[str, object]) -> Fault | None:
        """The first thing wrong with `data`, if anything is."""
        for field in self._required:
            if field.name not in data:
                return Fault(field.name, field.kind, MISSING)
        known = self.fields
        for name, value in data.items():
            field_of = known.get(name)
            if field_of is None:
                continue
            if not field_of.holds(value):
                return Fault(name, field_of.expected(value), value)
            if field_of.inner is not None and isinstance(value, dict):
                inner = field_of.inner.fault(value)
                if inner is not None:
                    return Fault(f"{name}.{inner.path}", inner.expected, inner.value)
        return None


@frozen
class Fault:
    """A mistake in an object: the `value` at `path` (``changes.progress``), and what was expected."""

    path: str
    expected: str
    value: object


def wrong(field: str, expected: str, value: object, code: str = "invalid_event") -> InvalidInput:
    """The exception for `value` at `field`."""
    return InvalidInput(f"expected {expected}, got {shown(value)}", code=code, field=field)


_WORDS: Final[dict[type, str]] = {dict: "an object", list: "an array", object: "nothing"}


def shown(value: object) -> str:
    """Return a peer's value for an error message: short, printable ASCII, with its kind."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge integer"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return ascii(value if len(value) <= 40 else value[:40] + "…")
    return _WORDS.get(type(value), "something else")


# --- checks ---------------------------------------------------------------------------------------


def _text(value: object) -> bool:
    return type(value) is str


def _text_or_null(value: object) -> bool:
    return value is None or type(value) is str


def _object(value: object) -> bool:
    return type(value) is dict


def _number_or_null(value: object) -> bool:
    return value is None or type(value) in (int, float)


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _flag(value: object) -> bool:
    return value is None or type(value) is bool


def _progress(value: object) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 100)  # type: ignore[operator]


def _node_or_null(value: object) -> bool:
    return value is None or is_node_id(value)


def _nodes(value: object) -> bool:
    return value is None or (type(value) is list and all(map(is_node_id, value)))


def _task(value: object) -> bool:
    return type(value) is int or is_node_id(value)


def _model(value: object) -> bool:
    return value is None or (type(value) is str and 0 < len(value) <= MAX_MODEL)


def _tokens(value: object) -> bool:
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return value is None or (whole and 0 <= value <= MAX_TOKENS)  # type: ignore[operator]


def is_series(value: object) -> TypeGuard[str]:
    """Return True if `value` may name a series: 1–128 characters without control characters."""
    return is_node_id(value) and len(value) <= MAX_SERIES


def _series_or_null(value: object) -> bool:
    return value is None or is_series(value)


def is_run(value: object) -> TypeGuard[str | int | float]:
    """Return True if `value` may name a run in its series: a number, or 1–64 characters."""
    return type(value) in (int, float) or (is_node_id(value) and len(value) <= MAX_RUN)


def _run_or_null(value: object) -> bool:
    return value is None or is_run(value)


def _object_or_null(value: object) -> bool:
    return value is None or type(value) is dict


def _cost(value: object) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= MAX_COST)  # type: ignore[operator]


# --- the known types ------------------------------------------------------------------------------

_NAME: Final = "1-512 characters without control characters"
_ANY_NODE: Final = Field("node_id", "a string or null", _node_or_null, form=_NAME)
_CHANGES: Final = Shape(
    Field("parent_id", "a string or null", _node_or_null, form=_NAME),
    Field("title", "a string or null", _text_or_null),
    Field("kind", "a string or null", _text_or_null),
    Field("status", "a string or null", _text_or_null),
    Field("progress", "a number from 0 to 100, or null", _progress),
    Field("message", "a string or null", _text_or_null),
    Field("order", "a number or null", _number_or_null),
    Field("started_at", "a string or null", _text_or_null),
    Field("ended_at", "a string or null", _text_or_null),
    Field("depends_on", "an array of node ids, or null", _nodes),
    Field("attempt", "a number or null", _number_or_null),
    Field("deleted", "a boolean or null", _flag),
)
_PROJECT_CHANGES: Final = Shape(
    Field("title", "a string or null", _text_or_null),
    Field("group", "a string or null", _text_or_null),
    Field("url", "a string or null", _text_or_null),
)

SHAPES: Final[dict[str, Shape]] = {
    "node_update": Shape(
        Field("node_id", "a string", is_node_id, required=True, form=_NAME),
        Field("changes", "an object", _object, required=True, inner=_CHANGES),
    ),
    "project_update": Shape(Field("changes", "an object", _object, required=True, inner=_PROJECT_CHANGES)),
    "log": Shape(
        _ANY_NODE,
        Field("level", "a string", _text, required=True),
        Field("message", "a string", _text, required=True),
        Field("stream", "a string or null", _text_or_null),
    ),
    "state_transition": Shape(
        _ANY_NODE,
        Field("from", "a string or null", _text_or_null),
        Field("to", "a string", _text, required=True),
        Field("context", "an object", _object),
    ),
    "mission_snapshot": Shape(Field("snapshot_id", "a string", _text, required=True)),
    "task_status_changed": Shape(
        Field("task_id", "a string or an integer", _task, required=True, form=_NAME),
        Field("status", "a string", _text, required=True),
    ),
    "orchestrator_started": Shape(Field("status", "a string", _text)),
    "orchestrator_stopped": Shape(Field("status", "a string", _text)),
    "orchestrator_error": Shape(Field("error", "a string", _text, required=True)),
    "coordination_update": Shape(
        Field("active_agents", "an integer of at least 0", _count, required=True),
        Field("agents", "an object", _object, required=True),
    ),
}
"""What the hub checks before it accepts an event of a known type (docs/protocol.md, "Event types")."""

_USAGE: Final = Shape(
    *(Field(name, f"an integer from 0 to {MAX_TOKENS}, or null", _tokens) for name in TOKENS)
)
_ADVISED: Final = Shape(
    Field("model", f"a string of 1-{MAX_MODEL} characters, or null", _model),
    Field("usage", "an object or null", _object_or_null, inner=_USAGE),
    Field("cost_usd", f"a number from 0 to {MAX_COST}, or null", _cost),
)
_SERIES: Final = Shape(
    Field("series", f"1-{MAX_SERIES} characters without control characters, or null", _series_or_null),
    Field("run", f"a number, 1-{MAX_RUN} characters without control characters, or null", _run_or_null),
)
_ADVISED_OF: Final = {"node_update": _ADVISED, "project_update": _SERIES}


def advised_fault(kind: str, data: Mapping[str, object]) -> Fault | None:
    """What is wrong with the fields of an LLM node, or of a run in a series, if anything is.

    Other uses of these names are older than this rule, so the hub refuses them only if ``lifecycle`` is
    ``enforce``.
    """
    shape = _ADVISED_OF.get(kind)
    changes = data.get("changes") if shape is not None else None
    if shape is None or not isinstance(changes, dict) or shape.fields.keys().isdisjoint(changes):
        return None
    fault = shape.fault(changes)
    return None if fault is None else Fault(f"changes.{fault.path}", fault.expected, fault.value)
