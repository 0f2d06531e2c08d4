"""The reducer: what an event changes in a project's tree.

It is total: whatever an event holds, it gives a `Change`, if only an empty one. Its cases are in
``tasktree_rt/web/static/reducer.json``; docs/protocol.md, "The reducer", has the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tasktree_rt.core.attempts import TOUCHED, keep_attempts
from tasktree_rt.core.events import Event, Json, as_name, is_node_id
from tasktree_rt.core.nodes import EMPTY, EMPTY_TOP, NO_CHANGE, Change, Node, Nodes

Measure = Callable[[Json], int]
"""Encoded size of an object in bytes."""

SMALL: Final = 1024
"""Bytes up to which a node is not measured exactly."""


def reduce(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    """What `event` changes in `nodes`; `weight` is its encoded size, `measure` gives that of fields."""
    rule = _RULES.get(event.type)
    if rule is None:
        return NO_CHANGE
    return rule(nodes, event, weight, measure)


def is_reduced(event_type: str) -> bool:
    """Return whether events of a type may change a tree."""
    return event_type in _RULES


def named_node(event: Event) -> str | None:
    """The node an event names, for filters."""
    return as_name(event.data.get("node_id")) or as_name(event.data.get("task_id"))


def weighed(node_id: str, fields: Json, measure: Measure) -> Node:
    """A node whose size is known exactly."""
    size = measure({"node_id": node_id, **fields})
    return Node(fields, size, size)


def _node_update(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    node_id, changes = event.data.get("node_id"), event.data.get("changes")
    if not is_node_id(node_id) or type(changes) is not dict:
        return NO_CHANGE
    if changes.get("deleted") is True:
        return _removal(nodes, (node_id,))
    return Change(put={node_id: _merged(nodes, node_id, changes, weight, measure)})


def _state_transition(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    node_id, to = event.data.get("node_id"), event.data.get("to")
    if type(to) is not str:
        return NO_CHANGE
    if node_id is None:
        return Change(top={"state": to})
    return _status(nodes, node_id, to, measure) if is_node_id(node_id) else NO_CHANGE


def _project_update(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    changes = event.data.get("changes")
    if type(changes) is not dict:
        return NO_CHANGE
    return Change(top={"project": _merge(nodes.top["project"], changes)})


def _project(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    changes = {key: value for key, value in event.data.items() if key != "name"}
    if "name" in event.data:
        changes.setdefault("title", event.data["name"])
    return Change(top={"project": _merge(nodes.top["project"], changes)})


def _orchestrator(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    return Change(top={"orchestrator": {"status": _ORCHESTRATOR_STATUS[event.type], **event.data}})


def _coordination(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    return Change(top={"coordination": event.data})


def _task(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    reference = _reference(event.data)
    if reference is None:
        return NO_CHANGE
    node_id = nodes.task_node(reference, event.project_id or "")
    changes = {key: value for key, value in event.data.items() if key != "dependencies"}
    if "dependencies" in event.data:
        given = event.data["dependencies"]
        changes["depends_on"] = _names(given) if type(given) is list else None
        weight += 16 * len(given) if type(given) is list else 0
    changes["kind"] = "task"
    return Change(put={node_id: _merged(nodes, node_id, changes, weight + 16, measure)})


def _task_status(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    reference = _reference(event.data)
    status = _TASK_STATUS.get(event.type, event.data.get("status"))
    if reference is None or type(status) is not str:
        return NO_CHANGE
    return _status(nodes, nodes.task_node(reference, event.project_id or ""), status, measure)


def _task_deleted(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    reference = _reference(event.data)
    if reference is None:
        return NO_CHANGE
    return _removal(nodes, (nodes.task_node(reference, event.project_id or ""),))


def _tasks_reset(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    return Change(
        put={
            one: _merged(nodes, one, {"status": "unclaimed"}, 32, measure)
            for one in nodes.tasks()
            if nodes.fields(one).get("status") not in ("merged", "unclaimed")
        }
    )


def _project_reset(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    return _removal(nodes, nodes.tasks())


def _project_deleted(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    return Change(removed=tuple(nodes.nodes), top=dict(EMPTY_TOP))


def _prompt(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    name = event.data.get("prompt_id")
    if type(name) is not str:
        return NO_CHANGE
    return Change(top={"prompts": [*_prompts_but(nodes, name), event.data]})


def _prompt_resolved(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    name = event.data.get("prompt_id")
    left = _prompts_but(nodes, name)
    return Change(top={"prompts": left}) if len(left) < len(nodes.top["prompts"]) else NO_CHANGE


def _prompts_but(nodes: Nodes, name: object) -> list[Json]:
    return [one for one in nodes.top["prompts"] if one["prompt_id"] != name]


def _notifications_read(nodes: Nodes, event: Event, weight: int, measure: Measure) -> Change:
    seq = event.data.get("seq")
    return Change(top={"read": seq}) if type(seq) is int and seq > nodes.top.get("read", 0) else NO_CHANGE


_ORCHESTRATOR_STATUS: Final = {
    "orchestrator_started": "running",
    "orchestrator_stopped": "stopped",
    "orchestrator_error": "error",
}
_TASK_STATUS: Final = {
    "task_merged": "merged",
    "task_completed": "completed",
    "task_queued_for_merge": "queued_for_merge",
}
_RULES: Final[dict[str, Callable[[Nodes, Event, int, Measure], Change]]] = {
    "node_update": _node_update,
    "state_transition": _state_transition,
    "project_update": _project_update,
    "project_created": _project,
    "project_updated": _project,
    "orchestrator_started": _orchestrator,
    "orchestrator_stopped": _orchestrator,
    "orchestrator_error": _orchestrator,
    "coordination_update": _coordination,
    "task_created": _task,
    "task_updated": _task,
    "task_status_changed": _task_status,
    "task_merged": _task_status,
    "task_completed": _task_status,
    "task_queued_for_merge": _task_status,
    "task_deleted": _task_deleted,
    "tasks_reset": _tasks_reset,
    "project_reset": _project_reset,
    "project_deleted": _project_deleted,
    "prompt": _prompt,
    "prompt_resolved": _prompt_resolved,
    "notifications_read": _notifications_read,
}
_NEVER_FIELDS: Final = ("node_id", "deleted")


def _status(nodes: Nodes, node_id: str, status: str, measure: Measure) -> Change:
    # An escaped character takes up to 6 bytes.
    return Change(put={node_id: _merged(nodes, node_id, {"status": status}, 6 * len(status) + 16, measure)})


def _merged(nodes: Nodes, node_id: str, changes: Json, weight: int, measure: Measure) -> Node:
    """The node with `changes`, whose encoded size is at most `weight`. See `Node` for the bounds kept."""
    before = nodes.nodes.get(node_id)
    if before is None:
        before = EMPTY
        weight += 4 * len(node_id)
    fields = _merge(before.fields, changes)
    for name in _NEVER_FIELDS:
        if name in fields:
            del fields[name]
    if not TOUCHED.isdisjoint(changes) and keep_attempts(before.fields, fields, changes):
        return weighed(node_id, fields, measure)
    bound = before.bound + weight
    if bound <= SMALL:
        return Node(fields, bound, 0)
    if before.exact > 0:
        replaced = measure({key: before.fields[key] for key in changes if key in before.fields})
        exact = before.exact - replaced
        if bound <= max(SMALL, 2 * exact):
            return Node(fields, bound, max(exact, 0))
    return weighed(node_id, fields, measure)


def _merge(before: Json, changes: Json) -> Json:
    merged = {**before, **changes}
    if None in changes.values():
        for key, value in changes.items():
            if value is None:
                del merged[key]
    return merged


def _removal(nodes: Nodes, roots: Iterable[str]) -> Change:
    gone = nodes.subtrees(roots)
    return Change(removed=tuple(gone)) if gone else NO_CHANGE


def _reference(data: Json) -> str | None:
    """The task an event names; None if it names none that could be a node id."""
    for key in ("task_id", "id"):
        name = as_name(data.get(key))
        if name is not None:
            return name
    return None


def _names(values: list[object]) -> list[str]:
    return [name for name in map(as_name, values) if name is not None]
