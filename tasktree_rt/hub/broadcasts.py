"""Messages for every watcher, handed over in slices, so that many watchers do not hold up the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import trio
from attrs import define

from tasktree_rt.core.closing import INTERNAL
from tasktree_rt.core.commands import Broadcast
from tasktree_rt.hub.subscriber import Subscriber

SLICE: Final = 200
"""Watchers that are handed a message in one turn of the loop."""
WAITING: Final = 64
"""Broadcasts under way; a program that makes more without a pause hands over the oldest itself."""


@define
class _UnderWay:
    said: Broadcast
    encoded: Mapping[str, bytes | None]
    left: Iterator[Subscriber]


class Broadcasts:
    """See the module's docstring. Each watcher gets them in the order in which they were made."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._under_way: deque[_UnderWay] = deque()
        self._wake = trio.Event()
        self._quiet = trio.Event()

    def put(self, said: Broadcast, watchers: Sequence[Subscriber]) -> None:
        """Send `said` to `watchers`: to the first of them at once, to the others soon."""
        dialects = {one.dialect.name: one.dialect for one in watchers}
        encoded = {name: dialect.encode(said) for name, dialect in dialects.items()}
        while len(self._under_way) >= WAITING:
            self._hand_over()
        self._under_way.append(_UnderWay(said, encoded, iter(watchers)))
        if len(self._under_way) == 1:
            self._hand_over()
        if self._under_way:
            self._wake.set()

    async def run(self) -> None:
        """Hand over what is under way; runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._under_way:
                await trio.lowlevel.checkpoint()
                self._hand_over()
            self._quiet.set()
            self._quiet = trio.Event()

    async def quiet(self) -> None:
        """Wait until every watcher has been handed what was sent so far."""
        while self._under_way:
            await self._quiet.wait()

    def _hand_over(self) -> None:
        """The next slice of the oldest."""
        if not self._under_way:
            return
        first = self._under_way[0]
        found = list(islice(first.left, SLICE))
        for subscriber in found:
            self._say(subscriber, first)
        if len(found) < SLICE:
            self._under_way.popleft()

    def _say(self, subscriber: Subscriber, one: _UnderWay) -> None:
        data = one.encoded[subscriber.dialect.name]
        if data is None or subscriber.closing:
            return
        try:
            subscriber.say(data, one.said)
        except Exception as error:
            self._failed("broadcast", error)
            subscriber.close(INTERNAL)
