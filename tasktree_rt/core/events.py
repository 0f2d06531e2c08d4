"""Events, and how one is made of a peer's JSON.

`parse_event` takes what a decoder made of a peer's JSON and either returns an `Event` or raises
`InvalidInput` naming the field. Unknown types pass through; unknown keys of ``data`` are kept. It
looks only at the fields that `shapes` knows: what a program made itself goes through
`dialects.base.plain` first, and `dialects.base.encode_body` refuses what cannot be written as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NewType

from tasktree_rt.core.event_schema import MISSING, SHAPES, shown, wrong
from tasktree_rt.core.ids import NODE_ID, PROJECT_ID, is_node_id
from tasktree_rt.core.value_class import fixed
from tasktree_rt.errors import InvalidInput

__all__ = [
    "MAX_DEPTH",
    "MAX_TYPE",
    "NODE_ID",
    "NOT_KEPT",
    "PROJECT_ID",
    "SHAPES",
    "Event",
    "Json",
    "NodeId",
    "ProjectId",
    "Record",
    "as_name",
    "deeper_than",
    "format_time",
    "is_node_id",
    "is_project_id",
    "micros_to_time",
    "normalise_time",
    "parse_event",
    "parse_events",
    "project_id",
    "refuse_unknown",
    "shown",
]

ProjectId = NewType("ProjectId", str)
NodeId = NewType("NodeId", str)
Json = dict[str, Any]

MAX_TYPE: Final = 128
MAX_DEPTH: Final = 64
"""Levels of objects and arrays in ``data``, itself included. Every decoder and encoder on
the way, the clients' too, has a limit of its own, which for some depends on who calls them: an event
that passes here must pass everywhere."""

NOT_KEPT: Final = frozenset(
    {"node_update", "project_update", "log", "task_status_changed", "coordination_update"}
)
"""Types that a conflated message leaves out; every other type is kept there to be shown."""
MAX_INT: Final = 2**53 - 1
"""The largest integer that names a node: beyond it a browser reads another number than this program."""

_TYPE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}")
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII
)

_LEAP: Final = re.compile(r"(.{17})60(?:\.\d{1,9})?(|[Zz]|[+-]\d\d:\d\d)", re.ASCII)


@fixed
class Event:
    """Something that happened in a project.

    Attributes:
        type: e.g. ``node_update``; 1–128 characters.
        project_id: None only for a broadcast, which has no position and is not stored.
        data: a JSON object; never mutated after this.
        timestamp: RFC 3339 in UTC with microseconds and ``Z``.
    """

    type: str
    project_id: ProjectId | None
    data: Json
    timestamp: str


@fixed
class Record:
    """One event as a log keeps it.

    Attributes:
        seq: its place in the log, from 1.
        type: the event's type.
        node_id: the node it names, if it names one (for filters).
        received: time of receipt, microseconds since the Unix epoch; never decreases within a log.
        body: the event as one compact JSON object without ``seq`` and ``epoch``.
    """

    seq: int
    type: str
    node_id: str | None
    received: int
    body: bytes


def as_name(value: object) -> str | None:
    """Read a node id from a peer's value: a string, or an integer as text; None for any other value.

    ``1.0`` is the integer 1: a browser cannot tell them apart.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        return str(value) if -MAX_INT <= value <= MAX_INT else None
    return value if isinstance(value, str) and is_node_id(value) else None


def is_project_id(value: object) -> bool:
    """Return True if `value` may name a project."""
    return isinstance(value, str) and _is_named(value)


@lru_cache(maxsize=4096)
def _is_named(value: str) -> bool:
    """Most events are of a project that was heard of before."""
    return PROJECT_ID.fullmatch(value) is not None


def project_id(value: object, field: str = "project_id") -> ProjectId:
    """Return `value` as a project id, or raise `InvalidInput` (``invalid_project_id``)."""
    if not isinstance(value, str):
        raise wrong(field, "a string", value, "invalid_project_id")
    if not _is_named(value):
        expected = "1-128 characters of A-Z a-z 0-9 . _ : @ ~ -, the first a letter or digit"
        raise wrong(field, expected, value, "invalid_project_id")
    return ProjectId(value)


