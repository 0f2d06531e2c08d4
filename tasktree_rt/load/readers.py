"""The watching side of a test, as the conductor sees it; `LocalReaders` are watchers of this very process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trio
from attrs import frozen

from tasktree_rt.load.group import Group
from tasktree_rt.load.layout import Seats, seats
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Head
from tasktree_rt.load.self_watch import SelfWatch
from tasktree_rt.load.tally import Tally
from tasktree_rt.load.target import Target
from tasktree_rt.load.workload import Workload


@frozen
class Progress:
    """How far the watchers are. `live`: those whose subscription is in effect."""

    live: int
    tally: Tally


class Readers(Protocol):
    """All watchers of a test."""

    async def all_live(self) -> None:
        """Wait until every watcher is live, or was."""
        ...

    async def progress(self) -> Progress:
        """Return how far they are."""
        ...

    async def leave(self, count: int) -> None:
        """Let so many leave and come back."""
        ...

    async def storm(self) -> None:
        """Break all connections at once."""
        ...

    async def behind(self, heads: Sequence[Head]) -> int:
        """Return how many lack events up to `heads`, the last of each project."""
        ...

    async def finish(self, heads: Sequence[Head]) -> tuple[Tally, list[SelfWatch]]:
        """Settle all accounts; return also what other processes measured of themselves."""
        ...


class LocalReaders:
    """Watchers of this process: part `part` of `parts`."""

    def __init__(self, group: Group, laid: Seats) -> None:
        self._group = group
        self._laid = laid

    async def all_live(self) -> None:
        """Wait."""
        await self._group.all_live()

    async def progress(self) -> Progress:
        """Return the present counts."""
        return Progress(self._group.live, self._group.tally)

    async def leave(self, count: int) -> None:
        """Let some leave."""
        self._group.leave(count)

    async def storm(self) -> None:
        """Break all."""
        self._group.storm()

    async def behind(self, heads: Sequence[Head]) -> int:
        """Count those that lack events."""
        return self._group.behind(self._finals(heads), self._laid.topics)

    async def finish(self, heads: Sequence[Head]) -> tuple[Tally, list[SelfWatch]]:
        """Settle the accounts."""
        return self._group.settle_accounts(self._finals(heads), self._laid.topics), []

    def _finals(self, heads: Sequence[Head]) -> list[tuple[int | None, int | None]]:
        return [(heads[project].position, heads[project].number) for project in self._laid.projects]


def path_of(plan: Plan, target: Target) -> str:
    """Return the path before that of a language; for `broadcast` path and query are all there is."""
    if plan.only != "broadcast":
        return target.path
    path = target.path or "/"
    return f"{path}?{target.query}" if target.query else path


@asynccontextmanager
async def local_readers(
    plan: Plan, target: Target, run: str, heads: Sequence[Head], part: int = 0, parts: int = 1
) -> AsyncIterator[LocalReaders]:
    """Open the watchers of one process, which connect over the plan's ramp."""
    laid = seats(plan, run, heads, path_of(plan, target))
    group = Group(target, Workload(plan.nodes, plan.size), plan.policy, plan.slow_rate)
    try:
        async with trio.open_nursery() as nursery:
            group.fill(laid.share(part, parts), target, part, plan.ramp, parts)
            nursery.start_soon(group.run)
            yield LocalReaders(group, laid)
            nursery.cancel_scope.cancel()
    finally:
        group.close()
