"""The list of projects over HTTP: a page at a time, and live."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Json
from tasktree_rt.errors import StoreUnavailable
from tests.web.openapi import DOC, SCHEMAS, P
from tests.web.realhub import auth, node_update, real_hub, token
from tests.web.test_event_stream import stream

LIVE = f"{P}/stream"
TITLE: Json = {"type": "project_update", "data": {"changes": {"title": "Build", "labels": ["ci"]}}}
MESSAGE = {"$ref": "#/components/schemas/ProjectsMessage"}


async def test_the_stream_and_the_pages_give_the_same_summaries() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", TITLE, node_update("a", status="running"), node_update("b"))
        await running.publish("q", {"type": "orchestrator_started"})
        asked = await http.post("/api/v1/prompts", json={"message": "Go?", "project_id": "q"})
        assert asked.status_code == 201
        async with stream(running, LIVE) as said:
            assert said.headers["content-type"] == "text/event-stream"
            assert said.headers["cache-control"] == "no-store"
            assert said.headers["heartbeat-interval"] == "8"
            _, first = await said.data()
        listed = (await http.get(P)).json()["projects"]
    assert first == {"projects": listed, "removed": [], "whole": True}
    assert not SCHEMAS.faults(MESSAGE, first)
    told = {one["project_id"]: one for one in listed}
    assert told["p"]["title"] == "Build"
    assert told["p"]["labels"] == ["ci"]
    assert told["p"]["counts"] == {"running": 1, "": 1}
    assert (told["q"]["orchestrator"], told["q"]["prompts"]) == ("running", 1)


async def test_what_changes_is_told_by_name_of_the_event() -> None:
    async with real_hub() as running:
        async with stream(running, LIVE) as said:
            assert (await said.block())["retry"] == "2000"
            assert (await said.block())["event"] == "projects"
            await running.publish("p", node_update("a"))
            _, born = await said.data()
            await running.hub.delete_project("p")
            _, gone = await said.data()
        assert [one["project_id"] for one in born["projects"]] == ["p"]
        assert gone == {"projects": [], "removed": ["p"], "whole": False}
        for _ in range(100):
            await wait_all_tasks_blocked()
            if not running.hub.directory.watched:
                break
            await trio.sleep(0.01)
        assert running.hub.directory.watched == 0


async def test_only_those_one_may_watch_and_only_as_long_as_the_token_is_good() -> None:
    async with real_hub(auth=auth()) as running:
        for name in ("a1", "b1"):
            await running.publish(name, node_update("x"))
        expires = running.hub.wall() // 1_000_000 + 3_600
        headers = {"Authorization": f"Bearer {token(watch=['a*'], expires=expires)}"}
        async with stream(running, LIVE, headers=headers) as said:
            _, first = await said.data()
            assert [one["project_id"] for one in first["projects"]] == ["a1"]
            over = expires + running.settings.auth.leeway
            running.hub.context.wall = lambda: round(over * 1_000_000)
            await running.publish("a1", node_update("x"))
            await said.end()


async def test_a_hub_that_stops_says_when_to_come_back() -> None:
    async with real_hub() as running, stream(running, LIVE) as said:
        await said.data()
        running.stop.set()
        last = await said.block()
        assert last["event"] == "draining"
        assert f'"reconnect_after_ms":{last["retry"]}' in last["data"]
        assert 0 <= int(last["retry"]) <= running.settings.drain.window * 1000
        await said.end()


class Broken(MemoryBroker):
    """Cannot be listed."""

    async def projects(self, after: str = "", limit: int = 100) -> Any:
        raise StoreUnavailable("no disk")


async def test_a_store_that_cannot_be_listed_is_told_and_the_stream_ends_so_that_one_comes_again() -> None:
    async with real_hub(Broken()) as running, running.http() as http:
        answer = await http.get(P)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        async with stream(running, LIVE) as said:
            assert (await said.block()) == {"retry": "2000"}
            await said.end()


async def test_a_project_may_be_called_as_the_stream_is() -> None:
    async with real_hub() as running, running.http() as http:
        for name in ("stream", "p"):
            await http.post(f"{P}/{name}/events", json={"type": "x"})
        assert (await http.get(f"{P}/stream/state")).status_code == 200
        assert (await http.delete(f"{P}/stream")).status_code == 200
        assert [one["project_id"] for one in (await http.get(P)).json()["projects"]] == ["p"]


def test_the_example_of_the_stream_is_as_documented() -> None:
    content = DOC["paths"][LIVE]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert content["schema"]["x-event-data"] == MESSAGE
