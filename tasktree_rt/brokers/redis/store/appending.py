"""Appending: a batch is one script, and the hub learns its fate before it goes on.

A request whose answer did not come may have run, or run later. So each batch has a number: sent again, Redis
answers with the outcomes of the first time, and it never runs a batch below the newest one. While the fate of
a batch is open the hub waits: it neither acknowledges nor refuses the publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import msgspec
import trio

from tasktree_rt.brokers.base import Append, Appended, Conflict, Duplicate, Outcome
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.link import Lost
from tasktree_rt.brokers.redis.store.records import pack, packed_entry
from tasktree_rt.brokers.redis.store.scripts import APPEND
from tasktree_rt.errors import StoreUnavailable

PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
WAIT_MS: Final = 1_000
"""Milliseconds that one wait for replicas takes at most."""


class Appending:
    """Append batches.

    Args:
        replicas: how many replicas must have a batch before it is acknowledged.
    """

    def __init__(self, engine: Engine, replicas: int = 0) -> None:
        self._engine = engine
        self._replicas = replicas
        self._numbers = count(1)

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append a batch; wait until its fate is known.

        Raises:
            StoreUnavailable: nothing of it was kept.
        """
        number = next(self._numbers)
        packed = pack([packed_entry(entry) for entry in batch])
        answer = await self._sent(number, packed)
        self._engine.acknowledged = number
        return _read_outcomes(answer)

    async def _sent(self, number: int, packed: bytes) -> bytes:
        """Send a batch until Redis says what became of it, and until enough replicas have it."""
        may_have_run, pause = False, PAUSE
        while True:
            try:
                # A cancellation is too late now; it takes effect in the pauses.
                with trio.CancelScope(shield=True):
                    answer = await self._engine.run_once(APPEND, number, packed, link=self._engine.appends)
                    if await self._on_replicas():
                        return bytes(answer[1])
                may_have_run = True
            except Lost:
                may_have_run = True
            except StoreUnavailable as error:
                if not may_have_run or error.lasting:
                    raise
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _on_replicas(self) -> bool:
        if not self._replicas:
            return True
        return int(await self._engine.appends.ask("WAIT", self._replicas, WAIT_MS)) >= self._replicas


def _read_outcomes(packed: bytes) -> list[Outcome]:
    return [_OUTCOMES[kind](*fields) for kind, *fields in msgspec.msgpack.decode(packed)]


def _appended(epoch: str, first: int, received: int, _: Any) -> Outcome:  # noqa: ANN401 - whether the life ended
    return Appended(epoch, first, received)


_OUTCOMES: Final[dict[str, Any]] = {
    "appended": _appended,
    "known": Duplicate,
    "conflict": Conflict,
}
