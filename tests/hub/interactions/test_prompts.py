"""Prompts: asked once, settled once, whoever comes when and whatever fails."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Draft, Interaction
from tasktree_rt.core.access import EVERYTHING, OPEN, Grants
from tasktree_rt.errors import Unavailable
from tests.brokers.contract_interactions import an_interaction, opening
from tests.hub.held_store import Gate
from tests.hub.office import an_office, asked, code

TOPICS = ("p", "q", "@anna")


async def test_a_prompt_is_told_in_both_logs_and_so_is_its_end(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        pending = await asked(office, user_id="anna", node_id="n", options=[{"id": "x"}])
        assert [one["type"] for one in await office.log("p")] == ["prompt"]
        (told,) = await office.log("@anna")
        assert (told["user_id"], told["data"]) == ("anna", pending.data)
        assert "project_id" not in told
        grants = Grants("anna", answer=EVERYTHING)
        answer = office.answer("a", value="x", feedback="go", grants=grants)
        await wait_all_tasks_blocked()
        assert answer.result == {
            "prompt_id": "a",
            "project_id": "p",
            "user_id": "anna",
            "node_id": "n",
            "proceed": True,
            "value": "x",
            "feedback": "go",
            "by": "anna",
            "how": "answered",
            "via": {"dialect": "test", "connection": "c1"},
        }
        for topic in ("p", "@anna"):
            assert [one["data"] for one in await office.log(topic)] == [pending.data, answer.result]
        await office.check(TOPICS)


async def test_of_many_answers_at_once_one_counts_and_all_are_told_which(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office)
        wait = office.wait("a")
        answers = [office.answer("a", value=n) for n in range(50)]
        await wait_all_tasks_blocked()
        (winner,) = [one for one in answers if one.error is None]
        assert {code(one) for one in answers if one is not winner} == {"prompt_closed"}
        assert all(one.error.outcome == winner.result for one in answers if one.error)
        assert wait.result == winner.result
        await office.check(TOPICS)


async def test_an_answer_while_the_opening_is_on_its_way_waits_for_it(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        office.store.appends.hold()
        ask = office.ask("a", project_id="p")
        await wait_all_tasks_blocked()
        answer = office.answer("a")
        see = office.begin("see", "a", lambda: office.hub.prompts.find("a", grants=OPEN))
        await wait_all_tasks_blocked()
        assert not any(one.over for one in (ask, answer, see))
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert ask.result is not None
        assert see.result is ask.result[0]
        assert answer.result is not None
        await office.check(TOPICS)


async def test_what_was_never_kept_is_not_found(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, "other")
        office.store.appends.hold()
        ask = office.ask("a", project_id="p", user_id="anna")
        await wait_all_tasks_blocked()
        late = [office.answer("a"), office.cancel("a"), office.wait("a")]
        again = office.ask("a", project_id="p", user_id="anna")
        office.store.failing = True
        office.store.appends.release()
        await trio.sleep(0.5)
        assert code(ask) == "store_unavailable"
        assert {code(one) for one in late} == {"not_found"}
        assert code(again) == "store_unavailable"
        office.store.failing = False
        await trio.sleep(2)
        await office.check(TOPICS)
        await asked(office)
        await office.check(TOPICS)


async def test_the_same_prompt_asked_twice_at_once_is_one(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        asks = [office.ask("a", project_id="p", timeout=60) for _ in range(5)]
        await wait_all_tasks_blocked()
        assert len({id(one.result[0]) for one in asks}) == 1
        assert sorted(one.result[1] for one in asks) == [False] * 4 + [True]
        assert len(await office.log("p")) == 1


async def test_another_prompt_under_the_same_id_is_a_conflict(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        asks = [office.ask("a", project_id="p", message=message) for message in ("One?", "Two?")]
        await wait_all_tasks_blocked()
        assert sorted(map(str, map(code, asks))) == ["None", "idempotency_conflict"]
        (refused,) = [one.error for one in asks if one.error]
        assert refused.field == "prompt_id"
        office.answer("a")
        await wait_all_tasks_blocked()
        late = office.ask("a", project_id="p", message="Three?")
        await wait_all_tasks_blocked()
        assert code(late) == "idempotency_conflict"


async def test_asked_again_when_it_is_settled_it_is_what_it_came_to(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        given: dict[str, Any] = {"project_id": "p", "timeout": 5, "default": {"proceed": True, "value": 1}}
        await asked(office, **given)
        await trio.sleep(10)
        again = office.ask("a", **given)
        await wait_all_tasks_blocked()
        assert (again.result[0].outcome["how"], again.result[1]) == ("timeout", False)
        assert [one["type"] for one in await office.log("p")] == ["prompt", "prompt_resolved"]


async def test_an_id_that_was_opened_and_settled_while_the_store_was_read_is_not_opened_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        gate, right = trio.Event(), office.broker.interactions

        async def slow(**wanted: Any) -> list[Interaction]:
            found = await right(**wanted)
            await gate.wait()
            return found

        monkeypatch.setattr(office.broker, "interactions", slow)
        slowly = [office.ask("a", project_id="p"), office.answer("a"), office.wait("a")]
        await wait_all_tasks_blocked()
        monkeypatch.setattr(office.broker, "interactions", right)
        first = office.ask("a", project_id="p")
        await wait_all_tasks_blocked()
        assert not first.over  # it waits for the one that looks
        gate.set()
        await wait_all_tasks_blocked()
        assert sorted(one.result[1] for one in (slowly[0], first)) == [False, True]
        await office.check(TOPICS)


async def test_what_was_opened_while_the_store_was_read_is_found(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        office.store.reads.hold()
        answer = office.answer("a")
        await wait_all_tasks_blocked()
        reads, office.store.reads = office.store.reads, Gate()
        await asked(office)
        reads.release()
        await wait_all_tasks_blocked()
        assert answer.result is not None


async def test_answers_that_wait_for_the_project_to_be_read_end_it_once(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        await office.restart()
        answers = [office.answer("a", value=n) for n in range(5)]
        await wait_all_tasks_blocked()
        assert sorted(map(str, map(code, answers))) == ["None"] + ["prompt_closed"] * 4
        await office.check(TOPICS)


async def test_what_was_settled_while_it_was_read_is_settled(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        await asked(office)
        stale = await office.broker.interaction("1:p:a")
        office.answer("a", value="first")
        await wait_all_tasks_blocked()
        right, reads = office.broker.interaction, []

        async def old(name: str) -> Interaction | None:
            reads.append(name)
            return stale if len(reads) == 1 else await right(name)

        monkeypatch.setattr(office.broker, "interaction", old)
        second = office.answer("a", value="second")
        await wait_all_tasks_blocked()
        assert code(second) == "prompt_closed"
        await office.check(TOPICS)


async def test_what_the_store_has_open_and_nobody_in_memory_is_taken_up(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, "other")
        body = b'{"type":"prompt","project_id":"q","data":{"prompt_id":"a"},"timestamp":""}'
        entry = evolve(
            opening(an_interaction("a", "q", at=office.wall())), drafts=[Draft("prompt", None, body)]
        )
        await office.broker.append([entry])
        pending = await office.hub.prompts.find("a", grants=OPEN)
        assert [one.id for one in office.hub.registry] == ["other", "a"]
        office.cancel("a")
        assert (await pending.end())["how"] == "cancelled"


@pytest.mark.parametrize("path", [False, True])
async def test_an_open_prompt_outlives_the_hub(autojump_clock: MockClock, tmp_path: Any, path: bool) -> None:
    async with an_office(str(tmp_path / "s.db") if path else None) as office:
        await asked(office, user_id="anna")
        await office.restart()
        await office.check(TOPICS)
        answer = office.answer("a", value=1)
        await wait_all_tasks_blocked()
        assert answer.result["value"] == 1
        await office.restart()
        late = office.answer("a", value=2)
        await wait_all_tasks_blocked()
        assert (code(late), late.error.outcome) == ("prompt_closed", answer.result)  # type: ignore[union-attr]
        await office.check(TOPICS)


# --- when the store fails -------------------------------------------------------------------------


async def test_a_settlement_that_fails_leaves_it_open_and_those_behind_it_try(
    autojump_clock: MockClock,
) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        office.store.appends.hold()
        answers = [office.answer("a", value=n) for n in range(3)]
        await wait_all_tasks_blocked()
        office.store.failing = True
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert {code(one) for one in answers} == {"store_unavailable"}
        office.store.failing = False
        await trio.sleep(2)
        await office.check(TOPICS)
        last = office.answer("a", value=9)
        await wait_all_tasks_blocked()
        assert last.result["value"] == 9
        await office.check(TOPICS)


async def test_a_store_that_cannot_be_read_refuses_for_now(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        office.store.failing_reads = True
        calls = [office.ask("a", project_id="p"), office.answer("b"), office.cancel("c")]
        await wait_all_tasks_blocked()
        assert {code(one) for one in calls} == {"store_unavailable"}
        assert all(isinstance(one.error, Unavailable) for one in calls)
        await office.check(TOPICS)


@pytest.mark.parametrize("when", ["reading", "committing"])
async def test_who_gives_up_waiting_takes_nothing_back(autojump_clock: MockClock, when: str) -> None:
    async with an_office() as office:
        if when == "committing":
            await asked(office, "a")
        (office.store.appends if when == "committing" else office.store.reads).hold()
        call = office.answer("a") if when == "committing" else office.ask("a", project_id="p", timeout=60)
        await wait_all_tasks_blocked()
        call.scope.cancel()
        await wait_all_tasks_blocked()
        assert call.cancelled
        office.store.mend()
        await wait_all_tasks_blocked()
        await office.check(TOPICS)
        stored = await office.stored()
        if when == "committing":
            assert [(one.name, one.settled is not None) for one in stored.values()] == [("a", True)]
        else:
            assert not stored
            await asked(office, "a", timeout=60)


# --- with their project ---------------------------------------------------------------------------


async def test_prompts_end_with_their_project_and_users_are_told(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        mine = [await asked(office, name, user_id="anna") for name in ("a", "b")]
        other = await asked(office, "c", project_id="q", user_id="anna")
        waits = [office.wait(name) for name in ("a", "b")]
        office.delete("p")
        await wait_all_tasks_blocked()
        assert [one.result["how"] for one in waits] == ["cancelled"] * 2
        assert mine[0].outcome == {
            "prompt_id": "a",
            "project_id": "p",
            "user_id": "anna",
            "proceed": False,
            "by": None,
            "how": "cancelled",
        }
        assert other.outcome is None
        await office.check(TOPICS)


async def test_a_deletion_that_fails_ends_nothing(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        office.store.appends.hold()
        deletion, answer = office.delete("p"), office.answer("a", value=1)
        office.store.failing = True
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert code(deletion) == code(answer) == "store_unavailable"
        office.store.failing = False
        await trio.sleep(2)
        await office.check(TOPICS)
        answer = office.answer("a", value=2)
        await wait_all_tasks_blocked()
        assert answer.result["value"] == 2


async def test_a_project_born_again_has_its_own_prompts(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, "a")
        office.store.appends.hold()
        office.ask("b", project_id="p", user_id="anna", timeout=60)
        await wait_all_tasks_blocked()
        deletion = office.delete("p")
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert deletion.result is not None
        await asked(office, "c")
        await office.check(TOPICS)
        assert [one.id for one in office.hub.registry] == ["c"]
        assert len(await office.log("p")) == 1


async def test_prompts_stand_in_the_state_as_it_was(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, "a")
        await asked(office, "b")
        office.answer("a")
        await wait_all_tasks_blocked()
        for seq, names in ((0, []), (1, ["a"]), (2, ["a", "b"]), (3, ["b"])):
            state = await office.hub.state("p", seq)
            assert [one["prompt_id"] for one in state.top["prompts"]] == names
        project = await office.hub.cache.load("p")
        await office.hub.checkpoints.save(project)
        await office.restart()
        assert [one["prompt_id"] for one in (await office.hub.state("p")).top["prompts"]] == ["b"]


async def test_an_answer_before_the_projects_end_counts(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        office.store.appends.hold()
        answer = office.answer("a", value=1)
        await wait_all_tasks_blocked()
        office.delete("p")
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert answer.result["value"] == 1
        assert [one["type"] for one in await office.log("@anna")] == ["prompt", "prompt_resolved"]
        await office.check(TOPICS)


async def test_what_is_about_to_be_settled_is_still_open(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        office.store.appends.hold()
        office.answer("a")
        await wait_all_tasks_blocked()
        assert [one.id for one in office.hub.registry.told("@anna", "prompt")] == ["a"]
        office.store.failing = True
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert [one.id for one in office.hub.registry.told("@anna", "prompt")] == ["a"]
        office.store.mend()
        await trio.sleep(5)
        answer = office.answer("a")
        await wait_all_tasks_blocked()
        assert answer.result["how"] == "answered"
        assert office.hub.registry.told("@anna", "prompt") == []
