"""AutoGPT on a real Redis Cluster: what its newer releases publish reaches its clients, by exact channels."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
import trio.testing
from attrs import frozen
from trio_websocket import WebSocketConnection

from tasktree_rt.compat.autogpt.graph_owners import BETWEEN, Graphs
from tasktree_rt.compat.autogpt.redis_source import MISSED, SYSTEM, RedisSource
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Auth
from tests.brokers.redis.rediscluster import RedisCluster, redis_cluster
from tests.brokers.redis.redisserver import NEEDED, redis_server
from tests.brokers.redis.test_pubsub import CALM
from tests.compat.autogpt.golden import USER
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.compat.autogpt.test_redis_source import MOST, Counting, ended
from tests.compat.autogpt.test_routes import project_change, until_pong
from tests.web.realhub import SECRET, TOMORROW, RealHub, heard, real_hub, say

pytestmark = NEEDED


class Api:
    """What is asked of AutoGPT's REST API: the executions of the user whose token it is."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, str]] = {}
        self.wrapped = False
        self.asked: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
                user = jwt.decode(shown, options={"verify_signature": False})["sub"] if shown else USER
                api.asked.append(f"{user} {self.path}")
                known = api.executions.get(user)
                listed: Any = [{"id": one, "graph_id": graph} for one, graph in (known or {}).items()]
                sent = json.dumps({"executions": listed} if api.wrapped else listed).encode()
                self.send_response(500 if known is None else 200)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api/"


@contextmanager
def platform_api() -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        api.http.shutdown()
        thread.join()
        api.http.server_close()


@frozen
class Platform:
    """A hub, the platform's cluster and its API."""

    running: RealHub
    cluster: RedisCluster
    api: Api
    meter: Counting

    async def event(self, payload: dict[str, Any], user: str = USER, **more: Any) -> list[int]:
        """As the platform publishes it: for the execution, then for the graph; to how many each went."""
        said = {**payload, "user_id": user, **more}
        execution = said.get("graph_exec_id") or said["id"]
        tag = f"execution_event/{{{user}/{said['graph_id']}}}"
        places = (f"{tag}/exec/{execution}", f"{tag}/all")
        return [await self.cluster.publish(place, body(said)) for place in places]

    async def notify(self, event: str, user: str = USER) -> int:
        said = {"user_id": user, "payload": {"type": "t", "event": event}}
        return await self.cluster.publish(f"notification_event/{user}", body(said))

    @asynccontextmanager
    async def client(
        self, *wishes: tuple[str, dict[str, str]], token: str = ""
    ) -> AsyncIterator[WebSocketConnection]:
        """One that subscribed to all of these."""
        path = f"/ws?token={token}" if token else "/ws"
        async with self.running.socket(path, native=False) as socket:
            for method, data in wishes:
                await say(socket, {"method": method, "data": data})
                answer = await heard(socket)
                assert (answer["method"], answer["success"]) == (method, True), answer
            yield socket


EXECUTION = ("subscribe_graph_execution", {"graph_exec_id": "e"})
GRAPHS = ("subscribe_graph_executions", {"graph_id": "g"})


@asynccontextmanager
async def platform(folder: Path, *, api: bool = True, **settings: Any) -> AsyncIterator[Platform]:
    meter = Counting()
    async with redis_cluster(folder) as cluster, real_hub(**settings) as running:
        with platform_api() as served:
            served.executions[USER] = {"e": "g"}
            bridge = RedisSource(
                running.hub,
                cluster.url,
                api_url=served.url if api else "",
                mirror=running.settings.mirrors_autogpt,
                max_event_size=MOST,
                window=0.0,
                meter=meter,
                patience=CALM,
            )
            async with trio.open_nursery() as nursery:
                await nursery.start(bridge.run)
                await meter.until_up(True)
                yield Platform(running, cluster, served, meter)
                nursery.cancel_scope.cancel()


async def test_every_kind_of_subscription_is_heard_and_each_event_comes_once_for_each(tmp_path: Path) -> None:
    async with platform(tmp_path) as world, world.client(EXECUTION, GRAPHS) as socket:
        assert await world.event(GRAPH) == [1, 1], "an acknowledged subscription stands"
        assert await world.event(NODE) == [1, 1], "nodes' events go to the graph's channel too"
        assert await world.notify("hello") == 1
        found = await until_pong(socket)
        while len(found) < 5:
            found.append(await heard(socket))
        channels = (f"{USER}|graph_exec#e", f"{USER}|graph#g|executions")
        assert [(one["method"], one["channel"]) for one in found if one["channel"]] == [
            *(("graph_execution_event", one) for one in channels),
            *(("node_execution_event", one) for one in channels),
        ]
        assert [one["data"]["event"] for one in found if not one["channel"]] == ["hello"]
        await project_change(world.running)
        assert (await world.running.hub.state("autogpt:e")).top["state"] == "running"
        assert len(world.api.asked) == 1


