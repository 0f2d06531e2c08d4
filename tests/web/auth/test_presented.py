"""The ways of a token: header, query, subprotocol, first message; one order, and nothing that leaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.settings import Auth
from tests.web.realhub import SECRET, RealHub, node_update, real_hub, signed, token
from tests.wsclient import CLOSE, WsClient, request_head

GOOD = token(watch=["*"], push=["*"])
BAD = signed({"sub": "ada", "exp": 1})
UPDATES, PRODUCER, STREAM = "/ws/updates?project_id=p", "/ws/orchestrator?", "/api/v1/ws/executions/e?"
NATIVE = "tasktree.v1"


def auth(**more: Any) -> Auth:
    """A hub that asks for tokens."""
    return Auth(secret=SECRET, **more)


async def dialled(
    running: RealHub, path: str, *headers: tuple[str, str], port: int | None = None
) -> tuple[WsClient, int, dict[str, str]]:
    """A connection, the status of the handshake, and its headers."""
    client = await WsClient.dial(port or int(running.url.rpartition(":")[2]))
    await client.raw(request_head(path, headers, host="localhost"))
    answer = await client.answer()
    return client, answer.status, {name.lower(): value for name, value in dict(answer.headers).items()}


def offers(*protocols: str) -> tuple[str, str]:
    """The header that offers subprotocols."""
    return ("Sec-WebSocket-Protocol", ", ".join(protocols))


async def first(client: WsClient) -> dict[str, Any] | int:
    """The first message, or the code of the close."""
    with trio.fail_after(30):
        frame = await client.recv()
    if frame.opcode == CLOSE:
        return frame.code
    found: dict[str, Any] = json.loads(frame.data)
    return found


async def test_a_subprotocol_may_carry_the_token_and_is_not_repeated() -> None:
    async with real_hub(auth=auth()) as running:
        client, status, headers = await dialled(running, UPDATES, offers(f"bearer.{GOOD}", NATIVE))
        async with client:
            assert (status, headers["sec-websocket-protocol"]) == (101, NATIVE)
            welcome = await first(client)
            assert isinstance(welcome, dict)
            assert welcome["type"] == "welcome"


async def test_a_browser_that_offers_only_the_token_gets_it_back_or_it_would_hang_up() -> None:
    async with real_hub(auth=auth()) as running:
        client, status, headers = await dialled(running, UPDATES, offers(f"bearer.{GOOD}"))
        async with client:
            assert (status, headers["sec-websocket-protocol"]) == (101, f"bearer.{GOOD}")


@pytest.mark.parametrize("path", [UPDATES, PRODUCER, STREAM, "/ws/aiecs?"])
async def test_the_header_goes_before_the_query_and_the_query_before_the_subprotocol(path: str) -> None:
    async with real_hub(auth=auth()) as running:
        for header, query, protocol, welcome in (
            (GOOD, BAD, BAD, True),
            (BAD, GOOD, GOOD, False),
            (None, GOOD, BAD, True),
            (None, BAD, GOOD, False),
            (None, None, GOOD, True),
            (None, None, BAD, False),
        ):
            shown = [offers(f"bearer.{protocol}")]
            shown += [] if header is None else [("Authorization", f"Bearer {header}")]
            client, status, _ = await dialled(running, f"{path}&token={query or ''}", *shown)
            async with client:
                assert status == 101
                if welcome:
                    await wait_all_tasks_blocked()
                    (one,) = running.hub.connections.values()
                    assert one.grants.subject == "ada"
                else:
                    assert await first(client) == 4003
            await wait_all_tasks_blocked()


@pytest.mark.parametrize("path", [UPDATES, PRODUCER, STREAM])
async def test_a_client_that_says_it_has_none_is_told_at_once(path: str) -> None:
    async with real_hub(auth=auth()) as running:
        client, _, _ = await dialled(running, path, offers(NATIVE, "bearer."))
        async with client:
            assert await first(client) == 4001


@pytest.mark.parametrize("path", [UPDATES, PRODUCER, STREAM])
async def test_the_first_message_may_bring_the_token(path: str) -> None:
    async with real_hub(auth=auth()) as running:
        await running.publish("execution:e", node_update("n"))
        client, status, _ = await dialled(running, path, offers(NATIVE))
        async with client:
            assert status == 101
            await client.text(json.dumps({"type": "authenticate", "token": GOOD, "id": 7}))
            said = await first(client)
            assert isinstance(said, dict)
            await client.text('{"type":"ping"}')
            while not (isinstance(said, dict) and said.get("type") == "pong"):
                said = await first(client)
            (one,) = running.hub.connections.values()
            assert (one.grants.subject, one.grants.address) == ("ada", "127.0.0.1")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "authenticate", "token": BAD}, 4003),
        ({"type": "authenticate", "token": ""}, 4001),
        ({"type": "authenticate"}, 4001),
        ({"type": "authenticate", "token": 5}, 4001),
        ({"type": "authenticate", "token": GOOD, "x": "y" * 20_000}, 4001),
        ({"type": "subscribe", "project_id": "p"}, 4001),
        ([], 4001),
    ],
)
@pytest.mark.parametrize("path", [UPDATES, PRODUCER])
async def test_any_other_first_message_closes(path: str, message: Any, code: int) -> None:
    async with real_hub(auth=auth()) as running:
        client, _, _ = await dialled(running, path, offers(NATIVE))
        async with client:
            await client.text(json.dumps(message))
            assert await first(client) == code
        await wait_all_tasks_blocked()
        assert not running.hub.connections


async def test_a_producer_without_the_right_to_its_commands_is_closed() -> None:
    async with real_hub(auth=auth()) as running:
        client, status, _ = await dialled(running, "/ws/orchestrator?commands=p")
        async with client:
            assert status == 101
            await client.text(json.dumps({"type": "authenticate", "token": token(push=["q"])}))
            assert await first(client) == 4003


async def test_a_connection_that_says_nothing_is_closed_after_the_time_that_the_settings_give() -> None:
    async with real_hub(auth=auth(message_timeout=0.2)) as running:
        client, _, _ = await dialled(running, UPDATES)
        async with client:
            assert await first(client) == 4001
    async with real_hub(auth=auth(message_timeout=0.0)) as running:
        client, _, _ = await dialled(running, UPDATES)
        async with client:
            await client.text(json.dumps({"type": "authenticate", "token": GOOD}))
            assert await first(client) == 4001


async def test_no_way_of_a_token_leaves_it_in_the_log_or_in_the_metrics() -> None:
    with capture_logs() as lines:
        async with real_hub(auth=auth()) as running, running.http() as http:
            for shown in (GOOD, BAD):
                for path, headers in (
                    (f"{UPDATES}&token={shown}", ()),
                    (UPDATES, (offers(f"bearer.{shown}", NATIVE),)),
                    (UPDATES, (offers(f"bearer.{shown}"),)),
                    (UPDATES, (("Authorization", f"Bearer {shown}"),)),
                ):
                    client, _, _ = await dialled(running, path, *headers)
                    async with client:
                        await client.text(json.dumps({"type": "refresh", "token": shown}))
                client, _, _ = await dialled(running, UPDATES, offers(NATIVE))
                async with client:
                    await client.text(json.dumps({"type": "authenticate", "token": shown}))
                    await first(client)
                await http.get("/api/v1/projects", params={"token": shown})
            root = {"Authorization": f"Bearer {token(admin=True)}"}
            metrics = (await http.get("/metrics", headers=root)).text
            connections = (await http.get("/api/v1/connections", headers=root)).text
    for text in (repr(lines), metrics, connections):
        assert not any(part in text for shown in (GOOD, BAD) for part in shown.split(".")[1:])
