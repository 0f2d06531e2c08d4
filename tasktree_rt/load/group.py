"""The watchers of one process: how they come, read slowly, leave and come back."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import trio

from tasktree_rt.load.account import LOST, Account
from tasktree_rt.load.dialer import Dialer, Failed, send
from tasktree_rt.load.engine import Engine
from tasktree_rt.load.following import synchronise
from tasktree_rt.load.frames import closing
from tasktree_rt.load.judge import Judge
from tasktree_rt.load.languages.base import NUMBER, ORDER, POSITION
from tasktree_rt.load.tally import Tally, now_us
from tasktree_rt.load.target import Target
from tasktree_rt.load.watcher import Kind, Stage, Topic, Watcher
from tasktree_rt.load.workload import Workload

AT_ONCE: Final = 200
"""Connections in progress at a time, unless all are to come at once."""
SLICE: Final = 0.005
"""Seconds for which readers may keep the event loop."""
TRICKLE: Final = 0.1
"""Seconds between two reads of a slow reader."""
BACKOFF: Final = (0.1, 5.0)
"""Least and most seconds before another attempt to connect."""
MOST_FAILURES: Final = 3
"""Attempts after which the test no longer waits for a watcher at its beginning."""
HOUSEKEEPING: Final = 1.0


class Group:
    """See the module's docstring. Run `run` in a task of its own; close it at the end."""

    def __init__(self, target: Target, workload: Workload, policy: str, slow_rate: float) -> None:
        self.tally = Tally()
        self.watchers: list[Watcher] = []
        self._judge = Judge(workload, self.tally)
        self._engine = Engine(Dialer(target, policy, slow_rate), self._judge, self._ended, self._opened)
        self._slow_rate = slow_rate
        self._queue: list[tuple[int, int, Watcher]] = []
        """Watchers that wait to connect: when (µs), index, watcher."""
        self._connecting = 0
        self._live = 0
        self._most_at_once = AT_ONCE
        self._wake = trio.Event()
        self._awaited: set[int] = set()
        """Indexes of the watchers that were never live, and have not failed too often."""
        self._changed = trio.lowlevel.ParkingLot()
        self._random = random.Random()  # noqa: S311 - spreads reconnects, no secret
        self._expected = False

    def close(self) -> None:
        """Close all connections."""
        self._engine.close()

    @property
    def live(self) -> int:
        """How many watchers are live."""
        return self._live

    def fill(
        self, seats: Sequence[tuple[Topic, Kind]], target: Target, first: int, ramp: float, step: int = 1
    ) -> None:
        """Add watchers, which connect evenly over `ramp` seconds; indexes: `first`, `first` + `step`, …"""
        begun = now_us()
        for offset, (topic, kind) in enumerate(seats):
            index = first + offset * step
            following = None if topic.position is None else topic.position + 1
            if following is not None and topic.language.traits.method == ORDER:
                following -= 1  # the first message has the newest value, which was there before
            watcher = Watcher(index, topic, kind, Account(following, topic.number), target.source(index))
            watcher.stream = topic.stream
            self.watchers.append(watcher)
            self._awaited.add(index)
            self._later(watcher, begun + round(ramp * 1e6 * offset / max(1, len(seats))))

    async def run(self) -> None:
        """Read, connect and reconnect, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            nursery.start_soon(self._connect)
            nursery.start_soon(self._trickle)
            nursery.start_soon(self._keep_house)

    async def all_live(self) -> None:
        """Wait until every watcher was live once, or failed three times."""
        while self._awaited:
            await self._changed.park()

    # --- disturbances

    def leave(self, count: int) -> int:
        """Let `count` watchers leave, each in one of the ways in which clients do; they come back at once."""
        live = [one for one in self.watchers if one.stage is Stage.LIVE]
        chosen = self._random.sample(live, min(count, len(live)))
        self._expected = True
        for number, watcher in enumerate(chosen):
            if number % 2 and not watcher.topic.language.traits.streams:
                with suppress(Failed):  # it is leaving anyway
                    send(watcher, closing())
            self._engine.end(watcher, "left")
        self._expected = False
        self.tally.counts["left"] += len(chosen)
        return len(chosen)

    def storm(self) -> int:
        """Break all connections at once; all come back in the same moment."""
        self._most_at_once = max(AT_ONCE, len(self.watchers))
        return self.leave(len(self.watchers))

    # --- the end

    def behind(self, finals: Sequence[tuple[int | None, int | None]], topics: Sequence[Topic]) -> int:
        """Return how many reconciled watchers do not have the last event of their topic yet.

        `finals`: position and number of the last event of each topic.
        """
        last = {id(topic): final for topic, final in zip(topics, finals, strict=True)}
        return sum(self._lacks(one, *last[id(one.topic)]) > 0 for one in self.watchers if _reconciled(one))

    def settle_accounts(
        self, finals: Sequence[tuple[int | None, int | None]], topics: Sequence[Topic]
    ) -> Tally:
        """Count everything that is missing as lost; return the tally. Call it once, at the end."""
        last = {id(topic): final for topic, final in zip(topics, finals, strict=True)}
        counts: Counter[str] = self.tally.counts
        for watcher in self.watchers:
            counts[f"watchers_{watcher.kind.value}"] += 1
            if not _reconciled(watcher):
                continue
            position, number = last[id(watcher.topic)]
            if missing := self._lacks(watcher, position, number):
                self.tally.faults[LOST] += missing
                self.tally.example(
                    f"watcher {watcher.index} on {watcher.topic.name}: {missing} missing at the end; "
                    f"it is at {(watcher.account.next or 1) - 1}, the last is {position}"
                )
            counts["reconciled"] += 1
        return self.tally

    def _lacks(self, watcher: Watcher, position: int | None, number: int | None) -> int:
        """Return how many deliveries a watcher lacks."""
        synchronise(watcher)
        missing = watcher.account.missing(position)
        method = watcher.topic.language.traits.method
        if method == ORDER:
            return min(missing, 1)
        lacks = method == POSITION and watcher.account.next is not None and watcher.account.number != number
        return missing or int(lacks)

    # --- tasks

    async def _read(self) -> None:
        descriptor = self._engine.epoll.fileno()
        turn = self._engine.turn
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            end = now_us() + SLICE * 1e6
            while turn() and now_us() < end:
                pass

    async def _connect(self) -> None:
        while True:
            now = now_us()
            while self._queue and self._queue[0][0] <= now and self._connecting < self._most_at_once:
                _, _, watcher = heapq.heappop(self._queue)
                self._connecting += 1
                self._engine.open(watcher)
            self._wake = trio.Event()
            due = self._queue[0][0] if self._queue and self._connecting < self._most_at_once else None
            with trio.move_on_after(max(0.001, (due - now_us()) / 1e6) if due is not None else float("inf")):
                await self._wake.wait()

    async def _trickle(self) -> None:
        while True:
            await trio.sleep(TRICKLE)
            for watcher in self.watchers:
                if watcher.kind is Kind.SLOW and watcher.stage is Stage.LIVE:
                    watcher.budget = min(watcher.budget + self._slow_rate * TRICKLE, self._slow_rate)
                    if watcher.budget >= 1:
                        watcher.budget -= self._engine.read_some(watcher, int(watcher.budget))

    async def _keep_house(self) -> None:
        while True:
            await trio.sleep(HOUSEKEEPING)
            for stream in {id(one.topic.stream): one.topic.stream for one in self.watchers}.values():
                self._engine.trim(stream)

    # --- what the engine reports

    def _opened(self, watcher: Watcher) -> None:
        self._connecting -= 1
        self._live += 1
        self._awaited.discard(watcher.index)
        self._note()

    def _ended(self, watcher: Watcher, kind: str, after: float, was_live: bool) -> None:
        if was_live:
            self._live -= 1
        else:
            self._connecting -= 1
        if not self._expected and watcher.kind in (Kind.NORMAL, Kind.SLOW):
            self.tally.errors[kind] += 1
        if not was_live:
            watcher.failures += 1
            if watcher.failures >= MOST_FAILURES:
                self._awaited.discard(watcher.index)
        self._anew(watcher)
        least, most = BACKOFF
        wait = 0.0 if self._expected else min(most, least * 2.0**watcher.failures) * self._random.random()
        self._later(watcher, now_us() + round(max(after, wait) * 1e6))

    def _anew(self, watcher: Watcher) -> None:
        """Prepare the account for another connection: a language without resume begins anew."""
        language, account = watcher.topic.language, watcher.account
        if language.traits.method == NUMBER and not language.traits.resumes:
            account.next = None
        elif language.traits.method == ORDER and account.next is not None:
            account.next -= 1  # the newest value comes again

    def _later(self, watcher: Watcher, when: int) -> None:
        watcher.intended = when
        heapq.heappush(self._queue, (when, watcher.index, watcher))
        self._note()

    def _note(self) -> None:
        self._wake.set()
        self._changed.unpark_all()


def _reconciled(watcher: Watcher) -> bool:
    return watcher.kind in (Kind.NORMAL, Kind.SLOW)
