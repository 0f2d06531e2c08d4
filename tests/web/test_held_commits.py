"""Sockets whose requests wait for a commit that does not end: what comes behind them is read all the same."""

from __future__ import annotations

from typing import Any

import trio

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tests.hub.world import Store
from tests.web.realhub import RealHub, heard, node_update, real_hub, say

AFTER = 20


def publish(number: int, project: str = "p") -> Json:
    return {"type": "publish", "id": number, "events": [{"project_id": project, **node_update("n")}]}


async def accepted(running: RealHub, count: int) -> None:
    """Until the hub has read and accepted so many publishes."""
    with trio.fail_after(30):
        while running.hub.committer.waiting < count:
            await trio.lowlevel.checkpoint()


async def replies(socket: Any, count: int) -> list[Json]:
    """The next `count` messages that answer a request."""
    found: list[Json] = []
    while len(found) < count:
        said = await heard(socket)
        if "id" in said and "seq" not in said:
            found.append(said)
    return found


async def test_a_result_at_the_store_holds_up_no_publish_of_its_connection() -> None:
    store = Store()
    async with (
        real_hub(store) as running,
        running.socket("/ws/orchestrator?commands=p", native=False) as socket,
    ):
        while not running.hub.orchestrators.serving:
            await trio.lowlevel.checkpoint()
        pending = await running.hub.commands.send("p", {"name": "retry"}, grants=OPEN, via={})
        assert (await heard(socket))["command_id"] == pending.id
        store.hold_appends()
        done = {"type": "command_result", "id": 0, "command_id": pending.id, "status": "done"}
        for message in (done, *map(publish, range(1, AFTER + 1))):
            await say(socket, message)
        await accepted(running, AFTER + 1)
        before = len(store.appends)
        store.release_appends()
        said = await replies(socket, AFTER + 1)
        assert [(one["type"], one["id"]) for one in said] == [
            ("reply", 0),
            *(("ack", one) for one in range(1, AFTER + 1)),
        ]
        assert [one["positions"][0]["seq"] for one in said[1:]] == list(range(3, AFTER + 3))
        assert len(store.appends) - before <= 2, "what came behind it shares one commit"


async def test_an_answer_at_the_store_holds_up_no_request_of_its_connection() -> None:
    store = Store()
    async with real_hub(store) as running, running.socket("/ws/updates?project_id=q") as socket:
        pending, _ = await running.hub.prompts.ask({"message": "Go on?", "project_id": "p"}, grants=OPEN)
        store.hold_appends()
        await say(socket, {"type": "answer", "id": 1, "prompt_id": pending.id, "proceed": True})
        await say(socket, {"type": "ping", "id": 2})
        await say(socket, {"type": "subscribe", "id": 3, "project_id": "p", "state": True})
        with trio.fail_after(30):
            while (said := await heard(socket))["type"] != "project_state":
                assert said.get("id") != 1
        store.release_appends()
        with trio.fail_after(30):
            while (said := await heard(socket)).get("id") != 1:
                pass
        assert said["type"] == "reply"
