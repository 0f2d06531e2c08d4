"""AIECS' manager against a real hub in a process of its own, killed and started again under it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pydantic.v1 as pydantic_v1
import pytest
import trio
from websockets.asyncio.client import ClientConnection, connect

from tasktree_rt.compat.aiecs import TaskStepResult, UserConfirmation, WebSocketManager, questions
from tasktree_rt.errors import ConnectionLost
from tests.server.process import HubProcess, hub_process

STEP = TaskStepResult(step="draft", message="Go on?", result={"n": 1})


async def within(hub: HubProcess, program: Callable[[WebSocketManager, str], Awaitable[None]]) -> None:
    """Run an asyncio program against the hub."""

    async def main() -> None:
        async with asyncio.timeout(60), WebSocketManager("127.0.0.1", hub.port) as manager:
            await program(manager, f"ws://{hub.authority}/ws/aiecs")

    await trio.to_thread.run_sync(asyncio.run, main())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what happens elsewhere
        await asyncio.sleep(0.01)


def http_of(address: str) -> str:
    return address.replace("ws:", "http:").removesuffix("/ws/aiecs")


async def heard(client: ClientConnection, kind: str) -> Any:
    while (message := json.loads(await client.recv()))["type"] != kind:
        pass
    return message


async def test_a_step_is_confirmed_and_messages_arrive_and_are_acknowledged(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            await client.send('{"action":"subscribe","user_id":"ada"}')
            await heard(client, "subscription_confirmed")
            await until(lambda: manager.get_connection_count() == 1)
            asking = asyncio.create_task(manager.notify_user(STEP, "ada", "t1", 3))
            asked = await heard(client, "task_step_result")
            assert (asked["step"], asked["message"], asked["result"]) == (3, "Go on?", {"n": 1})
            assert (asked["user_id"], asked["task_id"], asked["status"]) == ("ada", "t1", "completed")
            assert manager.get_status() == {
                "running": True,
                "host": "127.0.0.1",
                "port": manager.port,
                "active_connections": 1,
                "pending_callbacks": 1,
            }
            said = {
                "action": "confirm",
                "callback_id": asked["callback_id"],
                "proceed": False,
                "feedback": "no",
            }
            await client.send(json.dumps(said))
            assert await asking == UserConfirmation(False, "no")

            await manager.send_to_user("ada", {"type": "progress", "n": 1})
            assert (await heard(client, "progress"))["target_user_id"] == "ada"
            await manager.broadcast_message({"type": "news"})
            assert await heard(client, "news") == {"type": "news"}
            sending = asyncio.create_task(manager.send_with_ack("ada", {"type": "urgent"}))
            urgent = await heard(client, "urgent")
            await client.send(json.dumps({"action": "ack", "message_id": urgent["message_id"]}))
            assert await sending
            assert not await manager.send_with_ack("ada", {"type": "urgent"}, timeout=0.05)

            beating = asyncio.create_task(manager.send_heartbeat("ada", "t1", interval=0.2))
            assert (await heard(client, "heartbeat"))["task_id"] == "t1"
            beating.cancel()

    async with hub_process(tmp_path) as hub:
        await within(hub, program)


async def test_a_question_survives_the_death_of_the_hub_and_so_does_the_one_who_asks(tmp_path: Path) -> None:
    answers: list[UserConfirmation] = []

    async with hub_process(tmp_path) as hub:
        asked = trio.Event()

        async def program(manager: WebSocketManager, address: str) -> None:
            asking = asyncio.create_task(manager.notify_user(STEP, "ada/1", "t1"))
            async with connect(address) as client:
                await client.send('{"action":"subscribe","user_id":"ada/1"}')
                await heard(client, "task_step_result")
            trio.from_thread.run_sync(asked.set)
            answers.append(await asking)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(within, hub, program)
            await asked.wait()
            await hub.kill()
            await hub.start()
            async with hub.http() as http:
                (prompt,) = (await http.get("/api/v1/prompts")).json()["prompts"]
                await http.post(f"/api/v1/prompts/{prompt['prompt_id']}/answer", json={"proceed": True})
    assert answers == [UserConfirmation(True, None)]


# --- as AIECS' own programs call it ------------------------------------------------------------------


class StepModel(pydantic.BaseModel):
    """The model in AIECS' module of the manager."""

    step: str
    result: Any = None
    completed: bool = False
    message: str
    status: str
    error_code: str | None = None
    error_message: str | None = None


