"""Watching everything: one word for each project, then the reply; nothing left out, nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import Grants, Scope
from tasktree_rt.core.protocol import Subscribe
from tests.hub.sessions.test_watcher import answers, greeted, native
from tests.hub.world import World, a_world, update

ALL = {"type": "subscribe", "id": 9, "project_id": "*"}


def heads(said: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["type"], one.get("project_id"), one.get("seq")) for one in said]


async def three(world: World) -> dict[str, str]:
    """Projects a, b, c with 1, 2 and 3 events; their epochs."""
    for count, name in enumerate("abc", 1):
        await world.publish(name, *[update("n", a=value) for value in range(count)])
    return {name: world.hub.cache.get(name).epoch for name in "abc"}  # type: ignore[union-attr]


async def test_each_project_has_its_word_in_order_and_then_comes_the_reply(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        carried = await greeted(world)
        said = await answers(carried, ALL)
        assert heads(said) == [
            ("subscribed", "a", 1),
            ("subscribed", "b", 2),
            ("subscribed", "c", 3),
            ("reply", None, None),
        ]
        assert said[-1]["id"] == 9


async def test_projects_not_in_memory_are_opened_too(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        world.hub.cache._projects.clear()
        plainly = await answers(await greeted(world), ALL)
        assert heads(plainly)[:3] == [("subscribed", "a", 1), ("subscribed", "b", 2), ("subscribed", "c", 3)]
        assert len(world.hub.cache) == 0, "for that nobody need read them"
        whole = await answers(await greeted(world), {**ALL, "state": True})
        assert heads(whole)[:2] == [("subscribed", "a", 1), ("project_state", "a", 1)]


async def test_since_names_a_position_for_each_project(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        epochs = await three(world)
        since = {"b": f"{epochs['b']}:1", "c": "other:7", "never": "what:3"}
        said = await answers(await greeted(world), {**ALL, "since": since})
        assert heads(said) == [
            ("subscribed", "a", 0),  # not named: from the beginning
            ("node_update", "a", 1),
            ("subscribed", "b", 1),
            ("node_update", "b", 2),
            ("subscribed", "c", 3),
            ("project_state", "c", 3),
            ("subscribed", "never", 0),
            ("project_state", "never", 0),
            ("reply", None, None),
        ]
        assert [one["recovered"] for one in said if one["type"] == "subscribed"] == [True, True, False, False]


async def test_named_ones_that_are_gone_get_their_end_wherever_they_stand_in_the_order(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        epochs = await three(world)
        for name in "ac":
            await world.publish(name, {"type": "project_deleted"})
        since = {name: f"{epoch}:1" for name, epoch in epochs.items()}
        said = await answers(await greeted(world), {**ALL, "since": since})
        assert heads(said) == [
            ("subscribed", "a", 0),
            ("project_deleted", "a", 2),
            ("subscribed", "b", 1),
            ("node_update", "b", 2),
            ("subscribed", "c", 0),
            ("project_deleted", "c", 4),
            ("reply", None, None),
        ]


async def test_named_ones_that_one_may_not_watch_are_unsubscribed(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        epochs = await three(world)
        grants = Grants("anna", watch=Scope(("a",)))
        since = {name: f"{epochs[name]}:1" for name in "ab"}
        world.hub.cache._projects.clear()
        said = await answers(await greeted(world, grants=grants), {**ALL, "since": since})
        assert heads(said) == [
            ("subscribed", "a", 1),
            ("unsubscribed", "b", None),
            ("reply", None, None),
        ]
        assert world.hub.cache.get("b") is None, "nobody reads it for that"


async def test_a_name_overrides_everything_and_can_be_taken_out(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        carried = native(world, Subscribe("b"), Subscribe("*"))
        said = await answers(carried)
        assert [one[1] for one in heads(said) if one[0] == "subscribed"] == ["b", "a", "c"]
        await answers(carried, {"type": "unsubscribe", "project_id": "b"})
        for name in "abc":
            await world.publish(name, update("n", a=9))
        assert [one["project_id"] for one in await answers(carried)] == ["a", "c"]
        said = await answers(carried, {**ALL, "id": 10})
        assert [one[1] for one in heads(said) if one[0] == "subscribed"] == ["a", "b", "c"]
        await world.publish("b", update("n", a=10))
        assert [one["project_id"] for one in await answers(carried)] == ["b"]


async def test_projects_born_meanwhile_are_opened_or_simply_begin(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("b", update("n"))
        await world.publish("d", update("n"))
        carried = await greeted(world)
        carried.transport.allow(10)
        await answers(carried, {**ALL, "state": True})
        for name in "ace":
            await world.publish(name, update("n"))
        await world.publish("b", update("n", a=1))
        carried.transport.allow(None)
        said = await answers(carried)
        assert {one[1] for one in heads(said)} == {*"abcde", None}
        for name in "abcde":
            words = [one for one in heads(said) if one[1] == name]
            assert words[0][0] == "subscribed"
            assert max(seq for _, _, seq in words) == (2 if name == "b" else 1)


async def test_asking_again_before_the_end_answers_both(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        carried = await greeted(world)
        carried.transport.allow(10)
        await answers(carried, ALL, {**ALL, "id": 10, "state": True})
        carried.transport.allow(None)
        said = await answers(carried)
        assert [one["id"] for one in said if one["type"] == "reply"] == [9, 10]
        assert [one["project_id"] for one in said if one["type"] == "project_state"] == ["a", "b", "c"]


async def test_asking_again_for_everything_goes_on_where_each_project_stands(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await three(world)
        peer = world.peer()
        peer.connect()
        peer.subscribe("*", "state")
        await world.settle()
        peer.connection.transport.allow(60)
        peer.subscribe("*", "plain")
        await wait_all_tasks_blocked()
        for name in "cab":
            await world.publish(name, update("n", b=1))
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()
        assert all(course.has == course.at for course in peer.client.courses.values())


async def test_what_was_taken_out_comes_back_with_its_word_first(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        peer = world.peer()
        peer.connect(star=True)
        await world.settle()
        peer.ask("unsubscribe", "c")
        await world.settle()
        peer.connection.transport.allow(10)
        peer.subscribe("*", "state")
        await wait_all_tasks_blocked()
        await world.publish("c", update("n", b=1))
        peer.subscribe("*", "state")
        await wait_all_tasks_blocked()
        await world.publish("c", update("n", b=2))
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()


async def test_the_end_of_a_project_passed_in_silence_is_passed_in_silence(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        await world.publish("a", update("n"))
        for _ in range(40):
            world.plain()
        world.store.hold()
        last = world.peer()
        last.connect(star=True)
        await wait_all_tasks_blocked()
        await world.submit("a", {"type": "project_deleted"})
        while not world.hub.fanout.underway("a"):
            await trio.lowlevel.checkpoint()
        world.store.release()
        await world.settle()
        assert last.client.star is not None
        assert last.client.star.open
        assert not last.client.course("a").subscribed


async def test_a_store_that_fails_meanwhile_closes_1013(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await three(world)
        carried = await greeted(world)
        world.store.failing_reads = True
        await answers(carried, ALL)
        assert carried.transport.close_read == (1013, "try again later")
