"""What is pushed in each language, and where it is seen: the table "What appears where" of docs/protocol.md.

Everybody watches all the time, each on a real socket; after every push each says what they heard of it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import httpx
import trio
from attrs import frozen
from trio.testing import wait_all_tasks_blocked
from trio_websocket import WebSocketConnection

from tasktree_rt.compat.autogpt.tokens import DEFAULT_USER
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tasktree_rt.settings import Aiecs, Execution
from tests.cli.processes import PATIENCE
from tests.test_examples import rows
from tests.web.realhub import RealHub, auth, heard, node_update, real_hub, say, token

AT_ONCE: Final = Execution(status_interval=0.0)
FENCE: Final = "fence"
USER: Final = DEFAULT_USER
"""Who everybody is to AutoGPT where nobody has to say who they are."""
NODE: Final[Json] = {
    "event_type": "node_execution_update",
    "user_id": USER,
    "graph_id": "g",
    "graph_exec_id": "e",
    "node_exec_id": "x",
    "node_id": "n",
    "status": "RUNNING",
}
DONE: Final[Json] = {"type": "state_transition", "data": {"from": "running", "to": "review"}}
SAID: Final[Json] = {"type": "project_update", "data": {"changes": {"message": "half way"}}}
TASK: Final[Json] = {"type": "task_created", "data": {"id": "7", "title": "T", "dependencies": []}}


@frozen
class World:
    """A hub, who pushes to it over HTTP, and who watches it."""

    running: RealHub
    http: httpx.AsyncClient
    watchers: Mapping[str, WebSocketConnection]

    async def post(self, path: str, body: Any, method: str = "POST") -> None:
        answer = await self.http.request(method, f"/api/v1{path}", json=body)
        assert answer.is_success, answer.text

    async def heard(self) -> dict[str, list[str]]:
        """The types of what each watcher has heard since the last time."""
        await wait_all_tasks_blocked()
        self.running.hub.broadcast({"type": FENCE})
        await say(self.watchers["execution stream"], {"type": "ping"})
        await say(self.watchers["AIECS client"], {"action": "ping"})
        await say(self.watchers["AutoGPT client"], {"method": "heartbeat", "data": "ping"})
        return {name: await until(one) for name, one in self.watchers.items()}


async def until(socket: WebSocketConnection) -> list[str]:
    found: list[str] = []
    while (kind := kind_of(await heard(socket))) not in (FENCE, "pong"):
        found.append(kind)
    return found


def kind_of(message: Json) -> str:
    """What AutoGPT calls a method others call a type."""
    if message.get("method") == "heartbeat":
        return str(message["data"])
    return str(message.get("type") or message["method"])


# --- who watches: a column each ---------------------------------------------------------------------------

COLUMNS: Final[Mapping[str, tuple[str, bool]]] = {
    "native": ("/ws/updates", True),
    "plain, TaskTree": ("/ws/updates", False),
    "user's log": (f"/ws/updates?user_id={USER}", True),
    "execution stream": ("/api/v1/ws/executions/e", False),
    "AIECS client": ("/ws/aiecs", False),
    "AutoGPT client": ("/ws", False),
}


@asynccontextmanager
async def everybody() -> AsyncIterator[World]:
    async with (
        real_hub(execution=AT_ONCE, aiecs=Aiecs(broadcast_all=False)) as running,
        running.http() as http,
        AsyncExitStack() as stack,
    ):
        for project in ("p", "execution:e", "aiecs", "autogpt:e"):
            await running.publish(project, node_update("a", status="running"))
        await running.hub.notifications.notify(USER, {"title": "Welcome"}, grants=OPEN)
        watchers = {
            name: await stack.enter_async_context(running.socket(path, native=native))
            for name, (path, native) in COLUMNS.items()
        }
        orchestrator = await stack.enter_async_context(running.socket("/ws/orchestrator?commands=p"))
        world = World(running, http, watchers)
        await say(watchers["AIECS client"], {"action": "subscribe", "user_id": USER})
        subscribe = {"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}}
        await say(watchers["AutoGPT client"], subscribe)
        await world.heard()
        yield world
        assert json.loads(await orchestrator.get_message())["name"] == "cancel"


# --- what is pushed: a row each ---------------------------------------------------------------------------

Push = Callable[[World], Awaitable[None]]


def post(path: str, body: Any, method: str = "POST") -> Push:
    """A push over HTTP."""

    async def push(world: World) -> None:
        await world.post(path, body, method)

    return push


async def broadcast(world: World) -> None:
    world.running.hub.broadcast({"type": "maintenance"})


WATCHED: Final = ("native", "plain, TaskTree")
CALLED: Final = ("user's log", "AIECS client")
TOLD: Final = (*CALLED, "AutoGPT client")
ROWS: Final[Mapping[str, tuple[Push, str, tuple[str, ...]]]] = {
    "events of a project": (post("/projects/p/events", DONE), "state_transition", WATCHED),
    "events of `execution:<id>`": (
        post("/projects/execution:e/events", SAID),
        "project_update",
        (*WATCHED, "execution stream"),
    ),
    "TaskTree's types": (post("/projects/p/events", TASK), "task_created", WATCHED),
    "an execution, over HTTP": (
        post("/executions/e", {"progress": 40}, "PATCH"),
        "project_update",
        (*WATCHED, "execution stream"),
    ),
    "prompts of a project": (post("/prompts", {"project_id": "p", "message": "?"}), "prompt", WATCHED),
    "prompts to a user": (post("/prompts", {"user_id": USER, "message": "?"}), "prompt", CALLED),
    "prompts of a project, to a user": (
        post("/prompts", {"project_id": "p", "user_id": USER, "message": "?"}),
        "prompt",
        (*WATCHED, *CALLED),
    ),
    "commands": (post("/projects/p/commands", {"name": "cancel"}), "command", WATCHED),
    "notifications": (post(f"/users/{USER}/notifications", {"title": "T"}), "notification", TOLD),
    "AIECS's `notify`": (
        post("/aiecs/notify", {"user_id": USER, "message": "?", "wait": 0}),
        "prompt",
        (*WATCHED, *CALLED),
    ),
    "AIECS's messages to a user": (
        post(f"/aiecs/users/{USER}/messages", {"message": {"type": "hi"}}),
        "hi",
        ("AIECS client",),
    ),
    "AIECS's messages to all clients": (
        post("/aiecs/broadcast", {"message": {"type": "hi"}}),
        "hi",
        ("AIECS client",),
    ),
    "AIECS's heartbeats": (
        post("/aiecs/heartbeats", {"user_id": USER, "task_id": "t", "interval": 3600}),
        "heartbeat",
        ("AIECS client",),
    ),
    "AutoGPT's events, with the mirror": (
        post("/autogpt/events", {"payload": NODE}),
        "node_update",
        (*WATCHED, "AutoGPT client"),
    ),
    "AutoGPT's notifications": (
        post(
            "/autogpt/notifications", {"payload": {"user_id": USER, "payload": {"type": "T", "event": "E"}}}
        ),
        "notification",
        TOLD,
    ),
    "broadcasts": (broadcast, "maintenance", (*WATCHED, "user's log")),
}


NAMES: Final = {
    ("AIECS client", "prompt"): "task_step_result",
    ("AutoGPT client", "node_update"): "node_execution_event",
}


def said_as(column: str, kind: str) -> str:
    """What a language calls it."""
    if column == "execution stream":
        return "status"
    return NAMES.get((column, kind), kind)


async def test_what_is_pushed_is_heard_where_it_should_be_once_and_nowhere_else() -> None:
    async with everybody() as world:
        for name, (push, kind, where) in ROWS.items():
            await push(world)
            expected = {one: [said_as(one, kind)] if one in where else [] for one in COLUMNS}
            assert await world.heard() == expected, name


async def test_what_was_pushed_stands_in_the_trees_whatever_the_language() -> None:
    async with everybody() as world:
        for push, _, _ in ROWS.values():
            await push(world)
        state = await world.running.hub.state("p")
        assert {node_id for node_id, _ in state.nodes} == {"a", "7"}
        assert (state.top["state"], len(state.top["prompts"])) == ("review", 2)
        execution = await world.running.hub.state("execution:e")
        assert execution.top["project"] == {"message": "half way", "progress": 40}


def test_the_protocol_says_the_same() -> None:
    listed = {name: ["yes" if cell == "yes" else "–" for cell in cells] for name, *cells in table()}
    assert listed == {
        name: ["yes" if one in where else "–" for one in COLUMNS] for name, (_, _, where) in ROWS.items()
    }


def table() -> list[list[str]]:
    return rows("protocol.md", "pushed")


async def test_nobody_hears_of_what_they_may_not_watch() -> None:
    async with real_hub(auth=auth(), execution=AT_ONCE) as running:
        for project in ("p", "q", "execution:e"):
            await running.publish(project, node_update("a", status="running"))
        bob = token(subject="bob", watch=["q"])
        async with (
            running.socket(f"/ws/updates?token={bob}") as native,
            running.socket(f"/ws/updates?token={bob}", native=False) as plain,
        ):
            with trio.fail_after(PATIENCE):
                while (await heard(native))["type"] != "reply":
                    pass
            for project in ("p", "execution:e", "q"):
                await running.publish(project, DONE)
            for socket in (native, plain):
                assert (await heard(socket))["project_id"] == "q"
