"""Events and broadcasts that are called like messages of the hub's own, seen by every client.

The hub here takes them in as hubs of before did. Each client ends at the hub's exact tree, or, where its
language has none, hears what comes afterwards and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from attrs import frozen
from trio_websocket import WebSocketConnection
from websockets.asyncio.client import connect

from tasktree_rt.client import Watcher, open_watcher
from tasktree_rt.client.watcher.messages import Disconnected, ProjectEvent
from tasktree_rt.compat.tasktree import WebSocketManager
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Broadcast
from tests.cli.processes import PATIENCE
from tests.compat.tasktree.test_manager import ready, served
from tests.model import NaiveTree
from tests.named import ALL, take_anything
from tests.web.realhub import RealHub, heard, node_update, real_hub, say
from tests.web.test_event_stream import stream

PROJECTS: Final = ("p", "execution:e", "aiecs:t", "autogpt:e")
LAST: Final = node_update("last", title="L")


@frozen
class Told:
    """What a client heard: the types and data of events of ``p``, and of broadcasts."""

    events: list[Json]
    shouts: list[Json]


EVERYTHING: Final = [one for number, name in enumerate(ALL) for one in (node_update("a", n=number), name)]
"""What is published to each project: each such event behind a change, so that none missed goes unseen."""


@asynccontextmanager
async def a_hub_of_before(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealHub]:
    """A hub that takes such events in, and has some in its logs."""
    take_anything(monkeypatch)
    async with real_hub() as running:
        for project in PROJECTS:
            await running.publish(project, *EVERYTHING)
        yield running


async def tell_all(running: RealHub) -> None:
    """Each such event in each project, and each as a broadcast."""
    for project in PROJECTS:
        for one in EVERYTHING:
            await running.publish(project, one)
    for one in ALL:
        running.hub.broadcast(one)
    for project in PROJECTS:
        await running.publish(project, LAST)


async def tree(running: RealHub, project: str = "p") -> dict[str, Any]:
    """The hub's tree."""
    return {name: dict(node.fields) for name, node in (await running.hub.state(project)).nodes}


def essence(message: Json) -> Json:
    return {"type": message["type"], "data": message["data"]}


def reduced(events: list[Json]) -> dict[str, Any]:
    found = NaiveTree("p")
    for one in events:
        found.apply(one["type"], one["data"])
    return found.nodes


@pytest.mark.parametrize("wanted", ["p", "*"])
async def test_the_python_watcher_ends_at_the_hubs_tree(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_hub_of_before(monkeypatch) as running, open_watcher(running.url, wanted) as watcher:
        async for message in watcher:
            if getattr(message, "project_id", None) == "p" and watcher.view("p").nodes:
                break
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_all, running)
            with trio.fail_after(PATIENCE):
                told = await watched(watcher)
        assert told == Told([*EVERYTHING, LAST], ALL)
        nodes = watcher.view("p").nodes
        assert {name: dict(nodes[name]) for name in nodes} == await tree(running)


async def watched(watcher: Watcher) -> Told:
    """What a watcher is told of ``p`` up to `LAST`, over one connection."""
    told = Told([], [])
    async for message in watcher:
        assert not isinstance(message, Disconnected), message
        match message:
            case ProjectEvent(project_id="p"):
                told.events.append({"type": message.type, "data": message.data})
                if told.events[-1] == LAST:
                    return told
            case Broadcast():
                told.shouts.append({"type": message.type, "data": message.data})
    raise AssertionError("ended early")


async def test_a_plain_watcher_ends_at_the_hubs_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        a_hub_of_before(monkeypatch) as running,
        running.socket("/ws/updates?project_id=p&since=:0", native=False) as plain,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(tell_all, running)
        told = Told([], [])
        while not told.events or told.events[-1] != LAST:
            message = await heard(plain)
            (told.shouts if message["project_id"] is None else told.events).append(essence(message))
        assert told == Told([*EVERYTHING, *EVERYTHING, LAST], ALL)
        assert reduced(told.events) == await tree(running)


async def test_a_reader_of_server_sent_events_ends_at_the_hubs_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        a_hub_of_before(monkeypatch) as running,
        stream(running, params={"since": ":0"}) as said,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(tell_all, running)
        told = Told([], [])
        while not told.events or told.events[-1] != LAST:
            place, message = await said.data()
            if "timestamp" in message:
                assert (place is None) == (message["project_id"] is None)
                (told.events if place else told.shouts).append(essence(message))
        assert told == Told([*EVERYTHING, *EVERYTHING, LAST], ALL)
        assert reduced(told.events) == await tree(running)


