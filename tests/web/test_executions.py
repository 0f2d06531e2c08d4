"""Executions over real sockets: their status stream, and the work behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.core.events import Json, shown
from tasktree_rt.settings import Execution
from tests.dialects.execution_golden import NAME, PROJECT, TRANSCRIPT
from tests.web.realhub import (
    RealHub,
    Schemas,
    auth,
    document,
    heard,
    node_update,
    real_hub,
    resolve,
    say,
    token,
)

DOC = document("asyncapi.json")
SCHEMAS = Schemas(DOC)
SAID = [resolve(DOC, resolve(DOC, one)) for one in DOC["operations"]["tellSpectator"]["messages"]]
AT_ONCE = Execution(status_interval=0.0)


def status(execution: str, word: str, progress: float = 0, **more: Any) -> Json:
    """A status as it is told, but for its time."""
    rest = {"message": None, "result": None, "error": None}
    said = {"type": "status", "execution_id": execution, "status": word, "progress": progress}
    return {**said, **rest, **more}


async def told(socket: WebSocketConnection) -> Json:
    """The next message, as documented, without `execution_time`."""
    said = await heard(socket)
    (message,) = [one for one in SAID if one["name"] == said["type"]]
    assert SCHEMAS.faults(message["payload"], said) == []
    said.pop("execution_time", None)
    return said


async def closed(socket: WebSocketConnection) -> tuple[int, str]:
    with trio.fail_after(30):
        with pytest.raises(ConnectionClosed):
            await socket.get_message()
    assert socket.closed is not None
    return socket.closed.code, socket.closed.reason or ""


def stream(running: RealHub, execution: str, query: str = "") -> Any:
    return running.socket(f"/api/v1/ws/executions/{execution}{query}", native=False)


class Work:
    """The REST side."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: Json | None = None, code: int = 200, **headers: str) -> Json:
        found = await self.client.post(f"/api/v1/executions{path}", json=body, headers=headers)
        assert found.status_code == code, found.text
        answer: Json = found.json()
        return answer

    async def patch(self, execution: str, code: int = 200, **body: Any) -> Json:
        found = await self.client.patch(f"/api/v1/executions/{execution}", json=body)
        assert found.status_code == code, found.text
        answer: Json = found.json()
        return answer

    async def get(self, path: str, code: int = 200) -> Json:
        found = await self.client.get(f"/api/v1/executions{path}")
        assert found.status_code == code, found.text
        answer: Json = found.json()
        return answer

    async def make(self, workflow: str = "w") -> str:
        made = await self.post("", {"workflow_id": workflow, "input_data": {"n": 1}}, 201)
        assert made == {"id": made["id"], "status": "pending"}
        return str(made["id"])


@asynccontextmanager
async def working(**settings: Any) -> AsyncIterator[tuple[RealHub, Work]]:
    async with real_hub(**{"execution": AT_ONCE, **settings}) as running, running.http() as client:
        yield running, Work(client)


# --- the stream -------------------------------------------------------------------------------------------


async def test_a_watcher_is_told_how_it_stands_then_of_every_change_and_is_closed_at_the_end() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as one, stream(running, made) as another:
            assert await told(one) == await told(another) == status(made, "pending")
            await work.post(f"/{made}/claim", {"worker_id": "w1"})
            assert await told(one) == await told(another) == status(made, "running")
            await work.patch(made, progress=40, message="baking")
            assert await told(one) == await told(another) == status(made, "running", 40, message="baking")
            await work.patch(made, status="completed", result={"cakes": 2})
            end = status(made, "completed", 100, message="baking", result={"cakes": 2})
            assert await told(one) == await told(another) == end
            assert await closed(one) == await closed(another) == (1000, "")
        async with stream(running, made) as late:
            assert await told(late) == end
            assert await closed(late) == (1000, "")
        with trio.fail_after(30):
            while running.hub.status_notifier.watched(f"execution:{made}"):
                await trio.lowlevel.checkpoint()


async def test_the_transcript_is_heard_on_a_real_socket() -> None:
    async with working() as (running, _):
        first, *rest = TRANSCRIPT
        await running.publish(PROJECT, *first["push"])
        async with stream(running, NAME) as short, stream(running, NAME, "?nodes=1&logs=1") as full:
            for socket, key in ((short, "hear"), (full, "full")):
                assert [await heard(socket) for _ in first[key]] == first[key]
            for line in rest:
                if "push" in line:
                    await running.publish(PROJECT, *line["push"])
                for socket, key in ((short, "hear"), (full, "full")):
                    if "say" in line:
                        await socket.send_message(line["say"])
                    assert [await heard(socket) for _ in line[key]] == line[key], line["why"]
            assert [*await closed(short)] == [*await closed(full)] == TRANSCRIPT[-1]["close"]


