"""Checkpoints and named snapshots: lists of parts, written under a temporary key and then taken whole."""

from __future__ import annotations

from secrets import token_hex
from typing import Final

import msgspec

from tasktree_rt.brokers.base import Checkpoint, Snapshot
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.records import pack
from tasktree_rt.brokers.redis.store.scripts import (
    CHECKPOINT_AT,
    DELETE_SNAPSHOT,
    PARTS,
    SAVE_CHECKPOINT,
    SAVE_SNAPSHOT,
    SNAPSHOTS,
)
from tasktree_rt.core.log import Position

_MARKER: Final = b"parts"
"""The first item of each list: a state without parts is a list too."""
_WRITTEN: Final = 256 * 1024
"""Bytes of parts that one command writes, or one part."""
_READ: Final = 16
"""Parts that one request reads."""
_KEPT: Final = 600
"""Seconds for which unfinished parts are kept."""

_read_snapshot = msgspec.msgpack.Decoder(tuple[str, str, str, str, int, int, str]).decode


class RedisStates:
    """Keep checkpoints and snapshots."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def save_checkpoint(self, topic: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, unless its life is over."""
        made = await self._write(topic, checkpoint.parts)
        await self._engine.run(
            SAVE_CHECKPOINT, topic, checkpoint.epoch, checkpoint.seq, made, link=self._engine.bulk
        )

    async def checkpoint_at(self, topic: str, position: Position) -> Checkpoint | None:
        """Return the newest checkpoint at or before a position."""
        while True:
            outcome, *found = await self._engine.run(CHECKPOINT_AT, topic, position.epoch, position.seq)
            if outcome != "ok":
                return None
            checkpoint = await self.checkpoint(topic, position.epoch, int(found[0]))
            if checkpoint is not None:
                return checkpoint  # otherwise it was deleted meanwhile

    async def checkpoint(self, topic: str, epoch: str, seq: int) -> Checkpoint | None:
        """Return the checkpoint at a seq; None if it is gone."""
        parts = await self._read(topic, epoch, f"c:{seq}")
        return None if parts is None else Checkpoint(epoch, seq, parts)

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot, unless its life is over."""
        made = await self._write(snapshot.project_id, parts)
        row = (
            snapshot.snapshot_id,
            snapshot.project_id,
            snapshot.name,
            snapshot.epoch,
            snapshot.seq,
            snapshot.created,
            snapshot.owner,
        )
        await self._engine.write(
            SAVE_SNAPSHOT,
            snapshot.project_id,
            snapshot.epoch,
            snapshot.snapshot_id,
            pack(row),
            made,
            link=self._engine.bulk,
        )

    async def snapshots(self, topic: str | None) -> list[Snapshot]:
        """Return a project's snapshots, oldest first, or those of all."""
        _, rows = await self._engine.run(SNAPSHOTS, topic or "")
        found = [Snapshot(*_read_snapshot(row)) for row in rows]
        return sorted(found, key=lambda one: (one.created, one.snapshot_id))

    async def snapshot(self, topic: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """Return a snapshot with its parts."""
        found = [one for one in await self.snapshots(topic) if one.snapshot_id == snapshot_id]
        parts = await self._read(topic, "", f"s:{snapshot_id}") if found else None
        return None if parts is None else (found[0], parts)

    async def delete_snapshot(self, topic: str, snapshot_id: str) -> bool:
        """Delete a snapshot; False if there is none."""
        _, found = await self._engine.write(DELETE_SNAPSHOT, topic, snapshot_id)
        return bool(found)

    async def _write(self, topic: str, parts: tuple[bytes, ...]) -> str:
        """Write parts under a temporary key; return what its name ends with."""
        made = f"new:{token_hex(8)}"
        key = f"{self._engine.prefix}:{{{topic}}}:{made}"
        link = self._engine.bulk
        await link.ask_all([("RPUSH", key, _MARKER), ("EXPIRE", key, _KEPT)])
        first = 0
        while first < len(parts):
            last, size = first, 0
            while last < len(parts) and (size < _WRITTEN or last == first):
                size += len(parts[last])
                last += 1
            await link.ask("RPUSH", key, *parts[first:last])
            first = last
        return made

    async def _read(self, topic: str, epoch: str, key: str) -> tuple[bytes, ...] | None:
        found: list[bytes] = []
        while True:
            first = 1 + len(found)
            outcome, *answer = await self._engine.run(
                PARTS, topic, epoch, key, first, first + _READ - 1, link=self._engine.bulk
            )
            if outcome != "ok":
                return None
            parts, length = answer
            found += parts
            if len(found) >= length - 1:
                return tuple(found)
