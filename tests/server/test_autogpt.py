"""AutoGPT on a hub of its own process, with a Redis of its own: load, outages, and nothing that spins."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from tests.brokers.redis.redisserver import NEEDED, RedisServer, Waiter, encoded, redis_server
from tests.cli.processes import PATIENCE
from tests.compat.autogpt.golden import USER
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.server.process import HubProcess, hub_process
from tests.web.realhub import SECRET
from tests.wsclient import WsClient, request_head

pytestmark = NEEDED
SYSTEM = "autogpt_redis"


@asynccontextmanager
async def running(folder: Path, *settings: str) -> AsyncIterator[tuple[HubProcess, RedisServer]]:
    async with redis_server(folder) as redis:
        given = (f"autogpt.redis_url={redis.url}", "drain.window=0.2", *settings)
        async with hub_process(folder, *given, store="memory:") as hub:
            yield hub, redis


@asynccontextmanager
async def client(hub: HubProcess, execution: str = "e") -> AsyncIterator[WebSocketConnection]:
    # trio-websocket leaves the stream open where the server closes first.
    async with await trio.open_tcp_stream("127.0.0.1", hub.port) as stream, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(nursery, stream, hub.authority, "/ws", max_message_size=1 << 24)
        subscribe = {"method": "subscribe_graph_execution", "data": {"graph_exec_id": execution}}
        await socket.send_message(json.dumps(subscribe))
        assert (await heard(socket))["success"]
        yield socket
        with trio.move_on_after(1):
            await socket.aclose()
        nursery.cancel_scope.cancel()


async def heard(socket: WebSocketConnection) -> Any:
    with trio.fail_after(PATIENCE):
        return json.loads(await socket.get_message())


def node(number: int) -> bytes:
    """A node's event as the platform publishes it, of about a kilobyte."""
    payload = {**NODE, "user_id": USER, "node_exec_id": f"x{number}", "output_data": {"text": "x" * 700}}
    return encoded("PUBLISH", f"execution_event/{USER}/g/e", body(payload))


async def until(hub: HubProcess, state: str) -> None:
    """Until the hub says so of Redis."""
    with trio.fail_after(PATIENCE):
        while not (await hub.get("/readyz"))[SYSTEM].startswith(state):  # noqa: ASYNC110 - it is another process
            await trio.sleep(0.05)


async def quick_client(hub: HubProcess) -> WsClient:
    """One that costs next to nothing; the caller closes them all."""
    found = await WsClient.dial(hub.port)
    await found.raw(request_head("/ws", host="localhost"))
    assert (await found.answer()).status == 101
    await found.text('{"method":"subscribe_graph_execution","data":{"graph_exec_id":"e"}}')
    assert b'"success":true' in (await found.recv()).data
    return found


async def test_ten_thousand_events_a_second_reach_a_client_and_none_is_lost(tmp_path: Path) -> None:
    total, chunk, rate = 20_000, 100, 10_000
    async with running(tmp_path, "autogpt.mirror=off") as (hub, redis):
        socket = await quick_client(hub)
        frames: list[bytes] = []

        async def read() -> None:
            while len(frames) < total:
                frames.append((await socket.recv()).data)

        async with socket, trio.open_nursery() as nursery:
            nursery.start_soon(read)
            began = trio.current_time()
            for begin in range(0, total, chunk):
                await redis.ask_all([node(number) for number in range(begin, begin + chunk)])
                await trio.sleep(max(0.0, began + begin / rate - trio.current_time()))
        numbers = [int(json.loads(one)["data"]["node_exec_id"][1:]) for one in frames]
        assert numbers == list(range(total))
        assert await hub.metric("tasktree_bridge_messages_total", system=SYSTEM, kind="event") == total
        assert await hub.metric("tasktree_bridge_up", system=SYSTEM) == 1


async def test_a_redis_killed_and_started_again_is_found_and_the_client_comes_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, redis):
        async with client(hub) as socket:
            await redis.end()
            await until(hub, "down")
            assert await hub.metric("tasktree_bridge_up", system=SYSTEM) == 0
            await redis.start()
            assert "may have been missed" in (await heard(socket))["error"]
            with pytest.raises(ConnectionClosed):
                await heard(socket)
            assert socket.closed is not None
            assert socket.closed.code == 1012
        await until(hub, "up")
        async with client(hub) as socket:
            await redis.ask_all([node(1)])
            assert (await heard(socket))["data"]["node_exec_id"] == "x1"


async def test_while_redis_is_away_the_hub_waits_and_does_its_other_work(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, redis):
        await redis.end()
        await until(hub, "down")
        before = busy(hub)
        await trio.sleep(2.0)
        assert busy(hub) - before < 1.0
        await hub.post("p", {"type": "node_update", "data": {"node_id": "a", "changes": {"status": "ready"}}})
        assert (await hub.state("p"))["seq"] == 1
        assert await hub.stop() == 0


