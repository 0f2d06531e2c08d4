"""Revocation over HTTP: on every surface, at once, and refused everywhere afterwards."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import httpx
import jwt
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionRejected

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.access import EVERYTHING, Grants
from tasktree_rt.core.events import Json, micros_to_time
from tasktree_rt.core.protocol import Failure
from tasktree_rt.errors import StoreUnavailable
from tests.web.admin_calls import ADMIN, admin, bearer, call, closed, issued, new_key, status_of
from tests.web.realhub import SECRET, RealHub, auth, heard, node_update, real_hub, say, signed
from tests.web.test_event_stream import stream

SOCKETS = {
    "native": "/ws/updates",
    "plain": "/ws/updates",
    "orchestrator": "/ws/orchestrator",
    "execution": "/api/v1/ws/executions/e",
    "aiecs": "/ws/aiecs",
    "autogpt": "/ws",
}
STREAMS = ["/api/v1/projects/p/stream", "/api/v1/users/ada/stream", "/api/v1/projects/stream"]
POLLS = ["/api/v1/prompts/q?wait=60", "/api/v1/executions?status=pending&wait=60"]
AUDIENCE = {"aud": "authenticated"}


def token(subject: str = "ada", **more: Any) -> str:
    """A token that every surface takes, AutoGPT's too."""
    claims = jwt.decode(issued(subject, **more), SECRET, ["HS256"])
    return signed({**claims, **AUDIENCE})


async def prepare(hub: RealHub) -> None:
    """A project, an execution and an open prompt."""
    await hub.publish("p", node_update("n", status="running"))
    async with hub.http(headers=admin() | bearer(issued("root", admin=True))) as client:
        made = await client.post("/api/v1/executions", json={"workflow_id": "w", "input_data": {}})
        assert made.status_code == 201, made.text
        await client.post(f"/api/v1/executions/{made.json()['id']}/claim", json={})
        asked = {"prompt_id": "q", "project_id": "p", "message": "?"}
        assert (await client.post("/api/v1/prompts", json=asked)).status_code == 201
    SOCKETS["execution"] = f"/api/v1/ws/executions/{made.json()['id']}"


@pytest.mark.parametrize("name", SOCKETS)
async def test_a_revoked_token_ends_its_sockets_and_no_others(name: str) -> None:
    async with real_hub(auth=auth()) as hub, AsyncExitStack() as stack:
        await prepare(hub)
        sockets = [
            await stack.enter_async_context(
                hub.socket(f"{SOCKETS[name]}?token={token(jti=jti)}", native=name == "native")
            )
            for jti in ("bad", "good")
        ]
        while len(hub.hub.connections) < 2:
            await trio.lowlevel.checkpoint()
        assert await call(hub, "POST", "/revoke", token_id="bad") == {"disconnected": 1}
        assert await closed(sockets[0]) == (4003, "the token was revoked")
        assert [one.grants.token_id for one in hub.hub.connections.values() if not one.closing] == ["good"]


@pytest.mark.parametrize("path", STREAMS)
async def test_a_revoked_token_ends_its_streams_with_an_error(path: str) -> None:
    async with real_hub(auth=auth()) as hub:
        await prepare(hub)
        async with stream(hub, path, headers=bearer(issued(jti="bad"))) as said:
            await said.block()  # retry
            await said.block()
            await call(hub, "POST", "/revoke", token_id="bad")
            while "unauthorized" not in (found := await said.block()).get("data", ""):
                pass
            assert "the token was revoked" in found["data"]
            await said.end()


@pytest.mark.parametrize("path", POLLS)
async def test_a_revoked_token_ends_its_long_polls(path: str) -> None:
    async with real_hub(auth=auth()) as hub:
        await prepare(hub)
        found: list[httpx.Response] = []

        async def wait() -> None:
            async with hub.http(headers=bearer(issued(jti="bad"))) as client:
                found.append(await client.get(path))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            while not list(hub.hub.administration.requests):
                await trio.lowlevel.checkpoint()
            assert await call(hub, "POST", "/revoke", token_id="bad") == {"disconnected": 1}
        assert (found[0].status_code, found[0].json()["detail"]) == (401, "the token was revoked")


