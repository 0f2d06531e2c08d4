"""One seed, from its schedule to its verdict."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Final

import trio
from attrs import frozen
from trio.testing import MockClock

from tasktree_rt.settings import Settings
from tests.simulation import checks, tuning
from tests.simulation.actions import Actions
from tests.simulation.schedule import Schedule, make
from tests.simulation.seeding import seeded
from tests.simulation.violation import Violation
from tests.simulation.world import START, Coverage, World

MEMORY: Final = "/dev/shm"
CLOSED: Final = "Nursery is closed to new arrivals"
"""What is told of a connection to a process that has just crashed: another error says why."""
LONGEST: Final = 60
"""Seconds of CPU that a run may take."""
PATIENT: Final = 20
"""So many times as long, by the clock, it may take."""
QUIET: Final = 4
"""Half seconds for which all must be well at the end: longer than any status may be held back."""
PATIENCE: Final = 60
"""Rounds at the end within which all must have come back and been answered."""


@frozen
class Outcome:
    """What became of a seed. `rule` names the promise that was broken; "" if none."""

    seed: int
    trace: str
    steps: int
    events: int
    coverage: Coverage
    rule: str = ""
    told: str = ""

    @property
    def failed(self) -> bool:
        """Whether a promise was broken."""
        return self.rule != ""


def run_seed(seed: int) -> Outcome:
    """Make a seed's schedule and run it."""
    return run_schedule(make(seed))


def run_schedule(schedule: Schedule) -> Outcome:
    """Run a schedule, whole or cut down."""
    folder = tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if os.path.isdir(MEMORY) else None)
    try:
        return _Run(schedule, os.path.join(folder, "hub.db")).outcome()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(self, schedule: Schedule, path: str) -> None:
        self._schedule = schedule
        self._path = path
        self._clock = MockClock(autojump_threshold=0)
        self._world: World | None = None
        self._reported: list[str] = []

    def outcome(self) -> Outcome:
        """Run it."""
        schedule = self._schedule
        dice = Random(f"tuning {schedule.seed}")
        rule, told = "", ""
        with seeded(schedule.seed, self._wall, self._report), tuning.bounds(dice):
            try:
                with _alarm():
                    trio.run(self._main, tuning.settings(dice), clock=self._clock)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                # What was seen first says most.
                first = None if self._world is None else self._world.violation
                rule, told = verdict(first or error)
        world = self._world
        assert world is not None, told
        gc.collect(1)
        return Outcome(
            schedule.seed, world.trace, len(schedule.steps), world.truth.events, world.coverage, rule, told
        )

    def _wall(self) -> int:
        return START if self._world is None else self._world.wall()

    def _report(self, told: str) -> None:
        if self._world is not None:
            self._world.fault(told)

    async def _main(self, settings: Settings) -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            world = self._world = World(self._schedule, settings, self._clock, self._path, nursery)
            try:
                await self._steps(world)
            finally:
                nursery.cancel_scope.cancel()
        checks.gone(world, tasks)

    async def _steps(self, world: World) -> None:
        await world.start()
        world.come_back()
        actions = Actions(world)
        for step in self._schedule.steps:
            quiet = await actions.do(step)
            await self._after(world, actions, quiet)
        await self._finish(world, actions)

    async def _after(self, world: World, actions: Actions, quiet: bool) -> None:
        await world.look_after()
        checks.bounded(world)
        if quiet:
            checks.progress(world)
        actions.flow()
        world.come_back()

    async def _finish(self, world: World, actions: Actions) -> None:
        """Everything is mended, everybody comes back; then the hub drains, and nothing is left."""
        actions.heal_all()
        began = world.wall()
        done = 0
        while done < QUIET and world.turn < len(self._schedule.steps) + PATIENCE:
            world.turn += 1
            await trio.sleep(0.5)
            await world.settle()
            await self._after(world, actions, quiet=True)
            actions.folk.obey_all()
            done = done + 1 if self._is_done(world, began) else 0
        await world.settle()
        await world.look_after()
        checks.settled(world, began)
        world.disk.begin_audit()
        world.truth.is_whole(world.disk.auditor)
        world.process.stop()
        for _ in range(8):
            await trio.sleep(0.5)
            for peer in world.peers:
                peer.hear()
        await world.process.over.wait()
        world.disk.end_audit()
        world.raise_broken()
        if any(peer.line is not None for peer in world.peers):
            raise Violation("everything ends", "a peer was not told")

    @staticmethod
    def _is_done(world: World, began: int) -> bool:
        everybody = all(peer.there for peer in world.peers)
        waiting = any(one.unanswered or one.busy for one in world.producers)
        return everybody and not waiting and not world.interactions.overdue(began)


@contextmanager
def _alarm() -> Iterator[None]:
    """A run that does not end is a failure, busy or not. (How long it took says nothing of any other run.)"""

    def ring(_: int, __: object) -> None:
        raise Violation("everything ends", f"it has not ended after {LONGEST} seconds")

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, LONGEST),
        (signal.ITIMER_REAL, signal.SIGALRM, PATIENT * LONGEST),
    )
    with ExitStack() as stack:
        for timer, number, seconds in timers:
            stack.callback(signal.signal, number, signal.signal(number, ring))
            stack.callback(signal.setitimer, timer, 0)
            signal.setitimer(timer, seconds)
        yield


def verdict(error: BaseException) -> tuple[str, str]:
    """The rule that an error names, and what it tells; of several errors the most telling."""
    found = sorted(_leaves(error), key=lambda one: (not isinstance(one, Violation), str(one) == CLOSED))
    if isinstance(found[0], Violation):
        return found[0].rule, str(found[0])
    return type(found[0]).__name__, "".join(traceback.format_exception(found[0], limit=-4))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]
