"""Reads execution events and notifications of the AutoGPT platform without decoding them whole.

A body is ``{"payload": {…}}``. The hub reads only the fields that name the user, the execution and the kind
of event; the payload goes on byte for byte, whatever its size.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from attrs import frozen

from tasktree_rt.compat.autogpt.channels import (
    EXECUTION,
    GRAPH,
    GRAPH_BEFORE,
    Place,
    Through,
    channel,
)
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.core.topics import live_topic
from tasktree_rt.dialects.base import encode_json, refuse_beyond
from tasktree_rt.errors import InvalidInput

GRAPH_UPDATE: Final = "graph_execution_update"
NODE_UPDATE: Final = "node_execution_update"
ERROR_UPDATE: Final = "error_comms_update"
OVER: Final = frozenset({"COMPLETED", "TERMINATED", "FAILED"})
"""Statuses after which an execution no longer changes."""
MAX_ID: Final = 512
_KINDS: Final[dict[Through, tuple[str, ...]]] = {
    Through.ALL: (EXECUTION, GRAPH, GRAPH_BEFORE),
    Through.EXECUTION: (EXECUTION,),
    Through.GRAPH: (GRAPH, GRAPH_BEFORE),
}
_NODES_KINDS: Final[dict[Through, tuple[str, ...]]] = {
    Through.ALL: (EXECUTION,),
    Through.EXECUTION: (EXECUTION,),
    Through.GRAPH: (GRAPH,),
}

_MISSING_FIELD: Final = re.compile(r"missing required field `([^`]*)`")
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")


class Payload(msgspec.Struct):
    """The fields of an execution's payload that the hub reads; those for projects may have any type."""

    event_type: str
    user_id: str | None = None
    graph_id: str | None = None
    graph_exec_id: str | None = None
    id: str | None = None
    node_exec_id: str | None = None
    node_id: str | None = None
    status: str | None = None
    graph_version: Any = None
    block_id: Any = None
    started_at: Any = None
    ended_at: Any = None
    add_time: Any = None
    queue_time: Any = None
    start_time: Any = None
    end_time: Any = None
    error: Any = None
    stats: Any = None


class _Body(msgspec.Struct):
    payload: msgspec.Raw


class _Addressed(msgspec.Struct):
    user_id: str
    payload: dict[str, Any]


class _Notification(msgspec.Struct):
    payload: _Addressed


_read_body: Final = msgspec.json.Decoder(_Body).decode
_read_payload: Final = msgspec.json.Decoder(Payload).decode
_read_notification: Final = msgspec.json.Decoder(_Notification).decode


@frozen
class Push:
    """The data of an ephemeral event: an execution's payload as it came, and the channel for the client."""

    body: bytes
    channel: str


@frozen
class Execution:
    """An execution's event.

    Attributes:
        user, graph, execution: of the event; an error published for a graph names no execution.
        body: the whole payload.
        payload: the fields that the hub reads.
        through: the watchers for whom it was published.
    """

    user: str
    graph: str
    execution: str
    body: bytes
    payload: Payload
    through: Through = Through.ALL

    def live(self) -> list[Ephemeral]:
        """Return the ephemeral events to send. An event published once goes to watchers of the execution and,
        unless it is a node's, of the graph; an event published for one of them goes to that one only."""
        if self.payload.event_type == NODE_UPDATE:
            key, method, last = f"node:{self.payload.node_exec_id}", "node_execution_event", False
            kinds = _NODES_KINDS[self.through]
        else:
            method = "graph_execution_event"
            error = self.payload.event_type == ERROR_UPDATE
            key = f"{'error' if error else 'graph'}:{self.execution}"
            last = not error and self.payload.status in OVER
            kinds = _KINDS[self.through]
        return [self._live(kind, method, key, last=last) for kind in kinds]

    def _live(self, kind: str, method: str, key: str, *, last: bool) -> Ephemeral:
        name = self.execution if kind == EXECUTION else self.graph
        push = Push(self.body, channel(self.user, kind, name))
        return Ephemeral(live_topic(kind, self.user, name), method, push, key, last)


