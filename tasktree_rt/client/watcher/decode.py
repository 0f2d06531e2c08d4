"""The decode edge of a watcher: JSON objects from the hub, structured with cattrs and no coercion.

Fields that this version does not know are ignored; a missing or mistyped one is `NotAHub`: the peer
speaks something else, and trying again would not help.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import eq
from typing import Final, TypeVar

import cattrs
from attrs import Factory, field, frozen
from attrs.validators import ge

from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.watcher.messages import Conflated, ProjectEvent, StateReplaced
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import TOP_FIELDS
from tasktree_rt.core.protocol import Broadcast
from tasktree_rt.core.topics import user_topic
from tasktree_rt.errors import InvalidInput

T = TypeVar("T")

SHORTEST_INTERVAL: Final = 1.0
LONGEST_INTERVAL: Final = 3_600.0
"""Bounds of a heartbeat interval in seconds; one beyond them is taken as the bound."""


def is_event(message: Json) -> bool:
    """Return True for an event of any ``type``: no message of the hub's own has both keys."""
    return "seq" in message and "timestamp" in message


def is_broadcast(message: Json) -> bool:
    """Return True for a broadcast of any ``type``: it has a time, no project and no position."""
    return "timestamp" in message and message.get("project_id", message) is None and "seq" not in message


def is_control(message: Json) -> bool:
    """Return True if ``type`` may name a message of the hub's own."""
    return not is_event(message) and not is_broadcast(message)


def _within_bounds(interval: float) -> float:
    return min(max(float(interval), SHORTEST_INTERVAL), LONGEST_INTERVAL)


@frozen
class WireWelcome:
    """The ``data`` of the hub's ``welcome`` message."""

    connection_id: str
    heartbeat_interval: float = field(converter=_within_bounds)
    max_message_size: int = field(validator=ge(1))


@frozen
class WireSubscribed:
    """The hub's ``subscribed`` message."""

    project_id: str
    seq: int = field(validator=ge(0))
    epoch: str
    recovered: bool | None
    id: str | int | None = None


@frozen
class WireState:
    """One ``project_state``; `data` has ``nodes``, and in part 1 the rest."""

    project_id: str
    seq: int = field(validator=ge(0))
    epoch: str
    reason: str
    part: int = field(validator=ge(1))
    parts: int = field(validator=ge(1))
    data: Json


@frozen
class WireConflated:
    """``conflated``, without the project's own fields, which are only there when they changed."""

    project_id: str
    epoch: str
    after: int = field(validator=ge(0))
    seq: int = field(validator=ge(0))
    removed: list[str]
    nodes: list[Json]
    events: list[Json]
    logs_skipped: dict[str, int] = Factory(dict)


@frozen
class WireHeartbeat:
    """The hub's ``heartbeat`` message."""

    positions: dict[str, str]
    user_positions: dict[str, str] = Factory(dict)


@frozen
class WireError:
    """The hub's ``error`` message."""

    code: str
    message: str
    id: str | int | None = None
    field: str | None = None
    retry_after_ms: int | None = None
    project_id: str | None = None
    user_id: str | None = None

    @property
    def topic(self) -> str | None:
        """The topic that the message names, if any."""
        return self.project_id if self.user_id is None else user_topic(self.user_id)


def _exactly(*kinds: type) -> Callable[[object, object], object]:
    def check(value: object, _: object) -> object:
        if type(value) not in kinds:
            raise TypeError(f"expected {' or '.join(kind.__name__ for kind in kinds)}")
        return value

    return check


def _list_of(kind: type) -> Callable[[object, object], object]:
    def check(value: object, _: object) -> object:
        if type(value) is not list or any(type(one) is not kind for one in value):
            raise TypeError(f"expected a list of {kind.__name__}")
        return value

    return check


_converter: Final = cattrs.Converter(detailed_validation=False)
_converter.register_structure_hook(str, _exactly(str))
_converter.register_structure_hook(int, _exactly(int))
_converter.register_structure_hook(bool, _exactly(bool))
_converter.register_structure_hook(float, _exactly(float, int))
for _shape, _check in (
    (Json, _exactly(dict)),
    (str | int | None, _exactly(str, int, type(None))),
    (list[str], _list_of(str)),
    (list[Json], _list_of(dict)),
):
    _converter.register_structure_hook_func(partial(eq, _shape), _check)


