from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import given

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tests.brokers.contract import Contract
from tests.brokers.contract_access import ACCESS_STEPS, AccessStep
from tests.brokers.history import OPERATIONS, Operation


class TestMemory(Contract):
    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Broker]:
        broker = MemoryBroker()
        await broker.open()
        try:
            yield broker
        finally:
            await broker.aclose()

    @given(operations=OPERATIONS)
    def test_any_history_is_as_the_naive_one(self, operations: list[Operation]) -> None:
        self.live_through(operations)

    @given(steps=ACCESS_STEPS)
    def test_any_history_of_access_is_as_the_naive_one(self, steps: list[AccessStep]) -> None:
        self.keep_access(steps)


def test_it_says_what_it_is() -> None:
    broker = MemoryBroker()
    assert (broker.name, broker.durable) == ("memory:", False)
