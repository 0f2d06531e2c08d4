"""TaskTree's manager in a real FastAPI application, in front of a real hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import uvicorn
from attrs import define
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect

from tasktree_rt.client.watcher.messages import (
    Disconnected,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    WatchMessage,
)
from tasktree_rt.compat.tasktree import WebSocketManager, upstream
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.compat.tasktree.browsers import WAITING
from tasktree_rt.compat.tasktree.manager import RELOAD
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ConnectionLost
from tests.server.process import HubProcess, hub_process
from tests.web.realhub import auth, real_hub, token


def application(manager: WebSocketManager) -> FastAPI:
    """An existing backend: only its import is another."""
    app = FastAPI()

    @app.websocket("/ws/updates")  # type: ignore[untyped-decorator]
    async def updates(websocket: WebSocket) -> None:
        await manager.connect(websocket)
        try:
            while True:
                said = await websocket.receive_text()
                await manager.send_personal_message({"type": "echo", "said": said}, websocket)
        except WebSocketDisconnect:
            manager.disconnect(websocket)

    return app


@asynccontextmanager
async def served(manager: WebSocketManager) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(application(manager), port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"ws://127.0.0.1:{port}/ws/updates"
    server.should_exit = True
    await task


async def within(hub: HubProcess, program: Callable[[WebSocketManager, str], Awaitable[None]]) -> None:
    async def main() -> None:
        manager = WebSocketManager(hub.url, spool=hub.folder / "spool")
        try:
            async with asyncio.timeout(60), served(manager) as address:
                await program(manager, address)
        finally:
            await manager.aclose()

    await trio.to_thread.run_sync(asyncio.run, main())


async def heard(client: ClientConnection, kind: str) -> Any:
    while (message := json.loads(await client.recv()))["type"] != kind:
        pass
    return message


async def ready(manager: WebSocketManager, client: ClientConnection) -> None:
    """Until the process' one watcher is there: what is said before that is nobody's."""
    while True:
        await manager.broadcast({"type": "ready?", "data": {}})
        try:
            async with asyncio.timeout(0.1):
                await heard(client, "ready?")
                return
        except TimeoutError:
            continue


async def test_what_the_backend_broadcasts_is_durable_and_shown_here_and_at_the_hub(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as here, connect(f"ws://{hub.authority}/ws/updates") as there:
            await ready(manager, here)
            task = {"id": "1-p1", "task_id": 1, "title": "Write", "status": "unclaimed"}
            message = {"type": "task_created", "data": task, "timestamp": "2026-01-01T00:00:00Z"}
            await manager.broadcast_to_project("p1", message)
            await manager.broadcast({**message, "project_id": "p2"})
            for client in (here, there):
                for project in ("p1", "p2"):
                    said = await heard(client, "task_created")
                    assert (said["project_id"], said["data"]["title"]) == (project, "Write")
            await manager.broadcast({"type": "news", "project_id": None, "data": {"n": 1}})
            for client in (here, there):
                said = await heard(client, "news")
                assert (said["project_id"], said["data"]) == (None, {"n": 1})
            await here.send("hello")
            assert (await heard(here, "echo"))["said"] == "hello"
            assert len(manager.active_connections) == 1
        while manager.active_connections:  # noqa: ASYNC110 (the application's own doing)
            await asyncio.sleep(0.01)

    async with hub_process(tmp_path) as hub:
        await within(hub, program)
        async with hub.http() as http:
            state = (await http.get("/api/v1/projects/p1/state")).json()
        assert [node["title"] for node in state["data"]["nodes"]] == ["Write"]


async def test_a_hub_that_dies_loses_nothing_of_what_is_broadcast_meanwhile(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:

        async def program(manager: WebSocketManager, address: str) -> None:
            async with connect(address) as here:
                await ready(manager, here)
                await manager.broadcast_to_project("p1", {"type": "step", "data": {"n": 0}})
                assert (await heard(here, "step"))["data"] == {"n": 0}
                trio.from_thread.run(hub.kill)
                for n in range(1, 51):
                    await manager.broadcast_to_project("p1", {"type": "step", "data": {"n": n}})
                trio.from_thread.run(hub.start)
                assert [(await heard(here, "step"))["data"]["n"] for _ in range(50)] == list(range(1, 51))

        await within(hub, program)


# --- browsers that are slow, and a stream that breaks --------------------------------------------------


class Browser:
    """A framework's WebSocket that takes what it is sent, or nothing."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.stuck = stuck
        self.heard: list[Any] = []
        self.code: int | None = None
        self.changed = asyncio.Event()

    async def accept(self) -> None:
        """Nothing to do."""

    async def send_text(self, data: str) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.heard.append(json.loads(data))
        self.changed.set()

    async def close(self, code: int = 1000) -> None:
        self.code = code
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@define
class Scripted:
    """What a watcher gives of one life."""

    life: list[WatchMessage | ConnectionLost]

    async def answered(self) -> None:
        await trio.lowlevel.checkpoint()

    async def __aiter__(self) -> AsyncIterator[WatchMessage]:
        for one in self.life:
            if isinstance(one, ConnectionLost):
                raise one
            yield one
        await trio.sleep_forever()


