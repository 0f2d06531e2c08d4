"""The store in a real Redis: the contract of all brokers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
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
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Redis without persistence for all tests of this file, on a Unix socket."""
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "s"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, text=True) as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "ready to accept connections" in line.lower())
        TestRedis.path = path
        yield path
        server.kill()


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
