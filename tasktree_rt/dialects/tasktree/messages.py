"""Messages of the hub to a native peer, as JSON values (docs/protocol.md, "Watching")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tasktree_rt.core.events import Json
from tasktree_rt.core.nodes import wholes
from tasktree_rt.core.protocol import (
    Acked,
    Broadcast,
    Conflated,
    Draining,
    Failure,
    Heartbeat,
    Instruction,
    Message,
    Personal,
    Pong,
    Reply,
    RequestId,
    StatePart,
    Subscribed,
    TokenExpiring,
    Unsubscribed,
    Welcome,
)
from tasktree_rt.core.topics import project_of, user_of
from tasktree_rt.dialects.base import named, raw_json, with_position


def as_json(message: Message) -> Json:
    """Convert a message to its JSON object on the wire."""
    return _WRITERS[type(message)](message)


def state_data(topic: str, top: Mapping[str, Any] | None, nodes: list[Json]) -> Json:
    """Return the ``data`` of a state, whole or in part."""
    if user_of(topic) is not None:
        return {} if top is None else {"prompts": top["prompts"], "read": top.get("read", 0)}
    return {"nodes": nodes} if top is None else {**top, "nodes": nodes}


def _welcome(said: Welcome) -> Json:
    return {
        "type": "welcome",
        "data": {
            "connection_id": said.connection_id,
            "heartbeat_interval": said.heartbeat_interval,
            "server_time": said.server_time,
            "max_message_size": said.max_message_size,
        },
    }


def _subscribed(said: Subscribed) -> Json:
    return _with_id(
        {
            "type": "subscribed",
            **named(said.project_id),
            "seq": said.position.seq,
            "epoch": said.position.epoch,
            "recovered": said.recovered,
        },
        said.id,
    )


def _state_part(said: StatePart) -> Json:
    return {
        "type": "project_state",
        **named(said.project_id),
        "seq": said.position.seq,
        "epoch": said.position.epoch,
        "reason": said.reason,
        "part": said.part,
        "parts": said.parts,
        "data": state_data(said.project_id, said.top, list(wholes(said.nodes))),
    }


def _conflated(said: Conflated) -> Json:
    epoch = said.position.epoch
    message: Json = {
        "type": "conflated",
        **named(said.project_id),
        "epoch": epoch,
        "after": said.after,
        "seq": said.position.seq,
        "removed": said.removed,
        "nodes": list(wholes(said.nodes)),
        **said.top,
        "events": [raw_json(with_position(record, epoch)) for record in said.events],
    }
    if said.logs_skipped:
        message["logs_skipped"] = dict(said.logs_skipped)
    return message


def _heartbeat(said: Heartbeat) -> Json:
    positions = {project_of(name): str(one) for name, one in said.positions.items() if user_of(name) is None}
    message: Json = {"type": "heartbeat", "timestamp": said.timestamp, "positions": positions}
    users = {user: str(one) for name, one in said.positions.items() if (user := user_of(name)) is not None}
    return {**message, "user_positions": users} if users else message


def _pong(said: Pong) -> Json:
    return _with_id({"type": "pong"}, said.id)


def _unsubscribed(said: Unsubscribed) -> Json:
    message = _with_id({"type": "unsubscribed", **named(said.project_id)}, said.id)
    return message if said.reason is None else {**message, "reason": said.reason}


def _reply(said: Reply) -> Json:
    message = _with_id({"type": "reply"}, said.id)
    return message if said.command_id is None else {**message, "command_id": said.command_id}


def _instruction(said: Instruction) -> Json:
    return {"type": "command", "project_id": said.project_id, **said.data}


def _draining(said: Draining) -> Json:
    return {"type": "draining", "data": {"reconnect_after_ms": said.reconnect_after_ms}}


def _token_expiring(said: TokenExpiring) -> Json:
    return {"type": "token_expiring", "data": {"expires_in_ms": said.expires_in_ms}}


def _failure(said: Failure) -> Json:
    message = _with_id({"type": "error"}, said.id) | {"code": said.code, "message": said.message}
    if said.field is not None:
        message["field"] = said.field
    if said.retry_after_ms is not None:
        message["retry_after_ms"] = said.retry_after_ms
    if said.outcome is not None:
        message["outcome"] = said.outcome
    return message if said.topic is None else message | named(said.topic)


def _acked(said: Acked) -> Json:
    positions = [
        {"project_id": said.project_id, "epoch": said.epoch, "seq": seq}
        for seq in range(said.first, said.last + 1)
    ]
    return {"type": "ack", "id": said.id, "positions": positions, "duplicate": said.duplicate}


def _broadcast(said: Broadcast) -> Json:
    return {"type": said.type, "project_id": None, "data": said.data, "timestamp": said.timestamp}


def _personal(said: Personal) -> Json:
    return said.message


def _with_id(message: Json, request: RequestId) -> Json:
    return message if request is None else {**message, "id": request}


_WRITERS: Final[dict[type, Callable[[Any], Json]]] = {
    Welcome: _welcome,
    Subscribed: _subscribed,
    StatePart: _state_part,
    Conflated: _conflated,
    Heartbeat: _heartbeat,
    Pong: _pong,
    Unsubscribed: _unsubscribed,
    Reply: _reply,
    Instruction: _instruction,
    Draining: _draining,
    TokenExpiring: _token_expiring,
    Failure: _failure,
    Acked: _acked,
    Broadcast: _broadcast,
    Personal: _personal,
}
