"""Checks at the call, with the hub's own code and limits, for what a hub refuses whatever its state is.

A refusal by the hub comes later, where the program can no longer correct the value, and it covers what was
sent beside the value too.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE
from tasktree_rt.core.events import Event, Json, parse_event
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.reserved_names import refuse_reserved
from tasktree_rt.dialects.base import decode_json, encode_body, measure, plain
from tasktree_rt.errors import InvalidInput, Refused

_NOW: Final = "1970-01-01T00:00:00.000000Z"
_ADDED: Final = 64
"""Bytes by which the reducer can make a node larger than the event that it comes of."""
_ENVELOPE: Final = 256
"""Bytes of a publish besides its events, at most."""


@frozen
class HubLimits:
    """What the hub takes; by default what it takes by its own defaults. Sizes in bytes."""

    message_size: int = MAX_MESSAGE_SIZE
    node_size: int = MAX_NODE_SIZE
    events: int = MAX_EVENTS_PER_PUBLISH


def check_event(encoded: bytes, limits: HubLimits, field: str) -> Event:
    """Read an event as the hub will read it.

    Raises:
        PeerError: as the hub would refuse it.
    """
    event = parse_event(decode_json(encoded), now=_NOW, field=field)
    refuse_reserved(event.type, f"{field}.type")
    body = encode_body(event, f"{field}.data")
    if len(body) + _ADDED > limits.node_size:
        _check_nodes(event, len(body), limits, field)
    return event


def check_publish(events: list[Event], limits: HubLimits) -> None:
    """Check what only concerns the events of one publish together.

    Raises:
        PeerError: as the hub would refuse it.
    """
    if len(events) > limits.events:
        raise InvalidInput(f"expected at most {limits.events} events", code="too_large", field="events")
    for index, event in enumerate(events):
        if event.project_id != events[0].project_id:
            expected = f"expected {events[0].project_id!r} as in events[0]"
            raise InvalidInput(expected, code="mixed_projects", field=f"events[{index}].project_id")
        if event.type == "project_deleted" and index + 1 < len(events):
            expected = "project_deleted must be the last event of its publish"
            raise InvalidInput(expected, code="invalid_event", field=f"events[{index}].type")


def check_data(project: str, kind: str, data: Json, limits: HubLimits) -> Json:
    """The data of an event of `project`, made by this program, as the hub will keep it.

    It shares nothing with `data`, which the program may change later.

    Raises:
        InvalidInput: the hub would not take it.
    """
    given = {"type": kind, "project_id": project, "data": plain(data)}
    event = parse_event(given, now=_NOW, field="event")
    if len(encode_body(event)) + _ENVELOPE > limits.message_size:
        raise InvalidInput(f"expected less than {limits.message_size} bytes", code="too_large", field="event")
    return event.data


def _check_nodes(event: Event, size: int, limits: HubLimits, field: str) -> None:
    for node_id, node in reduce(Nodes(), event, size, measure).put.items():
        if measure(node.fields) > limits.node_size:
            raise Refused(
                f"node {node_id!r} would be larger than {limits.node_size} bytes",
                code="node_too_large",
                field=field,
            )
