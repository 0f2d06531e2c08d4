"""Turns an execution into a project that native watchers can read: status, timing and errors of its nodes.

The project never contains inputs or outputs: only the fields named here are copied.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.compat.autogpt.payloads import GRAPH_UPDATE, NODE_UPDATE, Execution, Payload
from tasktree_rt.core.events import Json, is_project_id

PREFIX: Final = "autogpt:"
MAX_TEXT: Final = 4_096
"""Characters of an error that the project keeps."""
STATUSES: Final = {
    "INCOMPLETE": "draft",
    "QUEUED": "ready",
    "RUNNING": "running",
    "REVIEW": "review",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "TERMINATED": "cancelled",
}


@frozen
class ProjectChange:
    """The change that an event makes to its execution's project.

    Attributes:
        project_id: ``autogpt:<graph_exec_id>``.
        changes: fields of the node `node_id`; without it, the project's own fields.
        node_id: the node execution, or None.
        state: the execution's status, if `node_id` is None.
    """

    project_id: str
    changes: Json
    node_id: str | None = None
    state: str | None = None


def project_change(event: Execution) -> ProjectChange | None:
    """Return the change; None if the event changes nothing, or its id cannot name a project."""
    name = f"{PREFIX}{event.execution}"
    if not is_project_id(name):
        return None
    payload = event.payload
    if payload.event_type == GRAPH_UPDATE:
        return ProjectChange(name, _graph(event), state=_status(payload))
    if payload.event_type == NODE_UPDATE:
        return ProjectChange(name, _node(payload), node_id=payload.node_exec_id)
    return None


def _graph(event: Execution) -> Json:
    payload = event.payload
    return _known(
        title=f"graph {event.graph}",
        group=event.user,
        graph_id=event.graph,
        graph_version=_integer(payload.graph_version),
        started_at=_text(payload.started_at),
        ended_at=_text(payload.ended_at),
        error=_error(payload),
    )


def _node(payload: Payload) -> Json:
    return _known(
        title=f"node {payload.node_id}",
        kind="node",
        status=_status(payload),
        queued_at=_text(payload.queue_time) or _text(payload.add_time),
        started_at=_text(payload.start_time),
        ended_at=_text(payload.end_time),
        message=_error(payload),
        graph_node_id=payload.node_id,
        block_id=_text(payload.block_id),
    )


def _status(payload: Payload) -> str:
    status = payload.status or ""
    return STATUSES.get(status, status.lower()[:MAX_TEXT])


def _error(payload: Payload) -> str | None:
    """Return the error that the payload names beside the outputs, if any."""
    stats = payload.stats
    return _text(payload.error) or _text(stats.get("error") if isinstance(stats, dict) else None)


def _text(value: object) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _integer(value: object) -> int | None:
    return value if type(value) is int else None


def _known(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value is not None}
