"""Look over one run of a series: its times, its nodes at the top, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tasktree_rt.core.events import Json
from tasktree_rt.core.nodes import Node
from tasktree_rt.core.run_times import ran
from tasktree_rt.core.statuses import is_ended, is_failed
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.hub.cooperative import yield_if_due

TOP: Final = 100
"""Nodes at the top that an overview has."""
FAILED: Final = 50
"""Failed nodes that it has, the first in time."""
TITLE: Final = 128
"""Characters of a title; a longer one is cut."""
MESSAGE: Final = 200
"""Characters of a message; a longer one is cut."""
TIME: Final = 64
"""Characters of a time or a status; a longer one is left out."""
SLICE: Final = 256
"""Nodes between two yields to the loop."""


async def overview(snapshot: Snapshot) -> Json:
    """Return ``{started_at, ended_at, top, top_more, failed, failed_more}``.

    Nodes at the top have no parent, or one that does not exist. A failed node above another one that failed
    is left out.
    """
    top: list[tuple[str, Node]] = []
    failed: list[tuple[str, Node]] = []
    above: set[Any] = set()
    for part in snapshot.slices(SLICE):
        for node_id, node in part:
            parent = node.fields.get("parent_id")
            if type(parent) is not str or not snapshot.has(parent):
                top.append((node_id, node))
            if is_failed(node.fields.get("status")):
                failed.append((node_id, node))
                above.add(parent)
        await yield_if_due()
    top.sort(key=_place)
    begun = sorted((one for one in failed if one[0] not in above), key=_when)
    return {
        **_times(snapshot.top, top),
        "top": [_shown(node_id, node.fields) for node_id, node in top[:TOP]],
        "top_more": max(0, len(top) - TOP),
        "failed": [_shown(node_id, node.fields) for node_id, node in begun[:FAILED]],
        "failed_more": max(0, len(begun) - FAILED),
    }


def _place(one: tuple[str, Node]) -> tuple[bool, float, str]:
    """The order of siblings: by ``order``, then by id."""
    order = one[1].fields.get("order")
    if type(order) is int or type(order) is float:
        return (False, order, one[0])
    return (True, 0, one[0])


def _when(one: tuple[str, Node]) -> tuple[float, str]:
    started, ended = ran(one[1].fields)
    return (ended or started or float("inf"), one[0])


def _times(own: Mapping[str, Any], top: list[tuple[str, Node]]) -> Json:
    """When the run began and ended: by its own fields, else by its nodes at the top."""
    known = [(node.fields, ran(node.fields)) for _, node in top]
    begun = [(found.started, fields["started_at"]) for fields, found in known if found.started is not None]
    ended = [(found.ended, fields["ended_at"]) for fields, found in known if found.ended is not None]
    over = is_ended(own["state"]) or all(is_ended(fields.get("status")) for fields, _ in known)
    project = own["project"]
    return {
        "started_at": _short(project.get("started_at")) or (min(begun)[1] if begun else None),
        "ended_at": _short(project.get("ended_at")) or (max(ended)[1] if ended and over else None),
    }


def _shown(node_id: str, fields: Json) -> Json:
    found = {name: _short(fields.get(name)) for name in ("status", "started_at", "ended_at")}
    title, message = fields.get("title"), fields.get("message")
    return {
        "node_id": node_id,
        "title": title[:TITLE] if type(title) is str else None,
        **found,
        "message": message[:MESSAGE] if type(message) is str else None,
    }


def _short(value: object) -> str | None:
    return value if type(value) is str and len(value) <= TIME else None
