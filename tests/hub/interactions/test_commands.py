"""Commands: given to one orchestrator at a time, settled once, told either way."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import OPEN, Grants, Scope
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.interactions.registry import OpenInteraction
from tests.hub.office import PATIENCE, Obedient, Office, an_office, code

TOPICS = ("p", "q")


async def sent(office: Office, project: str = "p") -> OpenInteraction:
    call = office.command(project)
    await wait_all_tasks_blocked()
    assert call.error is None, call.error
    pending: OpenInteraction = call.result
    return pending


def serving(office: Office, *projects: str) -> Obedient:
    one = Obedient()
    office.hub.orchestrators.serve(one, projects or ("p",))
    return one


async def test_a_command_goes_to_one_and_its_end_is_told(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        first, second = serving(office), serving(office)
        data = {"name": "retry", "node_id": "n", "args": {"hard": True}}
        grants = Grants("anna", command=Scope(("p",)))
        pending = await office.hub.commands.send("p", data, grants=grants, via={"dialect": "x"})
        assert (first.given, second.given) == ([pending.id], [])
        assert pending.data == {"command_id": pending.id, **data, "by": "anna", "via": {"dialect": "x"}}
        for status in ("accepted", "accepted", "done"):
            await office.hub.commands.report(
                first, {"command_id": pending.id, "status": status, "message": status}
            )
        assert await pending.end() == {
            "command_id": pending.id,
            "status": "done",
            "message": "done",
            "node_id": "n",
        }
        told = [(one["type"], one["data"].get("status")) for one in await office.log("p")]
        assert told == [
            ("command", None),
            ("command_result", "accepted"),
            ("command_result", "accepted"),
            ("command_result", "done"),
        ]
        await office.check(TOPICS)


async def test_without_an_orchestrator_nothing_is_kept(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        other = serving(office, "q")
        call = office.command("p")
        await wait_all_tasks_blocked()
        assert code(call) == "no_orchestrator"
        assert not await office.stored()
        assert not other.given
        office.hub.orchestrators.leave(other, ["q"])
        assert not office.hub.orchestrators.serving


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_dead_ones_commands_go_to_the_next(autojump_clock: MockClock, accepted: bool) -> None:
    async with an_office() as office:
        first, second = serving(office), serving(office)
        pending = await sent(office)
        if accepted:
            office.obey(first, pending.id, "accepted")
            await trio.sleep(10 * PATIENCE)
            assert pending.outcome is None
        office.hub.orchestrators.leave(first, ["p"])
        assert second.given == [pending.id]
        late = office.obey(first, pending.id, "done")
        await wait_all_tasks_blocked()
        assert code(late) == "forbidden"
        await trio.sleep(PATIENCE - 1)
        assert pending.outcome is None
        office.obey(second, pending.id, "refused")
        assert (await pending.end())["status"] == "refused"
        await office.check(TOPICS)


@pytest.mark.parametrize("there", [False, True])
async def test_without_a_word_in_time_it_is_told_so(autojump_clock: MockClock, there: bool) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        if not there:
            office.hub.orchestrators.leave(one, ["p"])
        await trio.sleep(PATIENCE - 1)
        assert not await office.broker.interactions(open=False)
        await trio.sleep(2)
        outcome = await pending.end()
        assert outcome == {"command_id": pending.id, "status": "timeout"}
        late = office.obey(one, pending.id, "done")
        await wait_all_tasks_blocked()
        assert (code(late), late.error.outcome) == ("gone", outcome)  # type: ignore[union-attr]
        await office.check(TOPICS)


async def test_one_that_comes_in_time_gets_what_waits(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        first = serving(office)
        pending = await sent(office)
        office.hub.orchestrators.leave(first, ["p"])
        await trio.sleep(5)
        second = serving(office, "q", "p")
        assert second.given == [pending.id]
        await office.check(TOPICS)


async def test_what_is_being_settled_is_given_to_nobody_unless_that_fails(autojump_clock: MockClock) -> None:
    for failing in (False, True):
        async with an_office() as office:
            first = serving(office)
            pending = await sent(office)
            office.store.appends.hold()
            done = office.obey(first, pending.id, "done")
            await wait_all_tasks_blocked()
            office.hub.orchestrators.leave(first, ["p"])
            second = serving(office)
            assert second.given == []
            office.store.failing = failing
            office.store.appends.release()
            await wait_all_tasks_blocked()
            assert code(done) == ("store_unavailable" if failing else None)
            assert second.given == ([pending.id] if failing else [])
            office.store.failing = False
            await trio.sleep(2)
            await office.check(TOPICS)


async def test_a_word_that_was_not_kept_does_not_count(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        office.store.failing = True
        accepted = office.obey(one, pending.id, "accepted")
        await wait_all_tasks_blocked()
        assert code(accepted) == "store_unavailable"
        office.store.failing = False
        await trio.sleep(PATIENCE + 3)
        assert pending.outcome is not None
        await office.check(TOPICS)


async def test_a_word_whose_sender_gave_up_counts(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        office.store.appends.hold()
        accepted = office.obey(one, pending.id, "accepted")
        await wait_all_tasks_blocked()
        accepted.scope.cancel()
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await trio.sleep(10 * PATIENCE)
        assert pending.outcome is None


async def test_accepted_after_the_end_is_too_late(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        office.store.appends.hold()
        calls = [office.obey(one, pending.id, "done")]
        await wait_all_tasks_blocked()
        calls += [office.obey(one, pending.id, status) for status in ("accepted", "refused")]
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert [code(call) for call in calls] == [None, "gone", "gone"]
        assert len(await office.log("p")) == 2
        await office.check(TOPICS)


async def test_a_command_that_is_not_kept_reaches_nobody(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        office.store.appends.hold()
        calls = [office.command("p"), office.command("p")]
        await wait_all_tasks_blocked()
        second = serving(office)
        assert one.given == second.given == []
        office.store.failing = True
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert {code(call) for call in calls} == {"store_unavailable"}
        assert one.given == second.given == []
        office.store.failing = False
        await trio.sleep(2)
        await office.check(TOPICS)


async def test_a_command_whose_orchestrator_dies_before_it_is_kept_goes_to_the_next(
    autojump_clock: MockClock,
) -> None:
    async with an_office() as office:
        one, two = serving(office), serving(office)
        office.store.appends.hold()
        office.command("p")
        await wait_all_tasks_blocked()
        office.hub.orchestrators.leave(one, ["p"])
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert (one.given, len(two.given)) == ([], 1)
        await office.check(TOPICS)


async def test_commands_end_with_their_project(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        office.delete("p")
        assert await pending.end() == {"command_id": pending.id, "status": "cancelled"}
        late = office.obey(one, pending.id, "done")
        await wait_all_tasks_blocked()
        assert code(late) == "gone"
        await office.check(TOPICS)


async def test_a_command_opened_with_its_projects_end_reaches_nobody(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        office.publish("p")
        await wait_all_tasks_blocked()
        office.store.appends.hold()
        office.publish("q")
        await wait_all_tasks_blocked()
        office.command("p")
        await wait_all_tasks_blocked()
        office.delete("p")
        await wait_all_tasks_blocked()
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert one.given == []
        await office.check(TOPICS)
        assert not list(office.hub.registry)


async def test_after_a_restart_a_command_waits_for_an_orchestrator_anew(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office)
        pending = await sent(office)
        office.obey(one, pending.id, "accepted")
        await trio.sleep(10 * PATIENCE)
        await office.restart()
        await trio.sleep(PATIENCE - 1)
        again = serving(office)
        assert again.given == [pending.id]
        office.obey(again, pending.id, "done")
        await wait_all_tasks_blocked()
        found = await office.hub.interactions.find("command", pending.id)
        assert found.outcome == {"command_id": pending.id, "status": "done"}
        await office.check(TOPICS)


async def test_an_orchestrator_that_says_a_project_twice_serves_it_once(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        one = serving(office, "p", "p")
        pending = await sent(office)
        assert one.given == [pending.id]
        office.hub.orchestrators.leave(one, ["p", "p"])
        office.hub.orchestrators.leave(one, ["p", "p"])
        assert not office.hub.orchestrators.serving
        await office.check(TOPICS)


async def test_what_is_refused(autojump_clock: MockClock) -> None:
    async with an_office(max_open_commands=2, max_args_size=1_024) as office:
        one = serving(office, "p", "q")

        async def refusal(project: str, given: dict[str, Any], grants: Grants = OPEN) -> str:
            with pytest.raises(PeerError) as caught:
                await office.hub.commands.send(project, given, grants=grants, via={})
            return caught.value.code

        assert await refusal("q", {"name": "x"}, Grants("a", command=Scope(("p",)))) == "forbidden"
        assert await refusal("*", {"name": "x"}) == "invalid_project_id"
        assert await refusal("p", {"name": ""}) == "invalid_message"
        assert await refusal("p", {"name": "x", "args": {"a": "x" * 2_000}}) == "too_large"
        pending = await sent(office)
        await sent(office)
        assert await refusal("p", {"name": "x"}) == "rate_limited"
        await sent(office, "q")
        for given, expected in (
            ({"command_id": "none", "status": "done"}, "not_found"),
            ({"command_id": pending.id, "status": "timeout"}, "invalid_message"),
        ):
            with pytest.raises(PeerError) as caught:
                await office.hub.commands.report(one, given)
            assert caught.value.code == expected
        prompt = office.ask("a", project_id="p")
        await wait_all_tasks_blocked()
        assert prompt.result is not None
        with pytest.raises(PeerError) as caught:
            await office.hub.commands.report(one, {"command_id": "a", "status": "done"})
        assert caught.value.code == "not_found"
        taken = office.ask(pending.id, project_id="p")
        answered = office.answer(pending.id)
        await wait_all_tasks_blocked()
        assert (code(taken), code(answered)) == ("idempotency_conflict", "not_found")
