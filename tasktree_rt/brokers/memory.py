"""A broker in memory: the contract of `brokers.base` without durability, for tests and throw-away hubs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final

import trio
from attrs import Factory, define, evolve

from tasktree_rt.brokers.base import (
    KEPT_DEATHS_AGE,
    KEPT_IDS,
    KEPT_IDS_AGE,
    Append,
    Appended,
    Checkpoint,
    Conflict,
    Death,
    Duplicate,
    Key,
    Life,
    Matter,
    Outcome,
    Outline,
    Retention,
    Salvaged,
    Settled,
    Snapshot,
    Summary,
)
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered, gap, gap_before
from tasktree_rt.core.topics import user_of

_TRIMMED_AT_ONCE: Final = 500
"""Projects and producers that `trim` looks at before it lets others run."""


@define
class _Life:
    """One project's life; ``records[i]`` is event ``floor + 1 + i``."""

    epoch: str
    received: int
    owner: str = ""
    floor: int = 0
    state: str | None = None
    nodes: int = 0
    about: bytes = b""
    records: list[Record] = Factory(list)
    checkpoints: dict[int, Checkpoint] = Factory(dict)
    snapshots: dict[str, tuple[Snapshot, tuple[bytes, ...]]] = Factory(dict)

    @property
    def head(self) -> int:
        return self.floor + len(self.records)

    @property
    def newest_checkpoint(self) -> int:
        """Its seq, 0 without one."""
        return self.checkpoint_before(self.head)

    def checkpoint_before(self, seq: int) -> int:
        """The seq of the newest checkpoint at or before `seq`, 0 without one."""
        return max((at for at in self.checkpoints if at <= seq), default=0)

    def after(self, seq: int) -> Iterator[Record]:
        return islice(self.records, max(0, seq - self.floor), None)

    def trim(self, retention: Retention, now: int) -> bool:
        """Drop what retention does not want, up to a checkpoint; whether there was any."""
        cutoff = now - round(retention.max_age * 1_000_000)
        wanted = max(0, len(self.records) - retention.max_events)
        while wanted < len(self.records) and self.records[wanted].received < cutoff:
            wanted += 1
        floor = self.checkpoint_before(self.floor + wanted)
        if floor <= self.floor:
            return False
        del self.records[: floor - self.floor]
        self.floor = floor
        self.checkpoints = {seq: kept for seq, kept in self.checkpoints.items() if seq >= floor}
        return True


@define
class _Published:
    """What is known of one publish."""

    digest: bytes
    first: Duplicate
    received: int

    def again(self, digest: bytes) -> Duplicate | Conflict:
        return self.first if digest == self.digest else Conflict()


