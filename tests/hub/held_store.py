"""Brokers that can be held up and made to fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio
from attrs import Factory, define

from tasktree_rt.brokers.base import Append, Interaction, Outcome
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.errors import StoreUnavailable


class Gate:
    """Where one waits while it is held."""

    def __init__(self) -> None:
        self._open: trio.Event | None = None

    @property
    def held(self) -> bool:
        return self._open is not None

    async def __call__(self) -> None:
        if self._open is not None:
            await self._open.wait()

    def hold(self) -> None:
        if self._open is None:
            self._open = trio.Event()

    def release(self) -> None:
        if self._open is not None:
            self._open.set()
            self._open = None


@define(eq=False)
class Store:
    """How the store behaves now, whichever broker it is."""

    appends: Gate = Factory(Gate)
    reads: Gate = Factory(Gate)
    failing: bool = False
    failing_reads: bool = False

    def mend(self) -> None:
        self.failing = self.failing_reads = False
        self.appends.release()
        self.reads.release()


class _Held:
    """What both brokers have in common here."""

    store: Store

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        await self.store.appends()
        if self.store.failing:
            raise StoreUnavailable("disk full")
        found: list[Outcome] = await super().append(batch)  # type: ignore[misc]
        return found

    async def probe(self) -> None:
        if self.store.failing:
            raise StoreUnavailable("disk full")

    async def interaction(self, interaction_id: str) -> Interaction | None:
        found: Interaction | None = await super().interaction(interaction_id)  # type: ignore[misc]
        # What was read is old by the time it is told.
        await self.store.reads()
        if self.store.failing_reads:
            raise StoreUnavailable("no disk")
        return found

    async def interactions(self, **wanted: Any) -> list[Interaction]:
        found: list[Interaction] = await super().interactions(**wanted)  # type: ignore[misc]
        if wanted.get("name") is not None:
            await self.store.reads()
            if self.store.failing_reads:
                raise StoreUnavailable("no disk")
        return found


class HeldMemory(_Held, MemoryBroker):
    pass


class HeldSqlite(_Held, SqliteBroker):
    pass
