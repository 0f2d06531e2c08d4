"""Requests of AutoGPT's clients, and the error texts that AutoGPT has for them."""

from __future__ import annotations

from typing import Final

from tasktree_rt.compat.autogpt.channels import EXECUTION, GRAPH, GRAPH_BEFORE
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Command, Ping, SubscribeTopic, UnsubscribeTopic
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import InvalidInput

FORMAT: Final = "Invalid message format. Review the schema and retry"
MISSING: Final = "Subscription data missing"
SHAPE: Final = "Invalid message data. Refer to the API schema"
UNPROCESSED: Final = "Message type is not processed by the server"

MAX_ID: Final = 512
"""Characters of an id; the hub keeps one in memory for each subscription."""

SUBSCRIBES: Final = {
    "subscribe_graph_execution": ("graph_exec_id", EXECUTION),
    "subscribe_graph_executions": ("graph_id", GRAPH),
    "subscribe_graph_exec": ("graph_exec_id", EXECUTION),
    "subscribe_graph_execs": ("graph_id", GRAPH_BEFORE),
}
UNSUBSCRIBE: Final = "unsubscribe"
PUSHES: Final = frozenset({"notification", "graph_execution_event", "node_execution_event"})


def read_request(message: str | bytes) -> Command | None:
    """Read a request; None for ``error``, which AutoGPT's own server only logs.

    Raises:
        InvalidInput: one of the texts above.
    """
    value = _object(message)
    method = value.get("method")
    if not isinstance(method, str):
        raise InvalidInput(FORMAT, field="method")
    if method == "heartbeat":
        return Ping()
    if method in SUBSCRIBES:
        field, kind = SUBSCRIBES[method]
        return SubscribeTopic(kind, _id(_data(value), field), method)
    if method == UNSUBSCRIBE:
        return _unsubscribe(_data(value))
    if method == "error":
        return None
    raise InvalidInput(UNPROCESSED if method in PUSHES else FORMAT, field="method")


def _object(message: str | bytes) -> Json:
    if isinstance(message, bytes):
        raise InvalidInput(FORMAT)
    try:
        return decode_object(message)
    except InvalidInput as error:
        raise InvalidInput(FORMAT, code=error.code) from None


def _unsubscribe(data: Json) -> UnsubscribeTopic:
    if "graph_exec_id" in data:
        return UnsubscribeTopic((EXECUTION,), _id(data, "graph_exec_id"), UNSUBSCRIBE)
    return UnsubscribeTopic((GRAPH, GRAPH_BEFORE), _id(data, "graph_id"), UNSUBSCRIBE)


def _data(value: Json) -> Json:
    data = value.get("data")
    if data in (None, {}, [], ""):
        raise InvalidInput(MISSING, field="data")
    if not isinstance(data, dict):
        raise InvalidInput(SHAPE, field="data")
    return data


def _id(data: Json, field: str) -> str:
    found = data.get(field)
    if not isinstance(found, str) or len(found) > MAX_ID:
        raise InvalidInput(SHAPE, field=f"data.{field}")
    return found
