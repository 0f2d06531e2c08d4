"""Reading logs: a life whole, events after or before a position."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from attrs import define, evolve, frozen

from tasktree_rt.brokers.base import Checkpoint, Life, Salvaged
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.records import last_seq, read_death, records_of
from tasktree_rt.brokers.redis.store.scripts import EVENTS, LIFE
from tasktree_rt.brokers.redis.store.states import RedisStates
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered, gap, gap_before
from tasktree_rt.errors import StoreDamaged

PAGE_BYTES: Final = 512 * 1024
"""Bytes of events that one request reads, or one entry."""


@frozen
class Described:
    """A life without its events, and the seqs of its checkpoints, the newest first."""

    life: Life
    checkpoints: tuple[int, ...]
    state: str | None = None
    nodes: int = 0
    about: bytes = b""


@frozen
class _Page:
    """A page of a log: its life's epoch ("" without one), head and floor, and entries."""

    epoch: str
    head: int
    floor: int
    entries: list[Any]


@define
class Wanted:
    """Bounds and filters of a read: `limit` events, about `max_bytes`; a type and a node, or any.

    Attributes:
        found: the events taken so far; None without any.
    """

    limit: int
    max_bytes: int
    type: str | None
    node_id: str | None
    found: Recovered | None = None

    def take(self, records: list[Record]) -> bool:
        """Take the wanted ones of `records`, in their order; return whether a bound is reached."""
        taken = list(self.found.records) if self.found is not None else []
        full = False
        for record in records:
            if self.type not in (None, record.type) or self.node_id not in (None, record.node_id):
                continue
            self.max_bytes -= len(record.body)
            full = len(taken) >= self.limit or (bool(taken) and self.max_bytes < 0)
            if full:
                break
            taken.append(record)
        self.found = Recovered(tuple(taken)) if taken else None
        return full


class RedisLog:
    """Read logs."""

    def __init__(self, engine: Engine, states: RedisStates) -> None:
        self._engine = engine
        self._states = states

    async def describe(self, topic: str) -> Described:
        """Describe a log; a life of an earlier generation gets a new epoch."""
        _, life, death, checkpoints = await self._engine.run(LIFE, topic)
        epoch, head, floor, received, owner, size, state, nodes, about, _ = life
        known = read_death(death)
        if epoch is None:
            return Described(Life("", 0, 0, known.record.received if known else 0, None, (), known), ())
        found = Life(
            epoch.decode(), int(head), int(floor), int(received), None, (), known, owner.decode(), int(size)
        )
        named = state[1:].decode() if state else None
        return Described(found, tuple(map(int, checkpoints)), named, int(nodes or 0), about or b"")

    async def load(self, topic: str) -> Life:
        """Read a project's present life: its newest checkpoint and every event after it."""
        while True:
            described = await self.describe(topic)
            life = described.life
            if not life.epoch:
                return life
            checkpoint = await self._newest_checkpoint(topic, described)
            if described.checkpoints and checkpoint is None:
                if (await self.describe(topic)).checkpoints == described.checkpoints:
                    raise StoreDamaged(topic, f"checkpoint at {described.checkpoints[0]} is gone")
                continue  # deleted meanwhile
            since = checkpoint.seq if checkpoint is not None else 0
            tail = await self._tail(topic, life, since)
            if tail is not None:
                return evolve(life, checkpoint=checkpoint, tail=tail)

    async def _newest_checkpoint(self, topic: str, described: Described) -> Checkpoint | None:
        if not described.checkpoints:
            return None
        return await self._states.checkpoint(topic, described.life.epoch, described.checkpoints[0])

    async def _tail(self, topic: str, life: Life, since: int) -> tuple[Record, ...] | None:
        """Read the events after `since` up to the head; None if another life began meanwhile.

        Raises:
            StoreDamaged: an event is missing.
        """
        found: list[Record] = []
        reached = since
        while reached < life.head:
            page = await self._page(topic, "after", reached)
            if page.epoch != life.epoch:
                return None
            records = [one for one in records_in(topic, page.entries) if one.seq > reached]
            if not records or records[0].seq != reached + 1:
                raise StoreDamaged(topic, f"event {reached + 1} is missing")
            found += records
            reached = found[-1].seq
        del found[life.head - since :]
        return tuple(found)

    async def _page(self, topic: str, direction: str, seq: int) -> _Page:
        _, epoch, head, floor, entries = await self._engine.run(EVENTS, topic, direction, seq, PAGE_BYTES)
        if epoch is None:
            return _Page("", 0, 0, [])
        return _Page(epoch.decode(), int(head), int(floor), entries)

    async def read(self, topic: str, since: Position, wanted: Wanted) -> Recovered | Gap:
        """Return events after a position."""
        at = since
        while True:
            page = await self._page(topic, "after", at.seq)
            if not page.epoch:
                return Recovered(()) if at == BEGINNING else wanted.found or Gap("epoch")
            missing = gap(at, page.epoch, page.head, page.floor)
            if missing is not None:
                return wanted.found or missing
            records = [one for one in records_in(topic, page.entries) if one.seq > at.seq]
            if wanted.take(records) or not records:
                return wanted.found or Recovered(())
            at = Position(page.epoch, records[-1].seq)

    async def read_back(self, topic: str, before: Position, wanted: Wanted) -> Recovered | Gap:
        """Return events up to a position."""
        at = before
        while True:
            page = await self._page(topic, "before", at.seq)
            missing = gap_before(at, page.epoch, page.head) if page.epoch else Gap("epoch")
            if missing is not None:
                return wanted.found or missing
            records = [one for one in records_in(topic, page.entries) if page.floor < one.seq <= at.seq]
            records.sort(key=attrgetter("seq"), reverse=True)
            if wanted.take(records) or not records:
                return Recovered(wanted.found.records[::-1] if wanted.found else ())
            at = Position(page.epoch, records[-1].seq - 1)

    async def salvage(self, topic: str, after: int, limit: int) -> Salvaged:
        """Return the readable events after a seq."""
        found: list[Record] = []
        reached = after
        while True:
            page = await self._page(topic, "after", reached)
            if not page.epoch:
                return Salvaged((), 0)
            for entry in page.entries:
                found += (one for one in readable(entry) if one.seq > max(after, page.floor))
                reached = max(reached, last_seq(entry))
            if len(found) >= limit:
                return Salvaged(tuple(found[:limit]), found[limit - 1].seq)
            if not page.entries:
                return Salvaged(tuple(found), page.head)


def records_in(topic: str, entries: list[Any]) -> list[Record]:
    """Read entries.

    Raises:
        StoreDamaged: an entry cannot be read.
    """
    found: list[Record] = []
    for entry in entries:
        try:
            found += records_of(entry)
        except ValueError as error:
            raise StoreDamaged(topic, str(error)) from error
    return found


def readable(entry: Any) -> list[Record]:  # noqa: ANN401 - what Redis answers
    """Read an entry; none of its events if it is damaged."""
    try:
        return list(records_of(entry))
    except ValueError:
        return []
