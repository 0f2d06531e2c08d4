"""A damaged project on every surface: named, harmless to its neighbours, deleted and recovered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from structlog.testing import capture_logs
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.brokers.sqlite import open_checks as sqlite_identity
from tasktree_rt.client import Subscribed, SubscriptionRefused, open_watcher
from tasktree_rt.core.events import Json
from tests.damage import BAD, EVENTS, GOOD, body, damage, make, statement
from tests.web.realhub import RealHub, auth, heard, node_update, real_hub, say, token

P = "/api/v1/projects"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def damaged(path: Path, *more: Any, **settings: Any) -> AsyncIterator[RealHub]:
    """A hub on a store with a damaged project."""
    await make(path, body(10, "?"), *more)
    async with real_hub(SqliteBroker(str(path)), **settings) as running:
        yield running


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" not in answer.headers
    return answer.status_code, answer.json()["code"]


async def until(socket: WebSocketConnection, kind: str) -> list[Json]:
    said: list[Json] = []
    while not said or said[-1]["type"] != kind:
        said.append(await heard(socket))
    return said


async def test_over_http_it_is_named_and_can_be_deleted(path: Path) -> None:
    async with damaged(path) as running, running.http() as http:
        asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("GET", "state", {}),
            ("GET", "state?at=3", {}),
            ("GET", "events?since=:0", {}),
            ("GET", "events?before=end", {}),
            ("GET", "stream", {}),
            ("POST", "events", {"json": node_update("n")}),
            ("POST", "snapshots", {}),
        )
        for method, place, options in asked:
            answer = await http.request(method, f"{P}/{BAD}/{place}", **options)
            assert problem(answer) == (409, "project_damaged"), place
            assert "event 10 cannot be read" in answer.json()["detail"]
        listed = (await http.get(P)).json()["projects"]
        assert {one["project_id"]: one.get("damaged") for one in listed} == {BAD: True, GOOD: None}
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get(f"{P}/{GOOD}/state")).status_code == 200
        assert (await http.delete(f"{P}/{BAD}")).status_code == 200
        assert (await http.get(f"{P}/{BAD}/state")).status_code == 404
        assert (await http.post(f"{P}/{BAD}/events", json=node_update("n"))).status_code == 200


async def test_past_events_that_cannot_be_read_are_not_sent_as_broken_json(path: Path) -> None:
    await make(path, body(2, "{"), statement("DELETE FROM event WHERE key & 68719476735 = 6"))
    async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
        assert (await http.get(f"{P}/{BAD}/state")).json()["seq"] == EVENTS
        for place in ("events?since=:0", "events?since=:0&type=node_update", "state?at=3"):
            assert problem(await http.get(f"{P}/{BAD}/{place}")) == (409, "project_damaged"), place
        epoch = (await http.get(f"{P}/{BAD}/state")).json()["epoch"]
        found = (await http.get(f"{P}/{BAD}/events?since={epoch}:8")).json()["events"]
        assert [one["seq"] for one in found] == [9, 10, 11, 12]


async def test_a_snapshot_that_cannot_be_read_is_named(path: Path) -> None:
    await make(path)
    async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
        kept = (await http.post(f"{P}/{BAD}/snapshots")).json()["snapshot_id"]
        assert (await http.get(f"{P}/{BAD}/snapshots/{kept}")).status_code == 200
    damage(path, statement("UPDATE part SET body = x'00' WHERE key >> 20 = (SELECT max(state) FROM state)"))
    async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
        assert problem(await http.get(f"{P}/{BAD}/snapshots/{kept}")) == (409, "project_damaged")
        assert (await http.get(f"{P}/{BAD}/state")).status_code == 200


async def test_a_prompt_that_cannot_be_read_is_left_out_of_lists_and_named_by_itself(path: Path) -> None:
    await make(path)
    async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
        for name in ("x1", "x2"):
            given = {"project_id": GOOD, "message": "go?", "prompt_id": name}
            assert (await http.post("/api/v1/prompts", json=given)).status_code == 201
    damage(path, statement("UPDATE matter SET body = x'7b' WHERE name = 'x1'"))
    async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
        listed = (await http.get("/api/v1/prompts")).json()["prompts"]
        assert [one["prompt_id"] for one in listed] == ["x2"]
        assert problem(await http.get("/api/v1/prompts/x1")) == (409, "project_damaged")
        answer = await http.post("/api/v1/prompts/x1/answer", json={"proceed": True})
        assert problem(answer) == (409, "project_damaged")
        assert (await http.post("/api/v1/prompts/x2/answer", json={"proceed": True})).status_code == 200


async def test_a_native_connection_is_told_and_its_other_projects_go_on(path: Path) -> None:
    query = f"/ws/updates?project_id={BAD}&project_id={GOOD}"
    async with damaged(path) as running, running.socket(query) as socket:
        said = await until(socket, "subscribed")
        (error,) = [one for one in said if one["type"] == "error"]
        assert (error["code"], error["project_id"], "id" in error) == ("project_damaged", BAD, False)
        assert "retry_after_ms" not in error
        await say(socket, {"type": "subscribe", "id": 7, "project_id": BAD, "state": True})
        error = (await until(socket, "error"))[-1]
        assert (error["code"], error["id"], error["project_id"]) == ("project_damaged", 7, BAD)
        await running.publish(GOOD, node_update("n", title="on"))
        assert (await until(socket, "node_update"))[-1]["project_id"] == GOOD
        await running.hub.recover(BAD)
        await say(socket, {"type": "subscribe", "id": 8, "project_id": BAD, "state": True})
        assert (await until(socket, "project_state"))[-1]["seq"] == EVENTS


async def test_a_native_connection_to_everything_is_told_which_one_and_hears_of_its_recovery(
    path: Path,
) -> None:
    async with damaged(path) as running, running.socket("/ws/updates?project_id=none") as socket:
        await say(socket, {"type": "subscribe", "id": 1, "project_id": "*", "state": True})
        said = await until(socket, "reply")
        assert [(one["code"], one["project_id"]) for one in said if one["type"] == "error"] == [
            ("project_damaged", BAD)
        ]
        assert {one["project_id"] for one in said if one["type"] == "project_state"} == {GOOD}
        async with running.http() as http:
            found = (await http.post(f"{P}/{BAD}/recover")).json()
        said = await until(socket, "project_state")
        assert (said[-2]["type"], said[-2]["epoch"], said[-2]["seq"]) == ("subscribed", found["epoch"], 0)
        assert (said[-1]["epoch"], said[-1]["seq"]) == (found["epoch"], EVENTS)


async def closed(socket: WebSocketConnection) -> tuple[int, str]:
    with trio.fail_after(30), pytest.raises(ConnectionClosed) as caught:
        await socket.get_message()
    assert caught.value.reason is not None
    return caught.value.reason.code, caught.value.reason.reason or ""


async def test_a_plain_connection_to_it_alone_is_closed_and_one_to_others_too_goes_on(path: Path) -> None:
    async with damaged(path) as running:
        async with running.socket(f"/ws/updates?project_id={BAD}", native=False) as socket:
            assert await closed(socket) == (4009, f"project_damaged: {BAD}")
        query = f"/ws/updates?project_id={BAD}&project_id={GOOD}"
        for place in (query, "/ws/updates"):
            async with running.socket(place, native=False) as socket:
                with trio.fail_after(30):
                    while not any(
                        running.hub.connections.topics_of(one) for one in running.hub.connections.values()
                    ):
                        await trio.lowlevel.checkpoint()
                await running.publish(GOOD, node_update("n", title="on"))
                assert (await heard(socket))["project_id"] == GOOD


async def test_a_producer_is_told_and_its_other_projects_go_on(path: Path) -> None:
    async with damaged(path) as running, running.socket("/ws/orchestrator?producer_id=me") as socket:
        for number, project in enumerate((BAD, GOOD, BAD), 1):
            await say(socket, {**node_update("n"), "id": number, "project_id": project})
        said = [await heard(socket) for _ in range(3)]
        assert [(one["id"], one["type"]) for one in said] == [(1, "error"), (2, "ack"), (3, "error")]
        assert {one.get("code") for one in said} == {"project_damaged", None}
        await say(socket, {"type": "project_deleted", "id": 4, "project_id": BAD})
        assert (await heard(socket))["type"] == "ack"


async def test_an_execution_that_cannot_be_read_is_told_and_stops_its_watchers(path: Path) -> None:
    renamed = statement(f"UPDATE life SET project = 'execution:e1' WHERE project = '{BAD}'")
    async with damaged(path, renamed) as running, running.http() as http:
        async with running.socket("/api/v1/ws/executions/e1", native=False) as socket:
            assert "damaged" in json.dumps(await heard(socket))
            assert (await closed(socket))[0] == 4004
        assert problem(await http.get("/api/v1/executions/e1")) == (409, "project_damaged")
        made = await http.post("/api/v1/executions", json={"workflow_id": "w"})
        assert made.status_code == 201
        listed = (await http.get("/api/v1/executions")).json()["executions"]
        assert [one["workflow_id"] for one in listed] == ["w"]
        assert (await http.get("/api/v1/executions?status=pending&wait=1")).status_code == 200


async def test_the_python_watcher_is_told_and_goes_on(path: Path) -> None:
    async with damaged(path) as running:
        async with open_watcher(running.url) as watcher:
            with trio.fail_after(60):
                watcher.subscribe(BAD)
                watcher.subscribe(GOOD)
                told: dict[str, str] = {}
                async for message in watcher:
                    if isinstance(message, SubscriptionRefused):
                        told[message.project_id] = message.code
                    elif isinstance(message, Subscribed):
                        told[message.project_id] = "subscribed"
                    if len(told) == 2:
                        break
        assert told == {BAD: "project_damaged", GOOD: "subscribed"}


async def test_only_an_administrator_recovers(path: Path) -> None:
    async with damaged(path, auth=auth()) as running, running.http() as http:
        url = f"{P}/{BAD}/recover"
        assert (await http.post(url)).status_code == 401
        weak = {"Authorization": f"Bearer {token(push=['*'], watch=['*'])}"}
        assert problem(await http.post(url, headers=weak)) == (403, "forbidden")
        strong = {"Authorization": f"Bearer {token(admin=True)}"}
        found = (await http.post(url, headers=strong)).json()
        assert (found["project_id"], found["seq"], found["checkpoint"]) == (BAD, EVENTS, 8)
        assert [(one["first"], one["last"]) for one in found["lost"]] == [(10, 10)]
        again = (await http.post(url, headers=strong)).json()
        assert (again["epoch"], again["lost"]) == (found["epoch"], [])


async def test_damaged_pages_stop_writing_with_one_line_and_no_word_of_trying_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_identity, "_SMALL", 0)
    broker = SqliteBroker(str(path))
    async with real_hub(broker) as running:
        for number in range(6):
            await running.publish(
                BAD, *(node_update(f"n{number}-{one}", text="x" * 90) for one in range(900))
            )
        await running.publish(GOOD, node_update("n"))
    with path.open("r+b") as file:
        file.seek(4096 * 40)
        file.write(b"\xa5" * 4096 * 20)
    with capture_logs() as lines:
        async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
            assert problem(await http.get(f"{P}/{BAD}/state")) == (409, "project_damaged")
            with trio.fail_after(60):
                while (ready := await http.get("/readyz")).status_code == 200:
                    pass
            assert "the database is damaged" in ready.json()["status"]
            for _ in range(3):
                answer = await http.post(f"{P}/{GOOD}/events", json=node_update("n"))
                assert problem(answer) == (503, "store_unavailable")
            assert problem(await http.delete(f"{P}/{BAD}")) == (503, "store_unavailable")
            assert (await http.get(f"{P}/{GOOD}/state")).status_code == 200
    assert [one["event"] for one in lines if one["log_level"] == "error"] == [
        "project damaged",
        "store fails",
    ]
