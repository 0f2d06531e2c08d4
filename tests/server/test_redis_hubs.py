"""Several hubs on one Redis behave as one: real processes, real sockets, and one of them fails."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.brokers.redis.redisserver import NEEDED, RedisServer, redis_server
from tests.cli.processes import PATIENCE
from tests.server.load import Load
from tests.server.peers import Json, Peer, node, produce, publish, watch
from tests.server.process import HubProcess, hub_process
from tests.server.test_executions import ask
from tests.server.trial import SMALL_STORE, Trial, trial

pytestmark = NEEDED
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
Disaster = Callable[[Trial, Sequence[HubProcess], RedisServer], Awaitable[None]]


class Roaming(Load):
    """Everybody goes to any of several hubs, each time anew."""

    def __init__(self, hubs: Sequence[HubProcess], rng: random.Random) -> None:
        self._hubs = hubs
        self._rng = rng
        super().__init__(hubs[0])

    @property
    def hub(self) -> HubProcess:
        return self._rng.choice(self._hubs)

    @hub.setter
    def hub(self, _: HubProcess) -> None:
        """All of them are there."""


@asynccontextmanager
async def hubs_on_redis(
    folder: Path, count: int, *settings: str, options: tuple[str, ...] = DURABLE
) -> AsyncIterator[tuple[list[HubProcess], RedisServer]]:
    """Several hubs and their Redis."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(folder, *options))
        hubs = []
        for number in range(count):
            place = folder / f"hub{number}"
            place.mkdir()
            hubs.append(await stack.enter_async_context(hub_process(place, *settings, store=redis.url)))
        yield hubs, redis


async def _watching(hub: HubProcess, project: str) -> Peer:
    watcher = await watch(hub, f"project_id={project}&since=:0&policy=disconnect")
    await watcher.hear_type("welcome")
    await watcher.hear_type("subscribed")
    return watcher


async def _seqs(watcher: Peer, count: int) -> list[int]:
    """The next events' seqs; a new log is announced before its first event."""
    found: list[int] = []
    while len(found) < count:
        message = await watcher.hear_type("node_update", "subscribed")
        if message["type"] == "node_update":
            found.append(message["seq"])
    return found


async def test_what_one_hub_stores_every_hub_shows_in_order(tmp_path: Path) -> None:
    async with hubs_on_redis(tmp_path, 3) as (hubs, _):
        watchers = [await _watching(one, "a") for one in hubs]
        producers = [await produce(one, f"p{number}") for number, one in enumerate(hubs)]
        for number in range(30):
            await publish(producers[number % 3], number, node("a", f"n{number % 7}", at=number))
        for watcher in watchers:
            assert await _seqs(watcher, 30) == list(range(1, 31))
        states = [await one.state("a") for one in hubs]
        assert states[0]["data"] == states[1]["data"] == states[2]["data"]


async def _share_one_log(hubs: Sequence[HubProcess], name: str) -> None:
    watchers = [await _watching(one, name) for one in hubs]
    acks: list[int] = []

    async def push(hub: HubProcess, producer_id: str) -> None:
        producer = await produce(hub, producer_id)
        for number in range(60):
            ack = await publish(producer, number, node(name, f"n{number % 5}", by=producer_id, at=number))
            acks.append(ack["positions"][0]["seq"])

    async with trio.open_nursery() as nursery:
        for number, one in enumerate((*hubs, *hubs)):
            nursery.start_soon(push, one, f"p{number}")
    assert sorted(acks) == list(range(1, 241))
    for watcher in watchers:
        assert await _seqs(watcher, 240) == list(range(1, 241))
    states = [await one.state(name) for one in hubs]
    assert states[0]["data"] == states[1]["data"]


async def _store_a_repeated_publish_once(hubs: Sequence[HubProcess], name: str) -> None:
    first = await publish(await produce(hubs[0], name), 1, node(name, "n"))
    await publish(await produce(hubs[1], name), 2, node(name, "n"))
    again = await publish(await produce(hubs[1], name), 1, node(name, "n"))
    assert again["positions"] == first["positions"]
    assert len(await hubs[0].events(name)) == 2


async def _show_a_deletion_and_a_new_life(hubs: Sequence[HubProcess], name: str) -> None:
    watchers = [await _watching(one, name) for one in hubs]
    await publish(await produce(hubs[0], name), 1, node(name, "n"))
    for watcher in watchers:
        assert await _seqs(watcher, 1) == [1]
    async with hubs[1].http() as client:
        assert (await client.delete(f"/api/v1/projects/{name}")).status_code == 200
    for watcher in watchers:
        assert (await watcher.hear_type("project_deleted"))["seq"] == 2
    ack = await publish(await produce(hubs[0], name), 2, node(name, "m"))
    for watcher in watchers:
        assert (await watcher.hear_type("subscribed"))["epoch"] == ack["positions"][0]["epoch"]
        assert await _seqs(watcher, 1) == [1]
    states = [await one.state(name) for one in hubs]
    assert [[each["node_id"] for each in one["data"]["nodes"]] for one in states] == [["m"], ["m"]]


async def _settle_a_prompt_once(hubs: Sequence[HubProcess], name: str) -> None:
    await publish(await produce(hubs[0], name), 1, node(name, "n"))
    for prompt in ("q0", "q1", "q2"):
        default = {"proceed": False}
        asked = {"prompt_id": prompt, "project_id": name, "message": "Go on?", "default": default}
        async with hubs[0].http() as client:
            opened = await client.post("/api/v1/prompts", json=asked)
            assert opened.status_code == 201, opened.text
        statuses: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer, hubs[0], prompt, True, statuses)
            nursery.start_soon(_answer, hubs[1], prompt, False, statuses)
        assert sorted(statuses) == [200, 409]
    told = [one for one in await hubs[1].events(name) if one["type"] == "prompt_resolved"]
    assert len(told) == 3


