"""People in the loop over ``kill -9``: one question, one outcome, told to all, whoever died in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
import trio.testing

from tasktree_rt.client import (
    Answer,
    Backoff,
    Position,
    ProjectEvent,
    Publisher,
    open_api_client,
    open_orchestrator,
    open_run,
    open_watcher,
)
from tests.cli.processes import PATIENCE
from tests.client.watching import prompted
from tests.server.process import HubProcess, hub_process

SOON = Backoff(base=0.02, cap=0.1)


async def kinds(hub: HubProcess, project: str = "p") -> list[str]:
    """The types of all of a project's events."""
    return [event["type"] for event in await hub.events(project)]


async def request(hub: HubProcess, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """One request, as a program that is not this package's client would make it."""
    async with hub.http() as client:
        response = await client.request(method, f"/api/v1{path}", json=body)
    assert response.status_code == status, response.text
    return response.json()


async def reborn(hub: HubProcess) -> None:
    """``kill -9``, and started again."""
    await hub.kill()
    await hub.start()


async def test_an_open_prompt_is_answered_by_another_client_after_kill_9(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        asked = {"project_id": "p", "user_id": "anna", "message": "Deploy?", "timeout": 600}
        opened = await request(hub, "POST", "/prompts", asked, 201)
        path = f"/prompts/{opened['prompt_id']}"
        await reborn(hub)
        assert (await hub.state("p"))["data"]["prompts"][0]["deadline"] == opened["deadline"]
        async with open_api_client(hub.url) as desk:
            assert await desk.answer(opened["prompt_id"], True, feedback="go") == Answer(True, None, "go")
        await reborn(hub)
        late = await request(hub, "POST", f"{path}/answer", {"proceed": False}, 409)
        assert (late["code"], late["outcome"]["proceed"]) == ("prompt_closed", True)
        assert (await hub.state("p"))["data"]["prompts"] == []
        assert await kinds(hub) == ["prompt", "prompt_resolved"]
        told = await request(hub, "GET", "/users/anna/notifications")
        assert [event["type"] for event in told["events"]] == ["prompt", "prompt_resolved"]


async def test_a_deadline_that_passes_while_the_hub_is_down_holds_its_default(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        asked = {"project_id": "p", "message": "Deploy?", "timeout": 1.0, "default": {"proceed": True}}
        opened = await request(hub, "POST", "/prompts", asked, 201)
        await hub.kill()
        await trio.sleep(1.0)  # the hub's own clock has to pass the deadline
        await hub.start()
        found = await request(hub, "GET", f"/prompts/{opened['prompt_id']}?wait=30")
        assert (found["status"], found["outcome"]["proceed"], found["outcome"]["by"]) == (
            "timeout",
            True,
            None,
        )
        late = await request(hub, "POST", f"/prompts/{opened['prompt_id']}/answer", {"proceed": False}, 409)
        assert late["outcome"]["how"] == "timeout"
        assert await kinds(hub) == ["prompt", "prompt_resolved"]


async def test_ask_waits_through_kill_9_and_asks_once(tmp_path: Path) -> None:
    answers: list[Answer] = []
    async with (
        hub_process(tmp_path) as hub,
        open_orchestrator(hub.url, "o", backoff=SOON) as orchestrator,
        trio.open_nursery() as nursery,
    ):

        async def ask() -> None:
            answers.append(await orchestrator.ask("Deploy?", project_id="p", options=["now", "later"]))

        async def ask_from_a_thread() -> None:
            with Publisher(hub.url, "t", backoff=SOON) as publisher:
                answers.append(
                    await trio.to_thread.run_sync(lambda: publisher.ask("And here?", project_id="q"))
                )

        nursery.start_soon(ask)
        nursery.start_soon(ask_from_a_thread)
        first, second = await prompted(hub.url), await prompted(hub.url, "q")
        await reborn(hub)
        await reborn(hub)
        async with open_api_client(hub.url, backoff=SOON) as desk:
            await desk.answer(first["prompt_id"], True, value="later")
            await desk.answer(second["prompt_id"], False)
            assert len(await desk.prompts()) == 2
    assert sorted(answers, key=lambda one: one.proceed) == [Answer(False), Answer(True, "later")]


async def test_a_question_asked_while_the_hub_is_down_is_asked_when_it_is_back(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, trio.open_nursery() as nursery:
        await hub.kill()
        done = trio.Event()

        async def ask() -> None:
            async with open_api_client(hub.url, backoff=SOON) as desk:
                assert (await desk.ask("Deploy?", project_id="p")).proceed
            done.set()

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await hub.start()
        prompt = await prompted(hub.url)
        async with open_api_client(hub.url) as desk:
            await desk.answer(prompt["prompt_id"], True)
        with trio.fail_after(PATIENCE):
            await done.wait()
        assert await kinds(hub) == ["prompt", "prompt_resolved"]


async def test_a_command_worked_on_over_kill_9_is_given_once_and_its_end_arrives(tmp_path: Path) -> None:
    async with (
        hub_process(tmp_path, "people.command_timeout=3") as hub,
        open_orchestrator(hub.url, "o", commands="p", backoff=SOON) as orchestrator,
        open_api_client(hub.url, backoff=SOON) as desk,
    ):
        await (await orchestrator.node_update("p", "n")).acked()
        sent = await desk.command("p", "cancel")
        command = await anext(orchestrator.commands())
        await command.accept()
        await hub.kill()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(command.done, "stopped")
            await trio.testing.wait_all_tasks_blocked()
            await hub.start()
        # A second one shows that the first was not given to the program again.
        other = await desk.command("p", "retry")
        assert (await anext(orchestrator.commands())).id == other.command_id
        results = [one["data"] for one in await hub.events("p") if one["type"] == "command_result"]
    assert {one["command_id"] for one in results} == {sent.command_id}
    assert [one["status"] for one in results if one["status"] != "accepted"] == ["done"]
    assert results[-1]["message"] == "stopped"


async def test_a_dead_orchestrators_command_goes_to_the_next(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, open_api_client(hub.url) as desk:
        async with open_orchestrator(hub.url, "one", commands="p") as first:
            await (await first.node_update("p", "n")).acked()
            async with open_orchestrator(hub.url, "two", commands="p") as second:
                await (await second.node_update("p", "n")).acked()
                sent = await desk.command("p", "cancel")
                assert (await anext(first.commands())).id == sent.command_id
                assert first._session.connection is not None
                await first._session.connection.abort("the orchestrator died")
                command = await anext(second.commands())
                await command.done()
        results = [one["data"]["status"] for one in await hub.events("p") if one["type"] == "command_result"]
    assert (command.id, results) == (sent.command_id, ["done"])


async def test_a_users_log_is_watched_over_kill_9_and_what_was_read_stays_read(tmp_path: Path) -> None:
    async with (
        hub_process(tmp_path) as hub,
        open_api_client(hub.url, backoff=SOON) as desk,
        open_watcher(hub.url, "p", users="anna", backoff=SOON) as watcher,
    ):
        seen: list[ProjectEvent] = []

        async def told(title: str) -> Position:
            """Watch up to a notification; its position."""
            with trio.fail_after(PATIENCE):
                async for message in watcher:
                    if isinstance(message, ProjectEvent):
                        seen.append(message)
                        if message.data.get("title") == title:
                            return message.position
            raise AssertionError("ended early")

        async for message in watcher:
            if getattr(message, "project_id", None) == "@anna" and watcher.view("@anna").exact:
                break
        await desk.notify("anna", "one")
        await told("one")
        await hub.kill()
        watcher.mark_read("anna")
        await hub.start()
        await desk.notify("anna", "two")
        at = await told("two")
        with trio.fail_after(PATIENCE):
            while watcher.view("@anna").read < 1:
                await anext(watcher)
        assert at.epoch == seen[0].position.epoch
        assert [one.data["title"] for one in seen if one.type == "notification"] == ["one", "two"]
        assert (await desk.notifications("anna")).read == 1
        since = {"@anna": seen[0].position}
        async with open_watcher(hub.url, (), since, users="anna") as later:
            async for message in later:
                if isinstance(message, ProjectEvent) and message.type == "notification":
                    assert message.data["title"] == "two"
                    break


async def test_a_run_goes_on_over_kill_9(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        async with open_run(hub.url, "p", title="Build", backoff=SOON, flush_timeout=60.0) as run:
            with run.node("build"):
                with run.node("compile") as step:
                    step.progress(50)
                    await run.flush()
                    await hub.kill()
                    for number in range(100):
                        step.log(f"line {number}")
                await hub.start()
        data = (await hub.state("p"))["data"]
        lines = [one["data"]["message"] for one in await hub.events("p") if one["type"] == "log"]
    assert (data["state"], data["project"]) == ("completed", {"title": "Build"})
    assert {one["node_id"]: one["status"] for one in data["nodes"]} == {
        "build": "completed",
        "compile": "completed",
    }
    assert lines == [f"line {number}" for number in range(100)]
