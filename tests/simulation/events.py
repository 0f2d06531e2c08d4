"""What producers have to say: events of every type that the reducer knows, and some that it does not."""

from __future__ import annotations

from random import Random
from typing import Any, Final

Event = tuple[str, dict[str, Any]]
NODES: Final = 10
TASKS: Final = 4
_RUNNING: Final[tuple[dict[str, Any], ...]] = (
    {"progress": None, "result": {"good": True}},
    {"started_at": "2025-12-01T00:00:00.000000Z", "ended_at": None},
    {"ended_at": "2025-12-01T00:01:00.500000Z", "error": "broken"},
    {"ended_at": None, "error": None, "message": None},
)
STATUSES: Final = ("draft", "ready", "running", "review", "completed", "failed", "cancelled")


def some_events(dice: Random, count: int) -> list[Event]:
    """So many of them."""
    return [_event(dice) for _ in range(count)]


def the_end(project: str) -> list[Event]:
    """The project is deleted."""
    return [("project_deleted", {"project_id": project, "cleanup_performed": True})]


def _event(dice: Random) -> Event:
    kind = dice.random()
    if kind < 0.55:
        return _node(dice)
    if kind < 0.68:
        message = f"{dice.randrange(1 << 30)} {'x' * dice.randrange(40)}"
        return "log", {"level": "info", "message": message, **_maybe_node(dice)}
    if kind < 0.8:
        moved: dict[str, Any] = {"from": "ready", "to": dice.choice(STATUSES), "context": {}}
        return "state_transition", {**moved, **_maybe_node(dice)}
    if kind < 0.9:
        return _task(dice)
    return _other(dice)


def _node_id(dice: Random) -> str:
    return f"n{dice.randrange(NODES)}"


def _maybe_node(dice: Random) -> dict[str, Any]:
    return {"node_id": _node_id(dice)} if dice.random() < 0.7 else {}


def _node(dice: Random) -> Event:
    changes: dict[str, Any] = {"progress": dice.randrange(101)}
    more = dice.random()
    if more < 0.12:
        changes = {"deleted": True}
    elif more < 0.4:
        changes["parent_id"] = dice.choice((None, _node_id(dice), "nowhere"))
    elif more < 0.5:
        changes["title"] = "t" * dice.choice((3, 30, 120))
    elif more < 0.6:
        changes["status"] = dice.choice(STATUSES)
    elif more < 0.65:
        changes["progress"] = None
    return "node_update", {"node_id": _node_id(dice), "changes": changes}


def _task(dice: Random) -> Event:
    task = dice.randrange(TASKS)
    reference = dice.choice((f"t{task}", str(task), task))
    return dice.choice(
        (
            ("task_created", {"id": task, "title": "a task", "dependencies": [1, "t2"]}),
            ("task_updated", {"id": task, "title": "another"}),
            ("task_status_changed", {"task_id": reference, "status": "in_progress"}),
            ("task_merged", {"task_id": reference, "branch": "b"}),
            ("task_deleted", {"task_id": reference}),
            ("tasks_reset", {"reset_count": 1, "killed_sessions": 0}),
            ("project_reset", {}),
        )
    )


def _other(dice: Random) -> Event:
    number = dice.randrange(100)
    return dice.choice(
        (
            ("project_update", {"changes": {"title": f"title {number}", "labels": [number]}}),
            ("project_update", {"changes": dice.choice(_RUNNING)}),
            ("project_update", {"changes": {"progress": number, "message": f"message {number}"}}),
            ("orchestrator_started", {"status": "running"}),
            ("orchestrator_error", {"error": f"error {number}"}),
            ("coordination_update", {"active_agents": number, "agents": {}}),
            ("mission_snapshot", {"snapshot_id": f"s{number}", "timestamp": "2026-01-02T03:04:05Z"}),
            ("anything_else", {"number": number}),
        )
    )
