"""Search events and logs, and fill the store's index behind the commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from tasktree_rt.brokers.base import Bounds, Broker, Found, Place, Where
from tasktree_rt.core.search import Query
from tasktree_rt.errors import Refused, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.store_errors import readable

ROUND: Final = 0.5
"""Seconds between two looks at what is not in the index yet."""
REST: Final = 10.0
"""Times its duration that the task rests after a step, so that filling never takes a processor to itself."""
SHORTEST: Final = 0.02
"""Seconds that it rests at least."""
MOST_OF_ONE: Final = 4
"""Searches of one subject, or address without tokens, at a time."""
MOST: Final = 32
"""Searches at a time; they wait for each other at the store."""


class Searches:
    """Search for peers, each within the settings' bounds."""

    def __init__(self, context: HubContext, broker: Broker) -> None:
        self._context = context
        self._broker = broker
        self._settings = context.settings.search
        self._running: Counter[str] = Counter()

    async def search(
        self, query: Query, where: Where, *, limit: int, after: Place | None, owner: str
    ) -> Found:
        """Find events; `owner` is the subject for which the search counts.

        Raises:
            Refused: ``rate_limited``.
            Unavailable: ``overloaded``, or the store cannot be read now.
            ProjectDamaged: the log cannot be read.
        """
        bounds = Bounds(limit, self._settings.max_events, self._settings.max_seconds)
        with self._turn(owner), readable():
            return await self._broker.search(query, where, bounds, after)

    @contextmanager
    def _turn(self, owner: str) -> Iterator[None]:
        if self._running[owner] >= MOST_OF_ONE:
            raise Refused(f"at most {MOST_OF_ONE} searches at a time", code="rate_limited", retry_after=1.0)
        if self._running.total() >= MOST:
            raise Unavailable("too many searches wait for the store", code="overloaded", retry_after=1.0)
        self._running[owner] += 1
        try:
            yield
        finally:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]

    async def run(self) -> None:
        """Fill the index as long as the hub runs; return at once if the store keeps none."""
        while self._broker.indexes:
            await trio.sleep(ROUND)
            try:
                await self._fill()
            except Exception as error:
                self._context.report_fault("search", error)

    async def _fill(self) -> None:
        more = True
        while more:
            begun = trio.current_time()
            more = await self._broker.index()
            await trio.sleep(max(SHORTEST, REST * (trio.current_time() - begun)))