def read_execution(body: bytes, place: Place | None = None) -> Execution:
    """Read an execution's event.

    `place` is the channel on which it was published. The payload names user, graph and execution, and must
    name the same as `place`; ``error_comms_update`` with a `place` may leave them out.

    Raises:
        InvalidInput: ``invalid_json``, or ``invalid_message`` naming the field.
    """
    raw = bytes(_read(_read_body, _utf8(body)).payload)
    payload = _read(_read_payload, raw, "payload")
    through = Through.ALL if place is None else place.through
    execution = Execution(*_whose(payload, place), raw, payload, through)
    if payload.event_type == NODE_UPDATE:
        _text(payload.node_exec_id, "node_exec_id")
        _text(payload.node_id, "node_id")
    if payload.event_type != ERROR_UPDATE:
        _text(payload.status, "status")
    return execution


def too_large(place: Place, size: int, most: int) -> Execution:
    """Make the platform's own error event, sent in place of an event larger than `most` bytes."""
    payload = Payload(ERROR_UPDATE)
    body = {
        "event_type": ERROR_UPDATE,
        "error": "Payload too large to be passed on",
        "original_size_bytes": size,
        "max_size_bytes": most,
    }
    return Execution(
        place.user, place.graph, place.execution or "", encode_json(body), payload, place.through
    )


def read_notification(body: bytes, named: str | None = None) -> tuple[str, Json]:
    """Read a notification's user and its payload ``{"type", "event", …}``.

    Raises:
        InvalidInput: as `read_execution`.
    """
    said = _read(_read_notification, _utf8(body)).payload
    refuse_beyond(body, {"payload": {"payload": said.payload}})
    if named is not None and said.user_id != named:
        raise _wrong("user_id", f"{named!r} as in the channel")
    for field in ("type", "event"):
        if not isinstance(said.payload.get(field), str):
            raise _wrong(f"payload.{field}", "a string")
    return _text(said.user_id, "user_id"), said.payload


def _whose(payload: Payload, place: Place | None) -> tuple[str, str, str]:
    kind = payload.event_type
    if kind not in (GRAPH_UPDATE, NODE_UPDATE, ERROR_UPDATE):
        raise _wrong("event_type", f"one of {GRAPH_UPDATE}, {NODE_UPDATE}, {ERROR_UPDATE}")
    if place is not None and kind == ERROR_UPDATE:
        return place.user, place.graph, place.execution or ""
    field = "id" if kind == GRAPH_UPDATE else "graph_exec_id"
    execution = payload.id if kind == GRAPH_UPDATE else payload.graph_exec_id
    found = (
        _text(payload.user_id, "user_id"),
        _text(payload.graph_id, "graph_id"),
        _text(execution, field),
    )
    if place is not None:
        named = (place.user, place.graph, place.execution)
        for one, other, where in zip(found, named, ("user_id", "graph_id", field), strict=True):
            if other is not None and one != other:
                raise _wrong(where, f"{other!r} as in the channel")
    return found


def _text(value: str | None, field: str) -> str:
    if value is None or not 0 < len(value) <= MAX_ID:
        raise _wrong(field, f"a string of 1-{MAX_ID} characters")
    return value


def _wrong(field: str, expected: str) -> InvalidInput:
    return InvalidInput(f"expected {expected}", field=f"payload.{field}")


def _utf8(body: bytes) -> bytes:
    """Check that the whole body is UTF-8: the decoder skips what it does not read."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"expected UTF-8: {error.reason}", code="invalid_json") from None
    return body


def _read(decode: Any, body: bytes, within: str = "") -> Any:  # noqa: ANN401 - a decode edge
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        missing = _MISSING_FIELD.search(text)
        place = _AT.search(text)
        parts = (within, place[1] if place else "", missing[1] if missing else "")
        field = ".".join(part for part in parts if part) or None
        raise InvalidInput(_AT.sub("", text).lower(), field=field) from None
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError is a ValueError
        raise InvalidInput(f"expected JSON: {str(error)[:200]}", code="invalid_json") from None
