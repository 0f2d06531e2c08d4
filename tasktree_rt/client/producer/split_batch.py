"""Divides a batch that the hub refused, so that one bad value does not take others with it.

A run sends the events of its nodes in batches, and several changes of a node as one event. When the hub
refuses a batch, the client sends its halves; of a single event, halves of its fields. So only the bad value
is lost.
"""

from __future__ import annotations

import re
from typing import Final

from tasktree_rt.core.events import Json

_FIRST: Final = ("parent_id", "status", "started_at", "ended_at", "attempt")
"""Fields of a node that are sent first: its place and its status."""
_IN_VAIN: Final = frozenset(
    {"unauthorized", "forbidden", "not_found", "invalid_project_id", "mixed_projects", "project_damaged"}
)
"""Refusals of the caller or the project: every part would meet the same."""
_OF_NODES: Final = frozenset({"project_full", "subject_full"})
"""Refusals that concern a node as such, whatever its fields."""
_DIVIDED: Final = frozenset({"node_update", "project_update"})
_BATCH: Final = re.compile(r"batch-[0-9a-f]{16}-[0-9]+(?:\.[01])*")


def batch_id(run: str, number: int) -> str:
    """The id of a publish that may be divided, also in the producer's next life; `run` is 16 hex digits."""
    return f"batch-{run}-{number}"


def is_batch(publish_id: str) -> bool:
    """Whether a publish of this id may be divided."""
    return _BATCH.fullmatch(publish_id) is not None


def in_vain(code: str) -> bool:
    """Whether every part of what was refused with `code` would be refused alike."""
    return code in _IN_VAIN


def divided(events: list[Json], code: str) -> list[list[Json]]:
    """The two halves of what was refused with `code`; nothing if dividing does not help."""
    if in_vain(code) or not events:
        return []
    if len(events) > 1:
        middle = len(events) // 2
        return [events[:middle], events[middle:]]
    return [] if code in _OF_NODES else [[half] for half in _fields_divided(events[0])]


def described(event: Json) -> str:
    """An event in a few words, for a log: its type, its node, its fields."""
    data = event.get("data")
    if not isinstance(data, dict):
        return str(event.get("type"))
    changes = data.get("changes")
    fields = f" ({', '.join(changes)})" if isinstance(changes, dict) else ""
    node = f" of node {data['node_id']!r}" if "node_id" in data else ""
    text = f"{event.get('type')}{node}{fields}"
    return text if len(text) <= 200 else f"{text[:199]}…"


def _fields_divided(event: Json) -> list[Json]:
    changes = event["data"].get("changes") if event["type"] in _DIVIDED else None
    if not isinstance(changes, dict) or len(changes) < 2 or "deleted" in changes:
        return []
    names = sorted(changes, key=lambda name: name not in _FIRST)
    own = sum(name in _FIRST for name in names)
    cut = own if 0 < own < len(names) else len(names) // 2
    return [_with(event, changes, part) for part in (names[:cut], names[cut:])]


def _with(event: Json, changes: Json, names: list[str]) -> Json:
    kept = {name: changes[name] for name in names}
    return {**event, "data": {**event["data"], "changes": kept}}
