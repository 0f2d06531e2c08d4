"""A caller over a limit is told how long to wait, and goes on after it; a neighbour does not notice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tasktree_rt.core.events import Json
from tasktree_rt.settings import NO_RATES
from tests.hub.world import Store
from tests.web.realhub import SUBPROTOCOL, RealHub, auth, heard, node_update, real_hub, say, token

P = "/api/v1/projects/p"
EVENTS = f"{P}/events"
HERE, THERE = "127.0.0.1", "127.0.0.2"
ALL: dict[str, Any] = {verb: ["*"] for verb in ("watch", "push", "answer", "command")}


class Clock:
    """The rates' time, which stands still until it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def limited(rates: Mapping[str, float], **settings: Any) -> AsyncIterator[tuple[RealHub, Clock]]:
    """A hub with these rates only, a second of each at once, on a clock of its own."""
    clock = Clock()
    async with real_hub(rates=evolve(NO_RATES, **rates, burst=1.0), **settings) as running:
        running.hub.rates.clock = clock
        yield running, clock


def client(running: RealHub, address: str = HERE, subject: str = "") -> httpx.AsyncClient:
    """A client at an address of this machine, with a token if it has a subject."""
    headers = {"Authorization": f"Bearer {token(subject=subject, **ALL)}"} if subject else {}
    return httpx.AsyncClient(
        base_url=running.url,
        timeout=30.0,
        headers=headers,
        transport=httpx.AsyncHTTPTransport(local_address=address),
    )


@asynccontextmanager
async def socket(
    running: RealHub, path: str, address: str = HERE, subject: str = "", **headers: str
) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket from an address of this machine, with a token if it has a subject."""
    host, _, port = running.url.removeprefix("http://").partition(":")
    sock = trio.socket.socket()
    await sock.bind((address, 0))
    await sock.connect((host, int(port)))
    if subject:
        headers["Authorization"] = f"Bearer {token(subject=subject, **ALL)}"
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    async with trio.SocketStream(sock) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(
            nursery, stream, f"{host}:{port}", path, subprotocols=[SUBPROTOCOL], extra_headers=given
        )
        nursery.cancel_scope.cancel()


def told(answer: httpx.Response, setting: str) -> None:
    """A refusal says what is limited, by which setting, and when to come again."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "rate_limited"), body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert setting in body["detail"]
    assert int(answer.headers["Retry-After"]) >= 1


def wait_of(answer: httpx.Response) -> float:
    return float(answer.headers["Retry-After"])


# --- HTTP by cost -----------------------------------------------------------------------------------


