"""This project's own languages: `Native` (``tasktree.v1``), `Plain` (no subprotocol), `Orchestrator`, and
`ServerSentEvents`, which is native in another wrapping.

docs/protocol.md is their contract. `Plain` sends only events, in the same text as `Native`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasktree_rt.core.events import Record
from tasktree_rt.core.protocol import (
    Broadcast,
    Command,
    Conflated,
    Ephemeral,
    Message,
    Personal,
    StatePart,
    TopicSubscribed,
)
from tasktree_rt.core.tasktree_names import PREFIX, as_given
from tasktree_rt.dialects.base import (
    Encoding,
    decode_body,
    encode_json,
    join,
    text_frame,
    with_position,
)
from tasktree_rt.dialects.tasktree.messages import as_json
from tasktree_rt.dialects.tasktree.requests import decode_command

SUBPROTOCOL: Final = "tasktree.v1"
_SPELLED: Final = f'"project_id":"{PREFIX}'.encode()
_HEAD: Final = 1024
"""Bytes of a body within which the project is named: behind a type of at most 128 characters."""


class Plain:
    """Sends events only and ignores the client's messages (the TaskTree dashboard's language)."""

    name = "plain"

    def decode(self, message: str | bytes) -> Command | None:
        """Ignore the message."""
        return None

    def encode(self, message: Message) -> bytes | None:
        """Encode a broadcast or a personal message; None for all others."""
        if isinstance(message, (Broadcast, Personal)):
            return text_frame(encode_json(as_json(message)))
        return None

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """One text frame an event; a project of TaskTree by the name that it has there."""
        return join(text_frame(with_position(_as_given(record), epoch)) for record in records)


class Native(Plain):
    """``tasktree.v1``: all requests and messages of a watcher."""

    name = "native"

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """One text frame an event."""
        return join(text_frame(with_position(record, epoch)) for record in records)

    def decode(self, message: str | bytes) -> Command | None:
        """Decode one of the client's requests.

        Raises:
            InvalidInput: a `RequestError` where the request has an id.
        """
        return decode_command(message)

    def encode(self, message: Message) -> bytes | None:
        """Encode a message as one text frame; None for ephemeral events."""
        return (
            None
            if isinstance(message, (Ephemeral, TopicSubscribed))
            else text_frame(encode_json(as_json(message)))
        )


class Orchestrator(Native):
    """The language of ``/ws/orchestrator``. The session decodes publishes, since it knows the time."""

    name = "orchestrator"


class ServerSentEvents(Plain):
    """The native messages as an event stream (WHATWG HTML, 9.2).

    Only messages that move the client's position have an ``id:``: events, ``conflated`` and the last part of
    a ``project_state``. So the ``Last-Event-ID`` that a browser sends back is a position that it reached.
    """

    name = "sse"

    def encode(self, message: Message) -> bytes | None:
        """Encode a message as one event of the stream; None for ephemeral events."""
        if isinstance(message, (Ephemeral, TopicSubscribed)):
            return None
        moves = isinstance(message, Conflated) or (
            isinstance(message, StatePart) and message.part == message.parts
        )
        place = f"{message.position}" if moves and isinstance(message, (Conflated, StatePart)) else ""
        return _stream_event(encode_json(as_json(message)), place)

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """One event of the stream each."""
        return join(_stream_event(with_position(one, epoch), f"{epoch}:{one.seq}") for one in records)


def _as_given(record: Record) -> Record:
    """An event under the name that its project has in TaskTree (`core.tasktree_names`)."""
    if record.body.find(_SPELLED, 0, _HEAD) < 0:
        return record
    event = decode_body(record.body)
    name, data = as_given(str(event.project_id), event.data)
    said = {"type": event.type, "project_id": name, "data": data, "timestamp": event.timestamp}
    return Record(record.seq, record.type, record.node_id, record.received, encode_json(said))


def _stream_event(data: bytes, place: str) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (place.encode(), data) if place else b"data: %b\n\n" % data
