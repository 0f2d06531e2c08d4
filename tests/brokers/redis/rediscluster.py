"""A Redis Cluster of one's own: three real masters, whose slots move and who are killed and started again."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from tasktree_rt.brokers.redis.topology import slot_of
from tests.brokers.redis.redisserver import RedisServer, redis_server
from tests.cli.processes import PATIENCE

BOUNDS = (0, 5_461, 10_923, 16_384)


@frozen
class RedisCluster:
    """The masters, and their ids in the cluster."""

    masters: tuple[RedisServer, ...]
    ids: tuple[str, ...]

    @property
    def url(self) -> str:
        """Of the first: the others are found through it."""
        return self.masters[0].url

    async def publish(self, channel: str, body: str | bytes) -> int:
        """As the platform does, on the node that owns the channel; to how many it went."""
        for one in self.masters:
            try:
                answer = await one.ask("SPUBLISH", channel, body)
            except (OSError, EOFError, trio.BrokenResourceError):
                continue
            if answer.startswith(b":"):
                return int(answer[1:])
        raise AssertionError(f"nobody owns {channel}")

    def home(self, channel: str) -> int:
        """The master that the channel's slot began at."""
        slot = slot_of(channel.encode())
        return next(number for number in range(3) if BOUNDS[number] <= slot < BOUNDS[number + 1])

    async def move(self, channel: str, to: int) -> None:
        """Give its slot to another master; it holds no keys."""
        slot = str(slot_of(channel.encode()))
        for one in (self.masters[to], *self.masters):
            assert await one.ask("CLUSTER", "SETSLOT", slot, "NODE", self.ids[to]) == b"+OK"

    async def kill(self, number: int) -> None:
        """End a master."""
        await self.masters[number].end(signal.SIGKILL)

    async def revive(self, number: int) -> None:
        """Start it again, with the slots that it had."""
        await self.masters[number].start()


@asynccontextmanager
async def redis_cluster(folder: Path, *options: str) -> AsyncIterator[RedisCluster]:
    """One that serves all slots, and is gone at the end."""
    async with AsyncExitStack() as stack:
        masters, buses = [], []
        for number in range(3):
            bus = stack.enter_context(socket.socket())
            bus.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bus.bind(("127.0.0.1", 0))
            buses.append(str(bus.getsockname()[1]))
            own = ("--cluster-enabled", "yes", "--cluster-config-file", f"nodes{number}.conf")
            timing = ("--cluster-node-timeout", "60000", "--cluster-port", buses[-1])
            server = redis_server(folder, *own, *timing, *options)
            masters.append(await stack.enter_async_context(server))
        for number, one in enumerate(masters):
            first, last = str(BOUNDS[number]), str(BOUNDS[number + 1] - 1)
            assert await one.ask("CLUSTER", "ADDSLOTSRANGE", first, last) == b"+OK"
            meet = ("127.0.0.1", str(masters[0].port), buses[0])
            assert number == 0 or await one.ask("CLUSTER", "MEET", *meet) == b"+OK"
        with trio.fail_after(PATIENCE):
            for one in masters:
                while not await _whole(one):  # noqa: ASYNC110 - it is another process
                    await trio.sleep(0.02)
        ids = [(await one.ask("CLUSTER", "MYID")).decode() for one in masters]
        yield RedisCluster(tuple(masters), tuple(ids))


async def _whole(server: RedisServer) -> bool:
    """Whether it knows an owner of every slot: three ranges, each at another node."""
    lines = await server.ask_lines("CLUSTER", "NODES")
    return sum(1 for line in lines if " connected " in line and "-" in line.rpartition(" ")[2]) == 3