async def test_a_hub_stops_in_time_while_its_redis_is_frozen(tmp_path: Path) -> None:
    async with running(tmp_path, "drain.timeout=600") as (hub, redis):
        redis.send(signal.SIGSTOP)
        with trio.fail_after(PATIENCE):
            assert await hub.stop() == 0


async def test_a_client_that_stops_reading_delays_nobody_and_gets_the_newest(tmp_path: Path) -> None:
    async with running(tmp_path, "autogpt.mirror=off") as (hub, redis), client(hub) as quick:
        raw = await quick_client(hub)
        rounds = 300
        for value in range(rounds):
            payload = {**NODE, "user_id": USER, "input_data": value, "output_data": "x" * 50_000}
            await redis.ask_all([encoded("PUBLISH", f"execution_event/{USER}/g/e", body(payload))])
            assert (await heard(quick))["data"]["input_data"] == value
        values: list[int] = []
        with trio.fail_after(PATIENCE):
            while not values or values[-1] != rounds - 1:
                values.append(json.loads((await raw.recv()).data)["data"]["input_data"])
        assert values == sorted(values)
        assert len(values) < rounds
        WsClient.close_all()


class Page:
    """AutoGPT's frontend, as far as a hub sees it: one connection for all, made anew after any close, with a
    token fetched for it; a hook that subscribes to its graphs once and never again, and filters by graph."""

    def __init__(self, hub: HubProcess, token: Callable[[], str], *graphs: str) -> None:
        self.hub = hub
        self.token = token
        self.graphs = graphs
        self.subscribed = False
        self.connections = self.refusals = 0
        self.shown: list[str] = []
        self.changed = Waiter()

    async def run(self) -> None:
        while True:
            try:
                await self._connect()
            except* (OSError, ConnectionClosed, trio.BrokenResourceError):
                pass
            except* HandshakeError:
                self.refusals += 1
                self.changed.change()
            await trio.sleep(0.05)

    async def _connect(self) -> None:
        path = f"/ws?token={self.token()}"
        stream = await trio.open_tcp_stream("127.0.0.1", self.hub.port)
        async with stream, trio.open_nursery() as nursery:
            try:
                socket = await wrap_client_stream(nursery, stream, self.hub.authority, path)
                await self._opened(socket)
            finally:
                nursery.cancel_scope.cancel()

    async def _opened(self, socket: WebSocketConnection) -> None:
        if not self.subscribed:
            self.subscribed = True
            for graph in self.graphs:
                wish = {"method": "subscribe_graph_executions", "data": {"graph_id": graph}}
                await socket.send_message(json.dumps(wish))
        self.connections += 1
        self.changed.change()
        while True:
            said = json.loads(await socket.get_message())
            if said["method"] == "graph_execution_event" and said["data"]["graph_id"] in self.graphs:
                self.shown.append(said["data"]["id"])
                self.changed.change()

    async def until_shown(self, redis: RedisServer, user: str, mark: str) -> None:
        """Until an event that is published now, again and again, is shown."""
        payload = {**GRAPH, "user_id": user, "id": mark}
        with trio.fail_after(PATIENCE):
            while mark not in self.shown:
                await redis.publish(f"execution_event/{user}/g/{mark}", body(payload))
                with trio.move_on_after(0.1):
                    await self.changed.until(lambda: mark in self.shown)


@pytest.mark.parametrize("way", ["expiry", "outage", "restart", "a handshake refused meanwhile"])
async def test_a_page_that_subscribes_once_goes_on_receiving(tmp_path: Path, way: str) -> None:
    lasts = 2.0 if way == "expiry" else 3_600.0
    refused = False

    def token() -> str:
        claims = {"sub": "ann", "aud": "authenticated", "exp": time.time() + (-1 if refused else lasts)}
        return jwt.encode(claims, SECRET, "HS256")

    async with redis_server(tmp_path) as redis, trio.open_nursery() as nursery:
        given = (f"autogpt.redis_url={redis.url}", "drain.window=0.1")
        env = {
            "TASKTREE_RT_AUTH_SECRET": SECRET,
            "TASKTREE_RT_AUTH_LEEWAY": "0",
            "TASKTREE_RT_AUTH_AUDIENCE": "authenticated",
        }
        async with hub_process(tmp_path, *given, env=env) as hub:
            page = Page(hub, token, "g")
            nursery.start_soon(page.run)
            await page.until_shown(redis, "ann", "first")
            if way == "outage":
                await redis.end()
                await until(hub, "down")
                await redis.start()
            elif way == "restart":
                assert await hub.stop() == 0
                await hub.start()
            elif way != "expiry":
                refused = True
                assert await redis.ask("CLIENT", "KILL", "TYPE", "pubsub") == b":1"
                await page.changed.until(lambda: page.refusals >= 3)
                assert page.connections == 1
                refused = False
            await page.changed.until(lambda: page.connections > 1)
            await page.until_shown(redis, "ann", "second")
            nursery.cancel_scope.cancel()


def busy(hub: HubProcess) -> float:
    """Seconds of CPU that the hub has used."""
    fields = Path(f"/proc/{hub.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
