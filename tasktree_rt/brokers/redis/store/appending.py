"""Appending: a batch is one script, and the hub learns its fate before it goes on.

A request whose answer did not come may have run, or run later. So each batch has a number: sent again, Redis
answers with the outcomes of the first time, and it never runs a batch below the newest one. While the fate of
a batch is open the hub waits: it neither acknowledges nor refuses the publishes.

Other hubs may have appended to a log since this one looked. The script answers with their records; where it
cannot, because there are too many or the batch ran before, they are read from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import msgspec
import trio
from attrs import evolve

from tasktree_rt.brokers.base import Append, Appended, Conflict, Duplicate, Foreign, Moved, Outcome
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.link import Lost
from tasktree_rt.brokers.redis.store.log import RedisLog, Wanted
from tasktree_rt.brokers.redis.store.records import pack, packed_units, read_missed
from tasktree_rt.brokers.redis.store.scripts import APPEND
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position
from tasktree_rt.errors import StoreDamaged, StoreUnavailable

PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
READ_BYTES: Final = 1024 * 1024
WAIT_MS: Final = 1_000
"""Milliseconds that one wait for replicas takes at most."""


class Appending:
    """Append batches.

    Args:
        replicas: how many replicas must have a batch before it is acknowledged.
    """

    def __init__(self, engine: Engine, log: RedisLog, replicas: int = 0) -> None:
        self._engine = engine
        self._log = log
        self._replicas = replicas
        self._numbers = count(1)

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append a batch; wait until its fate is known.

        Raises:
            StoreUnavailable: nothing of it was kept.
        """
        number = next(self._numbers)
        packed = pack(packed_units(batch))
        outcome, outcomes, *told = await self._sent(number, packed)
        self._engine.acknowledged = number
        found = [_OUTCOMES[kind](*fields) for kind, *fields in msgspec.msgpack.decode(outcomes)]
        if outcome == "ok" and not told[1]:
            missed = {one.topic: one for one in map(read_missed, told[0])}
        else:
            missed = await self._read_missed(batch, found)
        return _with_missed(batch, found, missed) if missed else found

    async def _sent(self, number: int, packed: bytes) -> list[Any]:
        """Send a batch until Redis says what became of it, and until enough replicas have it."""
        may_have_run, pause = False, PAUSE
        while True:
            try:
                # A cancellation is too late now; it takes effect in the pauses.
                with trio.CancelScope(shield=True):
                    answer = await self._engine.run_once(APPEND, number, packed, link=self._engine.appends)
                    if await self._on_replicas():
                        return answer
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

    async def _read_missed(self, batch: Sequence[Append], found: Sequence[Outcome]) -> dict[str, Foreign]:
        """Read what lies between the position that the hub had seen of each log and the batch's first event
        there; some of it may be this hub's own. Nothing of a log of which it cannot be read.
        """
        missed: dict[str, Foreign] = {}
        for entry, outcome in zip(batch, found, strict=True):
            topic, seen = entry.project_id, entry.seen
            if topic in missed or seen is None or not isinstance(outcome, Appended):
                continue
            since = seen.seq if seen.epoch == outcome.epoch else 0
            if outcome.first > since + 1 and (seen.epoch in ("", outcome.epoch)):
                records = await self._between(topic, Position(outcome.epoch, since), outcome.first)
                missed[topic] = Foreign(topic, outcome.epoch, "", tuple(records))
        return missed

    async def _between(self, topic: str, since: Position, first: int) -> list[Record]:
        records: list[Record] = []
        while since.seq + 1 < first:
            try:
                found = await self._log.read(
                    topic, since, Wanted(first - since.seq - 1, READ_BYTES, None, None)
                )
            except (StoreUnavailable, StoreDamaged):
                break
            if isinstance(found, Gap) or not found.records:
                break
            records += found.records
            since = Position(since.epoch, records[-1].seq)
        return records


def _with_missed(
    batch: Sequence[Append], found: Sequence[Outcome], missed: dict[str, Foreign]
) -> list[Outcome]:
    """Give the records that other hubs appended to a log to the first outcome there that can have them."""
    outcomes: list[Outcome] = []
    for entry, outcome in zip(batch, found, strict=True):
        if entry.project_id in missed and isinstance(outcome, Appended | Moved):
            outcomes.append(evolve(outcome, missed=missed.pop(entry.project_id)))
        else:
            outcomes.append(outcome)
    return outcomes


def _appended(epoch: str, first: int, received: int, _: Any) -> Outcome:  # noqa: ANN401 - whether the life ended
    return Appended(epoch, first, received)


def _moved(settled: Sequence[tuple[str, str | bytes]]) -> Outcome:
    pairs = ((name, text.encode() if isinstance(text, str) else text) for name, text in settled)
    return Moved(None, dict(pairs))


_OUTCOMES: Final[dict[str, Any]] = {
    "appended": _appended,
    "known": Duplicate,
    "conflict": Conflict,
    "moved": _moved,
}
