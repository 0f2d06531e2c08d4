"""A failing schedule made small: steps and watchers are taken away as long as the same promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from tests.simulation.run import run_schedule
from tests.simulation.schedule import Schedule

T = TypeVar("T")
RUNS: Final = 400
"""Runs that shrinking may take."""


class Shrinking:
    """Shrinks one schedule. `fails` says whether a schedule still breaks the promise."""

    def __init__(self, fails: Callable[[Schedule], bool], runs: int = RUNS) -> None:
        self._fails = fails
        self._left = runs

    def shrink(self, schedule: Schedule) -> Schedule:
        """The smallest found."""
        before = None
        while before != schedule and self._left > 0:
            before = schedule
            schedule = self._fewer_watchers(self._fewer_steps(schedule))
        return schedule

    def _fewer_steps(self, schedule: Schedule) -> Schedule:
        kept = self._reduced(schedule.steps, lambda steps: evolve(schedule, steps=tuple(steps)))
        return evolve(schedule, steps=tuple(kept))

    def _fewer_watchers(self, schedule: Schedule) -> Schedule:
        everyone = frozenset(range(schedule.watchers))

        def only(watchers: Sequence[int]) -> Schedule:
            return evolve(schedule, absent=everyone - frozenset(watchers))

        return only(self._reduced(sorted(everyone - schedule.absent), only))

    def _reduced(self, items: Sequence[T], made: Callable[[Sequence[T]], Schedule]) -> Sequence[T]:
        """Take pieces away, half of all first, then smaller ones."""
        size = max(1, len(items) // 2)
        while True:
            start = 0
            while start < len(items):
                fewer = [*items[:start], *items[start + size :]]
                if self._still(made(fewer)):
                    items = fewer
                else:
                    start += size
            if size == 1 or self._left <= 0:
                return items
            size //= 2

    def _still(self, schedule: Schedule) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        return self._fails(schedule)


def shrink(schedule: Schedule, rule: str, runs: int = RUNS) -> Schedule:
    """A schedule that breaks the promise `rule`, as small as can be found in so many runs."""
    return Shrinking(lambda one: run_schedule(one).rule == rule, runs).shrink(schedule)
