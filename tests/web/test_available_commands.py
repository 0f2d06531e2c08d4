"""Commands that orchestrators announce: what a dashboard is told, who gets them, and when they are gone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import WebSocketConnection

from tasktree_rt.client import Command, CommandRefused, obeys, open_orchestrator
from tests.web.realhub import RealHub, auth, heard, node_update, real_hub, say, token

PATH = "/api/v1/projects/p/commands"
RETRY = {"name": "retry", "description": "Try it again.", "statuses": ["failed"], "scope": "node"}
STOP = {
    "name": "stop",
    "args": {"type": "object", "properties": {"why": {"type": "string"}}},
    "dangerous": True,
}


async def available(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get(f"{PATH}/available", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def announce(socket: WebSocketConnection, *commands: Any) -> dict[str, Any]:
    await say(socket, {"type": "announce", "id": 1, "commands": list(commands)})
    return await heard(socket)


def orchestrator(running: RealHub) -> Any:
    return running.socket("/ws/orchestrator?commands=p", native=False)


async def test_what_is_announced_is_available_until_the_connection_ends() -> None:
    async with real_hub() as running, running.http() as http:
        nothing = await available(http)
        assert (nothing["listening"], nothing["any"], nothing["commands"]) == (0, False, [])
        async with orchestrator(running) as socket:
            assert (await announce(socket, RETRY, STOP))["type"] == "reply"
            found = await available(http)
            assert (found["listening"], found["any"], found["commands"]) == (1, False, [RETRY, STOP])
            await announce(socket, STOP)
            last = await available(http)
            assert last["commands"] == [STOP]
        with trio.fail_after(30):
            gone = await available(http, wait=60, known=last["version"])
        assert (gone["listening"], gone["commands"]) == (0, [])
        assert not running.hub.orchestrators._waiting


async def test_a_connection_that_announces_nothing_may_obey_anything() -> None:
    async with real_hub() as running, running.http() as http, orchestrator(running) as old:
        await say(old, {"type": "ping", "id": 1})
        await heard(old)
        assert (await available(http))["any"] is True
        async with orchestrator(running) as new:
            await announce(new, RETRY)
            found = await available(http)
            assert (found["listening"], found["any"], found["commands"]) == (2, True, [RETRY])


async def test_a_command_goes_to_a_connection_that_announced_it() -> None:
    async with (
        real_hub() as running,
        running.http() as http,
        orchestrator(running) as first,
        orchestrator(running) as second,
    ):
        await running.publish("p", node_update("a"))
        await announce(first, RETRY)
        await announce(second, STOP)
        await http.post(PATH, json={"name": "stop"})
        told = await heard(second)
        assert (told["type"], told["name"]) == ("command", "stop")
        await http.post(PATH, json={"name": "unheard"})
        assert (await heard(first))["name"] == "unheard"


async def test_a_wait_ends_when_something_else_is_announced() -> None:
    async with real_hub() as running, running.http() as http, orchestrator(running) as socket:
        await announce(socket, RETRY)
        version = (await available(http))["version"]
        found: list[dict[str, Any]] = []

        async def wait() -> None:
            found.append(await available(http, wait=60, known=version))

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while not running.hub.orchestrators._waiting:
                    await wait_all_tasks_blocked(0.01)
                await announce(socket, RETRY, STOP)
        assert found[0]["commands"] == [RETRY, STOP]


@pytest.mark.parametrize(
    ("commands", "field"),
    [
        (5, "commands"),
        ([{"name": f"c{n}"} for n in range(51)], "commands"),
        ([RETRY, RETRY], "commands[1].name"),
        ([{"name": "a b"}], "commands[0].name"),
        (["retry"], "commands[0]"),
        ([{"name": "a", "schema": {}}], "commands[0].schema"),
        ([{"name": "a", "description": "x" * 501}], "commands[0].description"),
        ([{"name": "a", "args": {"type": "nothing"}}], "commands[0].args.type"),
        ([{"name": "a", "scope": "all"}], "commands[0].scope"),
        ([{"name": "a", "kinds": "llm"}], "commands[0].kinds"),
        ([{"name": "a", "statuses": [5]}], "commands[0].statuses[0]"),
        ([{"name": "a", "dangerous": "yes"}], "commands[0].dangerous"),
        ([{"name": "a", "description": "é" * 400, "args": {"title": "x" * 16_000}}], "commands"),
    ],
)
async def test_an_announcement_that_is_wrong_names_the_field_and_changes_nothing(
    commands: Any, field: str
) -> None:
    async with real_hub() as running, running.http() as http, orchestrator(running) as socket:
        await announce(socket, STOP)
        await say(socket, {"type": "announce", "id": 2, "commands": commands})
        told = await heard(socket)
        assert (told["type"], told["id"]) == ("error", 2)
        assert told["field"].startswith(field)
        assert (await available(http))["commands"] == [STOP]


async def test_who_takes_no_commands_announces_none() -> None:
    async with real_hub() as running, running.socket("/ws/orchestrator", native=False) as socket:
        assert (await announce(socket, RETRY))["type"] == "error"


async def test_a_caller_is_told_whether_it_may_command() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        for may, allowed in ((["p"], True), ([], False)):
            http.headers["Authorization"] = f"Bearer {token(watch=['p'], command=may)}"
            assert (await available(http))["allowed"] is allowed
        http.headers["Authorization"] = f"Bearer {token(watch=['q'], command=['p'])}"
        assert (await http.get(f"{PATH}/available")).status_code == 403


@obeys(statuses=["failed"])
async def retry(command: Command, *, times: int = 1) -> str:
    """Try it again."""
    if times > 3:
        raise CommandRefused("at most three times")
    return f"{command.node_id} × {times}"


async def broken(command: Command) -> None:
    raise ValueError("a bug")


async def test_the_python_client_announces_its_functions_and_calls_them() -> None:
    async with (
        real_hub() as running,
        running.http() as http,
        trio.open_nursery() as nursery,
        open_orchestrator(running.url, "me", commands="p") as hub,
    ):
        await hub.node_update("p", "a", status="failed")
        nursery.start_soon(hub.obey, retry, broken)
        with trio.fail_after(30):
            while not (found := await available(http))["commands"]:
                await available(http, wait=5, known=found["version"])
            assert [one["name"] for one in found["commands"]] == ["retry", "broken"]
            for given, status, message in (
                ({"name": "retry", "node_id": "a", "args": {"times": 2}}, "done", "a × 2"),
                (
                    {"name": "retry", "node_id": "a", "args": {"times": 4}},
                    "refused",
                    "at most three times",
                ),
                ({"name": "broken"}, "refused", "it failed: ValueError: a bug"),
                ({"name": "other"}, "refused", "there is no command other"),
            ):
                result = (await http.post(f"{PATH}?wait=20", json=given)).json()
                assert (result["status"], result["message"]) == (status, message)
        nursery.cancel_scope.cancel()
