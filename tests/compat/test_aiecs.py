"""AIECS' manager against a real hub in a process of its own, killed and started again under it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from websockets.asyncio.client import ClientConnection, connect

from tasktree_rt.compat.aiecs import TaskStepResult, UserConfirmation, WebSocketManager
from tasktree_rt.errors import ConnectionLost, RequestRefused
from tests.server.process import HubProcess, hub_process

STEP = TaskStepResult(step="draft", message="Go on?", result={"n": 1})


async def within(hub: HubProcess, program: Callable[[WebSocketManager, str], Awaitable[None]]) -> None:
    """Run an asyncio program against the hub."""

    async def main() -> None:
        async with asyncio.timeout(60), WebSocketManager("127.0.0.1", hub.port) as manager:
            await program(manager, f"ws://{hub.authority}/ws/aiecs")

    await trio.to_thread.run_sync(asyncio.run, main())


async def heard(client: ClientConnection, kind: str) -> Any:
    while (message := json.loads(await client.recv()))["type"] != kind:
        pass
    return message


async def test_a_step_is_confirmed_and_messages_arrive_and_are_acknowledged(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        async with connect(address) as client:
            await client.send('{"action":"subscribe","user_id":"ada"}')
            await heard(client, "subscription_confirmed")
            assert await manager.get_connection_count() == 1
            asking = asyncio.create_task(manager.notify_user(STEP, "ada", "t1", 3))
            asked = await heard(client, "task_step_result")
            assert (asked["step"], asked["message"], asked["result"]) == (3, "Go on?", {"n": 1})
            assert (asked["user_id"], asked["task_id"], asked["status"]) == ("ada", "t1", "completed")
            assert (await manager.get_status())["pending_callbacks"] == 1
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


async def test_what_the_hub_refuses_is_told_and_a_hub_that_is_away_too(tmp_path: Path) -> None:
    async def program(manager: WebSocketManager, address: str) -> None:
        with pytest.raises(RequestRefused, match="message"):
            await manager.notify_user(TaskStepResult(step="x", message=""), "ada", "t1")
        away = WebSocketManager("127.0.0.1", 1)
        with pytest.raises(ConnectionLost, match="cannot be reached"):
            await away.start_server()
        await away.stop_server()

    async with hub_process(tmp_path) as hub:
        await within(hub, program)
