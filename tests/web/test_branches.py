"""Tokens of a branch on real sockets: what they open, and that nothing else of the project shows."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
import trio.lowlevel

from tasktree_rt.core.events import Json
from tests.web.realhub import RealHub, auth, heard, node_update, real_hub, say, token
from tests.web.test_event_stream import stream
from tests.web.test_subscription_tokens import API, bearer, caller, made

NODES: Final = ("secret", "root", "leaf", "deep")


def placed(node_id: str, parent: str | None, **changes: Any) -> Json:
    return node_update(node_id, parent_id=parent, **changes)


async def planted(running: RealHub) -> None:
    """``secret`` above and beside ``root`` with ``leaf`` and ``deep``."""
    usage = {"input_tokens": 5}
    for node_id, parent in (("secret", None), ("root", "secret"), ("leaf", "root"), ("deep", "leaf")):
        await running.publish("p", placed(node_id, parent, title=node_id, usage=usage))
    await running.publish("p", {"type": "project_update", "data": {"changes": {"title": "secret"}}})
    for node_id in NODES:
        await running.publish(
            "p", {"type": "log", "data": {"node_id": node_id, "level": "info", "message": node_id}}
        )


async def a_branch(ada: httpx.AsyncClient, **more: Any) -> str:
    return str((await made(ada, node_id="root", **more))["token"])


async def test_every_route_shows_the_branch_or_is_refused() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada, running.http() as http:
        await planted(running)
        shared = await a_branch(ada)
        shows = {
            "state": 200,
            "state?at=4": 200,
            "events": 200,
            "events?before=end&type=log": 200,
            "events?node_id=leaf": 200,
            "events?node_id=secret": 200,
            "usage": 200,
            "usage?node_id=deep": 200,
            "usage?node_id=secret": 200,
            "field?node_id=leaf&name=title": 200,
            "field?node_id=root&name=parent_id": 404,
            "field?node_id=secret&name=title": 404,
            "field?node_id=secret&name=title&at=9": 404,
            "field?node_id=leaf&name=title&at=9": 200,
            "search?q=leaf": 403,
            "snapshots": 403,
            "commands/available": 403,
        }
        for path, status in shows.items():
            answer = await http.get(f"{API}/projects/p/{path}", headers=bearer(shared))
            assert answer.status_code == status, (path, answer.text)
            said = answer.text.replace("node 'secret' has no field", "")
            assert "secret" not in said or '"usage":{}' in said, (path, said)
        for path in ("projects", "series"):
            assert "p" not in [
                one.get("project_id")
                for one in (await http.get(f"{API}/{path}", headers=bearer(shared))).json()[path]
            ]
        for method, path in (
            ("POST", "projects/p/events"),
            ("DELETE", "projects/p"),
            ("POST", "projects/p/tokens"),
            ("POST", "projects/p/snapshots"),
            ("POST", "projects/p/commands"),
            ("GET", "search?q=leaf"),
            ("GET", "stats"),
            ("GET", "executions/p"),
        ):
            answer = await http.request(method, f"{API}/{path}", headers=bearer(shared), json={"name": "x"})
            assert answer.status_code == 403, (path, answer.text)


async def test_a_branch_has_its_own_state_sums_and_past() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada, running.http() as http:
        await planted(running)
        shared = await a_branch(ada)

        async def read(path: str) -> Any:
            return (await http.get(f"{API}/projects/p/{path}", headers=bearer(shared))).json()

        state = await read("state")
        assert state["project_id"] == "p"
        assert {one["node_id"] for one in state["data"]["nodes"]} == {"root", "leaf", "deep"}
        assert (state["data"]["project"], state["data"]["state"]) == ({}, None)
        assert "parent_id" not in next(one for one in state["data"]["nodes"] if one["node_id"] == "root")
        past = await read("state?at=3")
        assert {one["node_id"] for one in past["data"]["nodes"]} == {"root", "leaf"}
        assert (await read("usage"))["usage"]["input_tokens"] == 15
        assert (await read("usage?node_id=leaf"))["usage"]["input_tokens"] == 10
        assert (await read("usage?node_id=secret"))["usage"] == {}
        events = (await read("events"))["events"]
        assert [one["data"]["node_id"] for one in events] == ["root", "leaf", "deep"] * 2
        lines = await read("events?type=log&before=end&limit=2")
        assert [one["data"]["node_id"] for one in lines["events"]] == ["leaf", "deep"]
        before = await read(f"events?type=log&limit=2&before={lines['next']}")
        assert [one["data"]["node_id"] for one in before["events"]] == ["root"]
        assert await read("events?node_id=secret&limit=1") == {"events": [], "next": None}


@pytest.mark.parametrize("native", [True, False])
async def test_a_watcher_of_a_branch_sees_moves_in_and_out(native: bool) -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        await planted(running)
        shared = await a_branch(ada)
        query = f"project_id=p&token={shared}"
        async with running.socket(f"/ws/updates?{query}", native=native) as socket:
            if native:
                assert [(await heard(socket))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            while not running.hub.index.watchers("/p/root"):
                await trio.lowlevel.checkpoint()
            await running.publish("p", node_update("secret", status="running"))
            await running.publish("p", node_update("leaf", status="running"))
            if native:
                skip = await heard(socket)
                assert (skip["type"], skip["project_id"], skip["nodes"]) == ("conflated", "p", [])
                assert skip["seq"] - skip["after"] == 1
            said = await heard(socket)
            assert (said["type"], said["data"]["changes"]) == ("node_update", {"status": "running"})
            await running.publish("p", placed("leaf", "secret"))
            gone = await heard(socket)
            if native:
                assert (sorted(gone["removed"]), gone["nodes"]) == (["deep", "leaf"], [])
            else:
                assert gone["data"]["changes"] == {"deleted": True}
                await heard(socket)
            await running.publish("p", placed("leaf", "root"))
            back = await heard(socket)
            if native:
                assert {one["node_id"] for one in back["nodes"]} == {"leaf", "deep"}
            else:
                assert back["data"]["changes"]["title"] in ("leaf", "deep")
        assert running.hub.index.watchers("/p/root") == ()


async def test_a_watcher_resumes_over_what_it_may_not_see() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        await planted(running)
        shared = await a_branch(ada)
        query = f"/ws/updates?project_id=p&token={shared}"
        async with running.socket(f"{query}&state=1") as socket:
            said = [await heard(socket) for _ in range(3)]
            assert [one["type"] for one in said] == ["welcome", "subscribed", "project_state"]
            since = f"{said[2]['epoch']}:{said[2]['seq']}"
        await running.publish("p", node_update("secret", status="running"))
        await running.publish("p", node_update("deep", status="running"))
        await running.publish("p", placed("new", "root"))
        async with running.socket(f"{query}&since={since}") as socket:
            said = [await heard(socket) for _ in range(5)]
            assert [one["type"] for one in said] == [
                "welcome",
                "subscribed",
                "conflated",
                "node_update",
                "node_update",
            ]
            assert said[1]["recovered"] is True
            assert f"{said[2]['epoch']}:{said[2]['after']}" == since
            assert [one["data"]["node_id"] for one in said[3:]] == ["deep", "new"]
        async with stream(running, params={"token": shared, "since": since}) as reader:
            assert (await reader.data())[1]["recovered"] is True
            moved = [await reader.data() for _ in range(3)]
            assert "secret" not in repr(moved)
            assert all(place is not None for place, _ in moved)
            assert [one["type"] for _, one in moved] == ["conflated", "node_update", "node_update"]


async def test_a_token_of_a_branch_presented_with_a_subscription_widens_no_other() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        await planted(running)
        shared, other = await a_branch(ada), str((await made(ada, node_id="leaf"))["token"])
        async with running.socket(
            f"/ws/updates?user_id=ada&token={token(subject='ada', watch=[])}"
        ) as socket:
            assert [(await heard(socket))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            await say(
                socket, {"type": "subscribe", "project_id": "p", "token": shared, "state": True, "id": 1}
            )
            assert (await heard(socket))["id"] == 1
            assert len((await heard(socket))["data"]["nodes"]) == 3
            await say(
                socket, {"type": "subscribe", "project_id": "p", "token": other, "state": True, "id": 2}
            )
            assert (await heard(socket))["id"] == 2
            assert len((await heard(socket))["data"]["nodes"]) == 2
            assert running.hub.index.watchers("/p/root") == ()
            await say(socket, {"type": "unsubscribe", "project_id": "p", "id": 3})
            assert await heard(socket) == {"type": "unsubscribed", "project_id": "p", "id": 3}
            assert running.hub.index.watchers("/p/leaf") == ()
            await say(socket, {"type": "subscribe", "project_id": "p", "id": 4})
            assert (await heard(socket))["code"] == "forbidden"


async def test_a_reader_of_a_branch_learns_that_the_project_ended_and_began_anew() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        await planted(running)
        shared = await a_branch(ada)
        async with running.socket(f"/ws/updates?project_id=p&token={shared}&state=1") as socket:
            while (await heard(socket))["type"] != "project_state":
                pass
            await running.publish("p", {"type": "project_deleted", "data": {}})
            assert (await heard(socket))["type"] == "project_deleted"
            await running.publish("p", node_update("secret"))
            await running.publish("p", node_update("root", title="again"))
            begun = await heard(socket)
            assert (begun["type"], begun["seq"], begun["recovered"]) == ("subscribed", 0, None)
            assert (await heard(socket))["type"] == "conflated"
            assert (await heard(socket))["data"]["node_id"] == "root"


@pytest.mark.parametrize("node_id", [5, "", "\n", ["a"]])
async def test_a_token_is_for_a_nodes_id(node_id: object) -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        answer = await ada.post(f"{API}/projects/p/tokens", json={"node_id": node_id})
        assert (answer.status_code, answer.json()["field"]) == (400, "node_id")
