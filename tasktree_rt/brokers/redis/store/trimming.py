"""Deleting what retention no longer wants, in many short scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Final

from tasktree_rt.brokers.base import KEPT_DEATHS_AGE, KEPT_IDS, KEPT_IDS_AGE, Retention, Trimmed
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.scripts import (
    CALL,
    DUE,
    TRIM_DEATHS,
    TRIM_IDS,
    TRIM_INTERACTIONS,
    TRIM_LOG,
    Script,
)
from tasktree_rt.core.log import Position

_TOPICS: Final = 100
"""Logs that one script looks at."""
_LOOK: Final = 1_000
"""Entries of a log that one script looks at, at first."""


class RedisTrimming:
    """Trim logs, publish ids, settled prompts and commands, ends of lives."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def trim(
        self, retention: Retention, now: int, spared: Collection[str], trimmed: Callable[[Trimmed], None]
    ) -> dict[str, Position]:
        """Delete; return the new floors of the logs that lost events."""
        cutoff = now - round(retention.max_age * 1_000_000)
        floors: dict[str, Position] = {}
        async for topics in self._members("logs"):
            due = await self._due(retention, cutoff, [one for one in topics if one.decode() not in spared])
            for topic in due:
                floor = await self._trim_log(topic, retention, cutoff, trimmed)
                if floor is not None:
                    floors[topic] = floor
        async for producers in self._members("producers"):
            for producer in producers:
                await self._until_nothing(TRIM_IDS, producer, KEPT_IDS, now - KEPT_IDS_AGE)
        await self._until_nothing(TRIM_INTERACTIONS, cutoff, retention.max_events)
        await self._until_nothing(TRIM_DEATHS, min(cutoff, now - KEPT_DEATHS_AGE))
        return floors

    async def _members(self, of: str) -> AsyncIterator[list[bytes]]:
        """Yield the members of a sorted set in pages; some may come twice, or be gone by then."""
        cursor = b"0"
        while True:
            _, (cursor, found) = await self._engine.run(CALL, "ZSCAN", of, cursor, "COUNT", _TOPICS)
            yield list(dict.fromkeys(found[::2]))
            if cursor == b"0":
                return

    async def _due(self, retention: Retention, cutoff: int, topics: list[bytes]) -> list[str]:
        if not topics:
            return []
        _, found = await self._engine.run(DUE, cutoff, retention.max_events, retention.max_bytes, *topics)
        return [one.decode() for one in found]

    async def _trim_log(
        self, topic: str, retention: Retention, cutoff: int, trimmed: Callable[[Trimmed], None]
    ) -> Position | None:
        floor: Position | None = None
        look = _LOOK
        while True:
            outcome, *answer = await self._engine.run(
                TRIM_LOG, topic, cutoff, retention.max_events, retention.max_bytes, look
            )
            if outcome == "none":
                return floor
            if outcome == "more":
                look *= 2
                continue
            epoch, owner, at, size, rest = answer
            floor = Position(epoch.decode(), int(at))
            trimmed(Trimmed(topic, floor.epoch, owner.decode(), int(size)))
            if rest == b"whole":
                return floor

    async def _until_nothing(self, script: Script, *words: bytes | int) -> None:
        """Run a script until it says that nothing is left to do."""
        while (await self._engine.run(script, *words))[1]:
            pass
