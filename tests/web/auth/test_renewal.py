"""Tokens that expire: the warning, a refresh for the same subject, and the end of long polls."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.core.events import Json
from tasktree_rt.settings import Auth
from tests.web.realhub import SECRET, TOMORROW, RealHub, heard, real_hub, say, token

PATHS = ["/ws/updates?project_id=p", "/ws/orchestrator?producer_id=p"]
GRANTS: dict[str, Any] = {"watch": ["*"], "push": ["*"], "answer": ["*"]}


def auth(**more: Any) -> Auth:
    """A hub that asks for tokens and allows no leeway."""
    return Auth(secret=SECRET, leeway=0.0, **more)


async def until(socket: WebSocketConnection, *kinds: str) -> Json:
    """The next message of one of these types."""
    while (message := await heard(socket))["type"] not in kinds:
        pass
    return message


def soon() -> str:
    """A token for ten minutes."""
    return token(expires=time.time() + 600, **GRANTS)


@pytest.mark.parametrize("path", PATHS)
async def test_a_connection_is_warned_once_before_its_token_expires(path: str) -> None:
    async with (
        real_hub(auth=auth(expiry_warning=3_600.0)) as running,
        running.socket(f"{path}&token={soon()}") as socket,
    ):
        warning = await until(socket, "token_expiring")
        assert 0 < warning["data"]["expires_in_ms"] <= 600_000
        later = token(expires=time.time() + 700, **GRANTS)
        await say(socket, {"type": "refresh", "id": 1, "token": later})
        assert await until(socket, "reply") == {"type": "reply", "id": 1}
        warning = await until(socket, "token_expiring")
        assert 600_000 < warning["data"]["expires_in_ms"] <= 700_000


@pytest.mark.parametrize("path", PATHS)
async def test_a_token_of_another_subject_renews_nothing(path: str) -> None:
    async with real_hub(auth=auth()) as running, running.socket(f"{path}&token={soon()}") as socket:
        for other, code, field in (
            (token(subject="bob", **GRANTS), "forbidden", "token"),
            (token(expires=1, **GRANTS), "unauthorized", None),
            (5, "invalid_message", "token"),
            ("", "unauthorized", None),
        ):
            await say(socket, {"type": "refresh", "id": 1, "token": other})
            error = await until(socket, "error", "reply")
            assert (error["type"], error.get("code"), error.get("field")) == ("error", code, field)
        await say(socket, {"type": "refresh", "id": 2, "token": token(**GRANTS)})
        assert (await until(socket, "error", "reply"))["id"] == 2
        (connection,) = running.hub.connections.values()
        assert (connection.grants.subject, connection.grants.expires) == ("ada", TOMORROW)
        assert connection.grants.address == "127.0.0.1"


async def test_a_producer_keeps_the_right_to_its_commands_or_its_old_token() -> None:
    path = f"/ws/orchestrator?producer_id=p&commands=a&token={soon()}"
    async with real_hub(auth=auth()) as running, running.socket(path) as socket:
        await say(socket, {"type": "refresh", "id": 1, "token": token(push=["b"])})
        error = await until(socket, "error", "reply")
        assert (error["code"], error["field"]) == ("forbidden", "commands")
        node = {"project_id": "a", "type": "node_update", "data": {"node_id": "n", "changes": {}}}
        await say(socket, {"type": "publish", "id": 2, "events": [node]})
        assert (await until(socket, "ack", "error"))["type"] == "ack"
        await say(socket, {"type": "refresh", "id": 3, "token": token(push=["a"])})
        await say(socket, {"type": "publish", "id": 4, "events": [node | {"project_id": "b"}]})
        assert (await until(socket, "reply"))["id"] == 3
        assert (await until(socket, "ack", "error"))["code"] == "forbidden"


async def test_an_event_called_refresh_is_an_event() -> None:
    path = f"/ws/orchestrator?producer_id=p&token={soon()}"
    async with real_hub(auth=auth()) as running, running.socket(path) as socket:
        await say(socket, {"type": "refresh", "id": 1, "project_id": "p", "data": {"token": "x"}})
        assert (await until(socket, "ack", "error", "reply"))["type"] == "ack"


@pytest.mark.parametrize("path", PATHS)
async def test_a_token_that_expires_closes_with_the_advice_to_get_another(path: str) -> None:
    async with real_hub(auth=auth()) as running:
        shown = token(expires=time.time() + 3.5, **GRANTS)
        async with running.socket(f"{path}&token={shown}") as socket:
            await until(socket, "token_expiring")
            with pytest.raises(ConnectionClosed):
                await until(socket, "nothing")
            assert socket.closed is not None
            assert socket.closed.code == 4003


async def poll(running: RealHub, path: str, shown: str) -> int:
    """The status of a long poll of a minute that nothing ends but its token."""
    async with running.http() as client:
        with trio.fail_after(30):
            answer = await client.get(path, headers={"Authorization": f"Bearer {shown}"})
    return answer.status_code


@pytest.mark.parametrize("path", ["/api/v1/prompts/q?wait=60", "/api/v1/executions?status=pending&wait=60"])
async def test_a_long_poll_ends_with_its_token(path: str) -> None:
    async with real_hub(auth=auth()) as running:
        asked = {"prompt_id": "q", "project_id": "p", "message": "?"}
        async with running.http() as client:
            headers = {"Authorization": f"Bearer {token(**GRANTS)}"}
            made = await client.post("/api/v1/prompts", json=asked, headers=headers)
            assert made.status_code in (200, 201, 202), made.text
        shown = token(expires=time.time() + 1.5, **GRANTS)
        assert await poll(running, path, shown) in (200, 202)
        assert await poll(running, path, shown) == 401