async def _claim_each_execution_once(hubs: Sequence[HubProcess], _: str) -> None:
    waiting: list[Json] = []

    async def wait() -> None:
        waiting.extend((await ask(hubs[1], "GET", "?status=pending&wait=60"))[1]["executions"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        names = [(await ask(hubs[0], "POST", "", workflow_id="w"))[1]["id"] for _ in range(6)]
    assert {one["id"] for one in waiting} & set(names)
    won: list[str] = []

    async def work(hub: HubProcess, worker: str) -> None:
        claims = {name: await ask(hub, "POST", f"/{name}/claim", worker_id=worker) for name in names}
        won.extend(name for name, (status, _) in claims.items() if status == 200)

    async with trio.open_nursery() as nursery:
        for number, one in enumerate((*hubs, *hubs)):
            nursery.start_soon(work, one, f"w{number}")
    assert sorted(won) == sorted(names)


async def test_two_hubs_behave_as_one(tmp_path: Path) -> None:
    async with hubs_on_redis(tmp_path, 2) as (hubs, _):
        await _share_one_log(hubs, "a")
        await _store_a_repeated_publish_once(hubs, "b")
        await _show_a_deletion_and_a_new_life(hubs, "c")
        await _settle_a_prompt_once(hubs, "d")
        await _claim_each_execution_once(hubs, "e")


async def _answer(hub: HubProcess, name: str, proceed: bool, statuses: list[int]) -> None:
    async with hub.http() as client:
        response = await client.post(f"/api/v1/prompts/{name}/answer", json={"proceed": proceed})
        statuses.append(response.status_code)


async def _kill_a_hub(under: Trial, hubs: Sequence[HubProcess], _: RedisServer) -> None:
    await hubs[-1].kill()
    await under.load.happened(50)
    await hubs[-1].start()


async def _freeze_a_hub(under: Trial, hubs: Sequence[HubProcess], _: RedisServer) -> None:
    hubs[-1].signal(signal.SIGSTOP)
    try:
        await under.load.happened(50)
    finally:
        hubs[-1].signal(signal.SIGCONT)


async def _cut_connections(under: Trial, _: Sequence[HubProcess], redis: RedisServer) -> None:
    for kind in ("pubsub", "normal", "pubsub"):
        await redis.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        await under.load.happened(30)


@pytest.mark.parametrize("disaster", [_kill_a_hub, _freeze_a_hub, _cut_connections])
async def test_nothing_is_lost_or_doubled_when_one_of_several_hubs_fails(
    tmp_path: Path, disaster: Disaster
) -> None:
    rng = random.Random(disaster.__name__)
    async with hubs_on_redis(tmp_path, 2, *SMALL_STORE) as (hubs, redis):
        load = Roaming(hubs, rng)
        async with trial(hubs[0], rng, load) as under:
            under.load.go()
            await under.load.happened(rng.randrange(100, 300))
            await disaster(under, hubs, redis)
            await under.settle()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_after_redis_failed_every_hub_shows_the_log(tmp_path: Path, number: signal.Signals) -> None:
    async with hubs_on_redis(tmp_path, 2, "redis.timeout=0.5") as (hubs, redis):
        producers = [await produce(one, f"p{index}") for index, one in enumerate(hubs)]
        watchers = [await watch(one, "project_id=a&state=true") for one in hubs]
        for index, producer in enumerate(producers):
            await publish(producer, index, node("a", f"before{index}"))
        if number == signal.SIGKILL:
            await redis.end(number)
            await redis.start()
        else:
            redis.send(number)
            for one in hubs:
                await _refuses(one)
            redis.send(signal.SIGCONT)
        last = [await _published_after_all(one, index) for index, one in enumerate(hubs)]
        assert last[0]["epoch"] == last[1]["epoch"]
        for watcher in watchers:
            await _shows(watcher, {"after0", "after1"})
        assert len(await hubs[0].events("a")) == 4
        states = [await one.state("a") for one in hubs]
        assert states[0]["data"] == states[1]["data"]


async def _refuses(hub: HubProcess) -> None:
    """Wait until a hub knows that its store fails."""
    with trio.fail_after(PATIENCE):
        while await hub.is_ready():  # noqa: ASYNC110 - another process
            await trio.sleep(0.05)


async def _published_after_all(hub: HubProcess, index: int) -> Json:
    """Publish, again under the same id while the store fails; its position."""
    with trio.fail_after(PATIENCE):
        while True:
            producer = await produce(hub, f"q{index}")
            events = [node("a", f"after{index}")]
            answer = await producer.ask({"type": "publish", "id": 1, "events": events})
            if answer["type"] == "ack":
                position: Json = answer["positions"][0]
                return position
            assert answer["code"] in ("store_unavailable", "overloaded"), answer
            await trio.sleep(0.05)


async def _shows(watcher: Peer, wanted: set[str]) -> None:
    """Wait until a watcher was told of nodes, by an event or by a state."""
    missing = set(wanted)
    while missing:
        message = await watcher.hear()
        if message["type"] == "node_update":
            missing.discard(message["data"]["node_id"])
        elif message["type"] in ("project_state", "conflated"):
            missing -= {one["node_id"] for one in message["data"]["nodes"]}