async def test_native_events_show_too_and_the_finished_leaves_are_the_progress() -> None:
    async with working() as (running, _):
        project = "execution:native"
        await running.publish(project, node_update("root", status="running"))
        async with stream(running, "native") as socket:
            assert await told(socket) == status("native", "running")
            children = [node_update(name, parent_id="root", status="ready") for name in "abcd"]
            await running.publish(project, *children)
            await running.publish(project, node_update("a", status="completed"))
            assert await told(socket) == status("native", "running", 25)
            for name in "bcd":
                await running.publish(project, node_update(name, status="completed"))
            assert [(await told(socket))["progress"] for _ in range(3)] == [50, 75, 100]
            await running.publish(project, node_update("root", status="completed"))
            assert await told(socket) == status("native", "completed", 100)
            assert await closed(socket) == (1000, "")


async def test_a_failed_one_says_why() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as socket:
            assert (await told(socket))["status"] == "pending"
            await work.patch(made, status="failed", error="out of flour")
            assert await told(socket) == status(made, "failed", error="out of flour")
            assert await closed(socket) == (1000, "")


@pytest.mark.parametrize("execution", ["nobody", "a%20b", "x" * 200])
async def test_an_unknown_execution_is_told_so_and_closed(execution: str) -> None:
    async with working() as (running, _), stream(running, execution) as socket:
        name = execution.replace("%20", " ")
        assert await told(socket) == {"type": "error", "message": f"there is no execution {shown(name)}"}
        assert await closed(socket) == (4004, "no such execution")


async def test_one_that_is_deleted_is_told_so_and_closed() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as socket:
            await told(socket)
            await running.hub.delete_project(f"execution:{made}")
            assert await told(socket) == {"type": "error", "message": f"there is no execution {made!r}"}
            assert await closed(socket) == (4004, "no such execution")


async def test_pings_are_answered_and_anything_else_is_an_error_that_ends_nothing() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as socket:
            await told(socket)
            for wrong in ("{", "[]", '{"type":"pong"}', b"\xff\x00", b""):
                await socket.send_message(wrong)
                assert (await told(socket))["type"] == "error"
            await socket.send_message(b'{"type":"ping"}')
            assert await told(socket) == {"type": "pong"}
            await say(socket, {"type": "ping", "more": 1})
            assert await told(socket) == {"type": "pong"}


async def test_nodes_and_lines_come_where_they_were_asked_for() -> None:
    async with working() as (running, work):
        made = await work.make()
        project = f"execution:{made}"
        await running.publish(project, node_update("old", status="ready", title="Old"))
        async with stream(running, made, "?nodes=1&logs=1") as full, stream(running, made) as plain:
            assert [(await told(full))["type"] for _ in range(2)] == ["status", "node"]
            await told(plain)
            line = {"type": "log", "data": {"node_id": "old", "level": "info", "message": "hello"}}
            await running.publish(project, line, node_update("new", status="running"))
            first, second = await told(full), await told(full)
            assert first.pop("timestamp")
            said = {"execution_id": made, "level": "info", "message": "hello", "node_id": "old"}
            assert first == {"type": "log", **said}
            assert second == {"type": "node", "execution_id": made, "node_id": "new", "status": "running"}
            await running.publish(project, node_update("old", deleted=True))
            gone = {"type": "node", "execution_id": made, "node_id": "old", "status": None, "deleted": True}
            assert await told(full) == gone
            await work.patch(made, status="completed")
            assert (await told(full))["status"] == (await told(plain))["status"] == "completed"
            assert await closed(full) == await closed(plain) == (1000, "")


async def test_a_switch_that_is_none_is_refused_before_the_handshake() -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    async with working() as (_, work):
        key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        path = "/api/v1/ws/executions/x?nodes=maybe"
        refused = await work.client.get(path, headers={**upgrade, **key})
        assert (refused.status_code, refused.json()["field"]) == (400, "nodes")


async def test_who_may_not_watch_is_closed() -> None:
    async with working(auth=auth()) as (running, _):
        await running.publish("execution:e", node_update("a", status="running"))
        async with stream(running, "e") as nobody:
            assert (await closed(nobody))[0] == 4001
        async with stream(running, "e", "?token=x") as wrong:
            assert (await closed(wrong))[0] == 4003
        async with stream(running, "e", f"?token={token(subject=None)}") as nameless:
            assert (await closed(nameless))[0] == 4002
        async with stream(running, "e", f"?token={token(watch=['other'])}") as stranger:
            assert (await told(stranger))["message"] == "you may not watch the execution 'e'"
            assert (await closed(stranger))[0] == 4003
        async with stream(running, "e", f"?token={token(watch=['execution:*'])}") as friend:
            assert (await told(friend))["status"] == "running"


