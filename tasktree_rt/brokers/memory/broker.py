"""A broker in memory: the contract of `brokers.base` without durability.

`contents` has what is kept, `trimming` deletes what retention no longer wants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import islice

import trio
from attrs import evolve

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Bounds,
    Checkpoint,
    Conflict,
    Death,
    Duplicate,
    Following,
    Found,
    Interaction,
    Key,
    Life,
    Outcome,
    Outline,
    Place,
    Retention,
    Salvaged,
    Settled,
    Snapshot,
    Summary,
    Trimmed,
    Where,
)
from tasktree_rt.brokers.base.scan import scan
from tasktree_rt.brokers.memory.access import MemoryAccess
from tasktree_rt.brokers.memory.contents import Interactions, Log, PublishIds, Wanted
from tasktree_rt.brokers.memory.trimming import trim_deaths, trim_interactions, trim_logs, trim_producers
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered, gap, gap_before
from tasktree_rt.core.search import Query
from tasktree_rt.core.topics import user_of


class MemoryBroker:
    """A `Broker` whose contents end with the process; its contract says what each method does.

    `trim` alone bounds them.
    """

    name = "memory:"
    durable = False
    following: Following | None = None

    def __init__(self) -> None:
        self.access = MemoryAccess()
        self._lives: dict[str, Log] = {}
        self._deaths: dict[str, Death] = {}
        self._producers = PublishIds()
        self._interactions = Interactions()

    async def open(self) -> None:
        """Do nothing: memory needs no opening."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Do nothing: what was kept can still be read."""
        await trio.lowlevel.checkpoint()

    async def probe(self) -> None:
        """Do nothing: memory can always be written."""
        await trio.lowlevel.checkpoint()

    async def verify(self) -> None:
        """Do nothing: no other hub can open it."""
        await trio.lowlevel.checkpoint()

    # --- log ------------------------------------------------------------------------------------------

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch`, at once."""
        await trio.lowlevel.checkpoint()
        if not all(entry.drafts for entry in batch):
            raise ValueError("an Append needs at least one draft")
        return [self._append(entry) for entry in batch]

    def _append(self, entry: Append) -> Outcome:
        if entry.key is not None:
            known = self._producers.recorded(entry.key, entry.digest)
            if known is not None:
                return known
        life = self._live(entry)
        first = life.append(entry)
        if entry.key is not None:
            kept = Duplicate(entry.project_id, life.epoch, first, len(entry.drafts))
            self._producers.record(entry.key, entry.digest, kept, entry.received)
        if entry.opens or entry.settles:
            self._interactions.open(entry.opens)
            self._interactions.settle(entry.settles, entry.received)
        if entry.ends:
            self._deaths[entry.project_id] = Death(life.epoch, life.records[-1])
            del self._lives[entry.project_id]
        return Appended(life.epoch, first, life.received)

    def _live(self, entry: Append) -> Log:
        life = self._lives.get(entry.project_id)
        if life is None:
            death = self._deaths.get(entry.project_id)
            life = Log(entry.new_epoch, death.record.received if death else 0, entry.owner)
            self._lives[entry.project_id] = life
        return life

    def _life_of(self, project_id: str, epoch: str) -> Log | None:
        life = self._lives.get(project_id)
        return life if life is not None and life.epoch == epoch else None

    async def load(self, project_id: str) -> Life:
        """Return the project's present life."""
        await trio.lowlevel.checkpoint()
        death = self._deaths.get(project_id)
        life = self._lives.get(project_id)
        if life is None:
            return _no_life(death)
        checkpoint = life.checkpoints.get(life.newest_checkpoint)
        tail = tuple(life.after(checkpoint.seq if checkpoint else 0))
        outline = life.outline(death)
        return evolve(outline, checkpoint=checkpoint, tail=tail)

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
        """Return events after a position."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        if life is None:
            return Recovered(()) if since == BEGINNING else Gap("epoch")
        missing = gap(since, life.epoch, life.head, life.floor)
        if missing is not None:
            return missing
        return Recovered(tuple(Wanted(limit, max_bytes, type, node_id).take(life.after(since.seq))))

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
        """Return the newest events up to a position."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        if life is None:
            return Gap("epoch")
        missing = gap_before(before, life.epoch, life.head)
        if missing is not None:
            return missing
        found = Wanted(limit, max_bytes, type, node_id).take(life.up_to(before.seq))
        return Recovered(tuple(reversed(found)))

    async def trim(
        self,
        retention: Retention,
        now: int,
        *,
        spared: Collection[str] = (),
        trimmed: Callable[[Trimmed], None] = lambda _: None,
    ) -> dict[str, Position]:
        """Delete what retention does not want, in small steps."""
        await trio.lowlevel.checkpoint()
        floors = await trim_logs(self._lives, retention, now, spared, trimmed)
        await trim_producers(self._producers, now)
        await trim_interactions(self._interactions, retention, now)
        trim_deaths(self._deaths, retention, now)
        return floors

    # --- search ---------------------------------------------------------------------------------------

    @property
    def indexes(self) -> bool:
        """Memory has no index."""
        return False

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None = None) -> Found:
        """Read the logs from their ends, as far as the bounds let."""
        return await scan(self, query, where, bounds, after)

    async def index(self) -> bool:
        """Do nothing: memory has no index."""
        await trio.lowlevel.checkpoint()
        return False

    # --- producers ------------------------------------------------------------------------------------

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """Return the known ids of a producer, oldest first."""
        await trio.lowlevel.checkpoint()
        return self._producers.ids((subject, producer_id))

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Return the outcome that an append with this key would have."""
        await trio.lowlevel.checkpoint()
        return self._producers.recorded(key, digest)

    # --- interactions ---------------------------------------------------------------------------------

    async def interaction(self, interaction_id: str) -> Interaction | None:
        """Return a prompt or command by its id."""
        await trio.lowlevel.checkpoint()
        return self._interactions.get(interaction_id)

    async def interactions(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        name: str | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Interaction]:
        """Return prompts and commands after a place, or before one."""
        await trio.lowlevel.checkpoint()
        found = self._interactions.select(
            open=open, kind=kind, topic=topic, name=name, after=after, before=before
        )
        return list(islice(found, limit))

    # --- projects -------------------------------------------------------------------------------------

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Return the list of projects, by id."""
        await trio.lowlevel.checkpoint()
        ids = sorted(one for one in self._lives if one > after and user_of(one) is None)[:limit]
        return [self._lives[project_id].summary(project_id) for project_id in ids]

    async def count_projects(self) -> int:
        """Count the projects with a log."""
        await trio.lowlevel.checkpoint()
        return sum(1 for one in self._lives if user_of(one) is None)

    async def owned(self) -> dict[tuple[str, bool], int]:
        """Count the logs of each owner."""
        await trio.lowlevel.checkpoint()
        return Counter((life.owner, user_of(name) is not None) for name, life in self._lives.items())

    async def stored_bytes(self) -> dict[str, int]:
        """Sum up the bytes of each owner's logs."""
        await trio.lowlevel.checkpoint()
        found: Counter[str] = Counter()
        for life in self._lives.values():
            found[life.owner] += life.size
        return found

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Find projects whose newest event is old and not in a checkpoint."""
        await trio.lowlevel.checkpoint()
        lives = self._lives.items()
        found = (name for name, one in lives if one.received < before and one.newest_checkpoint < one.head)
        return list(islice(found, limit))

    # --- states ---------------------------------------------------------------------------------------

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, unless its life is over."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(project_id, checkpoint.epoch)
        if life is not None:
            life.checkpoints[checkpoint.seq] = checkpoint

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """Return the newest checkpoint at or before a position."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(project_id, position.epoch)
        if life is None:
            return None
        return life.checkpoints.get(life.checkpoint_before(position.seq))

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot, unless its life is over."""
        await trio.lowlevel.checkpoint()
        life = self._life_of(snapshot.project_id, snapshot.epoch)
        if life is not None:
            life.snapshots[snapshot.snapshot_id] = (snapshot, parts)

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """Return the list of a project's snapshots, oldest first, or of all."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id or "")
        lives = self._lives.values() if project_id is None else [life] if life else []
        kept = [snapshot for one in lives for snapshot, _ in one.snapshots.values()]
        return sorted(kept, key=lambda snapshot: (snapshot.created, snapshot.snapshot_id))

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """Return a snapshot with its parts."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return life.snapshots.get(snapshot_id) if life else None

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Delete a snapshot; False if there is none."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return life is not None and life.snapshots.pop(snapshot_id, None) is not None

    # --- damage: memory has none, but any project can be recovered --------------------------------------

    async def outline(self, project_id: str) -> Outline:
        """Return what is known of a project beside its log."""
        await trio.lowlevel.checkpoint()
        death = self._deaths.get(project_id)
        life = self._lives.get(project_id)
        if life is None:
            return Outline(_no_life(death), None, 0)
        return Outline(life.outline(death), life.summary(project_id), life.head)

    async def checkpoints(self, project_id: str) -> list[int]:
        """Return the seqs of a project's checkpoints, the newest first."""
        await trio.lowlevel.checkpoint()
        life = self._lives.get(project_id)
        return sorted(life.checkpoints, reverse=True) if life else []

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Return events after a seq."""
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
        life.recover(at.seq, new_epoch)
        self._interactions.settle(settles, life.received)
        return True


def _no_life(death: Death | None) -> Life:
    return Life("", 0, 0, death.record.received if death else 0, None, (), death)
