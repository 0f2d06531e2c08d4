"""From a publish to a committed one: judge, wait for the group commit, hand on to the fan-out.

One committer task takes a group of what waits and commits it in one transaction, while the fan-out of the
commit before is still under way. Publishes are accepted in the order they come. Those of one project, and of
one producer, are committed in that order; between projects and producers it goes by turns (`hub.fair_turns`),
so that none waits for all that another has in store. If a commit fails, everything that waits fails too,
since it may have been judged on top of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final

import trio

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Broker,
    Conflict,
    Draft,
    Duplicate,
    Interaction,
    Key,
    Outcome,
    Settled,
)
from tasktree_rt.core.events import Event
from tasktree_rt.core.reducer import named_node
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.errors import InvalidInput, Refused, StoreUnavailable, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.fair_turns import FairQueue
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.store_health import RETRY_AFTER, StoreHealth, unavailable
from tasktree_rt.hub.publish.idempotency import Producers
from tasktree_rt.hub.publish.pending_publish import PendingPublish, Unit, cost_of

BATCH: Final = 512
GROUP: Final = 2048
"""What a group may cost (`cost_of`): some milliseconds of the store, which others wait for."""
MANY: Final = 8
GATHER: Final = 0.0005
"""Seconds that a commit waits for so many publishes as came last time, if they were at least `MANY`."""


class Committer:
    """Accepts publishes and commits them in groups. `committed` gets the tickets of each commit, in order;
    `room` waits until it has dealt with those of the commit before."""

    def __init__(
        self,
        broker: Broker,
        context: HubContext,
        *,
        committed: Callable[[list[PendingPublish]], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._limits = context.settings.limits
        self._enforce = context.settings.lifecycle == "enforce"
        self._meter = context.meter
        self._committed = committed
        self._failed = context.report_fault
        self._wall = context.wall
        self._new_epoch = context.new_epoch
        self._waiting: FairQueue[Unit] = FairQueue()
        self._waiting_cost = 0
        self._room = room
        self._in_flight: dict[Key, PendingPublish] = {}
        self._producers = Producers(broker)
        self._wake = trio.Event()
        self._gathering = 0
        self._gathered = trio.Event()
        self._unfinished = 0
        self._unfinished_bytes = 0
        self._quiet = trio.Event()
        self._quiet.set()
        self.store = StoreHealth(broker.name)
        self.afterwards: dict[Callable[[], None], None] = {}
        """Called once, in order, when the present lot of tickets is settled; for answers in one write."""

    # --- accepting ------------------------------------------------------------------------------

    async def known(self, key: Key, digest: bytes) -> PendingPublish | Duplicate | None:
        """What became of an earlier publish with this key: still under way, done, or none.

        Raises:
            Refused: ``idempotency_conflict``.
            Unavailable: the store cannot tell.
        """
        if key not in self._in_flight:
            try:
                ids = await self._producers.ids(key)
                found = None
                if key not in self._in_flight and key.id in ids:
                    found = await self._broker.recorded(key, digest)
            except StoreUnavailable as error:
                raise unavailable(error) from error
            if isinstance(found, Conflict):
                raise _conflict(key)
            if found is not None:
                return found
        in_flight = self._in_flight.get(key)
        if in_flight is not None and in_flight.append.digest != digest:
            raise _conflict(key)
        return in_flight

    def accept(
        self,
        project: Project,
        events: Sequence[Event],
        *,
        key: Key | None = None,
        digest: bytes = b"",
        opens: Sequence[Interaction] = (),
        settles: Sequence[Settled] = (),
        mirrors: Sequence[tuple[Project, Sequence[Event]]] = (),
        owner: str = "",
        producer: Hashable = None,
    ) -> PendingPublish:
        """Judge `events` and queue them for the next commit; what `mirrors` tell in other topics' logs is
        committed with them. The ticket is that of `events`. Logs that begin with this count as `owner`'s.
        What one `producer` publishes is committed in the order in which it comes.

        Raises:
            PeerError: refused; nothing is kept.
        """
        if self.store.fault is not None:
            raise unavailable(self.store.fault)
        drafts = [_draft(event, index) for index, event in enumerate(events)]
        told = [(one, said, [_draft(event, 0) for event in said]) for one, said in mirrors]
        sizes = _sizes(drafts)
        self._check_room(project, sum(sizes))
        unit = [self._stage(project, events, drafts, sizes, key, digest, opens, settles, owner)]
        for one, said, copies in told:  # users' logs: nothing in them is refused
            unit.append(self._stage(one, said, copies, _sizes(copies), owner=owner))
        self._queue(unit, producer)
        return unit[0]

    def _check_room(self, project: Project, size: int) -> None:
        """Refuse what would be too much. A project of which nothing waits has as much room again: others
        have not left it any."""
        times = 1 if project.pending else 2
        count, most = self._unfinished, self._unfinished_bytes + size
        limits = self._limits
        if count >= times * limits.max_waiting_publishes or (
            count and most > times * limits.max_waiting_bytes
        ):
            raise self._overloaded()

    def _stage(
        self,
        project: Project,
        events: Sequence[Event],
        drafts: Sequence[Draft],
        sizes: Sequence[int],
        key: Key | None = None,
        digest: bytes = b"",
        opens: Sequence[Interaction] = (),
        settles: Sequence[Settled] = (),
        owner: str = "",
    ) -> PendingPublish:
        project.stage(events, sizes, self._limits, enforce=self._enforce)
        append = Append(
            project.project_id,
            drafts,
            self._wall(),
            self._new_epoch(),
            events[-1].type == "project_deleted",
            project.staged.top["state"],
            len(project.staged),
            key,
            digest,
            opens,
            settles,
            project.staged_about(),
            owner,
        )
        return PendingPublish(project, append, sum(sizes), trio.current_time())

    def _queue(self, unit: Unit, producer: Hashable) -> None:
        key = unit[0].append.key
        if key is not None:
            self._in_flight[key] = unit[0]
        flows: tuple[Hashable, ...] = (unit[0].append.project_id,)
        if len(unit) > 1:
            flows = tuple(one.append.project_id for one in unit)
        if producer is not None:
            flows = (*flows, producer)
        cost = cost_of(unit)
        self._waiting.push(unit, cost, flows)
        self._waiting_cost += cost
        if len(self._waiting) == self._gathering:
            self._gathered.set()
        self._unfinished_bytes += sum(one.size for one in unit)
        if not self._unfinished:
            self._quiet = trio.Event()
        self._unfinished += len(unit)
        self._wake.set()

    async def recover(self) -> None:
        """The prober task: find out that the store is gone, and while it fails, when it works again."""
        while True:
            await trio.sleep(RETRY_AFTER)
            try:
                await self._look_after_store()
            except StoreUnavailable as error:
                self.store.failed(error)

    async def _look_after_store(self) -> None:
        if self.store.fault is None:
            await self._broker.verify()
        else:
            await self.quiet()
            await self._broker.probe()
        self.store.works()

    async def quiet(self) -> None:
        """Wait until everything accepted is settled."""
        while self._unfinished:
            await self._quiet.wait()

    @property
    def store_error(self) -> str | None:
        """Why the store takes nothing now; None while it works."""
        return None if self.store.fault is None else str(self.store.fault)

    @property
    def waiting(self) -> int:
        """Publishes that are accepted but not settled."""
        return self._unfinished

    # --- committing -----------------------------------------------------------------------------

    async def run(self) -> None:
        """The committer task."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                batch = self._take()
                await self._commit(batch)
                await self._room()
                await self._gather(len(batch) + len(self._waiting))

    async def _gather(self, count: int) -> None:
        """Let those who have just been answered come again, so that all are committed together.

        Without this, producers who wait for each answer fall into two halves that take turns, and each half
        pays for a commit. `count` came last time.
        """
        if count < MANY or len(self._waiting) >= min(count, BATCH) or self._waiting_cost >= GROUP:
            return
        self._gathering, self._gathered = min(count, BATCH), trio.Event()
        with trio.move_on_after(GATHER):
            await self._gathered.wait()
        self._gathering = 0

    def _take(self) -> list[PendingPublish]:
        """The next group: by turns, and with it what has waited longest, so that nothing waits for ever."""
        batch = list(self._waiting.pop())
        if self._waiting:
            batch += self._waiting.pop_oldest()
        cost = cost_of(batch)
        while self._waiting and len(batch) < BATCH and cost < GROUP:
            unit = self._waiting.pop()
            cost += cost_of(unit)
            batch += unit
        self._waiting_cost -= cost
        return batch

    async def _commit(self, batch: list[PendingPublish]) -> None:
        begun = trio.current_time()
        try:
            outcomes = await self._broker.append([ticket.append for ticket in batch])
        except StoreUnavailable as error:
            self._fail(batch, error)
            return
        self._meter.committed(len(batch), trio.current_time() - begun)
        for ticket, outcome in zip(batch, outcomes, strict=True):
            self._judge(ticket, outcome)
        self._committed(batch)

    def _judge(self, ticket: PendingPublish, outcome: Outcome) -> None:
        key = ticket.append.key
        if isinstance(outcome, Conflict):
            assert key is not None
            ticket.error = _conflict(key)
        else:
            ticket.outcome = outcome
        if isinstance(outcome, Appended) and key is not None:
            self._producers.remember(key)

    def finish(self, tickets: list[PendingPublish]) -> None:
        """The fan-out is through with these: tell their producers."""
        for ticket in tickets:
            self._unfinished -= 1
            self._unfinished_bytes -= ticket.size
            key = ticket.append.key
            if key is not None and self._in_flight.get(key) is ticket:
                del self._in_flight[key]
            ticket.over = True
            for callback in ticket.settled:
                self._tell(callback, ticket)
            ticket.settled.clear()
        afterwards, self.afterwards = self.afterwards, {}
        for answer in afterwards:
            self._tell(answer)
        if not self._unfinished:
            self._quiet.set()

    def _tell(self, callback: Callable[..., None], *ticket: PendingPublish) -> None:
        """Call back; one producer's trouble is not the next one's."""
        try:
            callback(*ticket)
        except Exception as error:
            self._failed("answer", error)

    def _fail(self, batch: list[PendingPublish], fault: StoreUnavailable) -> None:
        """A commit failed: so does all that was accepted behind it."""
        self.store.failed(fault)
        lost = list(batch)
        while self._waiting:
            lost += self._waiting.pop()
        self._waiting_cost = 0
        for ticket in lost:
            ticket.error = unavailable(fault)
            ticket.lost = True
        self._committed(lost)

    def _overloaded(self) -> Unavailable:
        return Unavailable(
            f"{self._unfinished} publishes wait for the store", code="overloaded", retry_after=RETRY_AFTER
        )


def _draft(event: Event, index: int) -> Draft:
    try:
        return Draft(event.type, named_node(event), encode_body(event))
    except InvalidInput as error:
        error.field = f"events[{index}].{error.field}"
        raise


def _sizes(drafts: Sequence[Draft]) -> list[int]:
    return [len(draft.body) for draft in drafts]


def _conflict(key: Key) -> Refused:
    return Refused(
        f"id {key.id} of producer {key.producer_id!r} was used for another publish",
        code="idempotency_conflict",
        field="id",
    )