async def test_a_token_that_runs_out_ends_the_stream() -> None:
    async with working(auth=auth()) as (running, _):
        await running.publish("execution:e", node_update("a", status="running"))
        soon = token(watch=["*"], expires=int(running.hub.wall() / 1_000_000) + 2)
        async with stream(running, "e", f"?token={soon}") as socket:
            await told(socket)
            assert (await closed(socket))[0] == 4003


async def test_who_is_connected_says_what_they_watch() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as socket:
            await told(socket)
            found = (await work.client.get("/api/v1/connections")).json()["connections"]
            said = [(one["dialect"], one["subscriptions"], one["policy"]) for one in found]
            assert said == [("execution", [f"execution:{made}"], "newest")]


async def test_a_draining_hub_closes_the_stream_to_be_come_back_to() -> None:
    async with working() as (running, work):
        made = await work.make()
        async with stream(running, made) as socket:
            await told(socket)
            await running.hub.drain()
            assert (await closed(socket))[0] == 1012


# --- the work ---------------------------------------------------------------------------------------------


async def test_work_is_made_found_claimed_and_done() -> None:
    async with working() as (running, work):
        assert await work.get("?status=pending") == {"executions": [], "next": None}
        made = await work.make("bake")
        (waiting,) = (await work.get("?status=pending"))["executions"]
        assert (waiting["id"], waiting["workflow_id"], waiting["input_data"]) == (made, "bake", {"n": 1})
        claimed = await work.post(f"/{made}/claim", {"worker_id": "w1"})
        assert (claimed["status"], claimed["worker_id"]) == ("running", "w1")
        assert claimed["started_at"]
        assert (await work.get("?status=pending"))["executions"] == []
        assert [one["id"] for one in (await work.get("?status=running"))["executions"]] == [made]
        done = await work.patch(made, status="completed", result=[1, 2], worker_id="w1")
        assert (done["status"], done["progress"], done["result"]) == ("completed", 100, [1, 2])
        assert done["execution_time"] >= 0
        assert await work.get(f"/{made}") == done
        top = (await running.hub.state(f"execution:{made}")).top
        assert (top["state"], top["project"]["title"]) == ("completed", "bake")


async def test_of_many_workers_at_once_one_gets_it() -> None:
    async with working() as (_, work):
        made = await work.make()
        answers: list[tuple[str, httpx.Response]] = []

        async def claim(worker: str) -> None:
            body = {"worker_id": worker}
            answer = await work.client.post(f"/api/v1/executions/{made}/claim", json=body)
            answers.append((worker, answer))

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(claim, f"w{number}")
        winners = [worker for worker, answer in answers if answer.status_code == 200]
        assert len(winners) == 1
        losers = [answer.json() for _, answer in answers if answer.status_code == 409]
        assert len(losers) == 7
        outcome = {"status": "running", "worker_id": winners[0]}
        assert all((one["code"], one["outcome"]) == ("invalid_transition", outcome) for one in losers)
        assert (await work.get(f"/{made}"))["worker_id"] == winners[0]
        again = await work.post(f"/{made}/claim", {"worker_id": winners[0]})
        assert again["worker_id"] == winners[0]
        assert (await work.post(f"/{made}/claim", code=409))["outcome"] == outcome


async def test_a_worker_waits_for_work_and_gets_it_as_soon_as_it_is_there() -> None:
    async with working() as (running, work):
        found: list[Json] = []

        async def wait() -> None:
            found.extend((await work.get("?status=pending&wait=60"))["executions"])

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await running.publish("other", node_update("a", status="ready"))
                made = await work.make()
        assert [one["id"] for one in found] == [made]


async def test_the_oldest_work_comes_first_and_what_is_given_back_can_be_claimed_again() -> None:
    async with working() as (_, work):
        made = [await work.make() for _ in range(3)]
        assert [one["id"] for one in (await work.get("?status=pending"))["executions"]] == made
        assert [one["id"] for one in (await work.get("?status=pending&limit=2"))["executions"]] == made[:2]
        other = await work.make("other")
        found = (await work.get("?status=pending&workflow_id=x&workflow_id=other"))["executions"]
        assert [one["id"] for one in found] == [other]
        assert [one["id"] for one in (await work.get("?workflow_id=other"))["executions"]] == [other]
        await work.patch(other, status="failed")
        await work.post(f"/{made[0]}/claim", {"worker_id": "w1"})
        back = await work.patch(made[0], status="pending")
        assert (back["status"], back["worker_id"], back["started_at"]) == ("pending", None, None)
        waiting = [one["id"] for one in (await work.get("?status=pending"))["executions"]]
        assert waiting == [made[1], made[2], made[0]]
        assert (await work.post(f"/{made[0]}/claim", {"worker_id": "w2"}))["worker_id"] == "w2"
        for changes in ({"progress": 5}, {}):
            refused = await work.patch(made[0], 409, **changes, worker_id="w1")
            assert refused["outcome"]["worker_id"] == "w2"


