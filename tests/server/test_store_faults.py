"""A store that fails under a running hub: publishes are refused, watchers stay, and it recovers by itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.server.load import REFUSALS
from tests.server.peers import Closed, Json, Peer, node, produce, publish, watch, watch_plain
from tests.server.process import HubProcess, hub_process

Undo = Callable[[], None]


@contextmanager
def _full_disk(folder: Path) -> Iterator[Undo]:
    """A file system of its own, with nothing left on it once the hub runs; `Undo` makes room again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    yield lambda: ballast.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[Undo]:
    """Another program writes to the database, and is in no hurry."""
    other = sqlite3.connect(folder / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other.rollback
    finally:
        other.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("this machine does not let us mount")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@asynccontextmanager
async def _hub_on(folder: Path) -> AsyncIterator[HubProcess]:
    async with hub_process(folder.parent, store=f"sqlite:{folder}/hub.db") as hub:
        yield hub


@pytest.mark.parametrize("fault", [_full_disk, _locked])
async def test_publishes_are_refused_watchers_stay_and_it_recovers_by_itself(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fault: Callable[[Path], AbstractContextManager[Undo]],
) -> None:
    folder = request.getfixturevalue("small_disk") if fault is _full_disk else tmp_path / "disk"
    folder.mkdir(exist_ok=True)
    async with _hub_on(folder) as hub:
        await publish(await produce(hub, "p"), 0, node("a", "n0"))
        native, plain = await watch(hub, "project_id=a&since=:0"), await watch_plain(hub, "project_id=a")
        await native.hear_type("welcome")
        await native.hear_type("subscribed")
        await native.hear_type("node_update")
        with fault(folder) as undo:
            first = await _first_refused(hub)
            assert (await hub.get("/readyz", status=503))["status"] not in ("ready", "draining")
            assert await hub.metric("tasktree_store_failing") == 1
            async with hub.http() as client:
                answer = await client.post("/api/v1/projects/a/events", json=node("a", "http"))
                assert (answer.status_code, answer.json()["code"] in REFUSALS) == (503, True)
                assert int(answer.headers["Retry-After"]) >= 1
            assert (await native.ask({"type": "ping", "id": 7})) == {"type": "pong", "id": 7}
            assert (await hub.state("a"))["seq"] == first
            undo()
            await _ready(hub)
        producer = await produce(hub, "p")
        for number in range(1, first + 3):  # everything again, under the same ids
            ack = await publish(producer, number, _large(number))
            assert ack["positions"][0]["seq"] == number + 1
            assert ack["duplicate"] == (number < first)
        events = [await native.hear() for _ in range(first + 2)]
        assert [one["seq"] for one in events] == list(range(2, first + 4))
        assert [await plain.hear() for _ in range(first + 2)] == events
        assert await hub.events("a") == [*(await hub.events("a"))[:1], *events]
        await hub.kill()
        await hub.start()
        assert (await hub.state("a"))["seq"] == first + 3


def _large(number: int) -> Json:
    data = {"level": "info", "message": "x" * 60_000, "number": number}
    return {"type": "log", "project_id": "a", "data": data}


async def _first_refused(hub: HubProcess) -> int:
    """Publish one after the other until the hub cannot; it closes that connection. Which one it was."""
    producer = await produce(hub, "p")
    for number in range(1, 200):
        answer = await producer.ask({"type": "publish", "id": number, "events": [_large(number)]})
        if answer["type"] == "error":
            assert answer["code"] in REFUSALS
            assert answer["retry_after_ms"] > 0
            assert (await _refused_from_now_on(producer)).code == 1013
            return number
        assert answer["positions"][0]["seq"] == number + 1
    raise AssertionError("it was never refused")


async def _refused_from_now_on(producer: Peer) -> Closed:
    """Nothing behind it is taken on that connection: the order would be lost."""
    try:
        await producer.say({"type": "publish", "id": "next", "events": [node("a", "n")]})
    except Closed as closed:
        return closed
    while True:
        try:
            assert (await producer.hear_type("error"))["code"] in REFUSALS
        except Closed as closed:
            return closed


async def _ready(hub: HubProcess) -> None:
    """It finds out by itself."""
    async with hub.http() as client:
        with trio.fail_after(PATIENCE):
            while (await client.get("/readyz")).status_code != 200:
                pass