async def test_who_watches_an_execution_ends_at_the_hubs_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        a_hub_of_before(monkeypatch) as running,
        running.socket("/api/v1/ws/executions/e?nodes=1&logs=1", native=False) as spectator,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(tell_all, running)
        nodes: dict[str, Any] = {}
        while "last" not in nodes:
            message = await heard(spectator)
            assert message["type"] in ("status", "node")
            if message["type"] == "node":
                nodes[message["node_id"]] = message
        own = ("type", "execution_id", "node_id")
        found = {
            name: {key: value for key, value in one.items() if key not in own and value is not None}
            for name, one in nodes.items()
        }
        assert found == await tree(running, "execution:e")


async def foreign(running: RealHub, path: str, ask: Json, wanted: Json, *first: Json) -> list[Json]:
    """What a client of another system hears up to the answer to `ask`, which it gives when all is told."""
    async with running.socket(path, native=False) as socket:
        for request in first:
            await say(socket, request)
        await say(socket, ask)
        await until(socket, wanted)
        await tell_all(running)
        await say(socket, ask)
        return await until(socket, wanted)


async def until(socket: WebSocketConnection, wanted: Json) -> list[Json]:
    found: list[Json] = []
    while not (message := await heard(socket)).items() >= wanted.items():
        found.append(message)
    return found


async def test_clients_of_aiecs_and_autogpt_hear_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_hub_of_before(monkeypatch) as running:
        subscribe: Json = {"action": "subscribe", "user_id": "ada"}
        ping = {"action": "ping", "n": 1}
        assert await foreign(running, "/ws/aiecs", ping, {"original_data": ping}, subscribe) == []
        subscribe = {"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}}
        beat = {"method": "heartbeat", "data": "ping"}
        pong = {"method": "heartbeat", "data": "pong"}
        assert await foreign(running, "/ws", beat, pong, subscribe) == []


async def in_a_thread(program: Coroutine[Any, Any, None]) -> None:
    with trio.fail_after(PATIENCE):
        await trio.to_thread.run_sync(asyncio.run, program)


async def test_a_backend_of_tasktree_shows_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manager watches the hub in a thread of its own, and shows browsers of its own what it is told."""
    told = Told([], [])

    async def program(url: str, begun: trio.Event) -> None:
        manager = WebSocketManager(url, spool="")
        try:
            async with asyncio.timeout(PATIENCE), served(manager) as address, connect(address) as browser:
                await ready(manager, browser)
                trio.from_thread.run_sync(begun.set)
                while not told.events or told.events[-1] != LAST:
                    message = json.loads(await browser.recv())
                    if message["project_id"] == "p":
                        told.events.append(essence(message))
                    elif message["project_id"] is None and message["type"] != "ready?":
                        told.shouts.append(essence(message))
        finally:
            await manager.aclose()

    async with a_hub_of_before(monkeypatch) as running, trio.open_nursery() as nursery:
        begun = trio.Event()
        nursery.start_soon(in_a_thread, program(running.url, begun))
        await begun.wait()
        await tell_all(running)
    assert told == Told([*EVERYTHING, LAST], ALL)


async def test_a_backend_of_tasktree_that_says_it_is_not_disturbed(caplog: pytest.LogCaptureFixture) -> None:
    """The hub refuses it; the manager logs that, and what comes afterwards is told."""

    async def program(url: str) -> None:
        manager = WebSocketManager(url, spool="")
        try:
            for one in ALL:
                await manager.broadcast_to_project("p", one)
                await manager.broadcast(one)
            await manager.broadcast_to_project("p", LAST)
        finally:
            await manager.aclose()

    async with real_hub() as running:
        await in_a_thread(program(running.url))
        assert await tree(running) == {"last": {"title": "L"}}
    refused = [one for one in caplog.messages if "is the name of a message" in one]
    dropped = [one for one in caplog.messages if "was not published" in one]
    assert (len(refused), len(dropped)) == (2 * len(ALL), 2 * len(ALL))


async def test_every_way_to_publish_refuses_it_and_keeps_nothing() -> None:
    async with real_hub() as running, running.http() as http, running.socket("/ws/orchestrator") as producer:
        for one in ALL:
            answer = await http.post("/api/v1/projects/p/events", json=[node_update("a"), one])
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_event")
            assert answer.json()["field"] == "events[1].type"
            answer = await http.post("/api/v1/broadcast", json=one)
            assert (answer.status_code, answer.json()["field"]) == (400, "type")
            await say(producer, {"type": "publish", "id": 1, "events": [{**one, "project_id": "p"}]})
            error = await heard(producer)
            assert (error["id"], error["code"], error["field"]) == (1, "invalid_event", "events[0].type")
            await say(producer, {**one, "project_id": "p", "id": 2})
            error = await heard(producer)
            assert (error["id"], error["code"], error["field"]) == (2, "invalid_event", "events[0].type")
        assert (await http.get("/api/v1/projects/p/state")).status_code == 404