def parse_event(value: object, *, now: str, field: str = "event", project: ProjectId | None = None) -> Event:
    """Make an `Event` of decoded JSON.

    `now` replaces a missing timestamp. `project` (from an HTTP path) replaces a missing project id; an event
    with another one is refused.

    Raises:
        InvalidInput: naming the field, e.g. ``events[3].data.node_id: expected a string, got 5``.
    """
    if type(value) is not dict:
        raise wrong(field, "an object", value)
    kind = value.get("type", MISSING)
    if type(kind) is not str:
        raise wrong(f"{field}.type", "a string", kind)
    data = value.get("data", MISSING)
    if data is MISSING:
        data = {}
    elif type(data) is not dict:
        raise wrong(f"{field}.data", "an object", data)
    named = value.get("project_id", MISSING if project is None else project)
    if project is None or named is not project:
        named = project_id(named, f"{field}.project_id")
        if project is not None and named != project:
            raise wrong(f"{field}.project_id", f"{project!r} as in the request", named, "mixed_projects")
    _check_data(kind, data, field)
    stamp = value.get("timestamp")
    return Event(kind, named, data, now if stamp is None else normalise_time(stamp, f"{field}.timestamp"))


def parse_events(values: list[Any], *, most: int, now: str, project: ProjectId | None = None) -> list[Event]:
    """Make the events of a publish of decoded JSON; `now` and `project` as of `parse_event`.

    Raises:
        InvalidInput: ``too_large``, if there are more than `most`; else naming the field.
    """
    if len(values) > most:
        raise InvalidInput(f"expected at most {most} events", code="too_large", field="events")
    return [
        parse_event(one, now=now, field=f"events[{index}]", project=project)
        for index, one in enumerate(values)
    ]


def _check_data(kind: str, data: Json, field: str) -> None:
    shape = SHAPES.get(kind)
    if shape is not None:
        fault = shape.fault(data)
        if fault is not None:
            raise wrong(f"{field}.data.{fault.path}", fault.expected, fault.value)
    elif _TYPE.fullmatch(kind) is None:
        raise wrong(f"{field}.type", f"1-{MAX_TYPE} characters without control characters", kind)


def deeper_than(most: int, value: object) -> bool:
    """Return True if `value` has more than `most` levels of objects and arrays, itself included."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return bool(level)


# --- times ----------------------------------------------------------------------------------------


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and ``Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def micros_to_time(received: int) -> str:
    """The same, from microseconds since the Unix epoch."""
    seconds, micros = divmod(received, 1_000_000)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Most moments are in the second of the one before."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def normalise_time(value: object, field: str) -> str:
    """Return an RFC 3339 time in UTC with microseconds; a time without an offset is taken as UTC.

    A leap second is taken as the end of the second before it: no clock here knows one.

    Raises:
        InvalidInput: ``invalid_event``.
    """
    if type(value) is not str:
        raise wrong(field, "an RFC 3339 time", value)
    text = _without_leap(value) if value[17:19] == "60" else value
    try:
        if len(text) == 27 and _is_normal(text):
            datetime.fromisoformat(text)
            return text
        if _RFC3339.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            return format_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        pass
    raise wrong(field, "an RFC 3339 time", value)


def _without_leap(value: str) -> str:
    found = _LEAP.fullmatch(value)
    return value if found is None else f"{found[1]}59.999999{found[2]}"


def _is_normal(value: str) -> bool:
    """Return True if all characters but the digits are as `format_time` writes them."""
    return value[4:8:3] == "--" and value[10:20:3] == "T::." and value[26] == "Z" and value[11:13] < "24"


def refuse_unknown(given: Json, known: Collection[str]) -> None:
    """Refuse an object that has other fields than `known`: one might be a misspelt field.

    Raises:
        InvalidInput: naming the first such field and those that are expected.
    """
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise InvalidInput(f"expected one of {', '.join(known)}", field=unknown[0])
