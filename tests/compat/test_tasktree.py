"""TaskTree's manager in a real FastAPI application, in front of a real hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect

from tasktree_rt.compat.tasktree import WebSocketManager
from tests.server.process import HubProcess, hub_process


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
        manager = WebSocketManager(hub.url)
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


async def test_a_full_queue_holds_up_the_one_who_broadcasts_and_not_the_event_loop(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        await hub.kill()

        async def main() -> None:
            manager = WebSocketManager(hub.url, max_waiting=10)
            loop, ticks = asyncio.get_running_loop(), 0
            sending = [manager.broadcast_to_project("p", {"type": "x", "data": {"n": n}}) for n in range(30)]
            task = asyncio.gather(*sending)
            until = loop.time() + 0.3
            while loop.time() < until:
                await asyncio.sleep(0.01)
                ticks += 1
            assert ticks > 10
            assert not task.done()
            trio.from_thread.run(hub.start)
            await task
            await manager.aclose()

        await trio.to_thread.run_sync(asyncio.run, main())