class Script:
    """In place of the hub's stream: each connection is told the next list, and then waits or is lost."""

    def __init__(self, *lives: list[WatchMessage | ConnectionLost]) -> None:
        self.lives = list(lives)

    @asynccontextmanager
    async def open_watcher(self, hub: str, **_: Any) -> AsyncIterator[Scripted]:
        yield Scripted(self.lives.pop(0))


def step(number: int) -> ProjectEvent:
    return ProjectEvent("p", Position("e", number), "step", {"n": number}, "2026-01-01T00:00:00.000000Z")


def replaced() -> StateReplaced:
    return StateReplaced("p", Position("e", 9), "gap", None, {}, None, None, [], {})


def scripted(
    monkeypatch: pytest.MonkeyPatch, script: Script, program: Callable[[WebSocketManager], Awaitable[None]]
) -> None:
    monkeypatch.setattr(upstream, "open_watcher", script.open_watcher)

    async def main() -> None:
        manager = WebSocketManager("http://127.0.0.1:1", spool="", exit_timeout=0.1)
        try:
            async with asyncio.timeout(60):
                await program(manager)
        finally:
            await manager.aclose()

    asyncio.run(main())


def test_a_browser_is_told_in_the_four_keys_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(manager: WebSocketManager) -> None:
        browser = Browser()
        await manager.connect(browser)
        await browser.until(lambda: len(browser.heard) == 2)
        time = "2026-01-01T00:00:00.000000Z"
        assert browser.heard == [
            {"type": "step", "project_id": "p", "data": {"n": 1}, "timestamp": time},
            {"type": "project_deleted", "project_id": "p", "data": {"project_id": "p"}, "timestamp": time},
        ]

    over = ProjectDeleted("p", Position("e", 2), {"project_id": "p"}, "2026-01-01T00:00:00.000000Z")
    scripted(monkeypatch, Script([step(1), over]), program)


def test_a_slow_browser_is_closed_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(manager: WebSocketManager) -> None:
        slow, quick = Browser(stuck=True), Browser()
        await asyncio.gather(manager.connect(slow), manager.connect(quick))
        await slow.until(lambda: slow.code is not None)
        assert slow.code == 4008
        await quick.until(lambda: len(quick.heard) == total)
        assert [one["data"]["n"] for one in quick.heard] == list(range(total))
        assert manager.active_connections == [quick]

    total = 20 * WAITING
    scripted(monkeypatch, Script([step(number) for number in range(total)]), program)


def test_browsers_are_told_to_load_anew_where_events_were_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def program(manager: WebSocketManager) -> None:
        browser = Browser()
        await manager.connect(browser)
        await browser.until(lambda: len(browser.heard) == 3)
        assert [(one["type"], one["project_id"]) for one in browser.heard] == [
            ("step", "p"),
            (RELOAD, "p"),
            ("step", "p"),
        ]
        assert (browser.code, list(manager.active_connections)) == (None, [browser])

    scripted(monkeypatch, Script([step(1), replaced(), step(10)]), program)


