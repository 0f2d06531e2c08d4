"""``kill -9`` under load, on one database again and again: nothing acked is lost, nothing is stored twice,
and every watcher goes on exactly where it was.

``--crash-rounds N`` says how often (default 3, ``just crash`` 20), ``--crash-seed`` repeats a run's choices.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from tests.server.load import (
    HttpProducer,
    Load,
    NativeWatcher,
    PlainWatcher,
    Producer,
    SocketProducer,
    StreamWatcher,
    TreeWatcher,
    Watcher,
)
from tests.server.process import HubProcess, hub_process

PROJECTS = ("alpha", "beta", "gamma")
SMALL_STORE = ("keep.checkpoint_events=100",)
"""Recovery starts from a checkpoint, not only from the beginning."""


async def test_kill_9_under_load_loses_doubles_and_skips_nothing(
    tmp_path: Path, crash_rounds: int, crash_seed: int
) -> None:
    print(f"--crash-seed {crash_seed}")  # noqa: T201 - shown when it fails
    rng = random.Random(crash_seed)
    async with hub_process(tmp_path, *SMALL_STORE) as hub, trio.open_nursery() as nursery:
        for project in PROJECTS:
            first = {"level": "info", "message": "", "mark": project}
            await hub.post(project, {"type": "log", "data": first})
        load = Load(hub)
        producers, watchers = _everybody(load, rng)
        for producer in producers:
            nursery.start_soon(producer.run)
        for watcher in watchers:
            nursery.start_soon(watcher.run)
        for number in range(crash_rounds):
            print(f"round {number}: {await _crash(hub, load, rng)}")  # noqa: T201
            load.resume()
            await _settle(hub, load, producers, watchers)
            await _check(hub, producers, watchers)
        assert hub.process.returncode is None
        assert sum(one.repeated for one in producers) > 0, "no producer ever had to send anything twice"
        nursery.cancel_scope.cancel()


def _everybody(load: Load, rng: random.Random) -> tuple[list[Producer], list[Watcher]]:
    def dice() -> random.Random:
        return random.Random(rng.random())

    producers: list[Producer] = [
        SocketProducer(load, "one", dice(), ("alpha",)),
        SocketProducer(load, "two", dice(), ("alpha", "beta")),
        HttpProducer(load, "three", dice(), ("beta", "gamma")),
    ]
    watchers: list[Watcher] = [
        *(NativeWatcher(load, project) for project in PROJECTS),
        PlainWatcher(load, "alpha"),
        PlainWatcher(load, "beta"),
        StreamWatcher(load, "alpha"),
        StreamWatcher(load, "gamma"),
        TreeWatcher(load, "alpha"),
        TreeWatcher(load, "beta"),
    ]
    return producers, watchers


async def _crash(hub: HubProcess, load: Load, rng: random.Random) -> str:
    """Kill it after so many things have happened, in the middle of whatever it is doing then."""
    load.go()
    count = rng.randrange(50, 900)
    await load.happened(count)
    for _ in range(rng.randrange(30)):
        await trio.lowlevel.checkpoint()
    await hub.kill()
    load.down()
    if rng.random() < 0.5:
        await hub.start()
        await hub.kill()  # again, with nothing done but to recover
    await hub.start()
    return f"killed after {count} frames"


async def _settle(hub: HubProcess, load: Load, producers: list[Producer], watchers: list[Watcher]) -> None:
    """Let the producers get their acks, then the watchers come to the heads."""
    load.calm()
    with trio.fail_after(120):
        for producer in producers:
            await producer.idle()
        for watcher in watchers:
            await watcher.reached((await hub.state(watcher.project))["seq"])


async def _check(hub: HubProcess, producers: list[Producer], watchers: list[Watcher]) -> None:
    logs = {project: await hub.events(project) for project in PROJECTS}
    for project, log in logs.items():
        assert [one["seq"] for one in log] == list(range(1, len(log) + 1)), f"a hole in {project}"
        assert len({one["epoch"] for one in log}) == 1
    for producer in producers:
        producer.check(logs)
    for watcher in watchers:
        watcher.check(logs[watcher.project], await hub.state(watcher.project))


@pytest.fixture
def crash_rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--crash-rounds"))


@pytest.fixture
def crash_seed(request: pytest.FixtureRequest) -> int:
    given = request.config.getoption("--crash-seed")
    return int(given) if given is not None else random.SystemRandom().randrange(10**9)
