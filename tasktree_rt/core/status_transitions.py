"""How a node's status may change.

The table is the rule::

    draft ──▶ ready ──▶ running ──▶ review ──▶ completed
                ▲          │  ▲        │
                └─ failed ◀┘  └────────┘
    running ──▶ completed, lost            draft, ready, running, review ──▶ cancelled, skipped
    review ──▶ lost                        lost ──▶ any other

``lost`` is a guess: the program that had begun the node was not heard of any more. Whatever it says later is
better. A first status and a repeated one always pass, and so does any status this table does not know (a
task's ``in_progress``, a producer's own word): those are not judged.
"""

from __future__ import annotations

from typing import Final

TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "draft": frozenset({"ready", "cancelled", "skipped"}),
    "ready": frozenset({"running", "cancelled", "skipped"}),
    "running": frozenset({"review", "completed", "failed", "cancelled", "skipped", "lost"}),
    "review": frozenset({"completed", "running", "cancelled", "skipped", "lost"}),
    "failed": frozenset({"ready"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
    "skipped": frozenset(),
    "lost": frozenset({"ready", "running", "review", "completed", "failed", "cancelled", "skipped"}),
}


def may_change(before: object, after: object) -> bool:
    """Return True if a node may change from the status `before` to `after`."""
    if before == after or not isinstance(before, str) or not isinstance(after, str):
        return True
    if before not in TRANSITIONS or after not in TRANSITIONS:
        return True
    return after in TRANSITIONS[before]
