"""One load test from its first check to its last figure."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio
from attrs import define, field

from tasktree_rt.errors import ClientError
from tasktree_rt.load import checks, trees
from tasktree_rt.load.disturbances import disturb
from tasktree_rt.load.layout import project_names
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishers import open_publisher
from tasktree_rt.load.publishing import PATIENCE, Acknowledged, Head, Publisher
from tasktree_rt.load.readers import Readers, local_readers
from tasktree_rt.load.schedule import schedule
from tasktree_rt.load.self_watch import SelfWatch
from tasktree_rt.load.series import Sample, Series
from tasktree_rt.load.server_figures import ServerFigures
from tasktree_rt.load.tally import Tally, now_us
from tasktree_rt.load.target import Target
from tasktree_rt.load.workers import Worker, remote_readers

Show = Callable[[str, Sample | None], None]
"""Called with the phase, and each second of publishing with the newest sample."""
LOOK: float = 0.1
"""Seconds between two looks at who still lacks events at the end."""


@define
class Outcome:
    """What a test found; `report.report` makes it readable.

    Attributes:
        seconds: that publishing took.
        interrupted: Ctrl+C, or a fault of the server, ended it early; the reason.
        trees: for each project that was compared: ``{project, number, expected, found}``, with the hashes.
    """

    plan: Plan
    target: Target
    run: str
    started: float
    published: int = 0
    seconds: float = 0.0
    interrupted: str = ""
    tally: Tally = field(factory=Tally)
    series: Series = field(factory=Series)
    watch: SelfWatch = field(factory=SelfWatch)
    server: ServerFigures = field(factory=ServerFigures)
    trees: list[dict[str, Any]] = field(factory=list)


class Conductor:
    """Runs one plan against one target. `stop` ends publishing early, and the report is made all the same.

    `workers`: the processes that read (`workers.fork`); without any this process reads.
    """

    def __init__(self, plan: Plan, target: Target, show: Show, workers: Sequence[Worker] = ()) -> None:
        self._plan = plan
        self._target = target
        self._show = show
        self._workers = workers
        self._stop = trio.Event()
        self.outcome = Outcome(plan, target, secrets.token_hex(4), time.time())

    def stop(self, reason: str) -> None:
        """End publishing; what is on its way is still waited for."""
        self.outcome.interrupted = self.outcome.interrupted or reason
        self._stop.set()

    async def run(self) -> Outcome:
        """Run the test.

        Raises:
            ClientError: it cannot begin; the message says why.
        """
        plan, target, outcome = self._plan, self._target, self.outcome
        self._show("checking", None)
        checks.check_descriptors(plan)
        checks.check_ports(plan, target)
        await checks.check_reachable(plan, target)
        names = project_names(plan, outcome.run)
        noted = Acknowledged(outcome.tally, [Head() for _ in names])
        try:
            async with open_publisher(plan, target, outcome.run, noted) as publisher:
                await self._watched(publisher, noted)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(5):
                await trees.delete_projects(plan, target, names)
        return outcome

    async def _watched(self, publisher: Publisher, noted: Acknowledged) -> None:
        plan, outcome = self._plan, self.outcome
        readers_opening: AbstractAsyncContextManager[Readers]
        if self._workers:
            readers_opening = remote_readers(self._workers, outcome.run, noted.heads)
        else:
            readers_opening = local_readers(plan, self._target, outcome.run, noted.heads)
        async with readers_opening as readers, trio.open_nursery() as nursery:
            nursery.start_soon(outcome.watch.run)
            self._show("connecting", None)
            await self._or_stop(readers.all_live)
            await checks.check_some_came(readers, plan)
            if not self._stop.is_set():
                await trio.sleep(plan.cooldown)
                await self._publish(publisher, readers, noted)
            self._show("waiting for the last deliveries", None)
            await self._settle(readers, noted)
            await outcome.server.after(self._target)
            nursery.cancel_scope.cancel()

    async def _publish(self, publisher: Publisher, readers: Readers, noted: Acknowledged) -> None:
        outcome, begun = self.outcome, time.monotonic()
        await outcome.server.before(self._target)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sample, readers)
            nursery.start_soon(disturb, self._plan, self._target, outcome.run, outcome.tally, readers)
            with trio.CancelScope() as scope:
                nursery.start_soon(self._cancel_on_stop, scope)
                try:
                    await self._pace(publisher)
                except ClientError as error:
                    self.stop(str(error))
            nursery.cancel_scope.cancel()
        outcome.seconds = time.monotonic() - begun
        with trio.move_on_after(PATIENCE):
            try:
                await publisher.flush()
            except ClientError as error:
                self.stop(str(error))

    async def _pace(self, publisher: Publisher) -> None:
        outcome, begun = self.outcome, now_us()
        numbers = [0] * self._plan.projects
        for offset, project in schedule(self._plan):
            due = begun + round(offset * 1e6)
            if (wait := due - now_us()) > 0:
                await trio.sleep(wait / 1e6)
            outcome.watch.lateness.record(now_us() - due)
            numbers[project] += 1
            await publisher.send(project, numbers[project], due)
            outcome.published += 1
        if (rest := begun + self._plan.duration * 1e6 - now_us()) > 0:
            await trio.sleep(rest / 1e6)

    async def _sample(self, readers: Readers) -> None:
        outcome, begun = self.outcome, time.monotonic()
        while True:
            await trio.sleep(1)
            progress = await readers.progress()
            busy = outcome.watch.busy[-1] if outcome.watch.busy else 0.0
            seconds = time.monotonic() - begun
            sample = outcome.series.add(seconds, progress, outcome.published, outcome.tally, busy)
            self._show("publishing", sample)

    async def _settle(self, readers: Readers, noted: Acknowledged) -> None:
        outcome = self.outcome
        with trio.move_on_after(self._plan.settle):
            while await readers.behind(noted.heads):  # noqa: ASYNC110 - other processes are asked too
                await trio.sleep(LOOK)
        tally, watches = await readers.finish(noted.heads)
        outcome.tally.add(tally)
        for watch in watches:
            outcome.watch.join(watch)
        await self._compare_trees(noted.heads)

    async def _compare_trees(self, heads: Sequence[Head]) -> None:
        outcome = self.outcome
        if self._plan.watches_projects:
            names = project_names(self._plan, outcome.run)
            outcome.trees = await trees.compare(self._plan, self._target, names, heads)

    async def _or_stop(self, wait: Callable[[], Any]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_on_stop, nursery.cancel_scope)
            await wait()
            nursery.cancel_scope.cancel()

    async def _cancel_on_stop(self, scope: trio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()
