"""What the AutoGPT platform publishes: execution events and notifications, read without being taken apart.

A body is ``{"payload": {…}}``. Of an event only what says whose it is and what it tells of is looked at; the
payload goes on byte for byte, however large it is.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from attrs import frozen

from tasktree_rt.core.commands import Live
from tasktree_rt.core.events import Json
from tasktree_rt.core.topics import live_topic
from tasktree_rt.dialects.autogpt.channels import EXECUTION, GRAPH, GRAPH_BEFORE, channel
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput

GRAPH_UPDATE: Final = "graph_execution_update"
NODE_UPDATE: Final = "node_execution_update"
ERROR_UPDATE: Final = "error_comms_update"
OVER: Final = frozenset({"COMPLETED", "TERMINATED", "FAILED"})
"""Statuses after which an execution changes no more."""
MAX_ID: Final = 512

_MISSING_FIELD: Final = re.compile(r"missing required field `([^`]*)`")
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")


class Payload(msgspec.Struct):
    """What is looked at of an execution's payload. What only the mirror uses may be anything here."""

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
    """The data of a live event: an execution's payload as it came, and the channel it goes out on."""

    body: bytes
    channel: str


@frozen
class Execution:
    """An execution's event.

    Attributes:
        user, graph, execution: whose it is.
        body: the whole payload.
        payload: what was looked at.
    """

    user: str
    graph: str
    execution: str
    body: bytes
    payload: Payload

    def live(self) -> list[Live]:
        """Where it is to be shown: a node's event to who watches the execution, any other also to who
        watches its graph."""
        payload = self.payload
        if payload.event_type == NODE_UPDATE:
            return [
                self._live(EXECUTION, self.execution, "node_execution_event", f"node:{payload.node_exec_id}")
            ]
        if payload.event_type == ERROR_UPDATE:
            key, last = "error", False
        else:
            key, last = "graph", payload.status in OVER
        key, method = f"{key}:{self.execution}", "graph_execution_event"
        return [
            self._live(EXECUTION, self.execution, method, key, last=last),
            self._live(GRAPH, self.graph, method, key, last=last),
            self._live(GRAPH_BEFORE, self.graph, method, key, last=last),
        ]

    def _live(self, kind: str, name: str, method: str, key: str, *, last: bool = False) -> Live:
        push = Push(self.body, channel(self.user, kind, name))
        return Live(live_topic(kind, self.user, name), method, push, key, last)


def read_execution(body: bytes, named: tuple[str, str, str] | None = None) -> Execution:
    """An execution's event.

    `named` are the user, the graph and the execution that it was published for; without, and for all but
    ``error_comms_update``, the payload names them, and must name the same.

    Raises:
        InvalidInput: ``invalid_json``, or ``invalid_message`` naming the field.
    """
    raw = bytes(_read(_read_body, _utf8(body)).payload)
    payload = _read(_read_payload, raw, "payload")
    execution = Execution(*_whose(payload, named), raw, payload)
    if payload.event_type == NODE_UPDATE:
        _text(payload.node_exec_id, "node_exec_id")
        _text(payload.node_id, "node_id")
    if payload.event_type != ERROR_UPDATE:
        _text(payload.status, "status")
    return execution


def too_large(named: tuple[str, str, str], size: int, most: int) -> Execution:
    """What stands for an event of `size` bytes where `most` are passed on: the platform's own word for it."""
    payload = Payload(ERROR_UPDATE)
    body = {
        "event_type": ERROR_UPDATE,
        "error": "Payload too large to be passed on",
        "original_size_bytes": size,
        "max_size_bytes": most,
    }
    return Execution(*named, encode_json(body), payload)


def read_notification(body: bytes, named: str | None = None) -> tuple[str, Json]:
    """A notification's user and what they are told, ``{"type", "event", …}``.

    Raises:
        InvalidInput: as `read_execution`.
    """
    said = _read(_read_notification, _utf8(body)).payload
    if named is not None and said.user_id != named:
        raise _wrong("user_id", f"{named!r} as in the channel")
    for field in ("type", "event"):
        if not isinstance(said.payload.get(field), str):
            raise _wrong(f"payload.{field}", "a string")
    return _text(said.user_id, "user_id"), said.payload


def _whose(payload: Payload, named: tuple[str, str, str] | None) -> tuple[str, str, str]:
    kind = payload.event_type
    if kind not in (GRAPH_UPDATE, NODE_UPDATE, ERROR_UPDATE):
        raise _wrong("event_type", f"one of {GRAPH_UPDATE}, {NODE_UPDATE}, {ERROR_UPDATE}")
    if named is not None and kind == ERROR_UPDATE:
        return named
    field = "id" if kind == GRAPH_UPDATE else "graph_exec_id"
    execution = payload.id if kind == GRAPH_UPDATE else payload.graph_exec_id
    found = (
        _text(payload.user_id, "user_id"),
        _text(payload.graph_id, "graph_id"),
        _text(execution, field),
    )
    if named is not None:
        for one, other, place in zip(found, named, ("user_id", "graph_id", field), strict=True):
            if one != other:
                raise _wrong(place, f"{other!r} as in the channel")
    return found


def _text(value: str | None, field: str) -> str:
    if value is None or not 0 < len(value) <= MAX_ID:
        raise _wrong(field, f"a string of 1-{MAX_ID} characters")
    return value


def _wrong(field: str, expected: str) -> InvalidInput:
    return InvalidInput(f"expected {expected}", field=f"payload.{field}")


def _utf8(body: bytes) -> bytes:
    """The decoder skips over what it does not look at; a text frame must be UTF-8 throughout."""
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