def by_topic(message: Json) -> Json:
    """A message with its topic as ``project_id``: that of a user is ``@`` and the user's id.

    Raises:
        ConnectionEnded: final; what should name a user does not.
    """
    if "project_id" in message or "user_id" not in message:
        return message
    user = message["user_id"]
    if type(user) is not str:
        raise not_a_hub("user_id", user)
    return {**message, "project_id": user_topic(user)}


def structure(message: object, shape: type[T]) -> T:
    """`message` as `shape`.

    Raises:
        ConnectionEnded: final; it is not one.
    """
    try:
        return _converter.structure(message, shape)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise not_a_hub(shape.__name__.removeprefix("Wire").lower(), error) from None


def not_a_hub(what: str, error: object) -> ConnectionEnded:
    """The peer does not speak this protocol."""
    return ConnectionEnded(f"the peer is not a hub: malformed {what}: {error!r}", final=True)


def read_event(message: Json) -> ProjectEvent:
    """An event with its position. On the hot path, so by hand.

    Raises:
        ConnectionEnded: final; it is not one.
    """
    try:
        project_id, seq, epoch, kind = (message[key] for key in ("project_id", "seq", "epoch", "type"))
        data, timestamp = message["data"], message["timestamp"]
    except KeyError as error:
        raise not_a_hub("event", error) from None
    if not (
        type(project_id) is type(epoch) is type(kind) is type(timestamp) is str
        and type(seq) is int
        and seq > 0
        and type(data) is dict
    ):
        raise not_a_hub("event", message.get("type"))
    return ProjectEvent(project_id, Position(epoch, seq), kind, data, timestamp)


def read_broadcast(message: Json) -> Broadcast:
    """A message without a project.

    Raises:
        ConnectionEnded: final; it is not one.
    """
    kind, data, timestamp = (message.get(key) for key in ("type", "data", "timestamp"))
    if type(kind) is not str or type(data) is not dict or type(timestamp) is not str:
        raise not_a_hub("broadcast", kind)
    return Broadcast(kind, data, timestamp)


def read_nodes(nodes: object) -> dict[str, Json]:
    """Nodes as they go over the wire, as fields by id. Takes the given objects apart.

    Raises:
        ConnectionEnded: final; they are not nodes.
    """
    try:
        found = {node.pop("node_id"): node for node in nodes}  # type: ignore[attr-defined]
    except (TypeError, KeyError, AttributeError) as error:
        raise not_a_hub("nodes", error) from None
    for node_id in found:
        if type(node_id) is not str:
            raise not_a_hub("nodes", node_id)
    return found


def read_conflated(message: Json) -> Conflated:
    """A ``conflated`` message.

    Raises:
        ConnectionEnded: final; it is not one.
    """
    wire = structure(message, WireConflated)
    return Conflated(
        wire.project_id,
        wire.after,
        Position(wire.epoch, wire.seq),
        wire.removed,
        read_nodes(wire.nodes),
        {name: message[name] for name in (*TOP_FIELDS, "read") if name in message},
        tuple(read_event(by_topic(one)) for one in wire.events),
        wire.logs_skipped,
    )


def continues(parts: list[WireState], part: WireState) -> bool:
    """Return True if `part` follows the last of `parts`."""
    if not parts:
        return False
    last = parts[-1]
    same = (last.epoch, last.seq, last.parts) == (part.epoch, part.seq, part.parts)
    return same and part.part == last.part + 1 <= part.parts


def assemble(parts: list[WireState]) -> StateReplaced:
    """All parts of a state as one.

    Raises:
        ConnectionEnded: final; they hold something else than nodes.
    """
    first = parts[0]
    nodes: dict[str, Json] = {}
    for part in parts:
        nodes.update(read_nodes(part.data.get("nodes", [])))
    top = first.data
    return StateReplaced(
        first.project_id,
        Position(first.epoch, first.seq),
        first.reason,
        top.get("state"),
        top.get("project") or {},
        top.get("orchestrator"),
        top.get("coordination"),
        top.get("prompts") or [],
        nodes,
        top.get("read") or 0,
    )


def read_position(text: str) -> Position:
    """``<epoch>:<seq>``.

    Raises:
        ConnectionEnded: final; it is not one.
    """
    try:
        return Position.parse(text)
    except InvalidInput as error:
        raise not_a_hub("position", error) from None
