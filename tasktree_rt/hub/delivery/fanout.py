"""The tick: what was committed is applied, encoded once, and offered to every watcher.

A tick takes all that is committed by then. It applies everything and notes who watches before it
first yields, so that whoever subscribes while it runs stands behind it; then it goes through the
watchers in slices, so that the loop never starves, and tells the producers at the end.

Between two slices everybody else runs, and a watcher of a project under way is in one of two places:
offered, or still to be. Whoever asks where it stands, or changes what it wants, calls `settle` first;
whoever is beyond the tick (a catch-up that reached the applied head, a subscription taken back) is
kept out of the rest of it by `guard`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable
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
from tasktree_rt.hub.delivery.batch import Batch
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.hub.recovery.feed import GUARD

_NOTHING: Final = Encoding(b"", ())
SLICE: Final = 200
"""Offers between two yields to the loop: about a millisecond."""


@define
class _Run:
    """New records of one life of a project, in order."""

    project: Project
    epoch: str
    opens: bool
    records: list[Record]


@define(eq=False)
class _Delivery:
    """A batch on its way: ``watchers[:done]`` were offered it."""

    batch: Batch
    watchers: tuple[Subscriber, ...]
    done: int = 0


class Fanout:
    """See the module's docstring."""

    def __init__(
        self,
        context: HubContext,
        index: TopicIndex[Subscriber],
        *,
        finished: Callable[[list[PendingPublish]], None],
        touched: Callable[[Project, int], None],
    ) -> None:
        self._index = index
        self._meter = context.meter
        self._finished = finished
        self._touched = touched
        self._failed = context.report_fault
        self._committed: list[PendingPublish] = []
        self._wake = trio.Event()
        self._taken = trio.Event()
        self._underway: dict[str, list[_Delivery]] = {}
        self._guards: list[tuple[Subscriber, str]] = []
        self.ticks = 0
        self.events = 0
        """Applied since the hub began."""
        self.messages = 0
        """Handed to outboxes since then."""
        self.took = 0.0
        """Seconds that the oldest publish of the newest tick took until every outbox had it."""

    def committed(self, tickets: list[PendingPublish]) -> None:
        """These are through the store, or have failed; the next tick takes them."""
        self._committed.extend(tickets)
        self._wake.set()

    async def room(self) -> None:
        """Wait until a tick has taken all that is committed: the committer is one group ahead, not many."""
        while self._committed:
            await self._taken.wait()

    @property
    def projects(self) -> Collection[str]:
        """Of which projects the tick that runs now brings something new."""
        return self._underway.keys()

    def underway(self, project_id: str) -> bool:
        """Whether the tick that runs now brings something new of a project."""
        return project_id in self._underway

    def settle(self, subscriber: Subscriber, project_id: str) -> None:
        """Let `subscriber` have at once what this tick still has for it of a project.

        After this it stands at the applied head, if it is live there, and the tick is over for it.
        """
        waiting = [
            delivery.batch
            for delivery in self._underway.get(project_id, ())
            if subscriber in delivery.watchers[delivery.done :]
        ]
        for batch in waiting:
            self._offer(batch, (subscriber,))
        if waiting and subscriber.feeds.is_live(project_id):
            self.guard(subscriber, project_id)

    def guard(self, subscriber: Subscriber, project_id: str) -> None:
        """`subscriber` stands at the applied head: the rest of this tick does not concern it."""
        if project_id in self._underway and not subscriber.closing:
            subscriber.catch_up(project_id, GUARD)
            self._guards.append((subscriber, project_id))

    def guard_all(self, subscriber: Subscriber, besides: Container[str]) -> None:
        """The same for every project but those in `besides`."""
        for project_id in self._underway:
            if project_id not in besides:
                self.guard(subscriber, project_id)

    async def run(self) -> None:
        """The fan-out task."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            tickets, self._committed = self._committed, []
            self._taken.set()
            self._taken = trio.Event()
            await self._tick(tickets)

    async def _tick(self, tickets: list[PendingPublish]) -> None:
        begun = trio.current_time()
        runs = self._apply(tickets)
        deliveries = [
            _Delivery(_batch(run), watchers)
            for run in runs
            if (watchers := self._index.watchers(run.project.project_id))
        ]
        for delivery in deliveries:
            self._underway.setdefault(delivery.batch.project_id, []).append(delivery)
        try:
            await self._deliver(deliveries)
        finally:
            self._underway.clear()
            self._lift_guards()
        self.ticks += 1
        self._count(tickets, runs, deliveries, begun)
        self._finished(tickets)

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
                self._offer(delivery.batch, part)

    def _offer(self, batch: Batch, subscribers: Iterable[Subscriber]) -> None:
        """Nearly always the socket takes all at once: that way is written out here, as a delivery costs
        little more than its system call, and every Python call shows beside it."""
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
        self, tickets: list[PendingPublish], runs: list[_Run], deliveries: list[_Delivery], begun: float
    ) -> None:
        messages = sum(len(one.batch.records) * len(one.watchers) for one in deliveries)
        size = sum(one.batch.size * len(one.watchers) for one in deliveries)
        self._meter.flushed(messages, size, trio.current_time() - begun)
        self.messages += messages
        if runs:
            self.events += sum(len(run.records) for run in runs)
            self.took = trio.current_time() - tickets[0].begun
            types = Counter(record.type for run in runs for record in run.records)
            kept = sum(ticket.size for ticket in tickets if isinstance(ticket.outcome, Appended))
            self._meter.published(types, kept, begun - tickets[0].begun)

    # --- applying -------------------------------------------------------------------------------

    def _apply(self, tickets: list[PendingPublish]) -> list[_Run]:
        runs: list[_Run] = []
        newest: dict[str, _Run] = {}
        lost: dict[str, Project] = {}
        for ticket in tickets:
            project = ticket.project
            changes = project.next_changes()
            if isinstance(ticket.outcome, Appended):
                before = project.epoch != ""
                _apply_one(ticket, ticket.outcome, changes, runs, newest)
                self._touched(project, (project.epoch != "") - before)
            elif ticket.lost:
                # Everything behind it is lost too: once, at the end, is enough.
                lost[project.project_id] = project
            else:
                project.restage()
        for project in lost.values():
            project.restage()
        return runs


def _batch(run: _Run) -> Batch:
    return Batch(run.project.project_id, run.epoch, tuple(run.records), opens=run.opens)


def _apply_one(
    ticket: PendingPublish,
    outcome: Appended,
    changes: list[Change],
    runs: list[_Run],
    newest: dict[str, _Run],
) -> None:
    project = ticket.project
    opens = outcome.epoch != project.epoch
    if opens:
        project.begin_life(outcome.epoch, ticket.append.owner)
    run = newest.get(project.project_id)
    if run is None or run.epoch != outcome.epoch:
        run = newest[project.project_id] = _Run(project, outcome.epoch, opens, [])
        runs.append(run)
    seq = outcome.first
    for draft, change in zip(ticket.append.drafts, changes, strict=True):
        record = Record(seq, draft.type, draft.node_id, outcome.received, draft.body)
        project.apply(record, change)
        run.records.append(record)
        seq += 1
    if ticket.append.ends:
        project.end_life(run.records[-1])
