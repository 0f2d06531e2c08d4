"""Prompts: who may ask and answer, how many, how large, and what is not published."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import EVERYTHING, OPEN, Grants, Scope
from tasktree_rt.errors import InvalidInput, PeerError, Refused
from tests.hub.office import an_office, asked, code

TOPICS = ("p", "q", "@anna")


async def test_so_many_may_be_open_in_a_project_and_for_a_user(autojump_clock: MockClock) -> None:
    async with an_office(max_open_prompts=2) as office:
        await asked(office, "a", user_id="anna")
        await asked(office, "b", project_id="q", user_id="anna")
        calls = [office.ask("c", project_id="r", user_id="anna"), office.ask("d", user_id="anna")]
        await wait_all_tasks_blocked()
        assert {code(one) for one in calls} == {"rate_limited"}
        await asked(office, "e", project_id="p")
        call = office.ask("f", project_id="p")
        await wait_all_tasks_blocked()
        assert code(call) == "rate_limited"
        office.answer("a")
        await wait_all_tasks_blocked()
        await asked(office, "f", user_id="anna")


async def test_many_at_once_do_not_get_past_the_limit(autojump_clock: MockClock) -> None:
    async with an_office(max_open_prompts=3) as office:
        office.store.appends.hold()
        calls = [office.ask(f"a{n}", project_id="p") for n in range(20)]
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert sum(one.error is None for one in calls) == 3
        await office.check(TOPICS)


async def test_what_is_too_large_is_refused(autojump_clock: MockClock) -> None:
    async with an_office(max_prompt_size=1_024) as office:
        call = office.ask("a", project_id="p", default={"proceed": True, "value": "x" * 2_000})
        await wait_all_tasks_blocked()
        assert code(call) == "too_large"
        await asked(office)
        call = office.answer("a", value="x" * 2_000)
        await wait_all_tasks_blocked()
        assert (code(call), call.error.field) == ("too_large", "value")  # type: ignore[union-attr]


async def test_who_may_ask_answer_see_and_take_back(autojump_clock: MockClock) -> None:
    producer = Grants("ci", push=Scope(("p",)))
    async with an_office() as office:
        await asked(office, "a", grants=producer)
        await asked(office, "b", user_id="anna")
        attempts = [
            (office.ask("c", project_id="q", grants=producer), "forbidden"),
            (office.ask("c", project_id="p", user_id="anna", grants=producer), "forbidden"),
            (office.ask("c"), "invalid_message"),
            (office.ask("c", project_id="*"), "invalid_project_id"),
            (office.answer("none"), "not_found"),
            (office.answer("\ud800"), "not_found"),
            (office.cancel("x" * 200), "not_found"),
        ]
        await wait_all_tasks_blocked()
        assert [code(one) for one, _ in attempts] == [expected for _, expected in attempts]
        bert = Grants("bert", watch=EVERYTHING, answer=EVERYTHING)
        with pytest.raises(Refused):
            await office.hub.prompts.answer("b", {"proceed": True}, grants=bert, via={})
        with pytest.raises(Refused):
            await office.hub.prompts.cancel("b", grants=producer, via={})
        with pytest.raises(Refused):
            await office.hub.prompts.find("b", grants=Grants("carl"))
        await office.hub.prompts.answer("b", {"proceed": True}, grants=Grants("anna"), via={})
        await office.hub.prompts.cancel("a", grants=producer, via={"dialect": "http"})
        assert not office.hub.registry.named("a")
        assert len(await office.stored()) == 2


async def test_bad_answers_leave_it_open(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, schema={"type": "integer"})
        for given in ({"proceed": "yes"}, {"proceed": True}, {"proceed": True, "value": "1"}):
            with pytest.raises(InvalidInput):
                await office.hub.prompts.answer("a", given, grants=OPEN, via={})
        await office.check(TOPICS)
        await office.hub.prompts.answer("a", {"proceed": True, "value": 1}, grants=OPEN, via={})
        with pytest.raises(PeerError) as caught:
            await office.hub.prompts.answer("a", {"proceed": "bad again"}, grants=OPEN, via={})
        assert caught.value.code == "prompt_closed"


async def test_what_a_program_asks_with_it_may_change_afterwards(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        schema: dict[str, Any] = {"enum": [1, 2]}
        pending, _ = await office.hub.prompts.ask(
            {"project_id": "p", "message": "?", "schema": schema}, grants=OPEN
        )
        schema["enum"].append(3)
        assert pending.data["schema"] == {"enum": [1, 2]}
        with pytest.raises(InvalidInput):
            await office.hub.prompts.ask({"project_id": "p", "message": "\ud800"}, grants=OPEN)


async def test_a_hub_that_drains_asks_and_settles_no_more(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, timeout=60)
        await office.hub.drain()
        calls = [office.ask("b", project_id="p"), office.answer("a"), office.cancel("a")]
        await wait_all_tasks_blocked()
        assert {code(one) for one in calls} == {"draining"}
        await trio.sleep(100)
        await office.restart()
        await trio.sleep(1)
        await office.check(TOPICS)
        assert not list(office.hub.registry)


@pytest.mark.parametrize(
    "kind", ["prompt", "prompt_resolved", "command", "command_result", "notifications_read"]
)
async def test_what_the_hub_says_itself_nobody_publishes(autojump_clock: MockClock, kind: str) -> None:
    async with an_office() as office:
        call = office.publish("p", kind, prompt_id="a", seq=1)
        await wait_all_tasks_blocked()
        assert (code(call), call.error.field) == ("invalid_event", "events[0].type")  # type: ignore[union-attr]
