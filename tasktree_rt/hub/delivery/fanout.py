"""The tick: apply what was committed, encode it once, and offer it to every watcher.

A tick takes all publishes committed by then. It applies them all and notes the watchers before it first
yields, so a subscription made meanwhile begins behind the tick. Then it goes through the watchers in slices,
so that the loop never starves, and answers the producers at the end.

Between two slices other tasks run. A watcher of a project under way has then been offered the batch or not
yet. Code that reads a watcher's position or changes its subscriptions calls `settle` first. `guard` excludes
a watcher that is beyond the tick from the rest of it: its catch-up reached the applied head, or its
subscription ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from typing import Final

import trio
from attrs import define

from tasktree_rt.brokers.base import Appended
from tasktree_rt.core.close_codes import INTERNAL
from tasktree_rt.core.events import Record
from tasktree_rt.core.nodes import Change
from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.dialects.base import Encoding
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.encoded_batch import Batch, Run, Runs
from tasktree_rt.hub.delivery.foreign_events import ForeignEvents
from tasktree_rt.hub.delivery.shedding import shed
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.hub.resume.feed import GUARD

_NOTHING: Final = Encoding(b"", ())
SLICE: Final = 200
"""Offers between two yields to the loop: about a millisecond."""


@define(eq=False)
class _Delivery:
    """A batch under way: ``watchers[:done]`` have been offered it. `large`: it is shed instead."""

    batch: Batch
    watchers: tuple[Subscriber, ...]
    large: bool = False
    done: int = 0


class Fanout:
    """See the module's docstring."""

    def __init__(
        self,
        context: HubContext,
        index: TopicIndex[Subscriber],
        *,
        finished: Callable[[list[PendingPublish]], None],
        touched: Callable[[Project, int, float], None],
        tidy: Callable[[Project], None] = lambda _: None,
    ) -> None:
        self._index = index
        self._meter = context.meter
        self._finished = finished
        self._touched = touched
        self._tidy = tidy
        self._failed = context.report_fault
        self._committed: list[PendingPublish] = []
        self.foreign: ForeignEvents | None = None
        """What other hubs append; None where this hub has the store alone."""
        self._wake = trio.Event()
        self._taken = trio.Event()
        self._underway: dict[str, list[_Delivery]] = {}
        self._guards: list[tuple[Subscriber, str]] = []
        self.ticks = 0
        self.events = 0
        """Events applied since the hub began."""
        self.messages = 0
        """Messages handed to outboxes since the hub began."""
        self.took = 0.0
        """Seconds from the newest tick's oldest publish until every outbox had it."""

    def committed(self, publishes: list[PendingPublish]) -> None:
        """Queue publishes that are committed or have failed; the next tick takes them."""
        self._committed.extend(publishes)
        self._wake.set()

    def wake(self) -> None:
        """Run a tick for what `foreign` has."""
        self._wake.set()

    async def room(self) -> None:
        """Wait until a tick has taken all committed publishes: the committer is at most one group ahead."""
        while self._committed:
            await self._taken.wait()

    @property
    def projects(self) -> Collection[str]:
        """Return the projects that the running tick has events of."""
        return self._underway.keys()

    def underway(self, project_id: str) -> bool:
        """Return whether the running tick has events of a project."""
        return project_id in self._underway

    def settle(self, subscriber: Subscriber, project_id: str) -> None:
        """Offer `subscriber` at once what this tick still has for it of a project.

        If the project is live, the subscriber is then at the applied head, and the tick is over for it.
        """
        waiting = [
            delivery
            for delivery in self._underway.get(project_id, ())
            if subscriber in delivery.watchers[delivery.done :]
        ]
        for delivery in waiting:
            self._give(delivery, (subscriber,))
        if waiting and subscriber.feeds.is_live(project_id):
            self.guard(subscriber, project_id)

    def guard(self, subscriber: Subscriber, project_id: str) -> None:
        """Exclude `subscriber`, which is at the applied head, from the rest of this tick."""
        if project_id in self._underway and not subscriber.closing:
            subscriber.catch_up(project_id, GUARD)
            self._guards.append((subscriber, project_id))

    def guard_all(self, subscriber: Subscriber, besides: Container[str]) -> None:
        """Guard every project of this tick but those in `besides`."""
        for project_id in self._underway:
            if project_id not in besides:
                self.guard(subscriber, project_id)

    async def run(self) -> None:
        """Run ticks until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            publishes, self._committed = self._committed, []
            self._taken.set()
            self._taken = trio.Event()
            await self._tick(publishes)

    async def _tick(self, publishes: list[PendingPublish]) -> None:
        begun = trio.current_time()
        runs = self._apply(publishes)
        deliveries = [
            _Delivery(_batch(run), watchers)
            for run in runs
            if (watchers := self._index.watchers(run.project.project_id))
        ]
        for run in runs:
            if run.project.branches:
                deliveries.extend(self._of_branches(run.project))
        for delivery in deliveries:
            self._underway.setdefault(delivery.batch.project_id, []).append(delivery)
        try:
            await self._deliver(deliveries)
        finally:
            self._underway.clear()
            self._lift_guards()
        self.ticks += 1
        self._count(publishes, runs, deliveries, begun)
        self._finished(publishes)

    def _of_branches(self, project: Project) -> Iterator[_Delivery]:
        """The new events of the branches of a project that have readers."""
        self._tidy(project)
        for view in project.branches.values():
            for fresh in view.take_fresh():
                watchers = self._index.watchers(view.topic)
                if watchers:
                    records = tuple(fresh.records)
                    batch = Batch(view.topic, fresh.epoch, records, opens=fresh.opens, after=records[0].after)
                    yield _Delivery(batch, watchers, large=fresh.large)

    async def _deliver(self, deliveries: list[_Delivery]) -> None:
        room = SLICE
        for delivery in deliveries:
            while delivery.done < len(delivery.watchers):
                if room <= 0:
                    await trio.lowlevel.checkpoint()
                    room = SLICE
                part = delivery.watchers[delivery.done : delivery.done + room]
                delivery.done += len(part)
                room -= len(part)
                self._give(delivery, part)

    def _give(self, delivery: _Delivery, subscribers: Iterable[Subscriber]) -> None:
        if delivery.large:
            self._shed(delivery.batch, subscribers)
        else:
            self._offer(delivery.batch, subscribers)

    def _shed(self, batch: Batch, subscribers: Iterable[Subscriber]) -> None:
        """Let subscribers catch up instead of offering them a batch."""
        for subscriber in subscribers:
            try:
                if subscriber.admits(batch):
                    shed(subscriber, batch)
                    subscriber.wake()
            except Exception as error:
                self._give_up(subscriber, error)

    def _offer(self, batch: Batch, subscribers: Iterable[Subscriber]) -> None:
        """Offer a batch to subscribers.

        Nearly always the socket takes all at once. That path is written out here: a delivery costs little
        more than its system call, and every Python call shows beside it.
        """
        dialect, encoding, size = None, _NOTHING, 0
        for subscriber in subscribers:
            try:
                send = subscriber.direct
                if subscriber.picky or send is None:
                    if not subscriber.picky or subscriber.admits(batch):
                        subscriber.offer(batch)
                    continue
                if subscriber.dialect is not dialect:
                    dialect = subscriber.dialect
                    encoding = batch.encoding(dialect)
                    size = len(encoding.data)
                try:
                    taken = send(encoding.data)
                except OSError:
                    subscriber.offer(batch)
                    continue
                if taken != size:
                    subscriber.sent_part(batch, encoding, taken)
                    continue
                subscriber.sent_bytes += size
                subscriber.sent_messages += len(encoding.ends)
            except Exception as error:
                self._give_up(subscriber, error)

    def _give_up(self, subscriber: Subscriber, error: Exception) -> None:
        self._failed("fanout", error)
        try:
            subscriber.close(INTERNAL)
        except Exception as another:
            self._failed("fanout", another)

    def _lift_guards(self) -> None:
        for subscriber, project_id in self._guards:
            if subscriber.feeds.is_guarded(project_id):
                subscriber.live(project_id)
        self._guards.clear()

    def _count(
        self, publishes: list[PendingPublish], runs: list[Run], deliveries: list[_Delivery], begun: float
    ) -> None:
        messages = sum(len(one.batch.records) * len(one.watchers) for one in deliveries)
        size = sum(one.batch.size * len(one.watchers) for one in deliveries)
        self._meter.flushed(messages, size, trio.current_time() - begun)
        self.messages += messages
        if runs:
            self.events += sum(len(run.records) for run in runs)
        if runs and publishes:
            self.took = trio.current_time() - publishes[0].begun
            types = Counter(record.type for run in runs for record in run.records)
            kept = sum(publish.size for publish in publishes if isinstance(publish.outcome, Appended))
            self._meter.published(types, kept, begun - publishes[0].begun)

    # --- applying -------------------------------------------------------------------------------

    def _apply(self, publishes: list[PendingPublish]) -> list[Run]:
        runs = Runs()
        lost: dict[str, tuple[Project, list[Change]]] = {}
        now = trio.current_time()
        foreign = self.foreign
        if foreign is not None:
            foreign.reload(self._touched, now)
        for publish in publishes:
            project, outcome = publish.project, publish.outcome
            before = project.epoch != ""
            if foreign is not None:
                foreign.apply_missed(publish, runs)
            changes = project.next_changes()
            if isinstance(outcome, Appended):
                if foreign is None or foreign.joins(publish, outcome):
                    _apply_one(publish, outcome, changes, runs)
                else:
                    project.restage(changes)
                self._touched(project, (project.epoch != "") - before, now)
            elif publish.lost:
                # Every later publish of the project is lost too: restage once, at the end.
                lost.setdefault(project.project_id, (project, []))[1].extend(changes)
            else:
                project.restage(changes)
        for project, gone in lost.values():
            project.restage(gone)
        if foreign is not None:
            foreign.apply(runs, self._touched, now)
        return [run for run in runs.found if run.records]


def _batch(run: Run) -> Batch:
    return Batch(run.project.project_id, run.epoch, tuple(run.records), opens=run.opens)


def _apply_one(publish: PendingPublish, outcome: Appended, changes: list[Change], runs: Runs) -> None:
    project = publish.project
    run = runs.of(project, outcome.epoch, publish.append.owner)
    seq = outcome.first
    shown = publish.shown
    for index, (draft, change) in enumerate(zip(publish.append.drafts, changes, strict=True)):
        body = shown.get(index, draft.body) if shown else draft.body
        record = Record(seq, draft.type, draft.node_id, outcome.received, body)
        project.apply(record, change, len(draft.body))
        project.stored_bytes += len(draft.body)
        run.records.append(record)
        seq += 1
    if publish.append.ends:
        project.end_epoch(run.records[-1])
