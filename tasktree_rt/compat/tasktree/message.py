"""What a backend of TaskTree broadcasts, made into an event of the hub and back.

A message is whatever the backend has: a pydantic model of either version, a dataclass, an attrs class, a
mapping, or any object with the four fields. It is written as TaskTree writes it,
``json.dumps(message.dict(), default=str)``; a time without an offset is local time of the backend, as there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from tasktree_rt.client.producer.checks import HubLimits, check_event
from tasktree_rt.core.events import Json, format_time
from tasktree_rt.core.reserved_names import refuse_message_name
from tasktree_rt.core.tasktree_names import as_given, carried, spelled
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput

FIELDS: Final = ("type", "project_id", "data", "timestamp")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclasses.dataclass
class WebSocketMessage:
    """TaskTree's message, for a backend that has no model of its own for it."""

    type: str
    data: dict[str, Any]
    project_id: str | None = None
    timestamp: datetime | str = dataclasses.field(default_factory=_now)

    def dict(self) -> Json:
        """Its fields, as pydantic's ``dict()``."""
        return {name: getattr(self, name) for name in FIELDS}


def event_of(message: object, limits: HubLimits, project: str | None = None) -> Json:
    """The event that a message is, its project by the hub's id; without a project a broadcast.

    Raises:
        InvalidInput: the hub would refuse it.
        Exception: whatever the message's own methods raise.
    """
    fields = fields_of(message)
    name = fields.get("project_id") if project is None else project
    data = _as_json(fields.get("data"))
    event: Json = {
        "type": _as_json(fields.get("type")),
        "data": {} if data is None else data,
        "timestamp": format_time(_moment(fields.get("timestamp"))),
    }
    if name is None:
        refuse_message_name(event["type"], "type")
        if not isinstance(event["type"], str) or not isinstance(event["data"], dict):
            raise InvalidInput("expected a string as type and an object as data", field="message")
        return event
    if isinstance(event["data"], dict):
        event["data"] = carried(str(name), event["data"])
    event["project_id"] = spelled(str(name))
    check_event(encode_json(event), limits, "message")
    return event


def text_of(kind: str, project: str | None, data: Json, timestamp: str) -> str:
    """A message of the hub as a browser of TaskTree reads it."""
    name, given = (None, data) if project is None else as_given(project, data)
    return json.dumps({"type": kind, "project_id": name, "data": given, "timestamp": timestamp})


def fields_of(message: object) -> Mapping[str, Any]:
    """The fields of a message by name."""
    if isinstance(message, Mapping):
        return message
    for method in ("model_dump", "dict", "_asdict"):
        dump = getattr(message, method, None)
        if callable(dump) and not isinstance(message, type):
            found = dump()
            if isinstance(found, Mapping):
                return found
    return {name: getattr(message, name) for name in FIELDS if hasattr(message, name)}


def _as_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """`value` as TaskTree would write it, with a ``?`` for what UTF-8 cannot say."""
    text = json.dumps(json.loads(json.dumps(value, default=_other)), ensure_ascii=False)
    return json.loads(text.encode(errors="replace"))


def _other(value: object) -> object:
    """What JSON does not know: a model within a mapping by its fields, anything else as text."""
    if isinstance(value, type):
        return str(value)
    kind: type[Any] = type(value)
    if attrs.has(kind):
        return {one.name: getattr(value, one.name) for one in attrs.fields(kind)}
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    for method in ("model_dump", "dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            return dump()
    return str(value)


def _moment(value: object) -> datetime:
    """A time; the present one where there is none that can be read."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return _now()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return _now()
    if not isinstance(value, datetime):
        return _now()
    try:
        return value.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return _now()
