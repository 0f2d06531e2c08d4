"""An orchestrator's answers where order is hard to keep: ticks, copies elsewhere, refusals, a drain."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import Grants, Scope
from tasktree_rt.hub.delivery import fanout
from tasktree_rt.settings import Settings
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, small, update

Message = dict[str, Any]


def pushed(number: object, *events: Message, project: str = "p") -> Message:
    named = [{"project_id": project, **event} for event in events]
    return {"type": "publish", "id": number, "events": named}


def brief(said: list[Message]) -> list[tuple[object, ...]]:
    """What an answer comes to: its id, and the seqs or the error's code."""
    return [
        (one.get("id"), [place["seq"] for place in one["positions"]])
        if one["type"] == "ack"
        else (one.get("id"), one.get("code", one["type"]))
        for one in said
    ]


async def answers(carried: Carried, *messages: object) -> list[Message]:
    for message in messages:
        carried.send(message)
    await wait_all_tasks_blocked()
    return carried.received()


def head(world: World, project: str = "p") -> int:
    found = world.hub.cache.get(project)
    return 0 if found is None else found.tree.head


async def test_the_acks_of_a_tick_go_out_in_one_write_behind_every_hand_over(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE", 1)
    async with a_world() as world:
        await world.publish("p", update("n"))
        watchers = [world.plain() for _ in range(5)]
        carried = world.orchestrator("x")
        world.store.hold_appends()
        assert await answers(carried, *(pushed(one, update("n", a=one)) for one in range(6))) == []
        world.store.release_appends()
        answered, handed = 0, [0] * len(watchers)
        while answered < 6:
            await trio.lowlevel.checkpoint()
            answered += len(carried.received())
            handed = [had + len(one.received()) for had, one in zip(handed, watchers, strict=True)]
            assert answered <= min(handed)
        assert carried.transport.writes == 2, "one publish was at the store alone, the others together"


async def test_a_copy_on_another_connection_waits_for_the_outcome(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        first, second = world.orchestrator("x"), world.orchestrator("x")
        world.store.hold_appends()
        await answers(first, pushed(1, update("n", a=1)))
        assert await answers(second, pushed(1, update("n", a=1)), pushed(1, update("n", a=2))) == []
        world.store.release_appends()
        [ack] = await answers(first)
        copy, conflict = await answers(second)
        assert copy == {**ack, "duplicate": True}
        assert (conflict["code"], conflict["field"], conflict["id"]) == ("idempotency_conflict", "id", 1)
        assert head(world) == 2


async def test_a_copy_of_one_that_fails_fails_too_and_neither_is_known(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        first, second = world.orchestrator("x"), world.orchestrator("x")
        world.store.hold_appends()
        for carried in (first, second):
            await answers(carried, pushed(1, update("n")))
        world.store.failing = True
        world.store.release_appends()
        for carried in (first, second):
            assert brief(await answers(carried)) == [(1, "store_unavailable")]
            assert carried.transport.close_read == (1013, "try again later")
        world.store.failing = False
        await trio.sleep(5)
        [ack] = await answers(world.orchestrator("x"), pushed(1, update("n")))
        assert (ack["duplicate"], head(world)) == (False, 1)


async def test_an_event_of_a_type_called_ping_is_an_event(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        carried = world.orchestrator()
        assert brief(await answers(carried, {"type": "ping", "project_id": "p", "id": 1})) == [(1, [1])]
        assert await answers(carried, {"type": "ping"}) == [{"type": "pong"}]


async def test_reading_pauses_at_64_unacked_and_at_4_mib_if_nothing_else_is_set(
    autojump_clock: MockClock,
) -> None:
    line = {"type": "log", "data": {"level": "info", "message": "x" * 900_000}}
    for event, sent, read in ((update("n"), 70, 64), (line, 7, 5)):
        async with a_world(Settings()) as world:
            carried = world.orchestrator("x")
            world.store.hold_appends()
            assert await answers(carried, *(pushed(one, event) for one in range(sent))) == []
            assert world.hub.committer.waiting == read
            world.store.release_appends()
            await world.settle()
            assert brief(await answers(carried)) == [(one, [one + 1]) for one in range(sent)]


async def test_after_one_that_is_overloaded_a_later_one_is_refused_though_there_is_room(
    autojump_clock: MockClock,
) -> None:
    async with a_world(small(limits={"max_waiting_publishes": 2})) as world:
        await world.publish("p", update("n"))
        carried = world.orchestrator("x")
        world.store.hold_appends()
        await world.submit("q", update("n"))
        await wait_all_tasks_blocked()
        await answers(carried, pushed(1, update("n", a=1)), pushed(2, update("n", a=2)))
        world.store.release_appends()
        world.store.hold_appends()  # so that one lot gets through
        await wait_all_tasks_blocked()
        assert world.hub.committer.waiting == 1
        assert await answers(carried, pushed(3, update("n", a=3))) == []
        world.store.release_appends()
        assert brief(await answers(carried)) == [(1, [2]), (2, "overloaded"), (3, "overloaded")]
        assert carried.transport.close_read == (1013, "try again later")
        assert head(world) == 2


async def test_a_publish_that_still_looks_at_the_store_when_the_drain_begins_is_answered(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        carried = world.orchestrator("x")
        world.store.hold_appends()
        await world.submit("q", update("n"))
        world.store.hold()
        await answers(carried, pushed(1, update("n")))
        world.nursery.start_soon(world.hub.drain)
        await wait_all_tasks_blocked()
        world.store.release()
        assert await answers(carried) == []
        world.store.release_appends()
        assert brief(await answers(carried)) == [(1, [1]), (None, "draining")]
        assert carried.transport.close_read == (1012, "service restart")


async def test_grants_may_name_projects_by_their_beginning(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        carried = world.orchestrator("x", Grants("s", push=Scope(("mine", "our-*"))))
        said = await answers(
            carried,
            pushed(1, update("n"), project="mine-too"),
            pushed(2, update("n"), project="mine"),
            pushed(3, update("n"), project="our-x"),
            pushed(4, update("n") | {"project_id": "mine"}, update("n") | {"project_id": "theirs"}),
        )
        assert brief(said) == [(1, "forbidden"), (2, [1]), (3, [1]), (4, "forbidden")]
        assert await world.store.count_projects() == 2
