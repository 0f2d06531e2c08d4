"""Orchestrators that take commands: who is given one, who may settle it, and what becomes of it otherwise."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tasktree_rt.hub.interactions.registry import OpenInteraction
from tests.hub.people import VIA, answers, quiet, with_walls_clock
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, update


async def command(world: World, name: str = "cancel", project: str = "p", **more: object) -> OpenInteraction:
    return await world.hub.commands.send(project, {"name": name, **more}, grants=OPEN, via=VIA)


def result(pending: OpenInteraction, status: str, **more: object) -> Json:
    return {"type": "command_result", "command_id": pending.id, "status": status, **more}


def given(carried: Carried) -> list[str]:
    """The ids of the commands that an orchestrator was given since the last call."""
    return [one["command_id"] for one in carried.received() if one["type"] == "command"]


def results(world: World, project: str = "p") -> list[str]:
    """What was stored about commands."""
    epoch = world.hub.cache.get(project).epoch  # type: ignore[union-attr]
    life = world.oracle.lives[project, epoch]
    return [data["status"] for kind, data in life if kind == "command_result"]


async def test_a_command_is_given_as_its_event_says_and_done_settles_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p", "q"))
        pending = await command(world, "retry", node_id="n", args={"deep": [1]})
        (said,) = await answers(orchestrator)
        data = {"name": "retry", "node_id": "n", "args": {"deep": [1]}, "by": None, "via": VIA}
        assert said == {"type": "command", "project_id": "p", "command_id": pending.id, **data}
        assert await answers(orchestrator, result(pending, "accepted")) == []
        assert len(world.hub.registry) == 1
        reply = await answers(orchestrator, result(pending, "done", id=1, message="ok"))
        assert reply == [{"type": "reply", "id": 1}]
        outcome = {"command_id": pending.id, "status": "done", "message": "ok", "node_id": "n"}
        assert pending.outcome == outcome
        assert results(world) == ["accepted", "done"]


async def test_only_the_first_that_settles_it_does(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p",))
        pending = await command(world)
        await answers(orchestrator, result(pending, "refused", message="busy"))
        (error,) = await answers(orchestrator, result(pending, "done", id="x"))
        assert (error["id"], error["code"], error["field"]) == ("x", "gone", "command_id")
        assert error["outcome"] == {"command_id": pending.id, "status": "refused", "message": "busy"}
        assert results(world) == ["refused"]


async def test_it_is_given_to_the_orchestrator_that_came_first_and_to_no_other(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        idle, first, second = (world.orchestrator(serves=one) for one in (("q",), ("p",), ("p",)))
        pending = await command(world)
        await quiet()
        assert (given(idle), given(first), given(second)) == ([], [pending.id], [])
        (error,) = await answers(second, result(pending, "done"))
        assert (error["code"], error["field"]) == ("forbidden", "command_id")
        assert pending.outcome is None


async def test_what_a_dead_orchestrator_held_goes_to_the_next_whether_accepted_or_not(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        first, second = world.orchestrator(serves=("p",)), world.orchestrator(serves=("p",))
        accepted, waiting, done = [await command(world, name) for name in ("a", "b", "c")]
        await answers(first, result(accepted, "accepted"), result(done, "done"))
        first.end()
        await quiet()
        assert given(second) == [accepted.id, waiting.id]
        await answers(second, result(accepted, "done"), result(waiting, "refused"))
        assert results(world) == ["accepted", "done", "done", "refused"]


async def test_without_another_it_waits_for_one_until_its_time_is_up(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with_walls_clock(world.hub)
        orchestrator = world.orchestrator(serves=("p",))
        pending, lost = await command(world), await command(world)
        await answers(orchestrator, result(lost, "accepted"))
        await trio.sleep(20)
        orchestrator.end()
        await trio.sleep(20)  # it has its time anew from then on
        later = world.orchestrator(serves=("p",))
        await quiet()
        assert given(later) == [pending.id, lost.id]
        await answers(later, result(pending, "done"))
        later.end()
        begun = trio.current_time()
        outcome = await lost.end()
        assert outcome == {"command_id": lost.id, "status": "timeout"}
        assert 29 < trio.current_time() - begun < 32


async def test_nobody_says_anything_in_time_and_that_is_told(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with_walls_clock(world.hub)
        orchestrator = world.orchestrator(serves=("p",))
        silent, working = await command(world), await command(world, "long")
        await answers(orchestrator, result(working, "accepted"))
        begun = trio.current_time()
        assert (await silent.end())["status"] == "timeout"
        assert 29 < trio.current_time() - begun < 32
        (error,) = await answers(orchestrator, result(silent, "done"))
        assert (error["code"], error["outcome"]["status"]) == ("gone", "timeout")
        await trio.sleep(3_600)
        assert working.outcome is None  # who accepts may take as long as it likes
        await answers(orchestrator, result(working, "done"))
        assert results(world) == ["accepted", "timeout", "done"]


async def test_without_an_orchestrator_nothing_is_kept(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.orchestrator(serves=("q",))
        gone = world.orchestrator(serves=("p",))
        await quiet()
        gone.end()
        with pytest.raises(Exception, match="no orchestrator takes commands") as refused:
            await command(world)
        assert getattr(refused.value, "code", None) == "no_orchestrator"
        assert world.store.appends == []


async def test_a_project_that_is_deleted_takes_its_commands_along(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p",))
        pending = await command(world)
        await world.hub.delete_project("p")
        assert pending.outcome == {"command_id": pending.id, "status": "cancelled"}
        (error,) = [
            one for one in await answers(orchestrator, result(pending, "done")) if one["type"] == "error"
        ]
        assert (error["code"], error["outcome"]["status"]) == ("gone", "cancelled")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"command_id": 5}, "command_id"),
        ({"command_id": "none"}, "command_id"),
        ({"status": "timeout"}, "status"),
        ({"status": None}, "status"),
        ({"message": 5}, "message"),
        ({"message": "x" * 4_097}, "message"),
    ],
)
async def test_a_bad_result_is_an_error_with_its_place_also_without_an_id(
    autojump_clock: MockClock, said: Json, field: str
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p",))
        pending = await command(world)
        orchestrator.received()
        errors = [
            one
            for one in await answers(orchestrator, {**result(pending, "done"), **said})
            if one["type"] == "error"
        ]
        assert [one["field"] for one in errors] == [field]
        assert pending.outcome is None


async def test_results_and_publishes_are_answered_in_the_order_sent(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p",))
        pending = await command(world)
        await answers(orchestrator)
        event = {**update("n", status="cancelled"), "project_id": "p"}
        publish = {"type": "publish", "id": 1, "events": [event]}
        said = await answers(orchestrator, publish, result(pending, "done", id=2), {**publish, "id": 3})
        assert [(one["type"], one["id"]) for one in said] == [("ack", 1), ("reply", 2), ("ack", 3)]
        assert [one["positions"][0]["seq"] for one in said if "positions" in one] == [2, 4]


@pytest.mark.parametrize(
    "kind", ["prompt", "prompt_resolved", "command", "command_result", "notifications_read"]
)
async def test_what_the_hub_says_itself_nobody_publishes(autojump_clock: MockClock, kind: str) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        event = {"type": kind, "project_id": "p", "data": {"prompt_id": "x", "command_id": "x"}}
        for message in ({"type": "publish", "id": 1, "events": [event]}, {**event, "id": 1}):
            (error,) = await answers(orchestrator, message)
            assert (error["code"], error["field"]) == ("invalid_event", "events[0].type")
        assert world.store.appends == []


async def test_a_result_that_waits_for_its_commit_holds_up_no_publish_and_is_answered_in_order(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x", serves=("p",))
        pending = await command(world)
        await answers(orchestrator)
        world.store.hold_appends()
        await world.submit("other", update("n"))
        await quiet()
        await world.submit("p", *(update("n"),) * 5)  # by turns alone the result's project comes late
        await quiet()
        before = len(world.store.appends)
        messages = [pushed(one, project) for one, project in enumerate(("q", "p", "r", "p"), 2)]
        said = await answers(orchestrator, result(pending, "done", id=1), *messages)
        assert said == []
        assert world.hub.committer.waiting == 7, "all are accepted while the store takes nothing"
        world.store.release_appends()
        await quiet()
        said = [one for one in orchestrator.received() if one["type"] != "command"]
        assert [(one["type"], one["id"]) for one in said] == [
            ("reply", 1),
            *(("ack", one) for one in range(2, 6)),
        ]
        lots = [[entry.project_id for entry in lot] for lot in world.store.appends[before:]]
        assert lots == [["other"], ["p", "p", "q", "p", "r", "p"]], "one commit takes them, in their order"


async def test_a_result_behind_one_that_is_not_committed_yet_holds_up_nothing_and_learns_what_stands(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x", serves=("p",))
        pending = await command(world)
        await answers(orchestrator)
        world.store.hold_appends()
        twice = (result(pending, "done", id=1), result(pending, "refused", id=2))
        assert await answers(orchestrator, *twice, result(pending, "accepted", id=3), pushed(4)) == []
        assert world.hub.committer.waiting == 2
        world.store.release_appends()
        reply, late, later, ack = await answers(orchestrator)
        assert [one["id"] for one in (reply, late, later, ack)] == [1, 2, 3, 4]
        for error in (late, later):
            assert (error["code"], error["outcome"]["status"]) == ("gone", "done")
        assert results(world) == ["done"]


async def test_a_result_whose_commit_fails_is_told_so_in_order_and_what_follows_it_fails_too(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x", serves=("p",))
        pending = await command(world)
        await answers(orchestrator)
        world.store.hold_appends()
        await answers(orchestrator, pushed(1), result(pending, "done", id=2), result(pending, "done", id=3))
        await answers(orchestrator, pushed(4))
        world.store.failing = True
        world.store.release_appends()
        said = await answers(orchestrator)
        assert [(one["id"], one["code"]) for one in said] == [
            (one, "store_unavailable") for one in range(1, 5)
        ]
        assert orchestrator.transport.close_read == (1013, "try again later")
        assert pending.outcome is None
        world.store.failing = False


async def test_a_drain_answers_a_result_and_the_publishes_behind_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x", serves=("p",))
        pending = await command(world)
        await answers(orchestrator)
        world.store.hold_appends()
        await answers(orchestrator, result(pending, "done", id=1), pushed(2), result(pending, "done", id=3))
        world.nursery.start_soon(world.hub.drain)
        await quiet()
        world.store.release_appends()
        said = await answers(orchestrator)
        assert [(one["type"], one.get("id")) for one in said] == [
            ("reply", 1),
            ("ack", 2),
            ("error", 3),
            ("draining", None),
        ]


def pushed(number: int, project: str = "p") -> Json:
    return {"type": "publish", "id": number, "events": [{"project_id": project, **update(f"n{number}")}]}
