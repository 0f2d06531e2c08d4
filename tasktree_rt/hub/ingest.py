"""From a publish to a committed one: judge, wait for the group commit, hand on to the fan-out.

One committer task takes whatever waits and commits it in one transaction, while the fan-out of the
commit before is still under way. Publishes are accepted in the order they come and committed in that
order; if a commit fails, everything accepted behind it fails too, since it was judged on top of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio
from attrs import define, field

from tasktree_rt.brokers.base import (
    KEPT_IDS,
    Append,
    Appended,
    Broker,
    Conflict,
    Draft,
    Duplicate,
    Key,
    Outcome,
)
from tasktree_rt.core.events import Event
from tasktree_rt.core.reducer import named_node
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.errors import InvalidInput, PeerError, Refused, StoreUnavailable, Unavailable
from tasktree_rt.hub.meter import Meter
from tasktree_rt.hub.project import Project
from tasktree_rt.settings import Settings

BATCH: Final = 512
BATCH_BYTES: Final = 4 * 1024 * 1024
RETRY_AFTER: Final = 1.0
PRODUCERS: Final = 256
"""Of so many producers the known ids are held in memory."""
IDS: Final = 2 * KEPT_IDS
"""And so many of each. One that is older may still be in the store, which then tells at the commit."""


@define(eq=False)
class Ticket:
    """One accepted publish on its way.

    Attributes:
        settled: called once, with it, when it is through: kept and handed to every outbox, or refused.
        outcome, error: one of them is set when its fate is known, which is earlier.
        lost: the store failed, for it and for everything behind it.
        over: it is through.
    """

    project: Project
    append: Append
    size: int
    begun: float
    settled: list[Callable[[Ticket], None]] = field(factory=list)
    outcome: Appended | Duplicate | None = None
    error: PeerError | None = None

    lost: bool = False
    over: bool = False


class Ingest:
    """Accepts publishes and commits them in groups. `committed` gets the tickets of each commit, in order."""

    def __init__(
        self,
        broker: Broker,
        settings: Settings,
        meter: Meter,
        *,
        committed: Callable[[list[Ticket]], None],
        failed: Callable[[str, BaseException], None],
        wall: Callable[[], int],
        new_epoch: Callable[[], str],
    ) -> None:
        self._broker = broker
        self._limits = settings.limits
        self._enforce = settings.lifecycle == "enforce"
        self._meter = meter
        self._committed = committed
        self._failed = failed
        self._wall = wall
        self._new_epoch = new_epoch
        self._waiting: deque[Ticket] = deque()
        self._in_flight: dict[Key, Ticket] = {}
        self._known: dict[tuple[str, str], dict[int, None]] = {}
        self._looking: dict[tuple[str, str], dict[int, None]] = {}
        self._wake = trio.Event()
        self._unfinished = 0
        self._unfinished_bytes = 0
        self._quiet = trio.Event()
        self._quiet.set()
        self.store_error: str | None = None
        self.afterwards: dict[Callable[[], None], None] = {}
        """Called once, in order, when the present lot of tickets is settled; for answers in one write."""

    # --- accepting ------------------------------------------------------------------------------

    async def known(self, key: Key, digest: bytes) -> Ticket | Duplicate | None:
        """What became of an earlier publish with this key: still under way, done, or none.

        Raises:
            Refused: ``idempotency_conflict``.
            Unavailable: the store cannot tell.
        """
        if key not in self._in_flight:
            try:
                ids = await self._ids((key.subject, key.producer_id))
                found = None
                if key not in self._in_flight and hash(key.id) in ids:
                    found = await self._broker.recorded(key, digest)
            except StoreUnavailable as error:
                raise self._unavailable(str(error)) from error
            if isinstance(found, Conflict):
                raise _conflict(key)
            if found is not None:
                return found
        in_flight = self._in_flight.get(key)
        if in_flight is not None and in_flight.append.digest != digest:
            raise _conflict(key)
        return in_flight

    def accept(self, project: Project, events: Sequence[Event], *, key: Key | None, digest: bytes) -> Ticket:
        """Judge `events` and queue them for the next commit.

        Raises:
            PeerError: refused; nothing is kept.
        """
        if self.store_error is not None:
            raise self._unavailable(self.store_error)
        if self._unfinished >= self._limits.max_waiting_publishes:
            raise self._overloaded()
        bodies = [_body(event, index) for index, event in enumerate(events)]
        sizes = [len(body) for body in bodies]
        if self._unfinished and self._unfinished_bytes + sum(sizes) > self._limits.max_waiting_bytes:
            raise self._overloaded()
        project.stage(events, sizes, self._limits, enforce=self._enforce)
        ends = events[-1].type == "project_deleted"
        append = Append(
            project.project_id,
            tuple(
                Draft(event.type, named_node(event), body) for event, body in zip(events, bodies, strict=True)
            ),
            self._wall(),
            self._new_epoch(),
            ends,
            project.staged.top["state"],
            len(project.staged),
            key,
            digest,
        )
        ticket = Ticket(project, append, sum(sizes), trio.current_time())
        self._queue(ticket)
        return ticket

    def _queue(self, ticket: Ticket) -> None:
        if ticket.append.key is not None:
            self._in_flight[ticket.append.key] = ticket
        self._waiting.append(ticket)
        self._unfinished_bytes += ticket.size
        self._unfinished += 1
        if self._unfinished == 1:
            self._quiet = trio.Event()
        self._wake.set()

    async def recover(self) -> None:
        """The prober task: while the store fails, find out when it works again."""
        while True:
            await trio.sleep(RETRY_AFTER)
            if self.store_error is None:
                continue
            await self.quiet()
            try:
                await self._broker.probe()
            except StoreUnavailable as error:
                self.store_error = str(error)
            else:
                self.store_error = None

    async def quiet(self) -> None:
        """Wait until everything accepted is settled."""
        while self._unfinished:
            await self._quiet.wait()

    @property
    def waiting(self) -> int:
        """Publishes that are accepted but not settled."""
        return self._unfinished

    async def _ids(self, producer: tuple[str, str]) -> dict[int, None]:
        """Hashes of the ids that a producer has used, as far as the store may know them."""
        ids = self._known.pop(producer, None)
        if ids is None:
            # What is committed while the store is asked may or may not be in its answer.
            meanwhile = self._looking.setdefault(producer, {})
            try:
                stored = await self._broker.producer_ids(*producer)
            finally:
                self._looking.pop(producer, None)
            ids = self._known.pop(producer, None)
            if ids is None:
                ids = dict.fromkeys(map(hash, stored)) | meanwhile
        self._known[producer] = ids
        if len(self._known) > PRODUCERS:
            self._known.pop(next(iter(self._known)))
        return ids

    # --- committing -----------------------------------------------------------------------------

    async def run(self) -> None:
        """The committer task."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                await self._commit(self._take())

    def _take(self) -> list[Ticket]:
        batch: list[Ticket] = []
        size = 0
        while self._waiting and len(batch) < BATCH and size < BATCH_BYTES:
            ticket = self._waiting.popleft()
            size += ticket.size
            batch.append(ticket)
        return batch

    async def _commit(self, batch: list[Ticket]) -> None:
        begun = trio.current_time()
        try:
            outcomes = await self._broker.append([ticket.append for ticket in batch])
        except StoreUnavailable as error:
            self._fail(batch, str(error))
            return
        self._meter.committed(len(batch), trio.current_time() - begun)
        for ticket, outcome in zip(batch, outcomes, strict=True):
            self._judge(ticket, outcome)
        self._committed(batch)

    def _judge(self, ticket: Ticket, outcome: Outcome) -> None:
        key = ticket.append.key
        if isinstance(outcome, Conflict):
            assert key is not None
            ticket.error = _conflict(key)
        else:
            ticket.outcome = outcome
        if isinstance(outcome, Appended) and key is not None:
            self._remember(key)

    def _remember(self, key: Key) -> None:
        producer = (key.subject, key.producer_id)
        for ids in (self._known.get(producer), self._looking.get(producer)):
            if ids is not None:
                ids[hash(key.id)] = None
                if len(ids) > IDS:
                    del ids[next(iter(ids))]

    def finish(self, tickets: list[Ticket]) -> None:
        """The fan-out is through with these: tell their producers."""
        for ticket in tickets:
            self._unfinished -= 1
            self._unfinished_bytes -= ticket.size
            key = ticket.append.key
            if key is not None and self._in_flight.get(key) is ticket:
                del self._in_flight[key]
            ticket.over = True
            for callback in ticket.settled:
                self._tell(partial(callback, ticket))
            ticket.settled.clear()
        afterwards, self.afterwards = self.afterwards, {}
        for answer in afterwards:
            self._tell(answer)
        if not self._unfinished:
            self._quiet.set()

    def _tell(self, callback: Callable[[], None]) -> None:
        """Call back; one producer's trouble is not the next one's."""
        try:
            callback()
        except Exception as error:
            self._failed("answer", error)

    def _fail(self, batch: list[Ticket], reason: str) -> None:
        """A commit failed: so does all that was accepted behind it."""
        self.store_error = reason
        lost = [*batch, *self._waiting]
        self._waiting.clear()
        for ticket in lost:
            ticket.error = self._unavailable(reason)
            ticket.lost = True
        self._committed(lost)

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"the store cannot take it now: {reason}", retry_after=RETRY_AFTER)

    def _overloaded(self) -> Unavailable:
        return Unavailable(
            f"{self._unfinished} publishes wait for the store", code="overloaded", retry_after=RETRY_AFTER
        )


def _body(event: Event, index: int) -> bytes:
    try:
        return encode_body(event)
    except InvalidInput as error:
        error.field = f"events[{index}].{error.field}"
        raise


def _conflict(key: Key) -> Refused:
    return Refused(
        f"id {key.id} of producer {key.producer_id!r} was used for another publish",
        code="idempotency_conflict",
        field="id",
    )
