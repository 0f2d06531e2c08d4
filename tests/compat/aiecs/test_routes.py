"""AIECS through a real server: its transcript, confirmations from either side, messages, limits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.core.events import Json
from tasktree_rt.settings import Aiecs
from tests.compat.aiecs.test_dialect import TRANSCRIPT
from tests.web.realhub import RealHub, auth, heard, real_hub, say, token

PATH = "/ws/aiecs"


@asynccontextmanager
async def client(
    hub: RealHub, user: str | None = None, query: str = ""
) -> AsyncIterator[WebSocketConnection]:
    async with hub.socket(PATH + query, native=False) as opened:
        if user is not None:
            await say(opened, {"action": "subscribe", "user_id": user})
            assert await heard(opened) == {"type": "subscription_confirmed", "user_id": user}
        else:
            await quiet(opened)
        yield opened


async def quiet(opened: WebSocketConnection) -> None:
    """Nothing was said before this."""
    await say(opened, {"action": "ping"})
    assert (await heard(opened))["type"] == "pong"


async def closed_with(opened: WebSocketConnection) -> int:
    with trio.fail_after(10):
        while True:
            try:
                await opened.get_message()
            except ConnectionClosed as closed:
                return closed.reason.code if closed.reason is not None else 1006


async def test_the_transcript_goes_through_a_real_socket() -> None:
    async with real_hub() as hub, client(hub) as opened:
        for line in TRANSCRIPT:
            await opened.send_message(line["say"])
            for wanted in line["hear"]:
                said = await heard(opened)
                assert said.get("timestamp", 1.5) == 1.5 or isinstance(said["timestamp"], float)
                assert {**said, "timestamp": 0} == {**wanted, "timestamp": 0}, line["why"]
        await quiet(opened)


async def test_a_step_waits_for_its_confirmation_and_tells_what_was_said() -> None:
    answers: list[Any] = []
    async with real_hub() as hub, client(hub) as opened, trio.open_nursery() as nursery:

        async def ask() -> None:
            async with hub.http() as http:
                given = {
                    "callback_id": "c1",
                    "user_id": "u1",
                    "task_id": "t1",
                    "step": "draft",
                    "message": "Go on?",
                }
                answers.append(await http.post("/api/v1/aiecs/notify", json={**given, "result": {"n": 1}}))

        nursery.start_soon(ask)
        said = await heard(opened)
        assert said["type"] == "task_step_result"
        assert (said["callback_id"], said["step"], said["result"]) == ("c1", "draft", {"n": 1})
        assert (said["user_id"], said["task_id"]) == ("u1", "t1")
        await say(opened, {"action": "confirm", "callback_id": "c1", "proceed": 1})
        assert (await heard(opened))["type"] == "error"
        await say(
            opened, {"action": "confirm", "callback_id": "c1", "proceed": True, "feedback": "looks good"}
        )
    (answer,) = answers
    assert answer.status_code == 200
    assert answer.json() == {
        "callback_id": "c1",
        "proceed": True,
        "feedback": "looks good",
        "how": "answered",
        "by": None,
    }


async def test_nobody_answers_in_time_and_the_default_holds() -> None:
    async with real_hub() as hub, hub.http() as http:
        given: Json = {"message": "Go on?", "timeout": 0.2}
        assert (await http.post("/api/v1/aiecs/notify", json=given)).json()["proceed"] is True
        given["default_proceed"] = False
        found = (await http.post("/api/v1/aiecs/notify", json=given)).json()
        assert (found["proceed"], found["how"]) == (False, "timeout")


async def test_a_question_of_either_side_is_answered_on_the_other() -> None:
    async with real_hub() as hub, client(hub, "u1") as opened, hub.http() as http:
        asked = await http.post(
            "/api/v1/aiecs/notify", json={"user_id": "u1", "message": "Go on?", "wait": 0}
        )
        assert asked.status_code == 202
        name = asked.json()["callback_id"]
        assert (await heard(opened))["callback_id"] == name
        (shown,) = (await http.get("/api/v1/prompts")).json()["prompts"]
        assert (shown["prompt_id"], shown["project_id"], shown["user_id"]) == (name, "aiecs", "u1")
        answered = await http.post(f"/api/v1/prompts/{name}/answer", json={"proceed": False})
        assert answered.json()["how"] == "answered"
        # Too late, and not worth a word.
        await say(opened, {"action": "confirm", "callback_id": name, "proceed": True})
        await quiet(opened)

        made = (await http.post("/api/v1/prompts", json={"user_id": "u1", "message": "Native?"})).json()
        assert (await heard(opened))["callback_id"] == made["prompt_id"]
        await say(opened, {"action": "confirm", "callback_id": made["prompt_id"], "proceed": True})
        found = await http.get(f"/api/v1/prompts/{made['prompt_id']}?wait=10")
        assert (found.json()["outcome"]["via"]["dialect"], found.json()["status"]) == ("aiecs", "answered")


async def test_what_is_open_is_offered_to_who_subscribes_later() -> None:
    async with real_hub() as hub, hub.http() as http:
        await http.post("/api/v1/aiecs/notify", json={"user_id": "u1", "message": "Go on?", "wait": 0})
        async with hub.socket(PATH, native=False) as opened:
            assert (await heard(opened))["message"] == "Go on?"
            await say(opened, {"action": "subscribe", "user_id": "u1"})
            assert (await heard(opened))["type"] == "subscription_confirmed"
            assert (await heard(opened))["message"] == "Go on?"
    async with real_hub(aiecs=Aiecs(broadcast_all=False)) as hub, hub.http() as http:
        await http.post("/api/v1/aiecs/notify", json={"user_id": "u1", "message": "Go on?", "wait": 0})
        async with client(hub, "u1") as opened:
            assert (await heard(opened))["message"] == "Go on?"


async def test_who_is_shown_everything_is_asked_what_stands_open_without_subscribing() -> None:
    async with real_hub() as hub, hub.http() as http:
        for body in ({"user_id": "u1", "task_id": "t"}, {"task_id": "t"}, {}):
            asked = {**body, "message": f"{len(body)}?", "wait": 0}
            assert (await http.post("/api/v1/aiecs/notify", json=asked)).status_code == 202
        # A project's own question is for who watches that project.
        await http.post("/api/v1/prompts", json={"project_id": "p", "message": "Not here"})
        async with hub.socket(PATH, native=False) as opened:
            found = [await heard(opened) for _ in range(3)]
            assert [(one["message"], one["user_id"]) for one in found] == [
                ("2?", "u1"),
                ("1?", None),
                ("0?", None),
            ]
            await quiet(opened)
            last = {"action": "confirm", "callback_id": found[2]["callback_id"], "proceed": True}
            await say(opened, last)
            await quiet(opened)
        for number in range(150):
            asked = {"user_id": f"u{number}", "task_id": f"t{number}", "message": f"{number}", "wait": 0}
            assert (await http.post("/api/v1/aiecs/notify", json=asked)).status_code == 202
        async with hub.socket(PATH, native=False) as opened:
            messages = [(await heard(opened))["message"] for _ in range(100)]
            assert messages == [f"{number}" for number in range(50, 150)]
            await quiet(opened)


async def test_while_nobody_has_to_say_who_they_are_everybody_is_told_everything_once() -> None:
    async with real_hub() as hub, client(hub) as one, client(hub, "u1") as other, hub.http() as http:
        sent = {"message": {"type": "progress", "n": 1}}
        assert (await http.post("/api/v1/aiecs/users/u1/messages", json=sent)).status_code == 202
        await http.post("/api/v1/users/u1/notifications", json={"title": "Done"})
        await http.post("/api/v1/aiecs/broadcast", json={"message": {"hello": "all"}})
        for opened in (one, other):
            first = await heard(opened)
            assert (first["type"], first["n"], first["target_user_id"]) == ("progress", 1, "u1")
            second = await heard(opened)
            assert (second["type"], second["title"], second["target_user_id"]) == (
                "notification",
                "Done",
                "u1",
            )
            assert await heard(opened) == {"hello": "all"}
            await quiet(opened)


async def test_with_tokens_a_message_reaches_its_user_and_nobody_else() -> None:
    async with real_hub(auth=auth()) as hub:
        ada = f"?token={token(subject='ada')}"
        bob = f"?token={token(subject='bob')}"
        pusher = {"Authorization": f"Bearer {token(subject='worker', push=['*'])}"}
        async with (
            client(hub, "ada", ada) as one,
            client(hub, "bob", bob) as other,
            hub.http(headers=pusher) as http,
        ):
            await say(other, {"action": "subscribe", "user_id": "ada"})
            assert (await heard(other))["message"] == "you may not act for 'ada'"
            await http.post("/api/v1/aiecs/users/ada/messages", json={"message": {"for": "ada"}})
            await http.post("/api/v1/aiecs/notify", json={"user_id": "ada", "message": "Ada?", "wait": 0})
            assert (await heard(one))["for"] == "ada"
            name = (await heard(one))["callback_id"]
            # Another's question does not exist for him: no answer, and it stays open.
            await say(other, {"action": "confirm", "callback_id": name, "proceed": True})
            await quiet(other)
            assert hub.hub.registry.named(name)
            await say(other, {"action": "cancel", "user_id": "ada", "task_id": "t"})
            assert (await heard(other))["type"] == "error"
            await say(one, {"action": "cancel", "user_id": "ada", "task_id": "t"})
            assert (await heard(one))["type"] == "task_cancelled"
            await quiet(other)
            nobody = await http.post("/api/v1/aiecs/notify", json={"message": "Who?"})
            assert (nobody.status_code, nobody.json()["field"]) == (400, "user_id")


async def test_a_message_that_asks_for_it_is_acknowledged_or_told_not_to_be() -> None:
    answers: list[Any] = []
    async with real_hub() as hub, client(hub, "u1") as opened, hub.http() as http:
        address = "/api/v1/aiecs/users/u1/messages"
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                answers.append(await http.post(address, json={"message": {"n": 1}, "requires_ack": True}))

            nursery.start_soon(send)
            said = await heard(opened)
            assert said["requires_ack"] is True
            await say(opened, {"action": "ack", "message_id": said["message_id"]})
        assert (answers[0].status_code, answers[0].json()["acknowledged"]) == (200, True)
        late = await http.post(address, json={"message": {}, "requires_ack": True, "timeout": 0.05})
        assert (late.status_code, late.json()["acknowledged"]) == (504, False)


async def test_a_message_is_acknowledged_by_its_user_and_by_nobody_else() -> None:
    answers: list[Json] = []
    pusher = {"Authorization": f"Bearer {token(subject='worker', push=['*'])}"}
    async with (
        real_hub(auth=auth()) as hub,
        client(hub, "ada", f"?token={token(subject='ada')}") as ada,
        client(hub, "bob", f"?token={token(subject='bob')}") as bob,
        hub.http(headers=pusher) as http,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            sent = {"message": {"n": 1}, "requires_ack": True, "timeout": 30}
            answers.append((await http.post("/api/v1/aiecs/users/ada/messages", json=sent)).json())

        nursery.start_soon(send)
        said = await heard(ada)
        await say(bob, {"action": "ack", "message_id": said["message_id"]})
        await quiet(bob)
        await wait_all_tasks_blocked()
        assert answers == []
        await say(ada, {"action": "ack", "message_id": said["message_id"]})
    assert answers == [{"message_id": said["message_id"], "acknowledged": True}]


async def test_a_message_comes_with_every_key_that_it_was_given_whoever_listens() -> None:
    sent = {"type": "progress", "user_id": "somebody else", "task_id": "t", "timestamp": 5, "more": None}
    async with real_hub() as hub, client(hub) as anybody, hub.http() as http:
        await http.post("/api/v1/aiecs/users/u1/messages", json={"message": sent})
        assert await heard(anybody) == {**sent, "target_user_id": "u1"}
    subject = f"?token={token(subject='u1')}"
    pusher = {"Authorization": f"Bearer {token(subject='worker', push=['*'])}"}
    async with (
        real_hub(auth=auth()) as hub,
        client(hub, "u1", subject) as own,
        hub.http(headers=pusher) as http,
    ):
        await http.post("/api/v1/aiecs/users/u1/messages", json={"message": sent})
        assert await heard(own) == {**sent, "target_user_id": "u1"}


async def test_the_hub_sends_a_running_tasks_heartbeats_until_the_task_rests() -> None:
    async with real_hub() as hub, client(hub) as opened, hub.http() as http:

        async def works(interval: float) -> None:
            work = {"user_id": "u1", "task_id": "t1", "interval": interval}
            assert (await http.post("/api/v1/aiecs/heartbeats", json=work)).status_code == 202

        for _ in range(3):
            await works(0.05)  # sends a heartbeat at once only if the hub, held up, has given the task up
            said = await heard(opened)
            assert (said["type"], said["task_id"], said["message"]) == (
                "heartbeat",
                "t1",
                "Task is still executing...",
            )
        await works(3_600.0)
        task = {"user_id": "u1", "task_id": "t1"}
        rests = [await http.delete("/api/v1/aiecs/heartbeats", params=task) for _ in range(2)]
        assert [one.json()["was_at_work"] for one in rests] == [True, False]


async def test_a_cancel_is_a_command_to_the_tasks_orchestrator() -> None:
    async with real_hub() as hub, client(hub) as opened:
        async with hub.socket("/ws/orchestrator?commands=aiecs:t1", native=False) as orchestrator:
            await say(opened, {"action": "cancel", "user_id": "u1", "task_id": "t1"})
            said = await heard(orchestrator)
            assert (said["type"], said["project_id"], said["name"]) == (
                "command",
                "aiecs:t1",
                "cancel",
            )
        assert (await heard(opened))["type"] == "task_cancelled"


async def test_too_many_connections_are_told_to_come_again() -> None:
    async with (
        real_hub(aiecs=Aiecs(max_connections=1)) as hub,
        client(hub),
        hub.socket(PATH, native=False) as late,
    ):
        assert await closed_with(late) == 1013


async def test_a_users_new_connection_closes_the_old_one_if_it_is_to() -> None:
    async with (
        real_hub(aiecs=Aiecs(one_per_user=True)) as hub,
        client(hub, "u1") as old,
        client(hub, "u1") as new,
    ):
        assert await closed_with(old) == 1000
        await quiet(new)


async def test_a_hub_that_stops_says_that_it_goes_away() -> None:
    async with real_hub() as hub, client(hub) as opened:
        hub.stop.set()
        assert await closed_with(opened) == 1001


async def test_a_port_of_its_own_is_answered_at_any_path_and_told_in_the_status() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    async with real_hub(aiecs=Aiecs(port=port)) as hub:
        stream_url = f"http://127.0.0.1:{port}"
        own = RealHub(stream_url, hub.hub, hub.app, hub.settings, hub.stop)
        for path in ("/", "/anything/at/all", "/ws/updates"):
            async with own.socket(path, native=False) as opened:
                await quiet(opened)
        async with hub.socket("/ws/updates?project_id=p", native=True) as native:
            assert (await heard(native))["type"] == "welcome"
        async with hub.http() as http:
            found_status = (await http.get("/api/v1/aiecs/status")).json()
        assert (found_status["running"], found_status["port"], found_status["host"]) == (
            True,
            port,
            "127.0.0.1",
        )


async def test_a_change_of_who_is_connected_can_be_waited_for() -> None:
    async with real_hub() as hub, hub.http() as http:

        async def status(version: str) -> Json:
            asked: dict[str, str] = {"wait": "60", "version": version}
            found: Json = (await http.get("/api/v1/aiecs/status", params=asked)).json()
            return found

        empty = await status("")
        assert (empty["active_connections"], empty["connections"]) == (0, [])
        async with client(hub):
            one = await status(empty["version"])
            assert (one["active_connections"], len(one["connections"])) == (1, 1)
        gone = await status(one["version"])
        assert (gone["connections"], len({empty["version"], one["version"], gone["version"]})) == ([], 3)


async def test_waiting_for_a_change_ends_when_the_hub_stops() -> None:
    async with real_hub() as hub, hub.http() as http, trio.open_nursery() as nursery:
        first = (await http.get("/api/v1/aiecs/status")).json()

        async def wait() -> None:
            asked = {"wait": "60", "version": first["version"]}
            found = (await http.get("/api/v1/aiecs/status", params=asked)).json()
            assert (found["running"], found["version"]) == (False, first["version"])

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        hub.stop.set()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("notify", {"message": 5}, "message"),
        ("notify", {"message": "x", "task_id": 5}, "task_id"),
        ("notify", {"message": "x", "default_proceed": "yes"}, "default_proceed"),
        ("notify", {"message": "x", "callback_id": 5}, "callback_id"),
        ("notify", {"message": "x", "callback_id": ""}, "callback_id"),
        ("notify", {"message": "x", "timeout": -1}, "timeout"),
        ("notify", {"message": "x", "user_id": 5}, "user_id"),
        ("notify", {"message": "x", "wait": -1}, "wait"),
        ("notify", {"mesage": "x"}, "mesage"),
        ("broadcast", {"message": "x"}, "message"),
        ("users/u/messages", {"message": {}, "requires_ack": 1}, "requires_ack"),
        ("heartbeats", {"user_id": "u"}, "task_id"),
        ("heartbeats", {"user_id": "u", "task_id": "t", "interval": 0}, "interval"),
    ],
)
async def test_bad_input_names_its_field(path: str, body: Json, field: str) -> None:
    async with real_hub() as hub, hub.http() as http:
        answer = await http.post(f"/api/v1/aiecs/{path}", json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