class OldStepModel(pydantic_v1.BaseModel):
    """The same for pydantic 1."""

    step: str
    result: Any = None
    completed: bool = False
    message: str
    status: str
    error_code: str | None = None
    error_message: str | None = None


class TaskStatus(Enum):
    COMPLETED = "completed"


class DomainStep:
    """What AIECS' executors make: a plain object."""

    def __init__(self, step: str, result: Any, completed: bool, message: str, status: Any) -> None:
        self.step = step
        self.result = result
        self.completed = completed
        self.message = message
        self.status = status
        self.error_code: str | None = None
        self.error_message: str | None = None


@dataclass
class StepData:
    step: str
    message: str
    status: TaskStatus = TaskStatus.COMPLETED
    result: Any = None


STEPS: tuple[object, ...] = (
    TaskStepResult(step="draft", message="Go on?", status="completed", completed=True, result={"n": 1}),
    StepModel(step="draft", message="Go on?", status="completed", completed=True, result={"n": 1}),
    OldStepModel(step="draft", message="Go on?", status="completed", completed=True, result={"n": 1}),
    DomainStep("draft", {"n": 1}, True, "Go on?", TaskStatus.COMPLETED),
    StepData("draft", "Go on?", result={"n": 1}),
    {"step": "draft", "message": "Go on?", "status": "completed", "result": {"n": 1}},
)


async def confirmed(client: ClientConnection, asked: Any, **said: Any) -> None:
    await client.send(json.dumps({"action": "confirm", "callback_id": asked["callback_id"], **said}))


async def test_any_object_with_the_fields_of_a_step_is_asked_about(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            for number, step in enumerate(STEPS):
                asking = asyncio.create_task(manager.notify_user(step, "ada", "t1", number))
                asked = await heard(client, "task_step_result")
                wanted = {"step": number, "message": "Go on?", "status": "completed", "result": {"n": 1}}
                assert {name: asked[name] for name in wanted} == wanted
                assert (asked["error_code"], asked["error_message"]) == (None, None)
                await confirmed(client, asked, proceed=number % 2 == 0, feedback=f"no {number}")
                answer = await asking
                said = {"proceed": number % 2 == 0, "feedback": f"no {number}"}
                assert (answer.proceed, answer.feedback, answer.model_dump()) == (*said.values(), said)

    async with hub_process(tmp_path) as hub:
        await within(hub, program)


async def test_a_step_that_the_hub_could_not_take_as_it_is_is_asked_about_all_the_same(
    tmp_path: Path,
) -> None:
    itself: list[Any] = []
    itself.append(itself)
    awkward = {
        "large": "x" * 100_000,
        "many": list(range(50_000)),
        "itself": itself,
        "deep": json.loads("[" * 200 + "]" * 200),
        "numbers": [math.nan, math.inf],
        "object": object,
        "bytes": b"\xff",
        "half": "\ud800",
        "time": datetime(2026, 1, 2, tzinfo=UTC),
    }

    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address, max_size=None) as client:
            for name, result in awkward.items():
                step = StepModel(step=name, message="", status="completed", result=result)
                asking = asyncio.create_task(manager.notify_user(step, "ada", "t1", 1))
                asked = await heard(client, "task_step_result")
                assert (asked["step"], asked["message"]) == (1, "Step 1")
                await confirmed(client, asked, proceed=False)
                assert not (await asking).proceed
            long = TaskStepResult(step="long", message="m" * 10_000)
            asking = asyncio.create_task(manager.notify_user(long, "ada", "t1", 1))
            asked = await heard(client, "task_step_result")
            assert len(asked["message"]) == 4_096
            manager.callback_registry[asked["callback_id"]](UserConfirmation(proceed=False, feedback="here"))
            assert await asking == UserConfirmation(False, "here")
            assert manager.callback_registry == {}

    async with hub_process(tmp_path) as hub:
        await within(hub, program)


async def test_a_manager_that_binds_to_every_address_calls_this_one_and_starts_again_after_a_stop(
    tmp_path: Path,
) -> None:
    async def main(port: int) -> None:
        manager = WebSocketManager(host="0.0.0.0", port=port)
        assert (manager.host, manager.port) == ("0.0.0.0", port)
        assert manager.get_status()["running"] is False
        for _ in range(2):
            await manager.start_server()
            assert manager.get_status()["running"] is True
            async with connect(f"ws://127.0.0.1:{port}/ws/aiecs"):
                await until(lambda: len(manager.active_connections) == 1)
                assert manager.get_connection_count() == 1
            await until(lambda: not manager.active_connections)
            await manager.stop_server()
            assert manager.get_status() == {
                "running": False,
                "host": "0.0.0.0",
                "port": port,
                "active_connections": 0,
                "pending_callbacks": 0,
            }
        await manager.stop_server()

    async with hub_process(tmp_path) as hub:
        await trio.to_thread.run_sync(asyncio.run, main(hub.port))


