"""A publish on its way, from its acceptance until it is handed to every outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from tasktree_rt.brokers.base import Append, Appended, Duplicate
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.projects.project import Project

COST_BYTES: Final = 256
"""Bytes that cost as much as one event does."""


@define(eq=False)
class PendingPublish:
    """One accepted publish on its way.

    Attributes:
        settled: called once, with it, when it is through: kept and handed to every outbox, or refused.
        outcome, error: one of them is set when its fate is known, which is earlier.
        lost: the store failed, for it and for everything behind it.
        over: it is through.
    """

    project: Project
    append: Append
    size: int
    begun: float
    settled: list[Callable[[PendingPublish], None]] = field(factory=list)
    outcome: Appended | Duplicate | None = None
    error: PeerError | None = None

    lost: bool = False
    over: bool = False


Unit = list[PendingPublish]
"""Tickets that are committed together: of a publish, and of what it tells in users' logs."""


def cost_of(tickets: Sequence[PendingPublish]) -> int:
    """What tickets cost, counted in events."""
    cost = 0
    for one in tickets:  # nearly always one: a generator would cost more than it
        cost += len(one.append.drafts) + one.size // COST_BYTES
    return cost