async def test_nothing_is_heard_of_what_nobody_watches(tmp_path: Path) -> None:
    async with platform(tmp_path) as world:
        async with world.client(EXECUTION, GRAPHS) as socket:
            assert await world.event(GRAPH) == [1, 1]
            await say(socket, {"method": "unsubscribe", "data": {"graph_exec_id": "e"}})
            while (await heard(socket))["method"] != "unsubscribe":
                pass
            with trio.fail_after(60):
                while await world.event(NODE) != [0, 1]:
                    await trio.lowlevel.checkpoint()
        with trio.fail_after(60):
            while await world.event(NODE) != [0, 0] or await world.notify("x"):
                await trio.lowlevel.checkpoint()


async def test_an_execution_that_is_not_known_is_told_in_an_error_frame(tmp_path: Path) -> None:
    async with platform(tmp_path) as world, world.client(GRAPHS) as socket:
        for execution in ("other", "*", "e} {"):
            await say(socket, {"method": "subscribe_graph_execution", "data": {"graph_exec_id": execution}})
            answer = await heard(socket)
            assert (answer["method"], answer["success"], answer["channel"]) == ("error", False, None)
            assert f"Execution {execution!r} is not known" in answer["error"]
        assert await world.event(GRAPH, id="other") == [0, 1]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_an_execution_is_looked_up_with_its_users_own_token_and_never_for_another(
    tmp_path: Path, wrapped: bool
) -> None:
    def token(user: str) -> str:
        claims = {"sub": user, "aud": "authenticated", "exp": TOMORROW}
        return jwt.encode(claims, SECRET, "HS256")

    async with platform(tmp_path, auth=Auth(secret=SECRET)) as world:
        world.api.wrapped = wrapped
        world.api.executions |= {"ann": {"e": "g"}, "bob": {}}
        ann_comes, bob_comes = world.client(EXECUTION, token=token("ann")), world.client(token=token("bob"))
        async with ann_comes as ann, bob_comes as bob:
            await say(bob, {"method": EXECUTION[0], "data": EXECUTION[1]})
            assert "not known" in (await heard(bob))["error"]
            await world.event(GRAPH, "ann")
            assert (await heard(ann))["channel"] == "ann|graph_exec#e"
            assert await until_pong(bob) == []
        assert sorted(world.api.asked) == ["ann /api/executions", "bob /api/executions"]


async def test_without_an_api_an_execution_is_known_from_its_graphs_events(tmp_path: Path) -> None:
    async with platform(tmp_path, api=False) as world, world.client(GRAPHS) as socket:
        await say(socket, {"method": EXECUTION[0], "data": EXECUTION[1]})
        assert "not known" in (await heard(socket))["error"]
        assert await world.event(GRAPH) == [0, 1]
        assert (await heard(socket))["channel"] == f"{USER}|graph#g|executions"
        async with world.client(EXECUTION) as other:
            assert await world.event(NODE) == [1, 1]
            assert (await heard(other))["channel"] == f"{USER}|graph_exec#e"


async def test_what_is_too_large_for_redis_or_for_the_hub_is_told(tmp_path: Path) -> None:
    own = {"event_type": "error_comms_update", "error": "x", "original_size_bytes": 9, "max_size_bytes": 5}
    async with platform(tmp_path) as world, world.client(EXECUTION, GRAPHS) as socket:
        tag = f"execution_event/{{{USER}/g}}"
        for place in (f"{tag}/exec/e", f"{tag}/all"):
            assert await world.cluster.publish(place, body(own)) == 1
        await world.event(NODE, output_data="x" * MOST)
        found = [await heard(socket) for _ in range(4)]
        assert {one["data"]["event_type"] for one in found} == {"error_comms_update"}
        channels = [f"{USER}|graph_exec#e", f"{USER}|graph#g|executions"]
        assert [one["channel"] for one in found] == channels * 2


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ("exec/e", body({**GRAPH, "user_id": "v"})),
        ("exec/e", body({**GRAPH, "user_id": USER, "id": "f"})),
        ("all", body({**GRAPH, "user_id": USER, "graph_id": "h"})),
        ("all", b"nonsense"),
        ("exec/e", b""),
    ],
)
async def test_what_is_malformed_or_anothers_is_counted_and_shown_to_nobody(
    tmp_path: Path, place: str, sent: bytes
) -> None:
    async with platform(tmp_path) as world, world.client(EXECUTION, GRAPHS) as socket:
        assert await world.cluster.publish(f"execution_event/{{{USER}/g}}/{place}", sent) == 1
        await world.meter.changes.until(lambda: world.meter.counts["malformed"] == 1)
        assert await until_pong(socket) == []