async def test_a_reader_in_the_same_process_ends_with_its_grants() -> None:
    async with real_hub(auth=auth()) as hub:
        await hub.publish("p", node_update("n"))
        async with hub.hub.subscribe("p", grants=Grants("ada", EVERYTHING, token_id="bad")) as messages:
            await call(hub, "POST", "/revoke", token_id="bad")
            last = [message async for message in messages][-1]
            assert last == Failure("unauthorized", "the token was revoked")


@pytest.mark.parametrize("name", SOCKETS)
async def test_a_revoked_token_opens_no_socket(name: str) -> None:
    async with real_hub(auth=auth()) as hub:
        await prepare(hub)
        await call(hub, "POST", "/revoke", token_id="bad")
        path = f"{SOCKETS[name]}?token={token(jti='bad')}"
        if name == "autogpt":
            with pytest.raises(ExceptionGroup) as caught:
                async with hub.socket(path, native=False):
                    pass
            (refusal,) = caught.value.exceptions
            assert isinstance(refusal, ConnectionRejected)
            assert (refusal.status_code, b"the token was revoked" in (refusal.body or b"")) == (403, True)
            return
        async with hub.socket(path, native=name == "native") as socket:
            assert await closed(socket) == (4003, "the token was revoked")


@pytest.mark.parametrize("path", [*STREAMS, *POLLS, "/api/v1/projects/p/state"])
async def test_a_revoked_token_gets_nothing_over_http(path: str) -> None:
    async with real_hub(auth=auth()) as hub:
        await call(hub, "POST", "/revoke", token_id="bad")
        assert await status_of(hub, issued(jti="bad"), path) == (401, "the token was revoked")


async def test_a_connection_cannot_be_refreshed_with_a_revoked_token() -> None:
    async with real_hub(auth=auth()) as hub:
        await call(hub, "POST", "/revoke", token_id="bad")
        async with hub.socket(f"/ws/updates?token={issued(jti='good')}") as socket:
            await heard(socket)
            await say(socket, {"type": "refresh", "id": 1, "token": issued(jti="bad")})
            while (said := await heard(socket)).get("type") != "error":
                pass
            assert (said["code"], said["message"]) == ("unauthorized", "the token was revoked")


async def test_the_tokens_of_a_user_are_revoked_up_to_a_time() -> None:
    async with real_hub(auth=auth()) as hub:
        now = hub.hub.wall() // 1_000_000
        old, new, undated = issued(iat=now - 100), issued(iat=now - 10), issued()
        other = issued("bob", iat=now - 100)
        await call(hub, "POST", "/revoke", user="ada", before=_time(now - 50))
        assert [(await status_of(hub, one))[0] for one in (old, new, undated, other)] == [401, 200, 401, 200]
        assert "issued before" in (await status_of(hub, old))[1]
        await call(hub, "POST", "/revoke", user="ada", before=_time(now - 90))
        assert (await status_of(hub, issued(iat=now - 70)))[0] == 401, "an earlier time takes nothing back"
        await call(hub, "POST", "/revoke", user="ada")
        assert (await status_of(hub, new))[0] == 401


async def test_a_revoked_user_loses_the_keys_made_before_for_good() -> None:
    async with real_hub(auth=auth()) as hub:
        key = await new_key(hub, "ci")
        other = await new_key(hub, "other")
        await call(hub, "POST", "/revoke", user="key:ci")
        later = await new_key(hub, "ci")
        assert await status_of(hub, key["key"]) == (401, "the API key was revoked")
        assert [(await status_of(hub, one["key"]))[0] for one in (other, later)] == [200, 200]
        hub.hub.administration.revocations.forget(1 << 62)
        assert (await status_of(hub, key["key"]))[0] == 401


