"""What a program hands over to be published, made into the bytes that are sent and sent again.

The bytes are made once: a repeat under the same id must be the same publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from tasktree_rt.client.producer.checks import HubLimits, check_event, check_publish
from tasktree_rt.core.events import Event, format_time
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import PeerError, PublishRefused

EventLike = Event | Mapping[str, Any]
"""An event: `core.events.Event`, or its JSON object (``type``, ``project_id``, ``data``, ``timestamp?``)."""


@frozen
class Encoded:
    """The events of one publish: their project, and each as JSON."""

    project_id: str
    events: tuple[bytes, ...]


def encode_events(events: EventLike | Iterable[EventLike], limits: HubLimits, *, stamp: bool) -> Encoded:
    """Check the events of one publish as the hub will, and make each JSON.

    With `stamp`, one without a timestamp gets the present time.

    Raises:
        PublishRefused: the hub would refuse it.
    """
    several = [events] if isinstance(events, (Event, Mapping)) else list(events)
    if not several:
        raise PublishRefused("invalid_event", "expected at least one event", "events")
    now = format_time(datetime.now(UTC)) if stamp else None
    encoded = tuple(encode_event(event, now, f"events[{index}]") for index, event in enumerate(several))
    try:
        read = [check_event(one, limits, f"events[{index}]") for index, one in enumerate(encoded)]
        check_publish(read, limits)
    except PeerError as error:
        raise PublishRefused(error.code, error.message, error.field) from None
    return Encoded(str(read[0].project_id), encoded)


def publish_text(publish_id: str, events: Iterable[bytes]) -> bytes:
    """A ``publish`` message of encoded events, as JSON."""
    return b'{"type":"publish","id":%b,"events":[%b]}' % (encode_json(publish_id), b",".join(events))


def encode_event(event: EventLike, now: str | None = None, field: str = "event") -> bytes:
    """One event as JSON, unchecked.

    Raises:
        PublishRefused: ``invalid_event``: it cannot be written as JSON.
    """
    if isinstance(event, Event):
        body: dict[str, object] = {
            "type": event.type,
            "project_id": event.project_id,
            "data": event.data,
            "timestamp": event.timestamp,
        }
    elif isinstance(event, Mapping):
        body = dict(event)
        if now is not None and body.get("timestamp") is None:
            body["timestamp"] = now
    else:
        raise PublishRefused("invalid_event", f"expected an event, got {type(event).__name__}", field)
    try:
        return encode_json(body)
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError) as error:
        raise PublishRefused("invalid_event", f"cannot be written as JSON: {error}", field) from None


def node_update(project_id: str, node_id: str, changes: Mapping[str, Any]) -> EventLike:
    """A ``node_update``; None as a value removes that field."""
    return {
        "type": "node_update",
        "project_id": project_id,
        "data": {"node_id": node_id, "changes": dict(changes)},
    }


def state_transition(
    project_id: str,
    to: str,
    *,
    before: str | None,
    node_id: str | None,
    context: Mapping[str, Any] | None,
) -> EventLike:
    """A ``state_transition`` of a node, or of the project itself if `node_id` is None."""
    data: dict[str, Any] = {"from": before, "to": to, "context": dict(context or {})}
    if node_id is not None:
        data["node_id"] = node_id
    return {"type": "state_transition", "project_id": project_id, "data": data}


def log_line(
    project_id: str, message: str, *, level: str, node_id: str | None, stream: str | None
) -> EventLike:
    """A ``log`` event of a project, or of a node if `node_id` is given."""
    data = {"level": level, "message": message, "node_id": node_id, "stream": stream}
    kept = {name: value for name, value in data.items() if value is not None}
    return {"type": "log", "project_id": project_id, "data": kept}
