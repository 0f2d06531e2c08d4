"""Accept publishes, commit them in groups, and hand each group to the fan-out.

One committer task takes a group of waiting publishes and commits it in one transaction, while the fan-out of
the previous commit still runs. It commits the publishes of one project, and of one producer, in the order in
which it accepted them. Between projects and producers it takes turns (`hub.fair_turns`), so that none waits
for a long queue of another. If a commit fails, all waiting publishes fail too: the hub may have checked them
against a state that the store does not have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final

import trio
from attrs import evolve

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Broker,
    Conflict,
    Draft,
    Duplicate,
    Interaction,
    Key,
    Moved,
    Outcome,
    Settled,
)
from tasktree_rt.core.events import Event
from tasktree_rt.core.reducer import named_node
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.errors import InvalidInput, Refused, StoreUnavailable, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.fair_turns import FairQueue
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.store_health import RETRY_AFTER, StoreHealth, unavailable
from tasktree_rt.hub.publish.idempotency import PublishIds
from tasktree_rt.hub.publish.pending_publish import PendingPublish, Unit, cost_of

BATCH: Final = 512
GROUP: Final = 2048
"""Cost of a group at most (`cost_of`): some milliseconds of the store, for which all others wait."""
MANY: Final = 8
GATHER: Final = 0.0005
"""Seconds that a commit waits for as many publishes as came last time, if they were at least `MANY`."""


class Committer:
    """Accept publishes and commit them in groups. `connect` it before it runs."""

    def __init__(self, broker: Broker, context: HubContext) -> None:
        self._broker = broker
        self._limits = context.settings.limits
        self._large = LargeValues(context.settings.limits.max_inline_value)
        self._enforce = context.settings.lifecycle == "enforce"
        self._meter = context.meter
        self._report_fault = context.report_fault
        self._wall = context.wall
        self._new_epoch = context.new_epoch
        self.shared = broker.following is not None
        """Whether other hubs may append to the same logs."""
        self._waiting: FairQueue[Unit] = FairQueue()
        self._waiting_cost = 0
        self._in_flight: dict[Key, PendingPublish] = {}
        self._producers = PublishIds(broker)
        self._wake = trio.Event()
        self._gathering = 0
        self._gathered = trio.Event()
        self._unfinished = 0
        self._unfinished_bytes = 0
        self._quiet = trio.Event()
        self._quiet.set()
        self.store = StoreHealth(broker.name)
        self.afterwards: dict[Callable[[], None], None] = {}
        """Called once each, in order, after the callbacks of a commit's publishes: to answer in one write."""

    def connect(
        self, committed: Callable[[list[PendingPublish]], None], room: Callable[[], Awaitable[None]]
    ) -> None:
        """Hand what is committed to the fan-out.

        The committer calls `committed` with the publishes of each commit, in order; `room` waits until the
        fan-out has taken those of the commit before.
        """
        self._committed = committed
        self._room = room

    # --- accepting ------------------------------------------------------------------------------

    def is_new(self, key: Key) -> bool:
        """Return True if there was no publish with this key; False: `known` finds out."""
        if key in self._in_flight:
            return False
        ids = self._producers.held(key)
        return ids is not None and key.id not in ids

    async def known(self, key: Key, digest: bytes) -> PendingPublish | Duplicate | None:
        """Return an earlier publish with this key: pending, or stored; None if there is none.

        Raises:
            Refused: ``idempotency_conflict``: it was another publish.
            Unavailable: the store cannot be read.
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
        resolves: Sequence[Settled] = (),
        mirrors: Sequence[tuple[Project, Sequence[Event]]] = (),
        owner: str = "",
        producer: Hashable = None,
        conditional: bool = False,
        once: bool = False,
    ) -> PendingPublish:
        """Check `events` and queue them for the next commit, in one transaction with `mirrors`.

        `mirrors` are the copies of these events in users' logs. Returns the pending publish of `events`. New
        logs count for `owner`. The hub commits what one `producer` publishes in the order of these calls.
        `conditional` and `once` are for a store that several hubs share (`Append`): the publish fails as
        `PendingPublish.moved` then.

        Raises:
            PeerError: the hub refused the publish; it stores nothing.
        """
        if self.store.fault is not None:
            raise unavailable(self.store.fault)
        drafts, sizes = _drafts(events)
        copies = [(log, said, *_drafts(said)) for log, said in mirrors] if mirrors else ()
        self._check_room(project, sum(sizes))
        unit = [self._stage(project, events, drafts, sizes, key, digest, opens, resolves, owner)]
        for log, said, copied, copied_sizes in copies:  # users' logs: the hub refuses nothing in them
            unit.append(self._stage(log, said, copied, copied_sizes, owner=owner))
        if self.shared:
            _judge(unit, conditional=conditional, once=once)
        self._queue(unit, producer)
        return unit[0]

    def _check_room(self, project: Project, size: int) -> None:
        """Refuse a publish if too much waits. A project without a waiting publish may use twice the room."""
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
        resolves: Sequence[Settled] = (),
        owner: str = "",
    ) -> PendingPublish:
        shown: Mapping[int, bytes] = {}
        if max(sizes) > self._large.most:
            events, shown = self._large.events(events, sizes)
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
            resolves,
            project.staged_about(),
            owner,
        )
        return PendingPublish(project, append, sum(sizes), trio.current_time(), shown)

    def _queue(self, unit: Unit, producer: Hashable) -> None:
        key = unit[0].append.key
        if key is not None:
            self._in_flight[key] = unit[0]
        size = unit[0].size
        flows: tuple[Hashable, ...] = (unit[0].append.project_id,)
        if len(unit) > 1:
            flows = tuple(one.append.project_id for one in unit)
            size = sum(one.size for one in unit)
        if producer is not None:
            flows = (*flows, producer)
        cost = cost_of(unit)
        self._waiting.push(unit, cost, flows)
        self._waiting_cost += cost
        if len(self._waiting) == self._gathering:
            self._gathered.set()
        self._unfinished_bytes += size
        if not self._unfinished:
            self._quiet = trio.Event()
        self._unfinished += len(unit)
        self._wake.set()

    async def recover(self) -> None:
        """Run the prober task: notice that the store fails, and that it works again."""
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
        """Wait until every accepted publish is done."""
        while self._unfinished:
            await self._quiet.wait()

    @property
    def store_error(self) -> str | None:
        """Why the store fails now; None while it works."""
        return None if self.store.fault is None else str(self.store.fault)

    @property
    def waiting(self) -> int:
        """Count of publishes that are accepted and not done."""
        return self._unfinished

    # --- committing -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the committer task."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                batch = self._take()
                await self._commit(batch)
                await self._room()
                await self._gather(len(batch) + len(self._waiting))

    async def _gather(self, count: int) -> None:
        """Wait a moment for the producers that were just answered, so that one commit serves all of them.

        Without this wait, producers that wait for each answer fall into two halves that take turns, and each
        half pays for a commit. `count` publishes came last time.
        """
        if count < MANY or len(self._waiting) >= min(count, BATCH) or self._waiting_cost >= GROUP:
            return
        self._gathering, self._gathered = min(count, BATCH), trio.Event()
        with trio.move_on_after(GATHER):
            await self._gathered.wait()
        self._gathering = 0

    def _take(self) -> list[PendingPublish]:
        """Take the next group: by turns, but always with the publish that has waited longest."""
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
            outcomes = await self._broker.append([one.append for one in batch])
        except StoreUnavailable as error:
            self._fail(batch, error)
            return
        self._meter.committed(len(batch), trio.current_time() - begun)
        for pending, outcome in zip(batch, outcomes, strict=True):
            self._note_outcome(pending, outcome)
        self._committed(batch)

    def _note_outcome(self, pending: PendingPublish, outcome: Outcome) -> None:
        key = pending.append.key
        if isinstance(outcome, Conflict):
            assert key is not None
            pending.error = _conflict(key)
        elif isinstance(outcome, Moved):
            pending.moved, pending.error = outcome, _overtaken()
        else:
            pending.outcome = outcome
        if isinstance(outcome, Appended) and key is not None:
            self._producers.remember(key)

    def finish(self, publishes: list[PendingPublish]) -> None:
        """Call the callbacks of publishes whose fan-out has ended; they answer the producers."""
        for pending in publishes:
            self._unfinished -= 1
            self._unfinished_bytes -= pending.size
            key = pending.append.key
            if key is not None and self._in_flight.get(key) is pending:
                del self._in_flight[key]
            pending.done = True
            for callback in pending.callbacks:
                self._call(callback, pending)
            pending.callbacks.clear()
        afterwards, self.afterwards = self.afterwards, {}
        for answer in afterwards:
            self._call(answer)
        if not self._unfinished:
            self._quiet.set()

    def _call(self, callback: Callable[..., None], *publish: PendingPublish) -> None:
        """Call a callback. If it raises, the hub reports a fault and goes on with the next one."""
        try:
            callback(*publish)
        except Exception as error:
            self._report_fault("answer", error)

    def _fail(self, batch: list[PendingPublish], fault: StoreUnavailable) -> None:
        """Fail the publishes of a commit that the store refused, and all that wait behind it."""
        self.store.failed(fault)
        lost = list(batch)
        while self._waiting:
            lost += self._waiting.pop()
        self._waiting_cost = 0
        for pending in lost:
            pending.error = unavailable(fault)
            pending.lost = True
        self._committed(lost)

    def _overloaded(self) -> Unavailable:
        return Unavailable(
            f"{self._unfinished} publishes wait for the store", code="overloaded", retry_after=RETRY_AFTER
        )


def _drafts(events: Sequence[Event]) -> tuple[list[Draft], list[int]]:
    """Encode events; return them with the size of each."""
    drafts, sizes = [], []
    for index, event in enumerate(events):
        try:
            body = encode_body(event)
        except InvalidInput as error:
            error.field = f"events[{index}].{error.field}"
            raise
        drafts.append(Draft(event.type, named_node(event), body))
        sizes.append(len(body))
    return drafts, sizes


def _judge(unit: Unit, *, conditional: bool, once: bool) -> None:
    """Say on which positions the hub has judged publishes, and what the store has to refuse."""
    for index, one in enumerate(unit):
        project = one.project
        one.append = evolve(
            one.append,
            seen=project.position,
            conditional=project.make_conditional(conditional and not index),
            once=once and not index,
            joined=index > 0,
        )


def _overtaken() -> Unavailable:
    return Unavailable("other hubs changed it at the same time", code="overloaded", retry_after=RETRY_AFTER)


def _conflict(key: Key) -> Refused:
    return Refused(
        f"id {key.id} of producer {key.producer_id!r} was used for another publish",
        code="idempotency_conflict",
        field="id",
    )
