"""A hub whose store is a real Redis that fails: nothing acknowledged is lost silently or stored twice."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.brokers.redis.redisserver import NEEDED, RedisServer, redis_server
from tests.cli.processes import PATIENCE
from tests.server.load import REFUSALS
from tests.server.peers import Json, Peer, node, produce, publish, watch
from tests.server.process import HubProcess, hub_process
from tests.server.trial import SMALL_STORE, Trial, trial

pytestmark = NEEDED
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
Disaster = Callable[[Trial, RedisServer], Awaitable[None]]


@asynccontextmanager
async def hub_on_redis(
    folder: Path, *options: str, settings: tuple[str, ...] = ()
) -> AsyncIterator[tuple[HubProcess, RedisServer]]:
    """A hub and its Redis."""
    async with (
        redis_server(folder, *(options or DURABLE)) as redis,
        hub_process(folder, *SMALL_STORE, *settings, store=redis.url) as hub,
    ):
        yield hub, redis


async def _kill_the_hub(under: Trial, _: RedisServer) -> None:
    await under.hub.kill()
    under.load.down()
    await under.hub.start()
    under.load.resume()


async def _kill_redis(_: Trial, redis: RedisServer) -> None:
    await redis.end(signal.SIGKILL)
    await redis.start()


async def _freeze_redis(under: Trial, redis: RedisServer) -> None:
    redis.send(signal.SIGSTOP)
    await _until_ready(under.hub, ready=False)
    redis.send(signal.SIGCONT)


async def _cut_connections(_: Trial, redis: RedisServer) -> None:
    for _round in range(5):
        await redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.parametrize("disaster", [_kill_the_hub, _kill_redis, _freeze_redis, _cut_connections])
async def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, disaster: Disaster) -> None:
    rng = random.Random(disaster.__name__)
    settings = ("redis.timeout=0.5",)
    async with hub_on_redis(tmp_path, settings=settings) as (hub, redis), trial(hub, rng) as under:
        for _ in range(2):
            under.load.go()
            await under.load.happened(rng.randrange(50, 400))
            await disaster(under, redis)
            await under.settle()


async def test_a_full_redis_refuses_publishes_and_takes_them_when_there_is_room(tmp_path: Path) -> None:
    async with hub_on_redis(tmp_path) as (hub, redis):
        watcher = await _watching(hub, await _published(hub, 0))
        await redis.ask("CONFIG", "SET", "maxmemory", "1mb")
        producer = await produce(hub, "p")
        answer = await producer.ask({"type": "publish", "id": 1, "events": [node("a", "n1")]})
        assert answer["code"] in REFUSALS
        await _until_ready(hub, ready=False)
        await redis.ask("CONFIG", "SET", "maxmemory", "0")
        await _until_ready(hub, ready=True)
        await _published(hub, 1)
        assert (await watcher.hear_type("node_update"))["seq"] == 2


async def test_a_hub_that_starts_on_a_redis_that_was_restarted_gives_its_projects_new_epochs(
    tmp_path: Path,
) -> None:
    async with hub_on_redis(tmp_path) as (hub, redis):
        before = await _published(hub, 0)
        assert await hub.stop() == 0
        await hub.start()
        assert (await hub.state("a"))["epoch"] == before["epoch"]
        assert await hub.stop() == 0
        await redis.end(signal.SIGTERM)
        await redis.start()
        await hub.start()
        watcher = await watch(hub, f"project_id=a&since={before['epoch']}:1")
        await watcher.hear_type("welcome")
        subscribed = await watcher.hear_type("subscribed")
        assert (subscribed["seq"], subscribed["recovered"]) == (1, False)
        state = await hub.state("a")
        assert state["epoch"] != before["epoch"]
        assert [one["node_id"] for one in state["data"]["nodes"]] == ["n0"]


async def test_what_redis_lost_is_said_and_the_hub_goes_on_with_new_epochs(tmp_path: Path) -> None:
    async with hub_on_redis(tmp_path, "--appendonly", "no") as (hub, redis):
        before = await _published(hub, 0)
        watcher = await _watching(hub, before)
        await redis.end(signal.SIGKILL)
        await redis.start()
        await _lost(hub)
        await _published_at_last(hub, 1)
        assert (await watcher.hear_type("subscribed"))["recovered"] is False
        await _shows(watcher, ["n1"])
        state = await hub.state("a")
        assert state["epoch"] != before["epoch"]
        assert [one["node_id"] for one in state["data"]["nodes"]] == ["n1"]


async def test_a_failover_loses_nothing_where_a_replica_has_each_acknowledged_event(tmp_path: Path) -> None:
    rng = random.Random(7)
    async with _failing_over(tmp_path) as (master, _, store):
        settings = ("redis.replicas=1", "redis.timeout=0.5")
        async with (
            hub_process(tmp_path, *SMALL_STORE, *settings, store=store) as hub,
            trial(hub, rng) as under,
        ):
            under.load.go()
            await under.load.happened(200)
            await master.end(signal.SIGKILL)
            under.load.calm()
            # Alone, the new master has no replica that could confirm what is still to be acknowledged.
            await master.start()
            await under.settle()


async def test_a_failover_to_a_replica_that_is_behind_is_said_and_ends_in_new_epochs(tmp_path: Path) -> None:
    async with (
        _failing_over(tmp_path) as (master, replica, store),
        hub_process(tmp_path, "redis.timeout=0.5", store=store) as hub,
    ):
        before = await _published(hub, 0)
        await _same_offset(master, replica)
        replica.send(signal.SIGSTOP)
        await master.ask("CLIENT", "KILL", "TYPE", "replica")
        lost = await _published(hub, 1)
        await master.end(signal.SIGKILL)
        replica.send(signal.SIGCONT)
        await _lost(hub)
        watcher = await watch(hub, f"project_id=a&since={lost['epoch']}:{lost['seq']}")
        while (await watcher.skip_to("subscribed"))["recovered"]:
            pass  # the hub still compares what it has in memory
        await _shows(watcher, ["n0"])
        state = await hub.state("a")
        assert state["epoch"] != before["epoch"]
        assert [one["node_id"] for one in state["data"]["nodes"]] == ["n0"]


@asynccontextmanager
async def _failing_over(folder: Path) -> AsyncIterator[tuple[RedisServer, RedisServer, str]]:
    """A master, its replica, a Sentinel that watches over them, and the store's URL."""
    for name in ("master", "replica", "sentinel"):
        (folder / name).mkdir()
    async with (
        redis_server(folder / "master", *DURABLE, "--repl-diskless-sync-delay", "0") as master,
        redis_server(folder / "replica", *DURABLE, "--replicaof", f"127.0.0.1 {master.port}") as replica,
    ):
        await _same_offset(master, replica)
        (folder / "sentinel" / "sentinel.conf").write_text(
            f"sentinel monitor hub 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds hub 300\n"
            "sentinel failover-timeout hub 2000\n"
        )
        async with redis_server(folder / "sentinel", sentinel=True) as sentinel:
            with trio.fail_after(PATIENCE):
                while "slaves=1" not in "".join(await sentinel.ask_lines("INFO", "sentinel")):  # noqa: ASYNC110
                    await trio.sleep(0.05)
            yield master, replica, f"redis+sentinel://127.0.0.1:{sentinel.port}/hub"


