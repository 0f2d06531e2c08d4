"""How a node's status may change.

The table is the rule::

    draft ──▶ ready ──▶ running ──▶ review ──▶ completed
                ▲          │  ▲        │
                └─ failed ◀┘  └────────┘
    draft, ready, running, review ──▶ cancelled

A first status and a repeated one always pass, and so does any status this table does not know (a
task's ``in_progress``, a producer's own word): those are not judged.
"""

from __future__ import annotations

from typing import Final

TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "draft": frozenset({"ready", "cancelled"}),
    "ready": frozenset({"running", "cancelled"}),
    "running": frozenset({"review", "failed", "cancelled"}),
    "review": frozenset({"completed", "running", "cancelled"}),
    "failed": frozenset({"ready"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}


def may_change(before: object, after: object) -> bool:
    """Return True if a node may change from the status `before` to `after`."""
    if before == after or not isinstance(before, str) or not isinstance(after, str):
        return True
    if before not in TRANSITIONS or after not in TRANSITIONS:
        return True
    return after in TRANSITIONS[before]
