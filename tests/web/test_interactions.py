"""The HTTP API about people: prompts, commands, notifications; waits, pages, and the record that is kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Json
from tasktree_rt.errors import StoreUnavailable
from tasktree_rt.settings import People
from tests.web.interactions_calls import callers
from tests.web.realhub import RealHub, heard, real_hub, say

OPTIONS = [{"id": "a", "label": "A"}, {"id": "b"}]
ADDRESS = {"dialect": "http", "address": "127.0.0.1"}


async def waiting(running: RealHub, name: str) -> None:
    """Until somebody waits for a prompt or a command."""
    [pending] = running.hub.registry.named(name)
    with trio.fail_after(30):
        while pending._changed is None or not pending._changed.statistics().tasks_waiting:
            await trio.lowlevel.checkpoint()


# --- prompts ------------------------------------------------------------------------------------------


async def test_a_prompt_is_shown_open_and_then_with_its_outcome_and_a_record_of_who_gave_it() -> None:
    async with callers() as (_, ada):
        asked = await ada.ask(project_id="p", node_id="n", options=OPTIONS, default={"proceed": False})
        assert asked["status"] == "open"
        assert asked["options"] == [{"id": "a", "label": "A"}, {"id": "b", "label": "b"}]
        path = f"/prompts/{asked['prompt_id']}"
        assert await ada.call("GET", path) == (200, asked)
        assert await ada.call("GET", "/prompts") == (200, {"prompts": [asked], "next": None})
        said = {"proceed": True, "value": "b", "feedback": "go"}
        headers = {"Remote-Addr": "9.9.9.9"}
        outcome = (await ada.http.post(f"/api/v1{path}/answer", json=said, headers=headers)).json()
        place = {"prompt_id": asked["prompt_id"], "project_id": "p", "node_id": "n"}
        assert outcome == {**place, **said, "by": None, "how": "answered", "via": ADDRESS}
        _, shown = await ada.call("GET", path)
        assert shown.pop("settled_at") >= asked["asked_at"]
        assert shown == {**asked, "status": "answered", "outcome": outcome}
        assert (await ada.call("GET", "/prompts"))[1]["prompts"] == []
        _, events = await ada.call("GET", "/projects/p/events")
        assert [one["type"] for one in events["events"]] == ["prompt", "prompt_resolved"]
        assert events["events"][1]["data"] == outcome


async def test_who_answers_too_late_is_told_what_stands() -> None:
    async with callers() as (_, ada):
        path = f"/prompts/{(await ada.ask(project_id='p'))['prompt_id']}"
        _, outcome = await ada.call("POST", f"{path}/answer", {"proceed": True})
        for method, where, body in (("POST", f"{path}/answer", {"proceed": False}), ("DELETE", path, None)):
            status, problem = await ada.call(method, where, body)
            assert (status, problem["code"], problem["field"]) == (409, "prompt_closed", "prompt_id")
            assert problem["outcome"] == outcome


async def test_many_answers_at_once_give_one_outcome() -> None:
    async with callers() as (_, ada):
        path = f"/prompts/{(await ada.ask(project_id='p', options=OPTIONS))['prompt_id']}"
        found: list[tuple[int, Json]] = []

        async def answer(value: str) -> None:
            found.append(await ada.call("POST", f"{path}/answer", {"proceed": True, "value": value}))

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(answer, "ab"[number % 2])
        won = [body for status, body in found if status == 200]
        assert len(won) == 1
        assert [body["outcome"] for status, body in found if status == 409] == won * 7


async def test_a_prompt_taken_back_says_who_took_it() -> None:
    async with callers() as (_, ada):
        asked = await ada.ask(user_id="ada", default={"proceed": True})
        status, outcome = await ada.call("DELETE", f"/prompts/{asked['prompt_id']}")
        assert status == 200
        told = {"proceed": False, "by": None, "how": "cancelled", "via": ADDRESS}
        assert outcome == {"prompt_id": asked["prompt_id"], "user_id": "ada", **told}
        assert (await ada.call("GET", f"/prompts/{asked['prompt_id']}"))[1]["status"] == "cancelled"


async def test_the_same_question_again_is_the_first_one_and_another_is_a_conflict() -> None:
    async with callers() as (_, ada):
        question = {"project_id": "p", "prompt_id": "q:1", "timeout": 60}
        first = await ada.ask(**question)
        assert await ada.ask(**question) == first
        await ada.call("POST", "/prompts/q:1/answer", {"proceed": True})
        again = await ada.ask(**question)
        assert (again["status"], again["outcome"]["proceed"]) == ("answered", True)
        status, problem = await ada.call("POST", "/prompts", {**question, "message": "Another?"})
        assert (status, problem["code"], problem["field"]) == (409, "idempotency_conflict", "prompt_id")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"project_id": "p"}, "invalid_message", "message"),
        ({"message": "?"}, "invalid_message", "project_id"),
        ({"message": "?", "project_id": "*"}, "invalid_project_id", "project_id"),
        ({"message": "?", "user_id": ""}, "invalid_message", "user_id"),
        ({"message": "?", "user_id": "a", "node_id": "\n"}, "invalid_message", "node_id"),
        ({"message": "?", "user_id": "a", "prompt_id": "a/b"}, "invalid_message", "prompt_id"),
        ({"message": "?", "user_id": "a", "defualt": {}}, "invalid_message", "defualt"),
        ({"message": "?", "user_id": "a", "timeout": -1}, "invalid_message", "timeout"),
        ({"message": "?", "user_id": "a", "deadline": "2999-01-01T00:00:00Z"}, "invalid_message", "deadline"),
        ({"message": "?", "user_id": "a", "options": []}, "invalid_message", "options"),
        ({"message": "?", "user_id": "a", "options": [{"id": 1}]}, "invalid_message", "options[0].id"),
        ({"message": "?", "user_id": "a", "schema": {"type": "x"}}, "invalid_message", "schema.type"),
        ({"message": "?", "user_id": "a", "schema": {"$ref": "#"}}, "invalid_message", "schema.$ref"),
        (
            {"message": "?", "user_id": "a", "options": OPTIONS, "default": {"proceed": True, "value": "c"}},
            "invalid_message",
            "default.value",
        ),
        ({"message": "?" * 4097, "user_id": "a"}, "invalid_message", "message"),
        (
            {"message": "?", "user_id": "a", "schema": {"enum": ["x" * 20_000]}},
            "too_large",
            "message",
        ),
    ],
)
async def test_a_bad_question_is_refused_with_its_place(body: Json, code: str, field: str) -> None:
    async with callers() as (_, ada):
        status, problem = await ada.call("POST", "/prompts", body)
        assert (status in (400, 413), problem["code"], problem.get("field")) == (True, code, field), problem
        assert (await ada.call("GET", "/prompts"))[1]["prompts"] == []


@pytest.mark.parametrize(
    ("question", "body", "field"),
    [
        ({}, {}, "proceed"),
        ({}, {"proceed": "yes"}, "proceed"),
        ({}, {"proceed": True, "feedbakc": "?"}, "feedbakc"),
        ({}, {"proceed": True, "feedback": 5}, "feedback"),
        ({"options": OPTIONS}, {"proceed": True}, "value"),
        ({"options": OPTIONS}, {"proceed": False, "value": "c"}, "value"),
        ({"schema": {"type": "integer"}}, {"proceed": True}, "value"),
        ({"schema": {"type": "integer"}}, {"proceed": True, "value": "1"}, "value"),
    ],
)
async def test_a_bad_answer_is_refused_with_its_place_and_settles_nothing(
    question: Json, body: Json, field: str
) -> None:
    async with callers() as (_, ada):
        path = f"/prompts/{(await ada.ask(project_id='p', **question))['prompt_id']}"
        status, problem = await ada.call("POST", f"{path}/answer", body)
        assert (status, problem["code"], problem["field"]) == (400, "invalid_message", field)
        assert (await ada.call("GET", path))[1]["status"] == "open"


async def test_prompts_are_listed_page_by_page_by_project_by_user_and_by_status() -> None:
    async with callers() as (_, ada):
        for number in range(5):
            place = {"project_id": "p"} if number % 2 else {"project_id": "q", "user_id": "ada"}
            await ada.ask(prompt_id=f"n{number}", **place)
        await ada.call("POST", "/prompts/n4/answer", {"proceed": True})

        async def listed(query: str) -> list[str]:
            found: list[str] = []
            after: str | None = "0"
            while after is not None:
                _, page = await ada.call("GET", f"/prompts?limit=2&after={after}&{query}")
                assert len(page["prompts"]) <= 2
                found += [one["prompt_id"] for one in page["prompts"]]
                after = page["next"]
            return found

        assert await listed("") == ["n0", "n1", "n2", "n3"]
        assert await listed("status=all") == ["n0", "n1", "n2", "n3", "n4"]
        assert await listed("status=settled") == ["n4"]
        assert await listed("project_id=p") == ["n1", "n3"]
        assert await listed("user_id=ada&status=all") == ["n0", "n2", "n4"]
        assert await listed("user_id=ada&project_id=p") == []
        assert await ada.call("GET", "/prompts?limit=4") == (200, (await ada.call("GET", "/prompts"))[1])
        for query, field in (
            ("status=x", "status"),
            ("limit=0", "limit"),
            ("after=x", "after"),
            ("before=x", "before"),
            ("before=end&after=1", "before"),
        ):
            status, problem = await ada.call("GET", f"/prompts?{query}")
            assert (status, problem["field"]) == (400, field)


async def test_with_before_the_newest_prompts_come_first() -> None:
    async with callers() as (_, ada):
        for number in range(5):
            await ada.ask(prompt_id=f"n{number}", project_id="p")
        for number in (1, 3, 4):
            await ada.call("POST", f"/prompts/n{number}/answer", {"proceed": True})
        found: list[list[str]] = []
        before: str | None = "end"
        while before is not None:
            _, page = await ada.call("GET", f"/prompts?status=settled&limit=2&before={before}")
            found.append([one["prompt_id"] for one in page["prompts"]])
            before = page["next"]
        assert found == [["n4", "n3"], ["n1"]]
        _, page = await ada.call("GET", "/prompts?before=end")
        assert [one["prompt_id"] for one in page["prompts"]] == ["n2", "n0"]


# --- waits --------------------------------------------------------------------------------------------


async def test_a_wait_ends_when_the_prompt_is_settled_and_not_before() -> None:
    async with callers() as (running, ada):
        prompt = (await ada.ask(project_id="p"))["prompt_id"]
        async with trio.open_nursery() as nursery:

            async def answer() -> None:
                await waiting(running, prompt)
                await ada.call("POST", f"/prompts/{prompt}/answer", {"proceed": True})

            nursery.start_soon(answer)
            status, found = await ada.call("GET", f"/prompts/{prompt}?wait=60")
        assert (status, found["status"], found["outcome"]["how"]) == (200, "answered", "answered")
        assert "settled_at" in found


async def test_a_wait_ends_open_when_its_time_is_up_and_when_the_hub_stops() -> None:
    async with callers() as (running, ada):
        prompt = (await ada.ask(project_id="p"))["prompt_id"]
        assert (await ada.call("GET", f"/prompts/{prompt}?wait=1"))[1]["status"] == "open"
        for wrong in ("61", "-1", "x"):
            status, problem = await ada.call("GET", f"/prompts/{prompt}?wait={wrong}")
            assert (status, problem["field"]) == (400, "wait")

        async def stop() -> None:
            await waiting(running, prompt)
            running.stop.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            with trio.fail_after(30):
                assert (await ada.call("GET", f"/prompts/{prompt}?wait=60"))[1]["status"] == "open"


# --- commands -----------------------------------------------------------------------------------------


async def test_a_command_waits_for_what_the_orchestrator_says() -> None:
    async with callers() as (running, ada), running.socket("/ws/orchestrator?commands=p") as obeying:

        async def obey() -> None:
            given = await heard(obeying)
            shape = {"type": "command", "project_id": "p", "name": "retry", "node_id": "n", "args": {"x": 1}}
            assert given == {**shape, "command_id": given["command_id"], "by": None, "via": ADDRESS}
            for status in ("accepted", "done"):
                said = {"command_id": given["command_id"], "status": status, "message": "ok"}
                await say(obeying, {"type": "command_result", **said})

        body = {"name": "retry", "node_id": "n", "args": {"x": 1}}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey)
            status, found = await ada.call("POST", "/projects/p/commands?wait=60", body)
        result = {"command_id": found["command_id"], "status": "done", "message": "ok", "node_id": "n"}
        assert (status, found) == (200, result)
        _, events = await ada.call("GET", "/projects/p/events")
        assert [one["type"] for one in events["events"]] == ["command", "command_result", "command_result"]
        status, found = await ada.call("POST", "/projects/p/commands", {"name": "cancel"})
        assert (status, found["status"]) == (202, "pending")


async def test_a_command_that_nobody_obeys_times_out() -> None:
    async with callers(people=evolve(People(), command_timeout=0.05)) as (running, ada):
        async with running.socket("/ws/orchestrator?commands=p"):
            status, found = await ada.call("POST", "/projects/p/commands?wait=60", {"name": "cancel"})
        assert (status, found["status"]) == (200, "timeout")


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("/projects/p/commands", {"name": "x"}, "no_orchestrator", "project_id"),
        ("/projects/-/commands", {"name": "x"}, "invalid_project_id", "project_id"),
        ("/projects/p/commands", {}, "invalid_message", "name"),
        ("/projects/p/commands", {"name": "a b"}, "invalid_message", "name"),
        ("/projects/p/commands", {"name": "x", "node_id": 5}, "invalid_message", "node_id"),
        ("/projects/p/commands", {"name": "x", "args": []}, "invalid_message", "args"),
        ("/projects/p/commands", {"name": "x", "node": "n"}, "invalid_message", "node"),
        ("/projects/p/commands", {"name": "x", "args": {"a": "x" * 20_000}}, "too_large", "args"),
        ("/users/ada/notifications", {}, "invalid_message", "title"),
        ("/users/ada/notifications", {"title": ""}, "invalid_message", "title"),
        ("/users/ada/notifications", {"title": "x", "url": 5}, "invalid_message", "url"),
        ("/users/ada/notifications", {"title": "x", "data": 5}, "invalid_message", "data"),
        ("/users/ada/notifications", {"title": "x", "text": "y"}, "invalid_message", "text"),
        ("/users/ada/notifications", {"title": "x", "data": {"a": "x" * 20_000}}, "too_large", "data"),
        ("/users/ada/read", {"seq": True}, "invalid_message", "seq"),
        ("/users/ada/read", {"seq": 1, "user": "x"}, "invalid_message", "user"),
        (f"/users/{'u' * 257}/read", {"seq": 1}, "invalid_message", "user_id"),
    ],
)
async def test_a_bad_request_is_refused_with_its_place(path: str, body: Json, code: str, field: str) -> None:
    async with callers() as (_, ada):
        status, problem = await ada.call("POST", path, body)
        assert (status >= 400, problem["code"], problem["field"]) == (True, code, field), problem


# --- notifications --------------------------------------------------------------------------------------


async def test_a_users_log_is_read_page_by_page_and_remembers_what_was_read() -> None:
    async with callers() as (_, ada):
        user = "/users/auth0|ada/eu"
        for title in ("one", "two"):
            status, at = await ada.call("POST", f"{user}/notifications", {"title": title})
            assert (status, at["user_id"]) == (201, "auth0|ada/eu")
        await ada.ask(user_id="auth0|ada/eu")
        _, page = await ada.call("GET", f"{user}/notifications?limit=1")
        assert (page["events"][0]["data"], page["read"]) == ({"title": "one"}, 0)
        _, rest = await ada.call("GET", f"{user}/notifications?since={page['next']}")
        assert [one["type"] for one in rest["events"]] == ["notification", "prompt"]
        assert rest["next"] is None
        for seq, read in ((2, 2), (1, 2), (99, 3)):
            assert await ada.call("POST", f"{user}/read", {"seq": seq}) == (200, {"read": read})
        _, page = await ada.call("GET", f"{user}/notifications?type=notification")
        assert ([one["seq"] for one in page["events"]], page["read"]) == ([1, 2], 3)


# --- when the store cannot --------------------------------------------------------------------------------


class Unreadable(MemoryBroker):
    """Cannot look up prompts."""

    async def interaction(self, interaction_id: str) -> Any:
        raise StoreUnavailable("no disk")

    async def interactions(self, *, name: str | None = None, **given: Any) -> Any:
        if name is not None:
            raise StoreUnavailable("no disk")
        return await super().interactions(**given)


async def test_a_store_that_cannot_be_read_is_no_missing_prompt() -> None:
    async with real_hub(Unreadable()) as running, running.http() as http:
        for answer in (
            await http.get("/api/v1/prompts/q"),
            await http.post("/api/v1/prompts", json={"user_id": "a", "message": "?"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert "Retry-After" in answer.headers
