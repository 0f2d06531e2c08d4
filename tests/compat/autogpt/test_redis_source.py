"""AutoGPT's Redis through the bridge to AutoGPT's clients: events, notifications, mistakes, outages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import frozen
from structlog.testing import capture_logs
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.brokers.redis.connection import Patience
from tasktree_rt.compat.autogpt.notification_intake import LANE_BYTES, LAST_WAIT
from tasktree_rt.compat.autogpt.redis_source import MISSED, SYSTEM, RedisSource
from tasktree_rt.metrics import Metrics
from tests.brokers.redis.redisserver import NEEDED, RedisServer, Waiter, redis_server
from tests.brokers.redis.test_pubsub import CALM
from tests.cli.processes import PATIENCE
from tests.compat.autogpt.golden import USER
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.compat.autogpt.test_routes import project_change
from tests.hub.world import Store
from tests.web.realhub import RealHub, heard, real_hub, say

pytestmark = NEEDED
OURS = {"user_id": USER}
MOST = 10_000


class Counting(Metrics):
    """Metrics that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = Waiter()
        self.counts: Counter[str] = Counter()
        self.is_up = False

    def bridge_up(self, system: str, up: bool) -> None:
        assert system == SYSTEM
        super().bridge_up(system, up)
        self.is_up = up
        self.changes.change()

    def bridge_message(self, system: str, kind: str) -> None:
        super().bridge_message(system, kind)
        self.counts[kind] += 1
        self.changes.change()

    async def until_up(self, up: bool) -> None:
        await self.changes.until(lambda: self.is_up == up)


