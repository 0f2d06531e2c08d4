"""A `SubscriptionState` without a connection, and what a hub would tell it."""

from typing import Any

from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.core.log import Position

Json = dict[str, Any]


def follower(
    *projects: str, state: bool = True, since: Position | dict[str, Position] | None = None
) -> SubscriptionState:
    made = SubscriptionState("conflate")
    for project in projects:
        made.subscribe(project, since, state and since is None)
    made.opening()
    return made


def sent(made: SubscriptionState) -> list[Json]:
    requests = [*made.requests]
    made.requests.clear()
    return requests


def asks(made: SubscriptionState) -> list[tuple[str, str, Any]]:
    """(type, project, since or state) of what is sent."""
    return [(one["type"], one["project_id"], one.get("since", one.get("state"))) for one in sent(made)]


def subscribed(
    made: SubscriptionState, project: str = "p", at: str = "e:5", recovered: bool | None = None
) -> list[Any]:
    """The hub's answer to the newest request for a project."""
    request = next((one for one in reversed(made.requests) if one["project_id"] == project), {})
    return unasked(made, project, at, recovered, request.get("id"))


def unasked(
    made: SubscriptionState,
    project: str = "p",
    at: str = "e:5",
    recovered: bool | None = None,
    id: int | None = None,
) -> list[Any]:
    epoch, _, seq = at.partition(":")
    message = {"type": "subscribed", "project_id": project, "seq": int(seq), "epoch": epoch}
    return made.receive({**message, "recovered": recovered} | ({} if id is None else {"id": id}))


def event(at: str, project: str = "p", kind: str = "x") -> Json:
    epoch, _, seq = at.partition(":")
    return {
        "type": kind,
        "project_id": project,
        "data": {},
        "timestamp": "T",
        "seq": int(seq),
        "epoch": epoch,
    }


def state(at: str, part: int = 1, parts: int = 1, project: str = "p", reason: str = "initial") -> Json:
    epoch, _, seq = at.partition(":")
    top: Json = {"state": None, "project": {}, "orchestrator": None, "coordination": None, "prompts": []}
    return {
        "type": "project_state",
        "project_id": project,
        "seq": int(seq),
        "epoch": epoch,
        "reason": reason,
        "part": part,
        "parts": parts,
        "data": {**(top if part == 1 else {}), "nodes": [{"node_id": f"n{part}", "title": "T"}]},
    }


def conflated(after: int, at: str) -> Json:
    epoch, _, seq = at.partition(":")
    return {
        "type": "conflated",
        "project_id": "p",
        "epoch": epoch,
        "after": after,
        "seq": int(seq),
        "removed": ["gone"],
        "nodes": [{"node_id": "n", "title": "T"}],
        "state": "running",
        "events": [event(f"{epoch}:{seq}")],
        "logs_skipped": {"n": 3},
    }


def heartbeat(**positions: str) -> Json:
    return {"type": "heartbeat", "timestamp": "T", "positions": positions}


def deletion(at: str, project: str = "p") -> Json:
    return event(at, project, "project_deleted")
