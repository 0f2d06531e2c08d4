"""The execution status stream: ``/api/v1/ws/executions/{execution_id}``.

The client can send ``{"type":"ping"}``; the hub sends ``status``, ``pong``, ``error`` and, where they were
asked for, ``node`` and ``log``. docs/protocol.md, "Executions", is the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import asdict

from tasktree_rt.core.events import Json, Record, shown
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus
from tasktree_rt.core.protocol import Command, Failure, Message, Personal, Ping, Pong
from tasktree_rt.dialects.base import Encoding, decode_object, encode_json, join, text_frame
from tasktree_rt.errors import InvalidInput


class Execution:
    """The language of the execution stream; it has no messages for events."""

    name = "execution"

    def decode(self, message: str | bytes) -> Command | None:
        """A ping, in a text or a binary frame.

        Raises:
            InvalidInput: it is anything else.
        """
        kind = decode_object(message).get("type")
        if kind != "ping":
            raise InvalidInput(f"expected ping, got {shown(kind)}", field="type")
        return Ping()

    def encode(self, message: Message) -> bytes | None:
        """Encode a message as one text frame; None if this language has no such message."""
        writer = _WRITERS.get(type(message))
        return None if writer is None else text_frame(encode_json(writer(message)))

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Nothing: a status follows from events, it is none."""
        return join(())


def _status(said: ExecutionStatus) -> Json:
    return {"type": "status", **asdict(said, recurse=False)}


def _node(said: NodeStatus) -> Json:
    head = {"type": "node", "execution_id": said.execution_id, "node_id": said.node_id}
    if said.fields is None:
        return {**head, "status": None, "deleted": True}
    # The node's own fields cannot stand for those of the message.
    return {**said.fields, **head, "status": said.fields.get("status")}


def _log(said: LogLine) -> Json:
    line = {"type": "log", **asdict(said, recurse=False)}
    return {key: value for key, value in line.items() if value is not None}


def _failure(said: Failure) -> Json:
    where = "" if said.field is None else f"{said.field}: "
    return {"type": "error", "message": f"{where}{said.message}"}


def _pong(said: Pong) -> Json:
    return {"type": "pong"}


def _personal(said: Personal) -> Json:
    return said.message


_WRITERS: Final[dict[type, Callable[[Any], Json]]] = {
    ExecutionStatus: _status,
    NodeStatus: _node,
    LogLine: _log,
    Failure: _failure,
    Pong: _pong,
    Personal: _personal,
}
