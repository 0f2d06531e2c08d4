"""A hub in the lifespan of a FastAPI application that a real uvicorn runs."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tasktree_rt.asgi import EmbeddedHub, HubStopped
from tasktree_rt.errors import PeerError, SettingsError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.settings import Settings
from tests.cli.processes import PATIENCE
from tests.test_examples import blocks


def new_hub() -> EmbeddedHub:
    return EmbeddedHub(Settings(bind="127.0.0.1:0", store="memory:"))


def update(status: str) -> dict[str, Any]:
    return {"type": "node_update", "data": {"node_id": "compile", "changes": {"status": status}}}


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Run uvicorn in this loop; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def request(url: str, body: dict[str, Any] | None = None) -> Any:
    """GET, or POST of JSON, in the calling thread."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
        return json.loads(response.read())


def run(main: Any) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


def test_a_handler_publishes_and_a_watcher_of_the_hub_sees_it() -> None:
    hub = new_hub()
    app = FastAPI(lifespan=hub.lifespan)

    @app.post("/jobs/{job}")
    async def begin(job: str) -> dict[str, int]:
        receipt = await hub.broadcast_to_project(job, update("running"))
        return {"seq": receipt.positions[0].seq}

    async def main() -> None:
        async with served(app) as url:
            ours = hub.address.replace("http", "ws")
            async with connect(f"{ours}/ws/updates?project_id=build-7") as watcher:
                assert await asyncio.to_thread(request, f"{url}/jobs/build-7", {}) == {"seq": 1}
                seen = ""
                while '"running"' not in seen:
                    seen = str(await watcher.recv())
                stopping = asyncio.create_task(hub.run(_shut_watchers))
                with suppress(ConnectionClosed):
                    while True:
                        await watcher.recv()
                await stopping
            assert watcher.close_code is not None

    run(main())


async def _shut_watchers(hub: Hub) -> None:
    await hub.drain()


def test_a_handler_that_blocks_the_application_delays_no_watcher() -> None:
    hub, released = new_hub(), threading.Event()
    app = FastAPI(lifespan=hub.lifespan)

    @app.get("/block")
    async def block() -> bool:
        return released.wait(PATIENCE)  # the whole event loop

    def beside(url: str, address: str) -> bool:
        blocked = threading.Thread(target=request, args=(f"{url}/block",))
        blocked.start()
        request(f"{address}/api/v1/projects/p/events", update("running"))
        state = request(f"{address}/api/v1/projects/p/state")
        released.set()
        blocked.join(PATIENCE)
        return bool(state["data"]["nodes"][0]["status"] == "running")

    async def main() -> None:
        async with served(app) as url:
            assert await asyncio.to_thread(beside, url, hub.address)

    run(main())


def test_a_wrong_message_is_the_callers_error() -> None:
    async def main() -> None:
        async with new_hub() as hub:
            with pytest.raises(PeerError) as error:
                await hub.broadcast_to_project("not ok", update("running"))
            assert error.value.code == "invalid_project_id"
            assert await hub.broadcast({"type": "hello"}) == 0
            assert await hub.send_personal_message("nobody", {"type": "hello"}) is False

    run(main())


def test_a_hub_that_cannot_listen_ends_the_applications_start() -> None:
    async def main(port: int) -> None:
        hub = EmbeddedHub(Settings(bind=f"127.0.0.1:{port}", store="memory:"))
        with pytest.raises(SettingsError):
            async with hub:
                pass
        with pytest.raises(HubStopped):
            await hub.broadcast({"type": "hello"})

    with socket.create_server(("127.0.0.1", 0)) as taken:
        run(main(taken.getsockname()[1]))


def test_outside_of_the_lifespan_a_call_says_so_and_it_may_begin_again() -> None:
    async def main() -> None:
        hub = new_hub()
        for _ in range(2):
            with pytest.raises(HubStopped, match="lifespan"):
                await hub.broadcast({"type": "hello"})
            async with hub:
                assert await hub.broadcast({"type": "hello"}) == 0
            with pytest.raises(HubStopped, match="lifespan"):
                _ = hub.address

    run(main())


def test_cancelling_the_caller_cancels_what_it_awaits_in_the_hub() -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def waits(hub: Hub) -> None:
        began.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def main() -> None:
        async with new_hub() as hub:
            call = asyncio.create_task(hub.run(waits))
            assert await asyncio.to_thread(began.wait, PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(cancelled.wait, PATIENCE)
            assert await hub.broadcast({"type": "hello"}) == 0

    run(main())


def test_a_call_that_the_hubs_end_overtakes_is_told() -> None:
    began = threading.Event()

    async def waits(hub: Hub) -> None:
        began.set()
        await trio.sleep_forever()

    async def main() -> None:
        async with new_hub() as hub:
            call = asyncio.create_task(hub.run(waits))
            assert await asyncio.to_thread(began.wait, PATIENCE)
        with pytest.raises(HubStopped, match="ended"):
            await call

    run(main())


def test_the_pages_program_does_what_it_says() -> None:
    code = blocks("migrate/fastapi.md", "python")[-1]
    found: dict[str, Any] = {}
    exec(code.replace('"127.0.0.1:8001"', '"127.0.0.1:0", store="memory:"'), found)  # noqa: S102 - the page's own

    async def main() -> None:
        async with served(found["app"]) as url:
            sent = await asyncio.to_thread(request, f"{url}/jobs/build-7/steps/compile?status=running", {})
            assert sent == {"seq": 1}
            address = f"{found['hub'].address}/api/v1/projects/build-7/state"
            state = await asyncio.to_thread(request, address)
            assert state["data"]["nodes"][0]["title"] == "compile"

    run(main())