@frozen
class Bridged:
    """A hub with AutoGPT's Redis."""

    running: RealHub
    redis: RedisServer
    meter: Counting
    stop: trio.CancelScope

    async def event(self, payload: dict[str, Any], channel: str | None = None) -> None:
        """As the platform publishes it."""
        execution = payload.get("graph_exec_id") or payload.get("id")
        named = f"execution_event/{payload['user_id']}/{payload['graph_id']}/{execution}"
        assert await self.redis.publish(channel or named, body(payload)) == 1

    async def notify(self, user: str, payload: dict[str, Any]) -> None:
        said = {"user_id": user, "payload": payload}
        assert await self.redis.publish(f"notification_event/{user}", body(said)) == 1

    @asynccontextmanager
    async def client(self) -> AsyncIterator[WebSocketConnection]:
        """One that watches execution e of graph g."""
        async with self.running.socket("/ws", native=False) as socket:
            await say(socket, {"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}})
            assert (await heard(socket))["success"]
            yield socket


@asynccontextmanager
async def bridged(
    folder: Path,
    *options: str,
    broker: Store | None = None,
    window: float = 0.0,
    patience: Patience = CALM,
) -> AsyncIterator[Bridged]:
    async with (
        real_hub(broker) as running,
        bridge_of(folder, running, *options, window=window, patience=patience) as world,
    ):
        yield world
        world.stop.cancel()


@asynccontextmanager
async def bridge_of(
    folder: Path, running: RealHub, *options: str, window: float = 0.0, patience: Patience = CALM
) -> AsyncIterator[Bridged]:
    """A bridge to that hub, until the test cancels `stop`."""
    meter = Counting()
    async with redis_server(folder, *options) as redis, trio.open_nursery() as nursery:
        bridge = RedisSource(
            running.hub,
            redis.url,
            mirror=True,
            max_event_size=MOST,
            window=window,
            meter=meter,
            patience=patience,
        )
        await nursery.start(bridge.run)
        yield Bridged(running, redis, meter, nursery.cancel_scope)


async def ended(socket: WebSocketConnection) -> tuple[list[Any], int, str | None]:
    """What a client still hears, and how it is closed."""
    found: list[Any] = []
    with trio.fail_after(PATIENCE):
        while True:
            try:
                found.append(json.loads(await socket.get_message()))
            except ConnectionClosed:
                assert socket.closed is not None
                return found, socket.closed.code, socket.closed.reason


async def test_what_the_platform_publishes_reaches_its_clients_and_the_mirror(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.client() as socket:
        await world.event({**GRAPH, **OURS})
        await world.event({**NODE, **OURS})
        await world.notify(USER, {"type": "t", "event": "e", "more": [1]})
        found = [await heard(socket) for _ in range(3)]
        assert [one["method"] for one in found] == [
            "graph_execution_event",
            "node_execution_event",
            "notification",
        ]
        assert found[2]["data"] == {"type": "t", "event": "e", "more": [1]}
        await project_change(world.running)
        assert (await world.running.hub.state("autogpt:e")).top["state"] == "running"
        assert world.meter.counts == {"event": 2, "notification": 1}


async def test_a_stored_notification_is_of_the_user_and_keeps_the_payload(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.client() as socket, world.running.http() as http:
        await world.notify(USER, {"type": "t", "event": "e"})
        await heard(socket)
        kept = (await http.get(f"/api/v1/users/{USER}/notifications")).json()["events"]
        assert [one["data"] for one in kept] == [
            {"title": "t: e", "data": {"autogpt": {"type": "t", "event": "e"}}}
        ]


async def test_the_notifications_of_a_user_come_in_order(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.client() as socket:
        for number in range(300):
            await world.notify(USER, {"type": "t", "event": f"{number}"})
        events = [(await heard(socket))["data"]["event"] for _ in range(300)]
        assert events == [f"{number}" for number in range(300)]


async def test_a_notification_is_shown_also_while_the_store_fails(tmp_path: Path) -> None:
    store = Store()
    async with bridged(tmp_path, broker=store) as world, world.client() as socket:
        store.failing = True
        await world.notify(USER, {"type": "t", "event": "e"})
        assert (await heard(socket))["data"] == {"type": "t", "event": "e"}
        store.failing = False


@pytest.mark.parametrize(
    ("channel", "sent"),
    [
        ("execution_event/", b"{}"),
        ("execution_event/u/g", body(GRAPH)),
        ("execution_event/u/g/e/f", body(GRAPH)),
        ("execution_event//g/e", body(GRAPH)),
        ("execution_event/u/g/other", body(GRAPH)),
        ("execution_event/u/g/e", b""),
        ("execution_event/u/g/e", b"nonsense"),
        ("execution_event/u/g/e", b"\xff\xfe"),
        ("execution_event/u/g/e", b'{"payload":' + b"[" * 9_000),
        ("execution_event/u/g/e", body({})),
        ("notification_event/", body({"user_id": "", "payload": {"type": "t", "event": "e"}})),
        ("notification_event/u", body({"user_id": "v", "payload": {"type": "t", "event": "e"}})),
        ("notification_event/u", b"[]"),
        (b"execution_event/\xff/g/e", body(GRAPH)),
    ],
)
async def test_what_is_malformed_is_counted_and_harms_nothing(
    tmp_path: Path, channel: str | bytes, sent: bytes
) -> None:
    async with bridged(tmp_path) as world, world.client() as socket:
        assert (await world.redis.ask("PUBLISH", channel, sent)) == b":1"
        await world.event({**NODE, **OURS})
        assert (await heard(socket))["method"] == "node_execution_event"
        assert world.meter.counts == {"malformed": 1, "event": 1}


async def test_an_event_that_is_too_large_is_told_of(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.client() as socket:
        await world.event({**NODE, **OURS, "output_data": "x" * MOST})
        told = await heard(socket)
        assert told["method"] == "graph_execution_event"
        assert told["data"]["event_type"] == "error_comms_update"
        assert told["data"]["max_size_bytes"] == MOST < told["data"]["original_size_bytes"]
        assert world.meter.counts == {"too_large": 1}


async def test_who_was_connected_over_an_outage_is_told_and_made_to_come_back(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world:
        async with world.client() as before:
            await world.redis.end()
            await world.meter.until_up(False)
            async with world.client() as meanwhile:
                await world.redis.start()
                await world.meter.until_up(True)
                for socket in (before, meanwhile):
                    found, code, reason = await ended(socket)
                    assert [one["error"] for one in found] == [MISSED]
                    assert (code, reason) == (1012, "events may have been missed")
        async with world.client() as after:
            await world.event({**NODE, **OURS})
            assert (await heard(after))["method"] == "node_execution_event"


async def test_a_connection_that_redis_kills_is_a_gap_like_any_other(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world:
        async with world.client() as before:
            assert await world.redis.ask("CLIENT", "KILL", "TYPE", "pubsub") == b":1"
            found, code, _ = await ended(before)
            assert ([one["error"] for one in found], code) == ([MISSED], 1012)
        await world.meter.until_up(True)
        async with world.client() as after:
            await world.event({**NODE, **OURS})
            assert (await heard(after))["method"] == "node_execution_event"


async def test_a_store_that_hangs_holds_no_more_than_it_may_and_what_goes_by_is_shown_and_counted(
    tmp_path: Path,
) -> None:
    """Reading does not wait for the store: executions are shown, and the first notifications are kept."""
    store, total, size = Store(), 100, 100_000
    with capture_logs() as lines:
        async with (
            bridged(tmp_path, broker=store) as world,
            world.running.http() as http,
            world.client() as client,
        ):
            store.hold_appends()
            held = 0
            for number in range(total):
                await world.notify(USER, {"type": "t", "event": f"{number}", "more": "x" * size})
                await world.event({**NODE, **OURS})
                if (said := await heard(client))["method"] == "notification":
                    assert said["data"]["event"] == f"{number}"
                    said = await heard(client)
                else:
                    assert held == number
                    held += 1
                assert said["method"] == "node_execution_event"
            assert LANE_BYTES - 2 * size < held * size <= LANE_BYTES
            assert world.meter.counts == {"notification": total, "not_kept": total - held, "event": total}
            store.release_appends()
            await world.notify(USER, {"type": "t", "event": "end"})
            with trio.fail_after(PATIENCE):
                while "t: end" not in (kept := await titles(http, USER)):
                    await trio.lowlevel.checkpoint()
            assert kept == [*(f"t: {number}" for number in range(held)), "t: end"]
    said_of_it = [(one["event"], one.get("not_kept")) for one in lines if "kept" in one["event"]]
    assert said_of_it == [
        ("notifications are shown, but not kept", None),
        ("notifications are kept again", total - held),
    ]


async def test_what_was_read_is_stored_before_the_bridge_ends(tmp_path: Path) -> None:
    store, total = Store(), 50
    async with real_hub(store) as running, running.http() as http:
        async with bridge_of(tmp_path, running) as world:
            store.hold_appends()
            for number in range(total):
                await world.notify(USER, {"type": "t", "event": f"{number}"})
            await world.meter.changes.until(lambda: world.meter.counts["notification"] == total)
            world.stop.cancel()
            store.release_appends()
        assert await titles(http, USER) == [f"t: {number}" for number in range(total)]
        assert not world.meter.counts["not_kept"]


async def test_a_bridge_ends_also_while_the_store_hangs_and_counts_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LAST_WAIT <= 5
    monkeypatch.setattr("tasktree_rt.compat.autogpt.notification_intake.LAST_WAIT", 0.05)
    store, total = Store(), 50
    async with real_hub(store) as running:
        async with bridge_of(tmp_path, running) as world:
            store.hold_appends()
            for number in range(total):
                await world.notify(USER, {"type": "t", "event": f"{number}"})
            await world.meter.changes.until(lambda: world.meter.counts["notification"] == total)
            world.stop.cancel()
        assert world.meter.counts["not_kept"] == total
        store.release_appends()


async def titles(http: httpx.AsyncClient, user: str) -> list[str]:
    found = (await http.get(f"/api/v1/users/{user}/notifications?limit=1000")).json()["events"]
    return [one["data"]["title"] for one in found]


async def test_other_languages_are_not_disturbed_by_an_outage(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.running.socket("/ws/updates") as native:
        await world.redis.end()
        await world.meter.until_up(False)
        await world.redis.start()
        await world.meter.until_up(True)
        await say(native, {"type": "ping", "id": 1})
        while (await heard(native))["type"] != "pong":
            pass


async def test_readiness_tells_how_it_stands_and_stays(tmp_path: Path) -> None:
    async with bridged(tmp_path) as world, world.running.http() as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()[SYSTEM]) == (200, "up")
        await world.redis.end()
        await world.meter.until_up(False)
        answer = await http.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["status"] == "ready"
        assert answer.json()[SYSTEM].startswith("down: ")
