"""A broker in Redis, which several hubs can share; the parts do the work.

`brokers.base` says what each method does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import trio

from tasktree_rt.brokers.base import (
    Append,
    Bounds,
    Checkpoint,
    Conflict,
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
from tasktree_rt.brokers.redis.store.access import RedisAccess
from tasktree_rt.brokers.redis.store.appending import Appending
from tasktree_rt.brokers.redis.store.engine import TIMEOUT, Engine
from tasktree_rt.brokers.redis.store.following import RedisFollowing
from tasktree_rt.brokers.redis.store.interactions import RedisInteractions
from tasktree_rt.brokers.redis.store.log import Described, RedisLog, Wanted
from tasktree_rt.brokers.redis.store.records import pack, packed_settlements, producer_name, read_known
from tasktree_rt.brokers.redis.store.scripts import CALL, PROJECTS, RECOVER
from tasktree_rt.brokers.redis.store.source import read_source
from tasktree_rt.brokers.redis.store.states import RedisStates
from tasktree_rt.brokers.redis.store.trimming import RedisTrimming
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.search import Query
from tasktree_rt.core.topics import user_of


class RedisBroker:
    """A `Broker` that keeps everything in one Redis. Several hubs may have it open.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://``.
        password: in place of one in the URL.
        prefix: begins the name of every key; hubs with different ones can share a Redis.
        replicas: how many replicas must have an append before it is acknowledged.
        timeout: seconds that Redis may take for an answer.
    """

    durable = True

    def __init__(
        self,
        url: str,
        *,
        password: str = "",
        prefix: str = "tt",
        replicas: int = 0,
        timeout: float = TIMEOUT,
    ) -> None:
        self._engine = engine = Engine(read_source(url, password), prefix, timeout)
        self.name = engine.name
        self.access = RedisAccess(engine)
        self.following: Following | None = RedisFollowing(engine)
        self._states = RedisStates(engine)
        self._log = RedisLog(engine, self._states)
        self._appending = Appending(engine, self._log, replicas)
        self._interactions = RedisInteractions(engine)
        self._trimming = RedisTrimming(engine)

    async def open(self) -> None:
        """Connect, and check what kind of Redis it is."""
        await self._engine.open()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.aclose()

    async def probe(self) -> None:
        """Write a sign of life."""
        await self._engine.alive()

    async def verify(self) -> None:
        """Write a sign of life."""
        await self._engine.alive()

    # --- log ------------------------------------------------------------------------------------------

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch`, in one script."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not all(entry.drafts for entry in batch):
            raise ValueError("an Append needs at least one draft")
        return await self._appending.append(batch) if batch else []

    async def load(self, project_id: str) -> Life:
        """Read the project's present life."""
        return await self._log.load(project_id)

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
        return await self._log.read(project_id, since, Wanted(limit, max_bytes, type, node_id))

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
        return await self._log.read_back(project_id, before, Wanted(limit, max_bytes, type, node_id))

    async def trim(
        self,
        retention: Retention,
        now: int,
        *,
        spared: Collection[str] = (),
        trimmed: Callable[[Trimmed], None] = lambda _: None,
    ) -> dict[str, Position]:
        """Delete what retention does not want, in short scripts."""
        return await self._trimming.trim(retention, now, spared, trimmed)

    # --- search ---------------------------------------------------------------------------------------

    @property
    def indexes(self) -> bool:
        """Redis has no index."""
        return False

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None = None) -> Found:
        """Read the logs from their ends, as far as the bounds let."""
        return await scan(self, query, where, bounds, after)

    async def index(self) -> bool:
        """Do nothing: there is no index."""
        await trio.lowlevel.checkpoint()
        return False

    # --- producers ------------------------------------------------------------------------------------

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """Return the known ids of a producer, oldest first."""
        order = b"i:" + producer_name(subject, producer_id) + b":order"
        _, found = await self._engine.run(CALL, "LRANGE", order, 0, -1)
        return [one.decode() for one in found]

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Return the outcome that an append with this key would have."""
        _, row = await self._engine.run(CALL, "HGET", b"i:" + producer_name(*key.producer), key.id)
        return None if row is None else read_known(row, digest)

    # --- interactions ---------------------------------------------------------------------------------

    async def interaction(self, interaction_id: str) -> Interaction | None:
        """Return a prompt or command by its id."""
        return await self._interactions.get(interaction_id)

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
        return await self._interactions.find(
            open=open, kind=kind, topic=topic, name=name, after=after, before=before, limit=limit
        )

    # --- projects -------------------------------------------------------------------------------------

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Return the list of projects, by id."""
        _, rows = await self._engine.run(PROJECTS, after, limit)
        return [_summary(*row) for row in rows]

    async def count_projects(self) -> int:
        """Count the projects with a log."""
        _, found = await self._engine.run(CALL, "ZCARD", "projects")
        return int(found)

    async def owned(self) -> dict[tuple[str, bool], int]:
        """Count the logs of each owner."""
        found = await self._counts("owned")
        return {(name[1:], name[0] == "u"): number for name, number in found.items()}

    async def stored_bytes(self) -> dict[str, int]:
        """Sum up the bytes of each owner's logs."""
        return {owner: size for owner, size in (await self._counts("bytes")).items() if size}

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Find projects whose newest event is old and not in a checkpoint."""
        _, found = await self._engine.run(
            CALL, "ZRANGEBYSCORE", "uncovered", "-inf", f"({before}", "LIMIT", 0, limit
        )
        return [one.decode() for one in found]

    async def _counts(self, name: str) -> Counter[str]:
        _, flat = await self._engine.run(CALL, "HGETALL", name)
        return Counter({key.decode(): int(number) for key, number in zip(flat[::2], flat[1::2], strict=True)})

    # --- states ---------------------------------------------------------------------------------------

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, unless its life is over."""
        await self._states.save_checkpoint(project_id, checkpoint)

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """Return the newest checkpoint at or before a position."""
        return await self._states.checkpoint_at(project_id, position)

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot, unless its life is over."""
        await self._states.save_snapshot(snapshot, parts)

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """Return the list of a project's snapshots, oldest first, or of all."""
        return await self._states.snapshots(project_id)

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """Return a snapshot with its parts."""
        return await self._states.snapshot(project_id, snapshot_id)

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Delete a snapshot; False if there is none."""
        return await self._states.delete_snapshot(project_id, snapshot_id)

    # --- damage ---------------------------------------------------------------------------------------

    async def outline(self, project_id: str) -> Outline:
        """Describe a project without its log."""
        found = await self._log.describe(project_id)
        is_project = found.life.epoch and user_of(project_id) is None
        return Outline(found.life, _described(project_id, found) if is_project else None, found.life.head)

    async def checkpoints(self, project_id: str) -> list[int]:
        """Return the seqs of a project's checkpoints, the newest first."""
        return list((await self._log.describe(project_id)).checkpoints)

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Return the readable events after a seq."""
        return await self._log.salvage(project_id, after, limit)

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Go on from a checkpoint under another epoch."""
        settled = pack(packed_settlements(settles))
        (outcome,) = await self._engine.write(RECOVER, project_id, at.epoch, at.seq, new_epoch, settled)
        return bool(outcome == "ok")


def _summary(topic: bytes, fields: Sequence[Any]) -> Summary:
    epoch, head, received, state, nodes, about = fields
    named = state[1:].decode() if state else None
    return Summary(
        topic.decode(), epoch.decode(), int(head), named, int(nodes or 0), int(received), about or b""
    )


def _described(project_id: str, found: Described) -> Summary:
    life = found.life
    return Summary(project_id, life.epoch, life.head, found.state, found.nodes, life.received, found.about)