async def test_requests_of_an_address_are_limited_and_its_neighbour_and_health_are_not() -> None:
    async with (
        limited({"http_cost_per_address": 2}) as (running, clock),
        client(running) as here,
        client(running, THERE) as there,
    ):
        assert [(await here.get("/api/v1/projects")).status_code for _ in range(2)] == [200, 200]
        refused = await here.get("/api/v1/projects")
        told(refused, "rates.http_cost_per_address")
        told(await here.get("/docs"), "rates.http_cost_per_address")
        assert [(await here.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        assert (await there.get("/api/v1/projects")).status_code == 200
        clock.now += wait_of(refused)
        assert (await here.get("/api/v1/projects")).status_code == 200


async def test_requests_of_a_subject_are_limited_from_whatever_address() -> None:
    async with (
        limited({"http_cost_per_subject": 2}, auth=auth()) as (running, clock),
        client(running, HERE, "ada") as here,
        client(running, THERE, "ada") as there,
        client(running, HERE, "bob") as bob,
    ):
        assert [(await one.get("/api/v1/projects")).status_code for one in (here, there)] == [200, 200]
        refused = await there.get("/api/v1/projects")
        told(refused, "rates.http_cost_per_subject")
        assert (await bob.get("/api/v1/projects")).status_code == 200
        clock.now += wait_of(refused)
        assert (await there.get("/api/v1/projects")).status_code == 200


async def test_a_large_state_costs_by_its_size() -> None:
    async with limited({"http_cost_per_address": 10}) as (running, clock):
        many = [node_update(f"n{number}", text="x" * 1_000) for number in range(1_000)]
        await running.publish("p", *many)
        async with client(running) as here, client(running, THERE) as there:
            whole = await here.get(f"{P}/state")
            assert len(whole.json()["data"]["nodes"]) == 1_000
            refused = await here.get("/api/v1/projects")
            told(refused, "rates.http_cost_per_address")
            assert wait_of(refused) * 10 >= len(whole.content) / 65_536 - 10
            assert (await there.get("/api/v1/projects")).status_code == 200
            clock.now += wait_of(refused)
            assert (await here.get("/api/v1/projects")).status_code == 200


async def test_a_refused_token_costs_more_than_a_request() -> None:
    async with (
        limited({"http_cost_per_address": 5}, auth=auth()) as (running, clock),
        client(running) as here,
        client(running, THERE, "ada") as there,
    ):
        bad = {"Authorization": "Bearer nonsense"}
        assert (await here.get("/api/v1/projects", headers=bad)).status_code == 401
        refused = await here.get("/api/v1/projects", headers=bad)
        told(refused, "rates.http_cost_per_address")
        assert (await there.get("/api/v1/projects")).status_code == 200
        clock.now += wait_of(refused)
        assert (await here.get("/api/v1/projects", headers=bad)).status_code == 401


async def test_handshakes_cost_as_requests_do() -> None:
    async with limited({"http_cost_per_address": 2}) as (running, clock):
        for _ in range(2):
            async with socket(running, "/ws/updates"):
                pass
        async with client(running) as here:
            upgrade = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            refused = await here.get("/ws/updates", headers=upgrade)
        told(refused, "rates.http_cost_per_address")
        async with socket(running, "/ws/updates", THERE) as there:
            assert (await heard(there))["type"] == "welcome"
        clock.now += wait_of(refused)
        async with socket(running, "/ws/updates") as here_again:
            assert (await heard(here_again))["type"] == "welcome"


# --- what is published ------------------------------------------------------------------------------


def some(count: int) -> list[Json]:
    return [node_update(f"n{number}") for number in range(count)]


async def test_events_over_http_are_limited_by_subject_and_by_project() -> None:
    rates = {"events_per_subject": 10, "events_per_project": 15}
    async with limited(rates, auth=auth()) as (running, clock):
        async with client(running, HERE, "ada") as ada, client(running, HERE, "bob") as bob:
            other = "/api/v1/projects/q/events"
            assert (await ada.post(EVENTS, json=some(10))).status_code == 200
            refused = await ada.post(other, json=some(1))
            told(refused, "rates.events_per_subject")
            assert (await bob.post(EVENTS, json=some(6))).status_code == 200
            full = await bob.post(EVENTS, json=some(1))
            told(full, "rates.events_per_project")
            assert (await bob.post(other, json=some(1))).status_code == 200
            clock.now += max(wait_of(refused), wait_of(full))
            assert (await ada.post(EVENTS, json=some(1))).status_code == 200
        state = await running.hub.state("p")
        assert state.seq == 17


async def test_bytes_of_bodies_are_limited() -> None:
    async with (
        limited({"bytes_per_subject": 10_000}, auth=auth()) as (running, clock),
        client(running, HERE, "ada") as ada,
        client(running, HERE, "bob") as bob,
    ):
        assert (await ada.post(EVENTS, json=[node_update("n", x="x" * 40_000)])).status_code == 200
        refused = await ada.post(EVENTS, json=some(1))
        told(refused, "rates.bytes_per_subject")
        assert (await ada.get("/api/v1/projects")).status_code == 200  # what has no body may go on
        assert (await bob.post(EVENTS, json=some(1))).status_code == 200
        clock.now += wait_of(refused)
        assert (await ada.post(EVENTS, json=some(1))).status_code == 200


async def test_new_projects_are_limited_and_old_ones_are_not() -> None:
    async with (
        limited({"projects_per_subject": 2}, auth=auth()) as (running, clock),
        client(running, HERE, "ada") as ada,
        client(running, HERE, "bob") as bob,
    ):
        for name in ("a", "b"):
            assert (await ada.post(f"/api/v1/projects/{name}/events", json=some(1))).status_code == 200
        refused = await ada.post("/api/v1/projects/c/events", json=some(1))
        told(refused, "rates.projects_per_subject")
        assert (await ada.post("/api/v1/projects/a/events", json=some(1))).status_code == 200
        assert (await bob.post("/api/v1/projects/c/events", json=some(1))).status_code == 200
        clock.now += wait_of(refused)
        assert (await ada.post("/api/v1/projects/d/events", json=some(1))).status_code == 200


# --- WebSockets -------------------------------------------------------------------------------------


async def ping(one: WebSocketConnection) -> Json:
    """Ask for a sign of life; the answer, or the refusal."""
    await say(one, {"type": "ping", "id": 1})
    while (message := await heard(one))["type"] not in ("pong", "error"):
        pass
    return message


async def close_code(one: WebSocketConnection) -> int | None:
    """Hear everything up to the close."""
    try:
        while True:
            await heard(one)
    except ConnectionClosed as closed:
        return None if closed.reason is None else closed.reason.code


async def test_messages_of_a_subject_are_limited_over_all_its_connections() -> None:
    async with (
        limited({"messages_per_subject": 4}, auth=auth()) as (running, clock),
        socket(running, "/ws/updates", HERE, "ada") as first,
        socket(running, "/ws/updates", THERE, "ada") as second,
        socket(running, "/ws/updates", HERE, "bob") as bob,
    ):
        for one in (first, second, bob):
            assert (await heard(one))["type"] == "welcome"
        assert [(await ping(one))["type"] for one in (first, second, first, second)] == ["pong"] * 4
        refused = await ping(first)
        assert (refused["code"], refused["retry_after_ms"]) == ("rate_limited", 250)
        assert (await ping(bob))["type"] == "pong"
        clock.now += refused["retry_after_ms"] / 1000
        assert (await ping(second))["type"] == "pong"
        assert (await ping(first))["code"] == "rate_limited"


async def test_a_peer_that_goes_on_regardless_is_closed_and_its_neighbour_is_not() -> None:
    limits = {"message_burst": 20}
    async with (
        limited({"messages_per_address": 2}, limits=limits) as (running, _),
        socket(running, "/ws/updates") as greedy,
        socket(running, "/ws/updates", THERE) as other,
    ):
        await heard(other)
        for _ in range(60):
            await say(greedy, {"type": "ping"})
        assert await close_code(greedy) == 4029
        assert (await ping(other))["type"] == "pong"


async def test_connections_of_a_subject_are_limited_and_counted_exactly() -> None:
    limits = {"max_connections_per_subject": 2}
    async with limited({}, limits=limits, auth=auth()) as (running, _):
        async with (
            socket(running, "/ws/updates", HERE, "bob") as bob,
            socket(running, "/ws/updates", HERE, "ada") as first,
        ):
            async with socket(running, "/ws/updates", THERE, "ada") as second:
                assert (await heard(first))["type"] == (await heard(second))["type"] == "welcome"
                async with socket(running, "/ws/updates", HERE, "ada") as third:
                    refused = await heard(third)
                    assert (refused["type"], refused["code"]) == ("error", "rate_limited")
                    assert refused["retry_after_ms"] > 0
                    assert "limits.max_connections_per_subject" in refused["message"]
                    assert await close_code(third) == 1013
                async with client(running, HERE, "ada") as ada:
                    await running.publish("p", node_update("n"))
                    told(await ada.get(f"{P}/stream"), "limits.max_connections_per_subject")
                assert (await heard(bob))["type"] == "welcome"
            while len(running.hub.connections) > 2:
                await trio.lowlevel.checkpoint()
            async with socket(running, "/ws/orchestrator", HERE, "ada") as again:
                assert (await ping(again))["type"] == "pong"
        while running.hub.connections:
            await trio.lowlevel.checkpoint()
        assert not len(running.hub.connections.held)


@pytest.mark.parametrize("path", ["/ws/updates", "/ws/orchestrator", "/api/v1/ws/executions/e"])
async def test_without_tokens_an_address_is_a_subject_on_every_socket(path: str) -> None:
    async with limited({}, limits={"max_connections_per_subject": 1}) as (running, _):
        async with socket(running, "/ws/updates") as first, socket(running, path) as second:
            assert (await heard(first))["type"] == "welcome"
            assert await close_code(second) == 1013
        async with socket(running, "/ws/updates", THERE) as other:
            assert (await heard(other))["type"] == "welcome"


async def test_connections_through_a_proxy_are_counted_by_the_clients_address() -> None:
    limits = {"max_connections_per_address": 1}
    async with (
        limited({}, limits=limits, trusted_proxies=(HERE,)) as (running, _),
        socket(running, "/ws/updates", X_Forwarded_For="203.0.113.1") as first,
    ):
        assert (await heard(first))["type"] == "welcome"
        async with socket(running, "/ws/updates", X_Forwarded_For="203.0.113.1") as second:
            assert (await heard(second))["code"] == "rate_limited"
        async with socket(running, "/ws/updates", X_Forwarded_For="203.0.113.2") as other:
            assert (await heard(other))["type"] == "welcome"


async def test_requests_in_progress_through_a_proxy_are_counted_by_the_clients_address() -> None:
    store = Store()
    limits = {"max_connections_per_address": 2}
    clock = Clock()
    async with real_hub(store, rates=NO_RATES, limits=limits, trusted_proxies=(HERE,)) as running:
        running.hub.rates.clock = clock
        first, other = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
        store.hold_appends()
        answers: list[int] = []
        async with client(running) as proxy, trio.open_nursery() as nursery:

            async def post(number: int) -> None:
                found = await proxy.post(f"/api/v1/projects/p{number}/events", json=some(1), headers=first)
                answers.append(found.status_code)

            for number in range(2):
                nursery.start_soon(post, number)
            while sum(1 for one in map(running.hub.cache.get, ("p0", "p1")) if one and one.pending) < 2:
                await trio.lowlevel.checkpoint()
            told(await proxy.get("/api/v1/projects", headers=first), "limits.max_connections_per_address")
            assert (await proxy.get("/api/v1/projects", headers=other)).status_code == 200
            store.release_appends()
        assert answers == [200, 200]
        async with client(running) as proxy:
            assert (await proxy.get("/api/v1/projects", headers=first)).status_code == 200


async def test_subscriptions_of_a_subject_are_limited_over_all_its_connections() -> None:
    limits = {"max_subscriptions_per_subject": 3}
    async with limited({}, limits=limits, auth=auth()) as (running, _):
        async with (
            socket(running, "/ws/updates?project_id=a", HERE, "bob") as bob,
            socket(running, "/ws/updates?project_id=a&project_id=b", HERE, "ada") as first,
        ):
            async with socket(running, "/ws/updates?project_id=a", THERE, "ada") as second:
                await _until_subscribed(first, 2)
                await _until_subscribed(second, 1)
                await say(second, {"type": "subscribe", "project_id": "c", "id": 7})
                refused = await heard(second)
                assert (refused["code"], refused["id"]) == ("too_many_subscriptions", 7)
                assert refused["retry_after_ms"] > 0
                await say(first, {"type": "unsubscribe", "project_id": "b"})
                assert (await heard(first))["type"] == "unsubscribed"
                await say(second, {"type": "subscribe", "project_id": "c"})
                await _until_subscribed(second, 1)
            await _until_subscribed(bob, 1)
        while running.hub.connections:
            await trio.lowlevel.checkpoint()
        assert not len(running.hub.subscriptions.held)


async def _until_subscribed(one: WebSocketConnection, count: int) -> None:
    while count:
        message = await heard(one)
        assert message["type"] in ("welcome", "subscribed"), message
        count -= message["type"] == "subscribed"


async def test_no_rate_costs_no_memory() -> None:
    async with real_hub(rates=NO_RATES) as running, client(running) as here:
        assert (await here.post(EVENTS, json=some(3))).status_code == 200
        async with socket(running, "/ws/updates") as one:
            await heard(one)
            assert (await ping(one))["type"] == "pong"
        assert running.hub.rates.remembered == 0
