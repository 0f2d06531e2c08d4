"""AutoGPT's client at ``/ws`` over real sockets: the transcript, tokens, HTTP, the mirror."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.settings import Auth, AutoGpt
from tests.compat.autogpt.golden import LINES, USER, check
from tests.compat.autogpt.test_payloads import GRAPH, NODE
from tests.web.realhub import SECRET, TOMORROW, RealHub, Schemas, document, heard, real_hub, say
from tests.wsclient import WsClient, request_head

EVENTS = "/api/v1/autogpt/events"
NOTIFICATIONS = "/api/v1/autogpt/notifications"
ASYNCAPI = document("asyncapi.json")
SCHEMAS = Schemas(ASYNCAPI)


def token(subject: str | None = "u", *, audience: Any = "authenticated", **more: Any) -> str:
    claims = {"exp": TOMORROW, "aud": audience, **more}
    return jwt.encode(claims | ({} if subject is None else {"sub": subject}), SECRET, "HS256")


def keys_of(operation: str) -> list[str]:
    return [one["$ref"].rpartition("/")[2] for one in ASYNCAPI["operations"][operation]["messages"]]


def documented(message: Any, operation: str) -> str:
    """The one message of the document that this is."""
    messages = ASYNCAPI["components"]["messages"]
    fits = [key for key in keys_of(operation) if not SCHEMAS.faults(messages[key]["payload"], message)]
    assert len(fits) == 1, (fits, message)
    return fits[0]


async def until_pong(socket: WebSocketConnection) -> list[Any]:
    """Everything up to the answer to a heartbeat that is sent now."""
    await say(socket, {"method": "heartbeat", "data": "ping"})
    found: list[Any] = []
    while (message := await heard(socket)).get("data") != "pong":
        found.append(message)
    return found


async def closed(running: RealHub, path: str) -> tuple[int, str | None]:
    """What a connection is closed with at once."""
    async with running.socket(path, native=False) as socket:
        with pytest.raises(ConnectionClosed), trio.fail_after(30):
            await socket.get_message()
        assert socket.closed is not None
        return socket.closed.code, socket.closed.reason


async def push(http: httpx.AsyncClient, path: str, body: Any, **headers: str) -> httpx.Response:
    return await http.post(path, json=body, headers=headers)


async def do(line: dict[str, Any], socket: WebSocketConnection, http: httpx.AsyncClient) -> None:
    """What a line of the transcript says is to happen."""
    match line:
        case {"say": text}:
            await socket.send_message(text)
        case {"binary": data}:
            await socket.send_message(bytes.fromhex(data))
        case {"event": body}:
            assert (await push(http, EVENTS, body)).status_code == 202
        case {"notification": body}:
            assert (await push(http, NOTIFICATIONS, body)).status_code == 201
        case {"native": data}:
            assert (await push(http, f"/api/v1/users/{USER}/notifications", data)).status_code == 201


async def test_the_golden_transcript_over_a_real_socket_says_what_the_document_says() -> None:
    seen: set[str] = set()
    async with (
        real_hub() as running,
        running.http() as http,
        running.socket("/ws", native=False) as socket,
    ):
        for index, line in enumerate(LINES):
            await do(line, socket, http)
            found = [await heard(socket) for _ in line["hear"]]
            if not found:
                found = await until_pong(socket)
            check(index, found)
            seen |= {documented(message, "tellAutoGpt") for message in found}
            if "say" in line and found and found[0]["success"]:
                seen.add(documented(json.loads(line["say"]), "hearAutoGpt"))
    assert {*keys_of("tellAutoGpt"), *keys_of("hearAutoGpt")} - seen == {"autogpt_complaint"}


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "?token=",
        f"?token={token(None)}",
        f"?token={token('')}",
        "?token=nonsense",
        f"?token={token(audience='others')}",
        f"?token={token(exp=1)}",
        f"?token={jwt.encode({'exp': TOMORROW, 'sub': 'u'}, SECRET, 'HS256')}",
        f"?token={jwt.encode({'aud': 'authenticated', 'sub': 'u'}, SECRET, 'HS256')}",
        f"?token={jwt.encode({'aud': 'authenticated', 'sub': 'u', 'exp': TOMORROW}, '', 'none')}",
    ],
)
async def test_who_shows_no_good_token_is_refused_before_the_handshake(query: str) -> None:
    async with real_hub(auth=Auth(secret=SECRET)) as running:
        client, status = await dialled(running, path=f"/ws{query}")
        async with client:
            assert status == 403


@pytest.mark.parametrize("audience", ["authenticated", ["others", "authenticated"]])
@pytest.mark.parametrize("configured", ["", "tasktree"])
async def test_the_audience_is_autogpts_whatever_the_hubs_own_is(audience: Any, configured: str) -> None:
    async with (
        real_hub(auth=Auth(secret=SECRET, audience=configured)) as running,
        running.socket(f"/ws?token={token('ann', audience=audience)}", native=False) as socket,
    ):
        await say(socket, {"method": "subscribe_graph_exec", "data": {"graph_exec_id": "e"}})
        assert (await heard(socket))["channel"] == "ann|graph_exec#e"


async def dialled(running: RealHub, *headers: tuple[str, str], path: str = "/ws") -> tuple[WsClient, int]:
    """A client that asked for a WebSocket, and the status it got."""
    client = await WsClient.dial(int(running.url.rpartition(":")[2]))
    await client.raw(request_head(path, headers, host="localhost"))
    return client, (await client.answer()).status


async def test_a_token_may_come_as_a_header() -> None:
    async with real_hub(auth=Auth(secret=SECRET)) as running:
        client, status = await dialled(running, ("Authorization", f"Bearer {token('ann')}"))
        async with client:
            assert status == 101
            await client.text('{"method":"subscribe_graph_execs","data":{"graph_id":"g"}}')
            assert json.loads((await client.recv()).data)["channel"] == "ann|graph_execs#g"


async def test_a_token_that_expires_ends_the_connection() -> None:
    async with (
        real_hub(auth=Auth(secret=SECRET, leeway=0.0)) as running,
        running.socket(f"/ws?token={token(exp=int(time.time()) + 1)}", native=False) as socket,
    ):
        with pytest.raises(ConnectionClosed), trio.fail_after(30):
            await socket.get_message()
        assert socket.closed is not None
        assert socket.closed.code == 4003


@pytest.mark.parametrize(("origins", "status"), [((), 403), (("http://localhost:3000",), 101)])
async def test_a_page_of_elsewhere_needs_to_be_listed(origins: tuple[str, ...], status: int) -> None:
    async with real_hub(cors_origins=origins) as running:
        client, answered = await dialled(running, ("Origin", "http://localhost:3000"))
        async with client:
            assert answered == status


# --- users ----------------------------------------------------------------------------------------


async def test_two_users_with_the_same_ids_never_see_each_others_frames() -> None:
    async with (
        real_hub(auth=Auth(secret=SECRET)) as running,
        running.http(headers={"Authorization": f"Bearer {pusher()}"}) as http,
        running.socket(f"/ws?token={token('ann')}", native=False) as ann,
        running.socket(f"/ws?token={token('bob')}", native=False) as bob,
    ):
        for socket in (ann, bob):
            await say(socket, {"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}})
            await say(socket, {"method": "subscribe_graph_executions", "data": {"graph_id": "g"}})
            assert len(await until_pong(socket)) == 2
        for user in ("ann", "bob"):
            shown = await push(http, EVENTS, {"payload": {**GRAPH, "user_id": user}})
            assert shown.json() == {"channels": 2}
            await push(http, EVENTS, {"payload": {**NODE, "user_id": user}})
            note = {"user_id": user, "payload": {"type": "t", "event": user}}
            assert (await push(http, NOTIFICATIONS, {"payload": note})).status_code == 201
        for user, socket in (("ann", ann), ("bob", bob)):
            found = await until_pong(socket)
            assert [one["method"] for one in found] == [
                "graph_execution_event",
                "graph_execution_event",
                "node_execution_event",
                "notification",
            ]
            assert {one["data"].get("user_id", one["data"].get("event")) for one in found} == {user}


def pusher(**allowed: Any) -> str:
    claims = {"exp": TOMORROW, "sub": "platform", "tasktree": allowed or {"push": ["*"]}}
    return jwt.encode(claims, SECRET, "HS256")


async def test_only_who_may_push_may_push() -> None:
    async with real_hub(auth=Auth(secret=SECRET)) as running, running.http() as http:

        async def status(path: str, body: Any, **allowed: Any) -> int:
            return (await push(http, path, body, Authorization=f"Bearer {pusher(**allowed)}")).status_code

        note = {"payload": {"user_id": "u", "payload": {"type": "t", "event": "e"}}}
        assert await status(EVENTS, {"payload": GRAPH}, push=["autogpt:*"]) == 202
        assert await status(EVENTS, {"payload": GRAPH}, push=["autogpt:other"]) == 403
        assert await status(EVENTS, {"payload": GRAPH}, watch=["*"]) == 403
        assert await status(NOTIFICATIONS, note, push=["*"]) == 201
        assert await status(NOTIFICATIONS, note, push=["autogpt:*"]) == 403


async def test_a_bad_body_is_told_the_field_and_shown_to_nobody() -> None:
    async with (
        real_hub() as running,
        running.http() as http,
        running.socket("/ws", native=False) as socket,
    ):
        for path, body, field in (
            (EVENTS, {"payload": {**GRAPH, "user_id": 5}}, "payload.user_id"),
            (EVENTS, {"payload": {**NODE, "node_id": None}}, "payload.node_id"),
            (
                NOTIFICATIONS,
                {"payload": {"user_id": USER, "payload": {"type": "t"}}},
                "payload.payload.event",
            ),
            (
                NOTIFICATIONS,
                {"payload": {"user_id": "\n", "payload": {"type": "t", "event": "e"}}},
                "payload.user_id",
            ),
        ):
            answer = await push(http, path, body)
            assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert await until_pong(socket) == []


async def test_a_notification_too_large_to_be_kept_is_shown_whole_and_its_title_is_kept() -> None:
    payload = {"type": "t", "event": "e", "text": "x" * 20_000}
    async with (
        real_hub() as running,
        running.http() as http,
        running.socket("/ws", native=False) as socket,
    ):
        await until_pong(socket)
        answer = await push(http, NOTIFICATIONS, {"payload": {"user_id": USER, "payload": payload}})
        assert answer.status_code == 201
        assert (await heard(socket))["data"] == payload
        kept = (await http.get(f"/api/v1/users/{USER}/notifications")).json()["events"]
        assert [one["data"] for one in kept] == [{"title": "t: e"}]


async def test_who_asks_a_thousand_things_at_once_is_answered_each() -> None:
    limits = {"max_messages_per_second": 5_000.0, "message_burst": 10}
    async with real_hub(limits=limits) as running, running.socket("/ws", native=False) as socket:
        for number in range(1_000):
            await say(socket, {"method": "subscribe_graph_exec", "data": {"graph_exec_id": f"e{number}"}})
        answers = await until_pong(socket)
        assert [one["success"] for one in answers] == [True] * 999 + [False]  # one is the user's own
        assert answers[-1]["error"] == "at most 1000 subscriptions"


# --- the mirror -----------------------------------------------------------------------------------


async def project_change(running: RealHub) -> None:
    """Wait until the mirror has written everything."""
    with trio.fail_after(30):
        while not running.hub.write_behind.quiet:  # noqa: ASYNC110 - it is idle, not an event
            await trio.sleep(0.01)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, True),
        ({"autogpt": AutoGpt(mirror="off")}, False),
        ({"auth": Auth(secret=SECRET)}, False),
        ({"auth": Auth(secret=SECRET), "autogpt": AutoGpt(mirror="on")}, True),
    ],
)
async def test_executions_are_projects_too_by_default_only_without_tokens(
    settings: dict[str, Any], shown: bool
) -> None:
    headers = {"Authorization": f"Bearer {pusher(push=['*'], watch=['*'])}"}
    async with real_hub(**settings) as running, running.http(headers=headers) as http:
        await push(
            http, EVENTS, {"payload": {**GRAPH, "inputs": {"k": "sec-ret"}, "outputs": {"k": ["sec-ret"]}}}
        )
        await push(
            http, EVENTS, {"payload": {**NODE, "input_data": "sec-ret", "output_data": {"error": "sec-ret"}}}
        )
        await project_change(running)
        state = await http.get("/api/v1/projects/autogpt:e/state")
        assert state.status_code == (200 if shown else 404)
        if shown:
            assert state.json()["data"]["state"] == "running"
            assert [one["node_id"] for one in state.json()["data"]["nodes"]] == ["x"]
            history = await http.get("/api/v1/projects/autogpt:e/events")
            assert "sec-ret" not in state.text + history.text


async def test_a_watcher_of_the_mirror_sees_the_statuses_pass() -> None:
    async with (
        real_hub() as running,
        running.http() as http,
        running.socket("/ws/updates?project_id=autogpt:e") as watcher,
    ):
        for status in ("QUEUED", "RUNNING", "COMPLETED"):
            await push(http, EVENTS, {"payload": {**NODE, "status": status}})
            await push(http, EVENTS, {"payload": {**GRAPH, "status": status}})
            await project_change(running)
        seen: list[Any] = []
        while not seen or seen[-1].get("data", {}).get("to") != "completed":
            seen.append(await heard(watcher))
        statuses = [one["data"]["changes"]["status"] for one in seen if one["type"] == "node_update"]
        assert statuses == ["ready", "running", "completed"]