async def test_a_slot_that_moves_makes_those_come_back_who_watch_it_and_nobody_else(tmp_path: Path) -> None:
    async with platform(tmp_path) as world:
        moved = f"execution_event/{{{USER}/g}}/all"
        async with world.client(GRAPHS) as hit, world.client() as other:
            await world.cluster.move(moved, (world.cluster.home(moved) + 1) % 3)
            found, code, reason = await ended(hit)
            assert [one["error"] for one in found] == [MISSED]
            assert (code, reason) == (1012, "events may have been missed")
            assert await until_pong(other) == []
            assert world.meter.is_up
        async with world.client(EXECUTION, GRAPHS) as back:
            assert await world.event(GRAPH) == [1, 1]
            assert len([await heard(back), await heard(back)]) == 2


async def test_a_node_that_is_away_is_told_and_its_watchers_come_back_when_it_does(tmp_path: Path) -> None:
    async with platform(tmp_path) as world, world.running.http() as http:
        dead = world.cluster.home(f"execution_event/{{{USER}/g}}/all")
        assert (await http.get("/readyz")).json()[SYSTEM] == "up"
        async with world.client(GRAPHS) as before:
            await world.cluster.kill(dead)
            await world.meter.until_up(False)
            state = (await http.get("/readyz")).json()
            assert (state["status"], state[SYSTEM][:6]) == ("ready", "down: ")
            assert str(world.cluster.masters[dead].port) in state[SYSTEM]
            await say(before, {"method": EXECUTION[0], "data": EXECUTION[1]})
            assert "cannot be had for now" in (await heard(before))["error"]
            await world.cluster.revive(dead)
            found, code, _ = await ended(before)
            assert ([one["error"] for one in found], code) == ([MISSED], 1012)
        await world.meter.until_up(True)
        async with world.client(EXECUTION, GRAPHS):
            assert await world.event(GRAPH) == [1, 1]


async def test_a_notification_is_heard_also_for_who_watches_the_users_log(tmp_path: Path) -> None:
    async with platform(tmp_path) as world, world.running.socket(f"/ws/updates?user_id={USER}") as native:
        while (await heard(native))["type"] != "subscribed":
            pass
        with trio.fail_after(60):
            while not await world.notify("hello"):
                await trio.lowlevel.checkpoint()
        while (said := await heard(native))["type"] != "notification":
            pass
        assert said["data"]["title"] == "t: hello"


async def test_a_server_that_becomes_a_cluster_is_heard_as_one(tmp_path: Path) -> None:
    """The hub is not started again while the platform moves over."""
    (tmp_path / "old").mkdir()
    meter = Counting()
    async with redis_cluster(tmp_path) as cluster, real_hub() as running:
        port = cluster.masters[0].port
        await cluster.kill(0)
        async with redis_server(tmp_path / "old", port=port) as old:
            bridge = RedisSource(
                running.hub,
                old.url,
                mirror=False,
                max_event_size=MOST,
                window=0.0,
                meter=meter,
                patience=CALM,
            )
            async with trio.open_nursery() as nursery:
                await nursery.start(bridge.run)
                async with running.socket("/ws", native=False) as socket:
                    await say(socket, {"method": GRAPHS[0], "data": GRAPHS[1]})
                    assert (await heard(socket))["success"]
                    assert (
                        await old.publish(f"execution_event/{USER}/g/e", body({**GRAPH, "user_id": USER}))
                        == 1
                    )
                    assert (await heard(socket))["method"] == "graph_execution_event"
                    await old.end()
                    await meter.until_up(False)  # before the cluster is there: else it may be up again unseen
                    await cluster.revive(0)
                    await meter.until_up(True)
                    found, code, _ = await ended(socket)
                    assert ([one["error"] for one in found], code) == ([MISSED], 1012)
                world = Platform(running, cluster, Api(), meter)
                world.api.http.server_close()
                async with world.client(GRAPHS) as back:
                    assert await world.event(GRAPH) == [0, 1]
                    assert (await heard(back))["method"] == "graph_execution_event"
                nursery.cancel_scope.cancel()


async def test_questions_to_the_api_are_few_and_what_fails_is_only_unknown(
    mock_clock: trio.testing.MockClock,
) -> None:
    with platform_api() as api:
        graphs = Graphs(api.url, Metrics())
        api.executions[USER] = {f"e{number}": f"g{number}" for number in range(50)}
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(graphs.find, USER, f"e{number}", "")
        assert [graphs.known(USER, f"e{number}") for number in range(50)] == [f"g{n}" for n in range(50)]
        assert len(api.asked) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(graphs.find, USER, "none", "")
            await trio.testing.wait_all_tasks_blocked()
            assert len(api.asked) == 1, "the next question waits"
            mock_clock.jump(BETWEEN)
        assert (graphs.known(USER, "none"), len(api.asked)) == (None, 2)
        del api.executions[USER]
        mock_clock.jump(BETWEEN)
        assert await graphs.find(USER, "new", "") is None
        assert len(api.asked) == 3
        assert await Graphs("http://127.0.0.1:1/api", Metrics()).find(USER, "e", "") is None
        assert await Graphs("", Metrics()).find(USER, "e", "") is None