def test_a_stream_that_is_lost_closes_the_browsers_and_who_comes_next_has_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def program(manager: WebSocketManager) -> None:
        browser = Browser()
        await manager.connect(browser)
        await browser.until(lambda: browser.code is not None)
        assert browser.code == 1012
        again = Browser()
        await manager.connect(again)
        await again.until(lambda: bool(again.heard))
        assert (again.heard[0]["data"], again.code) == ({"n": 2}, None)

    scripted(monkeypatch, Script([ConnectionLost("the token has expired")], [step(2)]), program)


async def gated(
    monkeypatch: pytest.MonkeyPatch, life: list[WatchMessage | ConnectionLost]
) -> tuple[list[str], list[str]]:
    """What happens within 1,000 s while a watcher with this life does not stand, and once it does."""
    monkeypatch.setattr(upstream, "open_watcher", Script(life).open_watcher)
    stands, steps = trio.Event(), list[str]()
    monkeypatch.setattr(Scripted, "answered", lambda _: stands.wait())

    async def told() -> None:
        await watching.before_connect()
        steps.append("told")

    async with trio.open_nursery() as nursery:
        watching = upstream.Upstream(
            Address("http://hub", "tasktree", None, None, 0),
            shown=lambda _: None,
            turned=trio.lowlevel.checkpoint,
            missed=lambda: steps.append("missed"),
            lost=lambda: None,
        )
        await watching.before_connect()  # no watcher is wanted: nothing to wait for
        nursery.start_soon(watching.run)
        watching.watch(lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(told)
        await trio.sleep(1000)
        before = list(steps)
        stands.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return before, steps[len(before) :]


async def test_a_hub_that_comes_back_is_told_nothing_before_the_first_watcher_stands(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    away = Disconnected("cannot connect: nobody there", None, 1.0)
    assert await gated(monkeypatch, [away, away]) == ([], ["told"])


async def test_a_hub_that_does_not_let_the_watcher_stand_is_told_and_browsers_are_told_so(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    assert await gated(monkeypatch, [Disconnected("the hub is full", 1013, 1.0)]) == (["told"], ["missed"])


async def test_a_connection_that_waits_for_a_watcher_goes_on_when_the_watchers_stream_is_lost(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(upstream, "open_watcher", Script([ConnectionLost("expired")]).open_watcher)
    watching = upstream.Upstream(
        Address("http://hub", "tasktree", None, None, 0),
        shown=lambda _: None,
        turned=trio.lowlevel.checkpoint,
        missed=lambda: heard.append("missed"),
        lost=lambda: heard.append("lost"),
    )
    watching.watch(lambda: heard.append("subscribed"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watching.before_connect)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(watching.run)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1  # `run` waits for the next browser
        nursery.cancel_scope.cancel()
    assert heard == ["subscribed", "lost"]


@pytest.mark.parametrize("spooled", [True, False])
async def test_a_token_that_is_refused_costs_no_request_and_with_a_spool_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spooled: bool
) -> None:
    spool = tmp_path / "spool" if spooled else ""

    async def without(url: str) -> tuple[int, int]:
        manager, told = WebSocketManager(url, spool=spool, exit_timeout=0.0), 0
        async with asyncio.timeout(60):
            while "the hub cannot be used" not in caplog.text:
                await manager.broadcast_to_project("p", {"type": "step", "data": {"n": told}})
                told += 1
                await asyncio.sleep(0.01 if told < 5 else 1)  # it is noticed without any more of them too
        left = manager.statistics()
        await manager.aclose()
        return told, left["waiting"] + left["lost"]

    async def with_token(url: str) -> None:
        manager = WebSocketManager(url, token=token(push=["*"]), spool=spool)
        async with asyncio.timeout(60):
            await manager.broadcast_to_project("p", {"type": "step", "data": {"n": -1}})
            while manager.statistics()["waiting"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await manager.aclose()

    async with real_hub(auth=auth()) as running:
        told, accounted = await trio.to_thread.run_sync(asyncio.run, without(running.url))
        assert accounted == told
        await trio.to_thread.run_sync(asyncio.run, with_token(running.url))
        async with running.http(headers={"Authorization": f"Bearer {token(watch=['*'])}"}) as http:
            page = (await http.get("/api/v1/projects/p/events?since=:0&limit=1000")).json()
    arrived = [one["data"]["n"] for one in page["events"]]
    assert arrived == [*(range(told) if spooled else []), -1] or (not spooled and arrived[-1] == -1)
