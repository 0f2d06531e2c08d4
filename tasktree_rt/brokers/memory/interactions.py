"""Prompts and commands in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve

from tasktree_rt.brokers.base import Matter, Settled


class Interactions:
    """Prompts and commands by id, in the order of opening."""

    def __init__(self) -> None:
        self._matters: dict[str, Matter] = {}
        self._places = 0

    def open(self, opens: Iterable[Matter]) -> None:
        """Add open ones, each at the next place."""
        for one in opens:
            self._places += 1
            self._matters[one.id] = evolve(one, place=self._places)

    def settle(self, settles: Sequence[Settled], received: int) -> None:
        """Settle those that are still open."""
        for settled in settles:
            waiting = self._matters.get(settled.id)
            if waiting is not None and waiting.settled is None:
                self._matters[settled.id] = evolve(waiting, settled=received, outcome=settled.outcome)

    def get(self, matter_id: str) -> Matter | None:
        """Return one by its id."""
        return self._matters.get(matter_id)

    def select(
        self, *, open: bool | None, kind: str | None, topic: str | None, after: int
    ) -> Iterator[Matter]:
        """Iterate over those after a place; filters as in `brokers.base.Broker.matters`."""
        return (
            one
            for one in self._matters.values()
            if one.place > after
            and open in (None, one.settled is None)
            and kind in (None, one.kind)
            and (topic is None or topic in one.topics)
        )

    def forget_old(self, cutoff: int) -> None:
        """Forget those settled before `cutoff` (microseconds)."""
        old = [one.id for one in self._matters.values() if one.settled is not None and one.settled < cutoff]
        for matter_id in old:
            del self._matters[matter_id]

    def forget_beyond(self, most: int) -> Iterator[None]:
        """Forget the oldest settled ones of each owner beyond `most`; yields after each that it looked at."""
        kept: Counter[str] = Counter()
        for one in list(reversed(self._matters.values())):
            if one.settled is not None:
                kept[one.owner] += 1
                if kept[one.owner] > most:
                    self._matters.pop(one.id, None)
            yield
