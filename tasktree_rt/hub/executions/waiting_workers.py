"""The pending executions, and the workers that wait for one.

Both are kept by workflow: the hub offers a new execution only to the workers that asked for its workflow, and
each of them looks at that execution alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import trio
from attrs import define, field

from tasktree_rt.core.access import Scope

UNKNOWN: Final = None
"""The workflow of an execution that the hub has not loaded yet."""
NEW: Final = "\0"
"""In place of the workflow of an execution that is not in the queue."""


@define(eq=False)
class Worker:
    """A worker that waits for an execution in `scope`, of one of `workflows` or, without them, of any."""

    scope: Scope
    workflows: frozenset[str]
    _offered: list[str] = field(factory=list)
    _woken: trio.Event = field(factory=trio.Event)

    def offer(self, name: str) -> None:
        """Wake the worker if this execution is in its scope."""
        if self.scope.covers(name):
            self._offered.append(name)
            self._woken.set()

    async def woken(self) -> None:
        """Wait until executions were offered."""
        await self._woken.wait()

    def take(self) -> list[str]:
        """Return what was offered since the last call."""
        offered, self._offered = self._offered, []
        self._woken = trio.Event()
        return offered


class WaitingWorkers:
    """The pending executions, by the names of their projects, in the order in which they became pending."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, str | None]] = {}
        self._of: dict[str | None, dict[str, int]] = {}
        self._workers: dict[str | None, dict[Worker, None]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def add(self, name: str, workflow: str | None) -> None:
        """Enter an execution, or note its workflow, and offer it to the workers that wait for such a one."""
        place, known = self._places.get(name, (self._next, NEW))
        if known == workflow:
            return
        self._next += known is NEW
        self.discard(name)
        self._places[name] = place, workflow
        self._of.setdefault(workflow, {})[name] = place
        if known is not UNKNOWN:  # every worker looks at those of an unknown workflow first
            for worker in [*self._workers.get(None, ()), *self._workers.get(workflow or "", ())]:
                worker.offer(name)

    def discard(self, name: str) -> None:
        """Take an execution out, if it is in."""
        _, workflow = self._places.pop(name, (0, UNKNOWN))
        of = self._of.get(workflow)
        if of is not None:
            of.pop(name, None)
            if not of:
                del self._of[workflow]

    def names(self, workflows: Iterable[str]) -> list[str]:
        """Return the executions that may be of one of `workflows` (of any without one), the oldest first."""
        chosen = {UNKNOWN, *workflows}
        if len(chosen) == 1:
            chosen = set(self._of)
        by_place = (zip(of.values(), of, strict=True) for one in chosen if (of := self._of.get(one)))
        return [name for _, name in heapq.merge(*map(sorted, by_place))]

    @contextmanager
    def waiting(self, scope: Scope, workflows: frozenset[str]) -> Iterator[Worker]:
        """Keep a worker in the queue, and offer it every execution added meanwhile."""
        worker = Worker(scope, workflows)
        keys: Iterable[str | None] = workflows or (None,)
        for key in keys:
            self._workers.setdefault(key, {})[worker] = None
        try:
            yield worker
        finally:
            for key in keys:
                del self._workers[key][worker]
                if not self._workers[key]:
                    del self._workers[key]
