"""The store in a real Redis: the contract of all brokers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.redis.store import RedisBroker
from tests.brokers.contract import Contract
from tests.brokers.contract_access import ACCESS_STEPS, AccessStep
from tests.brokers.history import OPERATIONS, Operation
from tests.brokers.redis.redisserver import NEEDED

pytestmark = NEEDED
_numbers = count()


@pytest.fixture(scope="module", autouse=True)
def _of_this_file(redis_socket: Path) -> None:
    TestRedis.path = redis_socket


class TestRedis(Contract):
    path: Path

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Broker]:
        broker = RedisBroker(f"unix://{self.path}", prefix=f"t{os.getpid()}-{next(_numbers)}")
        await broker.open()
        try:
            yield broker
        finally:
            await broker.aclose()

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
    @given(operations=OPERATIONS)
    def test_any_history_is_as_the_naive_one(self, operations: list[Operation]) -> None:
        self.live_through(operations)

    @given(steps=ACCESS_STEPS)
    def test_any_history_of_access_is_as_the_naive_one(self, steps: list[AccessStep]) -> None:
        self.keep_access(steps)
