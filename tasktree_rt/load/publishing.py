"""What publishes a test's events, for each kind of server, and how far the server acknowledged them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import trio
from attrs import define, field

from tasktree_rt.client import Orchestrator, Receipt, open_orchestrator
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused
from tasktree_rt.load.tally import ACK, Tally, now_us
from tasktree_rt.load.target import Target

PATIENCE: Final = 60.0
"""Seconds without the server after which a test ends."""


@define
class Head:
    """The last event of a topic that was published. `position`: as its language counts it; None: none yet."""

    position: int | None = None
    number: int | None = None
    epoch: str = ""


class Publisher(Protocol):
    """Publishes numbered events to topics, which it knows by index."""

    async def send(self, topic: int, number: int, due: int) -> None:
        """Publish event `number`, due at `due` (µs). Waits while too many are unacknowledged.

        Raises:
            ClientError: the server refuses it.
        """
        ...

    async def flush(self) -> None:
        """Wait until everything is acknowledged."""
        ...


Make = Callable[[int, int, int], Json]
"""Returns the event of a topic, a number and a due time."""


@define(eq=False)
class Acknowledged:
    """Notes acknowledgements. `heads`: of each topic."""

    tally: Tally
    heads: list[Head]
    waiting: int = 0
    failed: ClientError | None = None
    _changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def begin_at_zero(self) -> None:
        """Note that each topic begins with number 1, and that its language counts by numbers."""
        self.heads[:] = [Head(0) for _ in self.heads]

    def begin(self) -> None:
        """Note that a publish is on its way.

        Raises:
            ClientError: an earlier one was refused.
        """
        if self.failed is not None:
            raise self.failed
        self.waiting += 1

    def acked(self, topic: int, number: int, due: int, position: int, epoch: str = "") -> None:
        """Note an acknowledgement."""
        self.tally.latencies[ACK].record(now_us() - due)
        self.tally.counts["acked"] += 1
        self.heads[topic] = Head(position, number, epoch)
        self.done()

    def done(self, failed: ClientError | None = None) -> None:
        """Note that a publish has an answer."""
        self.failed = self.failed or failed
        self.waiting -= 1
        self._changed.unpark_all()

    async def flush(self) -> None:
        """Wait until nothing is on its way.

        Raises:
            ClientError: a publish was refused.
        """
        while self.waiting and self.failed is None:
            await self._changed.park()
        if self.failed is not None:
            raise self.failed


class HubPublisher:
    """Publishes over ``/ws/orchestrator`` with the package's own client: it outlives a restart of the hub."""

    def __init__(
        self, orchestrator: Orchestrator, make: Make, noted: Acknowledged, epochs: bool, nursery: trio.Nursery
    ) -> None:
        self._orchestrator = orchestrator
        self._make = make
        self._noted = noted
        self._epochs = epochs
        self._send, receive = trio.open_memory_channel[tuple[int, int, int, Receipt]](float("inf"))
        nursery.start_soon(self._confirm, receive)

    async def send(self, topic: int, number: int, due: int) -> None:
        """Publish."""
        self._noted.begin()
        try:
            receipt = await self._orchestrator.publish(self._make(topic, number, due))
        except (PublishRefused, ConnectionLost) as error:
            self._noted.done(error)
            raise
        self._send.send_nowait((topic, number, due, receipt))

    async def flush(self) -> None:
        """Wait for the answers."""
        await self._noted.flush()

    async def _confirm(self, receive: trio.MemoryReceiveChannel[tuple[int, int, int, Receipt]]) -> None:
        async for topic, number, due, receipt in receive:
            try:
                acked = await receipt.acked()
            except (PublishRefused, ConnectionLost) as error:
                self._noted.done(ClientError(f"event {number} was not accepted: {error}"))
                continue
            position = acked.positions[0]
            if self._epochs:
                self._noted.acked(topic, number, due, position.seq, position.epoch)
            else:
                self._noted.acked(topic, number, due, number)


@asynccontextmanager
async def hub_publisher(
    target: Target, make: Make, noted: Acknowledged, *, epochs: bool, producer: str
) -> AsyncIterator[HubPublisher]:
    """Open a `HubPublisher`. `epochs`: whether the watchers' language has positions."""
    opening: AbstractAsyncContextManager[Orchestrator] = open_orchestrator(
        target.url,
        producer,
        token=target.token(0),
        patience=PATIENCE,
        on_refused=lambda receipt, why: None,
        verify=target.context or True,
    )
    async with opening as orchestrator, trio.open_nursery() as nursery:
        yield HubPublisher(orchestrator, make, noted, epochs, nursery)
        nursery.cancel_scope.cancel()


async def prime(publisher: Publisher, heads: Sequence[Head]) -> None:
    """Publish event 0 of each topic, so that it exists, and wait until the server has all."""
    for topic in range(len(heads)):
        await publisher.send(topic, 0, now_us())
    await publisher.flush()