class MemoryBroker:
    """See `brokers.base.Broker`. Gone with the process; bounded by `trim` alone."""

    name = "memory:"
    durable = False

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._deaths: dict[str, Death] = {}
        self._published: dict[tuple[str, str], dict[str, _Published]] = {}
        self._matters: dict[str, Matter] = {}
        self._places = 0

    async def open(self) -> None:
        """Nothing to do."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Nothing to do: what was kept can still be read."""
        await trio.lowlevel.checkpoint()

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch`."""
        await trio.lowlevel.checkpoint()
        if not all(entry.drafts for entry in batch):
            raise ValueError("an Append needs at least one draft")
        return [self._append(entry) for entry in batch]

    def _append(self, entry: Append) -> Outcome:
        known = self._known(entry.key)
        if known is not None:
            return known.again(entry.digest)
        life = self._live(entry)
        life.received = received = max(entry.received, life.received)
        life.state, life.nodes, life.about = entry.state, entry.nodes, entry.about
        first = life.head + 1
        life.records.extend(
            Record(seq, draft.type, draft.node_id, received, draft.body)
            for seq, draft in enumerate(entry.drafts, first)
        )
        if entry.key is not None:
            kept = Duplicate(entry.project_id, life.epoch, first, len(entry.drafts))
            producer = self._published.setdefault((entry.key.subject, entry.key.producer_id), {})
            producer[entry.key.id] = _Published(entry.digest, kept, entry.received)
        for one in entry.opens:
            self._places += 1
            self._matters[one.id] = evolve(one, place=self._places)
        self._settle(entry.settles, entry.received)
        if entry.ends:
            self._deaths[entry.project_id] = Death(life.epoch, life.records[-1])
            del self._lives[entry.project_id]
        return Appended(life.epoch, first, received)

    def _settle(self, settles: Sequence[Settled], received: int) -> None:
        for settled in settles:
            waiting = self._matters.get(settled.id)
            if waiting is not None and waiting.settled is None:
                self._matters[settled.id] = evolve(waiting, settled=received, outcome=settled.outcome)

    def _live(self, entry: Append) -> _Life:
        life = self._lives.get(entry.project_id)
        if life is None:
            death = self._deaths.get(entry.project_id)
            life = _Life(entry.new_epoch, death.record.received if death else 0, entry.owner)
            self._lives[entry.project_id] = life
        return life

    def _known(self, key: Key | None) -> _Published | None:
        if key is None:
            return None
        return self._published.get((key.subject, key.producer_id), {}).get(key.id)

    def _life_of(self, project_id: str, epoch: str) -> _Life | None:
        life = self._lives.get(project_id)
        return life if life is not None and life.epoch == epoch else None

    async def load(self, project_id: str) -> Life:
        """The project's life as it stands."""
        await trio.lowlevel.checkpoint()
        death = self._deaths.get(project_id)
        life = self._lives.get(project_id)
        if life is None:
            return Life("", 0, 0, death.record.received if death else 0, None, (), death)
        checkpoint = life.checkpoints.get(life.newest_checkpoint)
        tail = tuple(life.after(checkpoint.seq if checkpoint else 0))
        return Life(life.epoch, life.head, life.floor, life.received, checkpoint, tail, death, life.owner)

    async def read(
        self,
        project_id: str,
        since: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Events after a position."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        if life is None:
            return Recovered(()) if since == BEGINNING else Gap("epoch")
        missing = gap(since, life.epoch, life.head, life.floor)
        if missing is not None:
            return missing
        found: list[Record] = []
        for record in life.after(since.seq):
            if type not in (None, record.type) or node_id not in (None, record.node_id):
                continue
            max_bytes -= len(record.body)
            if len(found) >= limit or (found and max_bytes < 0):
                break
            found.append(record)
        return Recovered(tuple(found))

    async def read_back(
        self,
        project_id: str,
        before: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Events before a position."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        if life is None:
            return Gap("epoch")
        missing = gap_before(before, life.epoch, life.head)
        if missing is not None:
            return missing
        found: list[Record] = []
        for place in range(before.seq - life.floor - 1, -1, -1):
            record = life.records[place]
            if type not in (None, record.type) or node_id not in (None, record.node_id):
                continue
            max_bytes -= len(record.body)
            if len(found) >= limit or (found and max_bytes < 0):
                break
            found.append(record)
        return Recovered(tuple(reversed(found)))

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """The ids known of a producer, oldest first."""
        await trio.lowlevel.checkpoint()
        return list(self._published.get((subject, producer_id), ()))

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """What a publish with this key would get now."""
        await trio.lowlevel.checkpoint()
        known = self._known(key)
        return known.again(digest) if known else None

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(project_id, checkpoint.epoch)
        if life is not None:
            life.checkpoints[checkpoint.seq] = checkpoint

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """The newest checkpoint at or before a position."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(project_id, position.epoch)
        if life is None:
            return None
        return life.checkpoints.get(life.checkpoint_before(position.seq))

    async def trim(
        self, retention: Retention, now: int, *, spared: Collection[str] = ()
    ) -> dict[str, Position]:
        """Drop what nobody can need."""
        floors: dict[str, Position] = {}
        await trio.lowlevel.checkpoint()
        for done, (project_id, life) in enumerate(list(self._lives.items()), 1):
            wanted = project_id not in spared and self._lives.get(project_id) is life
            if wanted and life.trim(retention, now):
                floors[project_id] = Position(life.epoch, life.floor)
            if done % _TRIMMED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        for done, producer in enumerate(list(self._published), 1):
            self._forget_ids(producer, now - KEPT_IDS_AGE)
            if done % _TRIMMED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        cutoff = now - round(retention.max_age * 1_000_000)
        old = [one.id for one in self._matters.values() if one.settled is not None and one.settled < cutoff]
        for matter_id in old:
            del self._matters[matter_id]
        await self._forget_matters(retention.max_events)
        dead = min(cutoff, now - KEPT_DEATHS_AGE)
        for name in [one for one, death in self._deaths.items() if death.record.received < dead]:
            del self._deaths[name]
        return floors

    async def _forget_matters(self, most: int) -> None:
        """Forget the oldest of an owner's settled ones beyond so many."""
        kept: Counter[str] = Counter()
        for done, one in enumerate(list(reversed(self._matters.values())), 1):
            if one.settled is not None:
                kept[one.owner] += 1
                if kept[one.owner] > most:
                    self._matters.pop(one.id, None)
            if done % _TRIMMED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _forget_ids(self, producer: tuple[str, str], cutoff: int) -> None:
        """Forget a producer's oldest publishes, up to the first that must be known."""
        ids = self._published[producer]
        beyond = len(ids) - KEPT_IDS
        old: list[str] = []
        for place, (one, published) in enumerate(ids.items()):
            if place >= beyond and published.received >= cutoff:
                break
            old.append(one)
        for one in old:
            del ids[one]
        if not ids:
            del self._published[producer]

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Projects whose newest event is older, and not in a checkpoint."""
        await trio.lowlevel.checkpoint()
        lives = self._lives.items()
        found = (name for name, one in lives if one.received < before and one.newest_checkpoint < one.head)
        return list(islice(found, limit))

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Projects with a log, by id."""
        await trio.lowlevel.checkpoint()
        ids = sorted(one for one in self._lives if one > after and user_of(one) is None)[:limit]
        return [_summary(project_id, self._lives[project_id]) for project_id in ids]

    async def count_projects(self) -> int:
        """How many projects have a log."""
        await trio.lowlevel.checkpoint()
        return sum(1 for one in self._lives if user_of(one) is None)

    async def owned(self) -> dict[tuple[str, bool], int]:
        """How many logs there are of each owner."""
        await trio.lowlevel.checkpoint()
        return Counter((life.owner, user_of(name) is not None) for name, life in self._lives.items())

    async def matter(self, matter_id: str) -> Matter | None:
        """A prompt or a command."""
        await trio.lowlevel.checkpoint()
        return self._matters.get(matter_id)

    async def matters(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Matter]:
        """Prompts and commands after a place."""
        await trio.lowlevel.checkpoint()
        found = (
            one
            for one in self._matters.values()
            if one.place > after
            and open in (None, one.settled is None)
            and kind in (None, one.kind)
            and (topic is None or topic in one.topics)
        )
        return list(islice(found, limit))

    async def outline(self, project_id: str) -> Outline:
        """A project as it stands."""
        await trio.lowlevel.checkpoint()
        death = self._deaths.get(project_id)
        life = self._lives.get(project_id)
        if life is None:
            return Outline(Life("", 0, 0, death.record.received if death else 0, None, (), death), None, 0)
        found = Life(life.epoch, life.head, life.floor, life.received, None, (), death, life.owner)
        return Outline(found, _summary(project_id, life), life.head)

    async def checkpoints(self, project_id: str) -> list[int]:
        """The seqs of a project's checkpoints."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return sorted(life.checkpoints, reverse=True) if life else []

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Events after a seq."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        if life is None:
            return Salvaged((), 0)
        found = tuple(islice(life.after(after), limit))
        return Salvaged(found, found[-1].seq if len(found) == limit else life.head)

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Go on from a checkpoint under another epoch."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(project_id, at.epoch)
        if life is None:
            return False
        life.checkpoints = {
            seq: Checkpoint(new_epoch, seq, one.parts)
            for seq, one in life.checkpoints.items()
            if seq == at.seq
        }
        life.records = list(life.after(at.seq))
        life.floor, life.epoch = max(life.floor, at.seq), new_epoch
        self._settle(settles, life.received)
        return True

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(snapshot.project_id, snapshot.epoch)
        if life is not None:
            life.snapshots[snapshot.snapshot_id] = (snapshot, parts)

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """A project's snapshots, oldest first, or all there are."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id or "")
        lives = self._lives.values() if project_id is None else [life] if life else []
        kept = [snapshot for one in lives for snapshot, _ in one.snapshots.values()]
        return sorted(kept, key=lambda snapshot: (snapshot.created, snapshot.snapshot_id))

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """One of them with its parts."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return life.snapshots.get(snapshot_id) if life else None

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Forget one of them."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return life is not None and life.snapshots.pop(snapshot_id, None) is not None

    async def probe(self) -> None:
        """Memory can always be written."""
        await trio.lowlevel.checkpoint()

    async def verify(self) -> None:
        """Nobody opens it again."""
        await trio.lowlevel.checkpoint()


def _summary(project_id: str, life: _Life) -> Summary:
    return Summary(project_id, life.epoch, life.head, life.state, life.nodes, life.received, life.about)
