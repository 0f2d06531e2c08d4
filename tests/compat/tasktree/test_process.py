"""A backend of TaskTree under uvicorn in a process of its own, while hubs and backends die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from tasktree_rt.compat.tasktree.spool_files import places
from tasktree_rt.core.tasktree_names import spelled
from tests.cli.processes import PATIENCE
from tests.server.process import HubProcess, hub_process

ROOT = Path(__file__).parents[3]
NAMES = ["shop", "-x", "--", "my project", "a/b", "项目", "x" * 140, "", "tt~-x"]


class Backend:
    """``uvicorn`` with the application of `backend`, on a port of its own."""

    def __init__(self, hub: HubProcess, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.spool = folder / "spool"
        self.process: trio.Process | None = None
        self.url = ""
        self._log = folder / "backend.log"

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def start(self) -> None:
        arguments = ["-m", "uvicorn", "tests.compat.tasktree.backend:app", "--port", "0", "--no-access-log"]
        env = {
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "TASKTREE_RT_HUB": self.hub.url,
            "TASKTREE_RT_SPOOL": str(self.spool),
        }
        begun = len(self.log) if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=log, env=env, cwd=self.folder
            )
        await self.until(lambda: "Uvicorn running on " in self.log[begun:])
        self.url = self.log[begun:].partition("Uvicorn running on ")[2].split()[0]

    async def until(self, holds: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE):
            while not holds():  # noqa: ASYNC110 - a log file, a list
                await trio.sleep(0.01)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        with trio.fail_after(PATIENCE):
            await self.process.wait()

    async def say(self, kind: str, project: str | None, **data: Any) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            answer = await client.post(
                f"{self.url}/say", json={"type": kind, "project_id": project, "data": data}
            )
        assert (answer.status_code, answer.json()) == (200, {"success": True})

    async def browser(self, nursery: trio.Nursery) -> list[Any]:
        """What a browser hears that is connected to this backend."""
        return await listener(nursery, self.url.replace("http", "ws") + "/ws/updates")

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def listener(nursery: trio.Nursery, url: str) -> list[Any]:
    heard: list[Any] = []
    await nursery.start(listen, url, heard)
    return heard


async def listen(url: str, heard: list[Any], task_status: trio.TaskStatus[None]) -> None:
    async with open_websocket_url(url) as socket:
        task_status.started()
        await read(socket, heard)


async def read(socket: WebSocketConnection, heard: list[Any]) -> None:
    try:
        while True:
            heard.append(json.loads(await socket.get_message()))
    except ConnectionClosed:
        return


@asynccontextmanager
async def backend_of(hub: HubProcess, folder: Path) -> AsyncIterator[Backend]:
    backend = Backend(hub, folder)
    try:
        await backend.start()
        yield backend
    finally:
        with trio.CancelScope(shield=True):
            await backend.close()


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[HubProcess, Backend]]:
    async with hub_process(folder) as hub, backend_of(hub, folder) as backend:
        yield hub, backend


def numbers(events: list[Any], kind: str = "step") -> list[int]:
    return [one["data"]["n"] for one in events if one["type"] == kind]


async def arrived(hub: HubProcess, project: str, count: int) -> list[int]:
    with trio.fail_after(PATIENCE):
        while True:
            found = numbers(await hub.events(project))
            if len(found) >= count:
                return found
            await trio.sleep(0.02)


async def test_names_of_any_spelling_are_shown_as_they_were_here_and_at_the_hub(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, backend), trio.open_nursery() as nursery:
        here = await backend.browser(nursery)
        there = await listener(nursery, f"ws://{hub.authority}/ws/updates")
        for name in NAMES:
            await backend.say("step", name, n=1)
        await backend.say("news", None, n=2)
        for heard in (here, there):
            await backend.until(lambda heard=heard: len(heard) == len(NAMES) + 1)  # type: ignore[misc]
            steps = [one for one in heard if one["type"] == "step"]
            assert [(one["project_id"], one["data"]) for one in steps] == [(name, {"n": 1}) for name in NAMES]
            [news] = [one for one in heard if one["type"] == "news"]
            assert (news["project_id"], news["data"]) == (None, {"n": 2})
        for name in NAMES:
            assert numbers(await hub.events(spelled(name))) == [1]
        nursery.cancel_scope.cancel()


async def test_a_hub_that_is_killed_and_comes_back_costs_browsers_here_nothing(tmp_path: Path) -> None:
    """64 events over a hub's restart, every eighth of a project of its own."""
    async with both(tmp_path) as (hub, backend), trio.open_nursery() as nursery:
        heard = await backend.browser(nursery)
        while not heard:  # until the process' watcher stands
            await backend.say("ready", "q")
            await trio.sleep(0.02)
        for number in range(64):
            if number == 20:
                await hub.kill()
            if number == 50:
                await hub.start()
            await backend.say("step", f"p{number}" if number % 8 == 0 else "p", n=number)
        await backend.until(lambda: len(numbers(heard)) >= 64)
        same = [number for number in numbers(heard) if number % 8]
        assert same == [number for number in range(64) if number % 8]
        assert sorted(numbers(heard)) == list(range(64))
        nursery.cancel_scope.cancel()


