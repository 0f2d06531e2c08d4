"""A prompt's id belongs to its project and its user: a name that one project uses is free in all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.access import OPEN
from tasktree_rt.hub.interactions import lookup
from tests.web.interactions_calls import Caller
from tests.web.realhub import RealHub, auth, heard, real_hub, say, token

YES: Final = {"proceed": True}


@pytest.fixture(params=["memory", "sqlite"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    return MemoryBroker() if request.param == "memory" else SqliteBroker(str(tmp_path / "store.db"))


async def settle(running: RealHub, project: str) -> None:
    await running.hub.prompts.answer("deploy", YES, grants=OPEN, via={}, within=(project,))


@pytest.mark.parametrize("before", ["open", "resolved"])
async def test_a_squatted_id_blocks_no_other_project(broker: Broker, before: str) -> None:
    async with real_hub(broker, auth=auth()) as running:
        eve = Caller(running, "eve", push=["eve-*"], answer=["eve-*"], watch=["eve-*"])
        ada = Caller(running, "ada", push=["p"], answer=["p"], watch=["p"])
        async with eve.http, ada.http:
            await eve.ask(project_id="eve-1", prompt_id="deploy", message="mine")
            if before == "resolved":
                await settle(running, "eve-1")
            asked = await ada.ask(project_id="p", prompt_id="deploy", message="Deploy?")
            assert asked["message"] == "Deploy?"
            for caller, message in ((ada, "Deploy?"), (eve, "mine")):
                status, found = await caller.call("GET", "/prompts/deploy")
                assert (status, found["message"]) == (200, message)
            status, outcome = await ada.call("POST", "/prompts/deploy/answer", YES)
            assert (status, outcome["project_id"]) == (200, "p")
            status, found = await eve.call("GET", "/prompts/deploy")
            assert found["status"] == ("open" if before == "open" else "answered")
            assert (await ada.call("DELETE", "/prompts/deploy"))[0] == 409
            status, _ = await eve.call("POST", "/prompts/deploy/answer", YES)
            assert status == (200 if before == "open" else 409)


async def test_the_same_id_in_the_same_project_is_the_same_prompt_or_a_conflict(broker: Broker) -> None:
    async with real_hub(broker) as running:
        ada = Caller(running)
        async with ada.http:
            question: dict[str, Any] = {"project_id": "p", "prompt_id": "deploy", "message": "Deploy?"}
            assert [(await ada.call("POST", "/prompts", question))[0] for _ in range(2)] == [201, 200]
            other = {**question, "message": "Another?"}
            for given in (other, {**other, "user_id": "ada"}):
                assert (await ada.call("POST", "/prompts", given))[0] == 409
            await settle(running, "p")
            assert (await ada.call("POST", "/prompts", question))[0] == 200
            assert (await ada.call("POST", "/prompts", other))[0] == 409


async def test_one_id_names_one_prompt_in_a_users_log(broker: Broker) -> None:
    async with real_hub(broker) as running:
        ada = Caller(running)
        async with ada.http:
            await ada.ask(project_id="p", user_id="ada", prompt_id="deploy")
            for place in ({"user_id": "ada"}, {"project_id": "q", "user_id": "ada"}):
                status, refused = await ada.call(
                    "POST", "/prompts", {**place, "prompt_id": "deploy", "message": "?"}
                )
                assert (status, refused["code"]) == (409, "idempotency_conflict")
            await ada.ask(project_id="q", user_id="bob", prompt_id="deploy")


async def test_a_caller_that_sees_several_names_the_project_or_the_user(broker: Broker) -> None:
    async with real_hub(broker, auth=auth()) as running:
        ada = Caller(running, "ada", push=["*"], answer=["*"], watch=["*"])
        async with ada.http:
            for place in ({"project_id": "p"}, {"project_id": "q"}, {"project_id": "r", "user_id": "ada"}):
                await ada.ask(prompt_id="deploy", message=str(place), **place)
            for method, path, body in (
                ("GET", "", None),
                ("POST", "/answer", YES),
                ("DELETE", "", None),
            ):
                status, refused = await ada.call(method, f"/prompts/deploy{path}", body)
                assert (status, refused["code"], refused["field"]) == (409, "ambiguous", "prompt_id")
            status, found = await ada.call("GET", "/prompts/deploy?user_id=ada")
            assert (status, found["project_id"]) == (200, "r")
            assert (await ada.call("GET", "/prompts/deploy?project_id=p&user_id=ada"))[0] == 404
            status, outcome = await ada.call("POST", "/prompts/deploy/answer?project_id=q", YES)
            assert (status, outcome["project_id"]) == (200, "q")
            status, outcome = await ada.call("DELETE", "/prompts/deploy?project_id=p")
            assert (status, outcome["project_id"], outcome["how"]) == (200, "p", "cancelled")
            granted = token(subject="ada", watch=["*"], answer=["*"])
            async with running.socket(f"/ws/updates?user_id=bob&token={granted}") as socket:
                assert (await heard(socket))["type"] == "welcome"
                assert (await heard(socket))["code"] == "forbidden"
                answer = {"type": "answer", "prompt_id": "deploy", "id": 1, **YES}
                await say(socket, answer)
                assert (await heard(socket))["code"] == "ambiguous"
                await say(socket, {**answer, "project_id": "r", "id": 2})
                assert await heard(socket) == {"type": "reply", "id": 2}


async def test_many_prompts_of_one_id_hide_none(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "NAMESAKES_AT_ONCE", 2)
    async with real_hub(broker, auth=auth()) as running:
        eve = Caller(running, "eve", push=["eve-*"], watch=["eve-*"])
        ada = Caller(running, "ada", push=["p"], watch=["p"])
        async with eve.http, ada.http:
            for number in range(7):
                await eve.ask(project_id=f"eve-{number}", prompt_id="deploy")
                if number % 2:
                    await settle(running, f"eve-{number}")
            await ada.ask(project_id="p", prompt_id="deploy")
            for _ in range(2):
                status, found = await ada.call("GET", "/prompts/deploy")
                assert (status, found["project_id"]) == (200, "p")
                if found["status"] == "open":
                    await settle(running, "p")


async def test_prompts_of_one_id_stay_apart_over_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    async with real_hub(SqliteBroker(path)) as running:
        ada = Caller(running)
        async with ada.http:
            for name in ("p", "q"):
                await ada.ask(project_id=name, prompt_id="deploy", message=name)
            await settle(running, "q")
    async with real_hub(SqliteBroker(path)) as running:
        ada = Caller(running)
        async with ada.http:
            for name, status in (("p", "open"), ("q", "answered")):
                found = (await ada.call("GET", f"/prompts/deploy?project_id={name}"))[1]
                assert (found["message"], found["status"]) == (name, status)
            await settle(running, "p")
            assert (await ada.call("GET", "/prompts/deploy?project_id=p"))[1]["status"] == "answered"