async def test_the_list_goes_page_by_page() -> None:
    async with working() as (running, work):
        made = [await work.make() for _ in range(5)]
        await running.publish("execution", node_update("a"))
        await running.publish("executioner:x", node_update("a"))
        found, after = [], ""
        while True:
            page = await work.get(f"?limit=2&after={after}")
            found += [one["id"] for one in page["executions"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert found == made


async def test_the_same_key_makes_one_execution() -> None:
    async with working() as (_, work):
        body = {"workflow_id": "w"}
        first = await work.post("", body, 201, **{"Idempotency-Key": "k"})
        assert await work.post("", body, 200, **{"Idempotency-Key": "k"}) == first
        other = await work.post("", {"workflow_id": "v"}, 409, **{"Idempotency-Key": "k"})
        assert other["code"] == "idempotency_conflict"
        assert len((await work.get(""))["executions"]) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "workflow_id"),
        ({"workflow_id": 5}, "workflow_id"),
        ({"workflow_id": ""}, "workflow_id"),
        ({"workflow_id": "w", "input_data": []}, "input_data"),
        ({"workflow_id": "w", "inputs": {}}, "inputs"),
    ],
)
async def test_what_cannot_be_made_names_the_field(body: Json, field: str) -> None:
    async with working() as (_, work):
        assert (await work.post("", body, 400))["field"] == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "done"}, "status"),
        ({"progress": 101}, "progress"),
        ({"progress": "half"}, "progress"),
        ({"progress": True}, "progress"),
        ({"message": 5}, "message"),
        ({"error": []}, "error"),
        ({"worker_id": 5}, "worker_id"),
        ({"state": "running"}, "state"),
    ],
)
async def test_what_cannot_be_set_names_the_field_and_changes_nothing(body: Json, field: str) -> None:
    async with working() as (_, work):
        made = await work.make()
        before = await work.get(f"/{made}")
        assert (await work.patch(made, 400, **body))["field"] == field
        assert await work.get(f"/{made}") == before


@pytest.mark.parametrize("query", ["?status=done", "?wait=5", "?status=running&wait=5", "?limit=0"])
async def test_a_list_that_cannot_be_asked_for_is_refused(query: str) -> None:
    async with working() as (_, work):
        assert (await work.get(query, 400))["field"] in ("status", "wait", "limit")


async def test_a_status_only_goes_where_it_may() -> None:
    async with working() as (_, work):
        made = await work.make()
        await work.patch(made, status="failed", error={"code": 7})
        assert (await work.patch(made, 409, status="running"))["code"] == "invalid_transition"
        again = await work.patch(made, status="pending")
        assert (again["error"], again["ended_at"]) == (None, None)
        await work.patch(made, status="running")
        await work.patch(made, status="completed")
        assert (await work.patch(made, 409, status="failed"))["field"] == "status"
        assert (await work.patch(made, message="late"))["status"] == "completed"
        assert (await work.patch(made))["message"] == "late"


async def test_an_unknown_execution_is_not_found() -> None:
    async with working() as (_, work):
        assert (await work.get("/nobody", 404))["code"] == "not_found"
        assert (await work.patch("nobody", 404, progress=1))["code"] == "not_found"
        assert (await work.post("/nobody/claim", code=404))["code"] == "not_found"
        assert (await work.get("/a%20b", 400))["field"] == "execution_id"


async def test_who_may_not_push_cannot_work_and_who_may_not_watch_sees_nothing() -> None:
    async with working(auth=auth()) as (_, work):
        headers = {"Authorization": f"Bearer {token(push=['execution:*'])}"}
        made = (await work.post("", {"workflow_id": "w"}, 201, **headers))["id"]
        reader = {"Authorization": f"Bearer {token(watch=['execution:*'])}"}
        assert (await work.post("", {"workflow_id": "w"}, 403, **reader))["code"] == "forbidden"
        assert (await work.post(f"/{made}/claim", None, 403, **reader))["code"] == "forbidden"
        work.client.headers.update(headers)
        assert (await work.get(f"/{made}", 403))["code"] == "forbidden"
        assert (await work.get(""))["executions"] == []
        assert (await work.get("?status=pending"))["executions"] == []
        work.client.headers.update(reader)
        assert (await work.get(f"/{made}"))["status"] == "pending"
        assert (await work.patch(made, 403, progress=1))["code"] == "forbidden"
