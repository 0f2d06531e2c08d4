"""Names that peers only ask for leave nothing behind: a walk through all that the hub holds counts it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from types import ModuleType
from typing import Any
from weakref import ReferenceType

import pytest
import trio
from trio_websocket import ConnectionClosed

from tasktree_rt.compat.aiecs import direct_messages as relay
from tasktree_rt.hub.publish import idempotency as producers
from tasktree_rt.settings import NO_RATES, AutoGpt
from tests.web.realhub import RealHub, heard, node_update, real_hub, say

NAMES = 300
MANY = 80
"""So many where each takes a request or more."""
SLACK = 40
"""Entries by which something may be larger: what is bounded whatever peers say."""
PATIENCE = 60
CONTAINERS = (dict, list, set, frozenset, tuple, deque)
Surface = Callable[[RealHub, list[str]], Awaitable[None]]


def parts_of(value: object) -> Iterator[tuple[str, object]]:
    """The attributes of an object of the package's."""
    for kind in type(value).__mro__:
        for name in getattr(kind, "__slots__", ()) or ():
            if name not in ("__weakref__", "__dict__") and hasattr(value, name):
                yield name, getattr(value, name)
    yield from getattr(value, "__dict__", {}).items()


def census(root: object) -> Counter[str]:
    """How many entries all containers have that are reached from `root`, by class and attribute."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        name, value = waiting.pop()
        if id(value) in seen or isinstance(value, (type, ModuleType, ReferenceType, str, bytes)):
            continue
        seen.add(id(value))
        if isinstance(value, CONTAINERS):
            found[name] += len(value)
            inner = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)
            waiting.extend((name, one) for one in inner)
        elif type(value).__module__.startswith("tasktree_rt."):
            kind = type(value).__name__
            waiting.extend((f"{kind}.{attribute}", one) for attribute, one in parts_of(value))
        elif callable(value) and hasattr(value, "__self__"):
            waiting.append((name, value.__self__))
    return found


def grown(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {name: more for name, count in after.items() if (more := count - before[name]) > SLACK}


# --- the surfaces ------------------------------------------------------------------------------------------


async def until(socket: Any, kind: str, count: int) -> None:
    for _ in range(count):
        while (await heard(socket)).get("type") != kind:
            pass


async def native(running: RealHub, names: list[str]) -> None:
    async with running.socket("/ws/updates?project_id=none") as socket:
        for name in names:
            await say(socket, {"type": "subscribe", "project_id": name})
            await say(socket, {"type": "subscribe", "user_id": name})
        await until(socket, "subscribed", 2 * len(names))
        for name in names[: len(names) // 2]:
            await say(socket, {"type": "unsubscribe", "project_id": name})
        await until(socket, "unsubscribed", len(names) // 2)


async def native_star(running: RealHub, names: list[str]) -> None:
    async with running.socket("/ws/updates") as socket:
        for name in names:
            await say(socket, {"type": "unsubscribe", "project_id": name})
            await say(socket, {"type": "ack", "project_id": name, "seq": 1})
        await until(socket, "unsubscribed", len(names))


async def plain(running: RealHub, names: list[str]) -> None:
    query = "&".join(f"project_id={name}" for name in names)
    async with running.socket(f"/ws/updates?{query}", native=False) as socket:
        await socket.send_message("hello")
        await running.hub.cache.load(names[-1])


async def in_process(running: RealHub, names: list[str]) -> None:
    for name in names:
        async with running.hub.subscribe(name, state=True) as messages:
            await anext(messages)


async def streams(running: RealHub, names: list[str]) -> None:
    port = int(running.url.rpartition(":")[2])
    for name in names[:MANY]:
        for path in (f"projects/{name}", f"users/{name}"):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                head = f"GET /api/v1/{path}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
                await stream.send_all(head.encode())
                assert (await stream.receive_some(15))[9:12] == b"200"


async def http_reads(running: RealHub, names: list[str]) -> None:
    async with running.http() as http:
        for name in names[:MANY]:
            for path in (
                f"projects/{name}/state",
                f"projects/{name}/events",
                f"projects/{name}/events?since=e:1",
                f"users/{name}/notifications",
                f"executions/{name}",
                f"prompts/{name}",
            ):
                await http.get(f"/api/v1/{path}")


async def http_writes_that_are_refused(running: RealHub, names: list[str]) -> None:
    async with running.http() as http:
        for name in names[:MANY]:
            large = [node_update("n", text="x" * 100_000), node_update("n", more="x" * 200_000)]
            headers = {"Idempotency-Key": name, "Producer-Id": name}
            refused = await http.post(f"/api/v1/projects/{name}/events", json=large, headers=headers)
            assert refused.json()["code"] == "node_too_large"
            for method, path, body in (
                ("DELETE", f"projects/{name}", None),
                ("POST", f"projects/{name}/snapshots", {}),
                ("POST", f"projects/{name}/commands", {"name": "x"}),
                ("POST", f"prompts/{name}/answer", {"proceed": True}),
                ("DELETE", f"prompts/{name}", None),
                ("PATCH", f"executions/{name}", {"status": "running"}),
                ("POST", f"executions/{name}/claim", {}),
                ("POST", f"users/{name}/read", {"seq": 0}),
            ):
                await http.request(method, f"/api/v1/{path}", json=body)


async def executions(running: RealHub, names: list[str]) -> None:
    for name in names[:MANY]:
        async with running.socket(f"/api/v1/ws/executions/{name}", native=False) as socket:
            with suppress(ConnectionClosed):
                while True:
                    await socket.get_message()


async def orchestrators(running: RealHub, names: list[str]) -> None:
    query = "&".join(f"commands={name}" for name in names)
    async with running.socket(f"/ws/orchestrator?producer_id=x&{query}", native=False) as socket:
        for number, name in enumerate(names):
            events = [{"project_id": name, **node_update("n", progress=101)}]
            await say(socket, {"type": "publish", "id": number, "events": events})
        await until(socket, "error", len(names))
    for name in names[:50]:
        async with running.socket(f"/ws/orchestrator?producer_id={name}", native=False) as socket:
            await say(socket, {"type": "ping"})
            await until(socket, "pong", 1)


async def aiecs(running: RealHub, names: list[str]) -> None:
    async with running.http() as http:
        for name in names[:MANY]:
            task = {"user_id": name, "task_id": name}
            assert (await http.post("/api/v1/aiecs/heartbeats", json=task)).status_code == 202
            assert (await http.delete("/api/v1/aiecs/heartbeats", params=task)).status_code == 200
            assert (await http.post("/api/v1/aiecs/broadcast", json={"type": name})).status_code < 500
    for name in names[:50]:
        async with running.socket(f"/ws/aiecs?user_id={name}", native=False) as socket:
            await say(socket, {"action": "register", "user_id": name})


async def autogpt(running: RealHub, names: list[str]) -> None:
    async with running.socket("/ws", native=False) as socket:
        for name in names:
            await say(socket, {"method": "subscribe_graph_execution", "data": {"graph_exec_id": name}})
            await say(socket, {"method": "subscribe_graph_executions", "data": {"graph_id": name}})
        for _ in range(2 * len(names)):
            await heard(socket)


SURFACES: list[Surface] = [
    native,
    native_star,
    plain,
    in_process,
    streams,
    http_reads,
    http_writes_that_are_refused,
    executions,
    orchestrators,
    aiecs,
    autogpt,
]


@asynccontextmanager
async def a_hub() -> AsyncIterator[RealHub]:
    limits = {"max_messages_per_second": 1e6, "message_burst": 10**6}
    # Rates remember a refused name until its bucket is full again: tests/hub/limits/test_accounts.py.
    async with real_hub(limits=limits, rates=NO_RATES, autogpt=AutoGpt(inherit_window=0.0)) as running:
        await running.publish("exists", node_update("n"))
        yield running


@pytest.mark.parametrize("surface", SURFACES, ids=lambda one: one.__name__)
async def test_names_that_are_only_asked_for_leave_nothing_in_the_hub(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "PRODUCERS", 5)  # else many, and no more
    monkeypatch.setattr(relay, "SPARE", 1)
    async with a_hub() as running:
        await surface(running, [f"warm{number}" for number in range(3)])
        before = census((running.hub, running.app.extensions))
        await surface(running, [f"name{number}" for number in range(NAMES)])
        with trio.fail_after(PATIENCE):
            while running.hub.connections or running.hub.sessions or running.hub.committer.waiting:
                await trio.lowlevel.checkpoint()
        running.hub.idle_projects.let_go()
        assert grown(before, census((running.hub, running.app.extensions))) == {}
        assert len(running.hub.cache) <= 10


async def test_the_walk_finds_what_grows() -> None:
    async with a_hub() as running:
        before = census(running.hub)
        for number in range(NAMES):
            running.hub.orchestrators.serving[f"p{number}"] = {}
        assert grown(before, census(running.hub)) == {"Orchestrators.serving": NAMES}
        running.hub.orchestrators.serving.clear()