async def test_browsers_that_come_while_the_hub_is_away_see_what_is_told_then(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        await hub.kill()
        async with backend_of(hub, tmp_path) as backend, trio.open_nursery() as nursery:
            heard = await backend.browser(nursery)
            for number in range(10):
                await backend.say("step", "p", n=number)
            await backend.say("news", None, n=10)
            await backend.until(lambda: bool(heard))
            assert (heard[0]["type"], heard[0]["data"]) == ("news", {"n": 10})
            await hub.start()
            await backend.until(lambda: len(numbers(heard)) == 10)
            assert numbers(heard) == list(range(10))
            nursery.cancel_scope.cancel()
        assert "only browsers here get" in backend.log


async def test_sigterm_while_events_flow_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, backend):
        told = await flow(backend, lambda number: number == 40)
        await backend.start()
        await arrived(hub, "p", len(told))
        for number in range(1000, 1010):
            await backend.say("step", "p", n=number)
        await arrived(hub, "p", len(told) + 10)
        assert settled(await hub.events("p"), told) == told
        await backend.stop()


async def test_sigterm_while_the_hub_is_away_leaves_everything_for_the_next_start(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, backend):
        await backend.say("step", "p", n=-1)
        await arrived(hub, "p", 1)
        await hub.kill()
        told = await flow(backend, lambda number: number == 40)
        await backend.start()  # it sends what is left by itself: nothing is broadcast here
        await hub.start()
        found = await arrived(hub, "p", 1 + len(told))
        assert found[: 1 + len(told)] == [-1, *told]
        assert "sending again what is left from before" in backend.log


async def test_kill_9_of_the_backend_costs_nothing_that_it_answered_for(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, backend):
        await hub.kill()
        told = await flow(backend, lambda number: number == 20, signal.SIGKILL)
        await hub.start()
        await backend.start()
        assert (await arrived(hub, "p", len(told)))[: len(told)] == told


async def test_two_processes_have_a_spool_each_and_one_takes_over_what_the_other_left(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, one), backend_of(hub, tmp_path) as two:
        await hub.kill()
        await one.say("step", "p", n=1)
        await two.say("step", "q", n=2)
        assert [place.exists() for place in places(one.spool)[:3]] == [True, True, False]
        await one.stop()
        await two.stop()
        await hub.start()
        await one.start()
        assert (await arrived(hub, "p", 1), await arrived(hub, "q", 1)) == ([1], [2])


async def flow(
    backend: Backend, stops: Callable[[int], bool], number: signal.Signals = signal.SIGTERM
) -> list[int]:
    """Broadcast one after the other while the backend is stopped; the numbers that it answered for."""
    told: list[int] = []

    def tell() -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            for n in range(10_000):
                said = {"type": "step", "project_id": "p", "data": {"n": n}}
                try:
                    answer = client.post(f"{backend.url}/say", json=said)
                except httpx.HTTPError:
                    return
                assert answer.status_code == 200
                told.append(n)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, tell)
        await backend.until(lambda: (bool(told) and stops(told[-1])) or len(told) > 200)
        await backend.stop(number)
    return told


def settled(events: list[Any], told: list[int]) -> list[int]:
    """Of what the hub has, what was answered for; at most the one under way at the end comes on top."""
    found = [n for n in numbers(events) if n < 1000]
    assert len(found) <= len(told) + 1
    return found[: len(told)]
