"""The pages for who moves TaskTree's and AIECS' programs here: every name, command and program on them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import trio

from tasktree_rt.compat import aiecs, tasktree
from tasktree_rt.settings import Aiecs
from tests.browser import program
from tests.cli.processes import free_port
from tests.compat.aiecs.test_routes import client
from tests.test_examples import blocks, run, text
from tests.web.realhub import RealHub, auth, heard, real_hub, say, token


def commands(page: str) -> list[str]:
    """The commands of a page, each with what is said of it before."""
    shell = "".join(blocks(f"migrate/{page}.md", "sh"))
    return [one for one in re.split(r"^(?=curl |# )", shell, flags=re.MULTILINE) if "curl" in one]


async def curl(running: RealHub, command: str) -> Any:
    return json.loads(await run(program("sh"), "-ec", command, HUB=running.url))


def test_every_method_that_a_page_names_is_there() -> None:
    for page, manager in (("aiecs", aiecs.WebSocketManager), ("tasktree", tasktree.WebSocketManager)):
        (names,) = re.findall(r"`(\w+(?:,\s+\w+)+)`\s+are there", text(f"migrate/{page}.md"))
        assert len(names.split(",")) >= 6
        for name in names.split(","):
            assert hasattr(manager, name.strip()), name


async def test_aiecs_program_asks_over_the_port_of_its_own() -> None:
    (code,) = blocks("migrate/aiecs.md", "python")
    port = free_port()
    assert "port=8765" in code
    lines = code.replace("port=8765", f"port={port}").splitlines()
    whole = "\n".join(
        [
            "async def main():",
            *(f"    {line}" for line in lines),
            "    return answer, manager.get_status()",
        ]
    )
    space: dict[str, Any] = {}
    exec(compile(whole, "aiecs.md", "exec"), space)  # noqa: S102 - the page's own program
    async with real_hub(aiecs=Aiecs(port=port)) as running, trio.open_nursery() as nursery:
        found: list[Any] = []

        async def ask() -> None:
            found.append(await trio.to_thread.run_sync(asyncio.run, space["main"]()))

        async with client(running, "ada") as opened:
            nursery.start_soon(ask)
            asked = await heard(opened)
            assert (asked["message"], asked["step"], asked["task_id"]) == ("Go on?", 1, "task-1")
            await say(opened, {"action": "confirm", "callback_id": asked["callback_id"], "proceed": True})
    answer, status = found[0]
    assert answer == aiecs.UserConfirmation(True, None)
    assert (status["running"], status["port"]) == (False, port)


async def test_the_commands_for_aiecs_do_what_they_say() -> None:
    status, ask = commands("aiecs")
    async with real_hub() as running:
        assert (await curl(running, status))["running"] is True
        found: list[Any] = []
        async with client(running, "ada") as opened, trio.open_nursery() as nursery:

            async def wait() -> None:
                found.append(await curl(running, ask))

            nursery.start_soon(wait)
            asked = await heard(opened)
            said = {"callback_id": asked["callback_id"], "proceed": False, "feedback": "no"}
            await say(opened, {"action": "confirm", **said})
        assert found == [{**said, "how": "answered", "by": None}]


async def test_the_commands_for_tasktree_do_what_they_say() -> None:
    (code,) = blocks("migrate/tasktree.md", "python")
    assert "from tasktree_rt.compat.tasktree import WebSocketManager" in code
    push, state = commands("tasktree")
    async with real_hub() as running:
        await curl(running, push)
        (node,) = (await curl(running, state))["data"]["nodes"]
        assert (node["title"], node["status"], node["kind"]) == ("Write", "unclaimed", "task")


async def test_a_token_that_may_watch_nothing_is_enough_for_aiecs_and_sees_no_questions() -> None:
    """As the page advises where users must not see each other's questions."""
    async with real_hub(auth=auth()) as running:
        bare = f"?token={token(subject='ada', watch=[])}"
        asker = {"Authorization": f"Bearer {token(subject='worker', push=['*'])}"}
        async with (
            client(running, "ada", bare) as ada,
            running.http(headers=asker) as http,
            running.socket(f"/ws/updates{bare}") as native,
        ):
            for user in ("bob", "ada"):
                body = {"user_id": user, "task_id": "t", "message": f"{user}?", "wait": 0}
                assert (await http.post("/api/v1/aiecs/notify", json=body)).status_code == 202
            asked = await heard(ada)
            assert asked["message"] == "ada?"
            await say(ada, {"action": "confirm", "callback_id": asked["callback_id"], "proceed": True})
            await say(native, {"type": "subscribe", "project_id": "aiecs:t", "state": True})
            await say(native, {"type": "ping", "id": 1})
            told: list[Any] = []
            while not told or told[-1]["type"] != "pong":
                told.append(await heard(native))
            assert [one["type"] for one in told] == ["welcome", "reply", "error", "pong"]
            assert told[2]["code"] == "forbidden"