async def _same_offset(master: RedisServer, replica: RedisServer) -> None:
    """Wait until the replica has everything that the master has now."""
    wanted = await _offset(master, "master_repl_offset")
    with trio.fail_after(PATIENCE):
        while True:
            linked = "master_link_status:up" in await replica.ask_lines("INFO", "replication")
            if linked and await _offset(replica, "slave_repl_offset") >= wanted:
                return
            await trio.sleep(0.02)


async def _offset(server: RedisServer, name: str) -> int:
    lines = await server.ask_lines("INFO", "replication")
    return next(int(one.partition(":")[2]) for one in lines if one.startswith(f"{name}:"))


async def _until_ready(hub: HubProcess, *, ready: bool) -> None:
    with trio.fail_after(PATIENCE):
        while await hub.is_ready() != ready:  # noqa: ASYNC110 - another process
            await trio.sleep(0.05)


async def _lost(hub: HubProcess) -> None:
    """Wait until the hub says that Redis lost something."""
    with trio.fail_after(PATIENCE):
        while "redis lost acknowledged events" not in hub.log:  # noqa: ASYNC110 - another process
            await trio.sleep(0.05)


async def _published_at_last(hub: HubProcess, number: int) -> None:
    """Publish one event, again while the store fails."""
    with trio.fail_after(PATIENCE):
        while True:
            producer = await produce(hub, "p")
            answer = await producer.ask(
                {"type": "publish", "id": number, "events": [node("a", f"n{number}")]}
            )
            if answer["type"] == "ack":
                return
            assert answer["code"] in REFUSALS
            await trio.sleep(0.05)


async def _shows(watcher: Peer, wanted: list[str]) -> None:
    """Read on until a watcher's tree has these nodes and no others."""
    nodes: list[str] = []
    with trio.fail_after(PATIENCE):
        while nodes != wanted:
            message = await watcher.hear()
            if message["type"] == "project_state":
                nodes = [one["node_id"] for one in message["data"]["nodes"]]
            elif message["type"] == "project_deleted":
                nodes = []
            elif message["type"] == "node_update":
                nodes.append(message["data"]["node_id"])


async def _published(hub: HubProcess, number: int) -> Json:
    """Publish one event; its position."""
    ack = await publish(await produce(hub, "p"), number, node("a", f"n{number}"))
    position: Json = ack["positions"][0]
    return position


async def _watching(hub: HubProcess, position: Json) -> Peer:
    watcher = await watch(hub, f"project_id=a&since={position['epoch']}:{position['seq']}")
    await watcher.hear_type("welcome")
    await watcher.hear_type("subscribed")
    return watcher
