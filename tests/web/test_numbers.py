"""Numbers that no double can hold are refused on every surface; older stores stay readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trio_websocket import WebSocketConnection

from tasktree_rt.brokers.base import Append, Checkpoint, Draft
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.client import open_watcher
from tests.web.realhub import heard, node_update, real_hub

P = "/api/v1/projects"
HUGE = ("1" + "0" * 400, "-" + "9" * 310, "1e400")
EXACT = 2**1023 + 1
STAMP = "2026-01-02T03:04:05.000006Z"
BODIES: dict[str, tuple[str, str, str, str]] = {
    "an event": ("POST", f"{P}/p/events", '{"type":"x","data":{"n":[1,#]}}', "events[0].data.n[1]"),
    "events": ("POST", f"{P}/p/events", '[{"type":"x"},{"type":"x","data":{"n":#}}]', "events[1].data.n"),
    "a broadcast": ("POST", "/api/v1/broadcast", '{"type":"x","data":{"n":#}}', "data.n"),
    "a snapshot": ("POST", f"{P}/p/snapshots", '{"at":#}', "at"),
    "a prompt": ("POST", "/api/v1/prompts", '{"project_id":"p","message":"?","data":{"n":#}}', "data.n"),
    "an answer": ("POST", "/api/v1/prompts/q/answer", '{"proceed":true,"value":{"n":#}}', "value.n"),
    "a command": ("POST", f"{P}/p/commands", '{"name":"x","args":{"n":#}}', "args.n"),
    "a notification": ("POST", "/api/v1/users/u/notifications", '{"title":"x","data":{"n":#}}', "data.n"),
    "a read mark": ("POST", "/api/v1/users/u/read", '{"seq":#}', "seq"),
    "an execution": ("POST", "/api/v1/executions", '{"title":"x","input":{"n":#}}', "input.n"),
    "its change": ("PATCH", "/api/v1/executions/e", '{"result":#}', "result"),
    "a claim": ("POST", "/api/v1/executions/e/claim", '{"n":#}', "n"),
    "AIECS' question": ("POST", "/api/v1/aiecs/notify", '{"data":{"n":#}}', "data.n"),
    "AIECS' broadcast": ("POST", "/api/v1/aiecs/broadcast", '{"n":#}', "n"),
    "AIECS' message": ("POST", "/api/v1/aiecs/users/u/messages", '{"n":#}', "n"),
    "AIECS' heartbeat": ("POST", "/api/v1/aiecs/heartbeats", '{"n":#}', "n"),
}
SOCKETS: dict[str, tuple[str, bool, str, str]] = {
    "a publish": (
        "/ws/orchestrator",
        False,
        '{"type":"publish","id":1,"events":[{"type":"x","project_id":"p","data":{"n":#}}]}',
        "events[0].data.n",
    ),
    "a bare event": (
        "/ws/orchestrator",
        False,
        '{"type":"x","id":1,"project_id":"p","data":{"n":#}}',
        "data.n",
    ),
    "an id": ("/ws/orchestrator", False, '{"type":"x","id":#,"project_id":"p"}', "id"),
    "a watermark": ("/ws/updates?project_id=p", True, '{"type":"ack","project_id":"p","seq":#}', "seq"),
    "an answer": (
        "/ws/updates?project_id=p",
        True,
        '{"type":"answer","prompt_id":"q","proceed":true,"value":#}',
        "value",
    ),
    "a command": (
        "/ws/updates?project_id=p",
        True,
        '{"type":"command","project_id":"p","name":"x","args":{"n":[#]}}',
        "args.n[0]",
    ),
}


@pytest.mark.parametrize("what", BODIES)
async def test_over_http_they_are_refused_with_their_place(what: str) -> None:
    method, path, body, place = BODIES[what]
    async with real_hub() as running, running.http() as http:
        for huge in HUGE:
            answer = await http.request(method, path, content=body.replace("#", huge))
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json"), answer.text
            assert answer.json()["field"] == place
            assert huge[:50] not in answer.text
        assert running.hub.health.stored_projects == 0


async def test_lines_of_ndjson_too() -> None:
    async with real_hub() as running, running.http() as http:
        lines = '{"type":"x"}\n{"type":"x","data":{"n":#}}\n'.replace("#", HUGE[0])
        said = {"Content-Type": "application/x-ndjson"}
        answer = await http.post(f"{P}/p/events", content=lines, headers=said)
        assert (answer.status_code, answer.json()["field"]) == (400, "events[1].data.n")


async def told_of(socket: WebSocketConnection) -> Any:
    while (said := await heard(socket)).get("type") != "error":
        pass
    return said


@pytest.mark.parametrize("what", SOCKETS)
async def test_over_sockets_too_and_the_connection_goes_on(what: str) -> None:
    path, native, message, place = SOCKETS[what]
    async with real_hub() as running, running.socket(path, native=native) as socket:
        for huge in HUGE:
            await socket.send_message(message.replace("#", huge))
            said = await told_of(socket)
            assert (said["code"], said["field"]) == ("invalid_json", place)
        await socket.send_message('{"type":"ping","id":"still"}')
        while (said := await heard(socket)).get("id") != "still":
            pass
        assert said["type"] == "pong"


@pytest.mark.parametrize("query", ["state?at=", "events?limit=", "events?since=x:", "events?before=x:"])
async def test_in_a_query_they_are_refused_too(query: str) -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a"))
        for huge in HUGE:
            answer = await http.get(f"{P}/p/{query}{huge}")
            assert answer.status_code == 400
            assert answer.json()["field"] in ("at", "limit", "since", "before")


async def test_integers_within_the_range_of_a_double_stay_exact() -> None:
    async with real_hub() as running, running.http() as http:
        kept = {"large": EXACT, "above": 2**53 + 1, "digits": "7" * 1_000}
        assert (await http.post(f"{P}/p/events", json=node_update("a", **kept))).status_code == 200
        (node,) = (await http.get(f"{P}/p/state")).json()["data"]["nodes"]
        assert node == {"node_id": "a", **kept}


@pytest.mark.parametrize("covered", [False, True])
async def test_a_store_that_holds_such_numbers_already_stays_readable(covered: bool) -> None:
    huge = 10**400
    data = {"node_id": "old", "changes": {"n": huge}}
    body = {
        "type": "node_update",
        "project_id": "p",
        "data": data,
        "timestamp": "2026-01-02T03:04:05.000006Z",
    }
    broker = MemoryBroker()
    draft = Draft("node_update", "old", json.dumps(body, separators=(",", ":")).encode())
    await broker.append([Append("p", [draft], 1, "e" * 12, False, None, 1)])
    if covered:
        top = b'{"state":null,"project":{},"orchestrator":null,"coordination":null,"prompts":[]}'
        nodes = json.dumps([["old", {"n": huge}]]).encode()
        await broker.save_checkpoint("p", Checkpoint("e" * 12, 1, (top, nodes)))
    async with real_hub(broker) as running, running.http() as http:
        await running.publish("p", node_update("new"))
        for path in ("state", "state?at=1"):
            nodes_found = (await http.get(f"{P}/p/{path}")).json()["data"]["nodes"]
            assert nodes_found[0] == {"node_id": "old", "n": huge}
        events = (await http.get(f"{P}/p/events?since=:0")).json()["events"]
        assert events[0]["data"] == data
        kept = (await http.post(f"{P}/p/snapshots", json={})).json()["snapshot_id"]
        assert (await http.get(f"{P}/p/snapshots/{kept}")).json()["data"]["nodes"][0]["n"] == huge
        async with open_watcher(running.url, projects=["p"]) as watcher:
            async for _ in watcher:
                if "new" in watcher.view("p").nodes:
                    break
            assert watcher.view("p").nodes["old"]["n"] == huge