@pytest.mark.parametrize("how", ["DELETE", "POST"])
async def test_a_revoked_key_is_refused_at_once_though_it_was_checked(how: str) -> None:
    async with real_hub(auth=auth()) as hub:
        key = await new_key(hub)
        async with hub.socket(f"/ws/orchestrator?token={key['key']}") as socket:
            assert (await status_of(hub, key["key"]))[0] == 200
            while not hub.hub.connections:
                await trio.lowlevel.checkpoint()
            if how == "DELETE":
                assert await call(hub, "DELETE", f"/keys/{key['id']}") == {"disconnected": 1}
            else:
                assert await call(hub, "POST", "/revoke", key=key["id"]) == {"disconnected": 1}
            assert await closed(socket) == (4003, "the API key was revoked")
        assert await status_of(hub, key["key"]) == (401, "the API key was revoked")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "token_id"),
        ({"token_id": "a", "user": "b"}, 400, "token_id"),
        ({"token_id": ""}, 400, "token_id"),
        ({"token_id": 5}, 400, "token_id"),
        ({"token_id": "a", "before": "2026-01-01T00:00:00Z"}, 400, "before"),
        ({"user": "ada", "before": "soon"}, 400, "before"),
        ({"user": "ada", "before": "2999-01-01T00:00:00Z"}, 400, "before"),
        ({"user": ""}, 400, "user"),
        ({"key": 5}, 400, "key"),
        ({"key": "unknown"}, 404, "key"),
        ({"jti": "a"}, 400, "jti"),
    ],
)
async def test_what_is_no_revocation_is_refused_by_its_field(body: Json, status: int, field: str) -> None:
    async with real_hub(auth=auth()) as hub, hub.http(headers=admin()) as client:
        response = await client.post(f"{ADMIN}/revoke", json=body)
        assert (response.status_code, response.json()["field"]) == (status, field)
        assert (await call(hub, "GET", "/revocations"))["total"] == 0


async def test_a_key_given_as_a_token_is_pointed_to_its_own_field() -> None:
    async with real_hub(auth=auth()) as hub:
        key = await new_key(hub)
        found = await call(hub, "POST", "/revoke", 400, token_id=key["id"])
        assert "give it as key" in found["detail"]


async def test_revocations_are_listed_the_newest_first_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with real_hub(auth=auth()) as hub:
        await call(hub, "POST", "/revoke", token_id="a")
        await call(hub, "POST", "/revoke", user="ada")
        found = await call(hub, "GET", "/revocations")
        assert (found["revocations"][0]["user"], found["revocations"][1]["token_id"]) == ("ada", "a")
        assert found["revocations"][0]["creator"] == "root"
        monkeypatch.setattr("tasktree_rt.hub.access.revocations.MOST", 2)
        assert (await call(hub, "POST", "/revoke", 409, token_id="b"))["code"] == "subject_full"
        await call(hub, "POST", "/revoke", token_id="a")


async def test_a_revocation_that_is_not_stored_is_in_force_and_says_so() -> None:
    broker = MemoryBroker()
    async with real_hub(broker, auth=auth()) as hub:

        async def failing(*args: Any, **kwargs: Any) -> None:
            raise StoreUnavailable("the disk is full")

        broker.access.revoke = failing  # type: ignore[method-assign]
        found = await call(hub, "POST", "/revoke", 503, token_id="bad")
        assert "not stored" in found["detail"]
        assert (await status_of(hub, issued(jti="bad")))[0] == 401


async def test_only_administrators_reach_any_of_it() -> None:
    async with real_hub(auth=auth()) as hub, hub.http(headers=bearer(issued())) as client:
        for method, path in (
            ("GET", "/keys"),
            ("POST", "/keys"),
            ("DELETE", "/keys/x"),
            ("GET", "/revocations"),
            ("POST", "/revoke"),
            ("POST", "/disconnect"),
            ("GET", "/connections"),
        ):
            assert (await client.request(method, f"{ADMIN}{path}")).status_code == 403, path


async def test_a_body_that_arrives_after_the_revocation_is_refused() -> None:
    async with real_hub(auth=auth()) as hub:
        event = b'[{"type": "node_update", "data": {"node_id": "n", "changes": {}}}]'
        head = (
            "POST /api/v1/projects/p/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {issued(jti='bad')}\r\nContent-Length: {len(event)}\r\n\r\n"
        )
        async with await trio.open_tcp_stream("127.0.0.1", int(hub.url.rpartition(":")[2])) as socket:
            await socket.send_all(head.encode() + event[:10])
            await trio.testing.wait_all_tasks_blocked(0.05)
            await call(hub, "POST", "/revoke", token_id="bad")
            await socket.send_all(event[10:])
            with trio.fail_after(30):
                assert (await socket.receive_some()).startswith(b"HTTP/1.1 401")
        assert hub.hub.health.stored_projects == 0


def _time(at: int) -> str:
    return micros_to_time(at * 1_000_000)