async def test_a_heartbeat_ends_quietly_when_the_manager_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            beating = asyncio.create_task(manager.send_heartbeat("ada", "t1", interval=3_600))
            await heard(client, "heartbeat")
            await manager.stop_server()
            await beating
            path = "/api/v1/aiecs/heartbeats"
            async with httpx.AsyncClient(base_url=http_of(address)) as http:
                rested = await http.delete(path, params={"user_id": "ada", "task_id": "t1"})
            assert rested.json()["was_at_work"] is False
            await manager.send_heartbeat("ada", "t1", 30)

    async with hub_process(tmp_path) as hub:
        await within(hub, program)
    assert [record.message for record in caplog.records if record.name == "tasktree_rt.compat"] == []


async def test_a_question_waits_over_a_stop_and_is_answered_after_the_next_start(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            asking = asyncio.create_task(manager.notify_user(STEP, "ada", "t1", 1))
            asked = await heard(client, "task_step_result")
            await manager.stop_server()
            await manager.start_server()
            await confirmed(client, asked, proceed=False)
            assert await asking == UserConfirmation(False, None)

    async with hub_process(tmp_path) as hub:
        await within(hub, program)


async def test_a_question_that_nobody_waits_for_any_more_is_taken_back(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            asking = asyncio.create_task(manager.notify_user(STEP, "ada", "t1", 1))
            asked = await heard(client, "task_step_result")
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            async with httpx.AsyncClient(base_url=http_of(address)) as http:
                answer = await http.get(f"/api/v1/prompts/{asked['callback_id']}", params={"wait": 30})
            assert answer.json()["status"] == "cancelled"

    async with hub_process(tmp_path) as hub:
        await within(hub, program)


async def test_what_goes_wrong_is_logged_and_the_program_proceeds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        refused = await manager.notify_user(STEP, "", "t1", 1)
        assert refused == UserConfirmation(True)
        assert await manager.notify_user(STEP, "", "t1", 1, default_proceed=False) == UserConfirmation(False)
        await manager.send_to_user("", {"type": "x"})
        assert await manager.send_with_ack("", {"type": "x"}) is False
        await manager.send_heartbeat("", "t1", 30)

    async with hub_process(tmp_path) as hub:
        await within(hub, program)
    assert "the hub refused a question: invalid_message" in caplog.text


async def test_with_a_hub_that_is_away_a_question_proceeds_soon_and_nothing_else_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        away = WebSocketManager("127.0.0.1", 1)
        with pytest.raises(ConnectionLost, match="cannot be reached"):
            await away.start_server()
        assert away.get_status()["running"] is False
        assert await away.notify_user(STEP, "ada", "t1", 1, timeout=0.05) == UserConfirmation(True)
        monkeypatch.setattr(questions, "PATIENCE", 0.05)
        assert await away.notify_user(STEP, "ada", "t1", 1) == UserConfirmation(True)
        await away.broadcast_message({"type": "news"})
        await away.send_to_user("ada", {"type": "news"})
        await away.send_heartbeat("ada", "t1")
        await away.stop_server()

    await trio.to_thread.run_sync(asyncio.run, main())
    assert "a question was given up" in caplog.text


async def test_a_question_asked_while_the_hub_restarts_is_asked_when_it_is_back(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:

        async def program(manager: WebSocketManager, address: str) -> None:
            await asyncio.to_thread(lambda: trio.from_thread.run(hub.kill, trio_token=token))
            asking = asyncio.create_task(manager.notify_user(STEP, "ada", "t1", 1))
            await until(lambda: len(manager.callback_registry) == 1)
            await asyncio.to_thread(lambda: trio.from_thread.run(hub.start, trio_token=token))
            async with connect(address) as client:
                await confirmed(client, await heard(client, "task_step_result"), proceed=False)
            assert await asking == UserConfirmation(False, None)

        token = trio.lowlevel.current_trio_token()
        await within(hub, program)
