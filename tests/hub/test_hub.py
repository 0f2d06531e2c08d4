"""The hub as a whole: what it refuses, how it drains and starts again (its API: test_embedding)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import (
    Draining,
    Subscribed,
)
from tasktree_rt.errors import PeerError, Refused, Unavailable
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.settings import Limits, Settings
from tests.hub.sessions.test_watcher import answers, greeted
from tests.hub.world import STAMP, Store, World, a_world, made, small, update


def epoch_of(world: World, name: str) -> str:
    project = world.hub.cache.get(name)
    assert project is not None
    return project.epoch


async def test_publish_returns_a_position_for_each_event(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        published = await world.hub.publish(made("p", update("n"), update("m")))
        epoch = epoch_of(world, "p")
        assert published.positions == [Position(epoch, 1), Position(epoch, 2)]
        one = await world.hub.publish(Event("log", ProjectId("p"), {"level": "info", "message": "m"}, STAMP))
        assert one.positions == [Position(epoch, 3)]


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([], "invalid_event"),
        (made("p", update("n")) + made("q", update("n")), "mixed_projects"),
        (made("p", {"type": "project_deleted"}, update("n")), "invalid_event"),
        ([Event("x", None, {}, STAMP)], "invalid_project_id"),
        (made("p", *[update("n")] * 4), "too_large"),
    ],
)
async def test_what_cannot_be_published_is_refused(
    autojump_clock: MockClock, events: list[Event], code: str
) -> None:
    async with a_world(Settings(limits=Limits(max_events_per_publish=3))) as world:
        with pytest.raises(PeerError) as caught:
            await world.hub.publish(events)
        assert caught.value.code == code


async def test_no_more_projects_than_the_limit(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_projects=2))) as world:
        world.store.hold_appends()
        await world.submit("a", update("n"))
        await world.submit("b", update("n"))
        with pytest.raises(Refused) as caught:
            await world.submit("c", update("n"))
        assert caught.value.code == "project_full"
        world.store.release_appends()
        await world.publish("a", {"type": "project_deleted"})
        await world.publish("c", update("n"))
        assert world.hub.health.stored_projects == 2


async def test_the_end_of_a_project_reaches_a_reader_whose_outbox_is_full(autojump_clock: MockClock) -> None:
    async with a_world(small()) as world:
        await world.publish("p", update("n"))
        async with world.hub.subscribe() as messages:
            await anext(messages)
            await anext(messages)
            for number in range(16):
                await world.publish(f"x{number}", update("n"))
            await world.publish("p", {"type": "project_deleted"})
            while not (isinstance(one := await anext(messages), Events) and one.project_id == "p"):
                pass
            assert one.records[-1].type == "project_deleted"


async def test_reading_what_is_there_lets_others_run_and_loses_nothing_when_cancelled(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world, world.hub.subscribe("p") as messages:
        await anext(messages)
        await world.publish("p", update("n", a=1))
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(messages)
        assert scope.cancelled_caught


async def test_draining_refuses_publishes_and_tells_everybody_once(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        native, plain = await greeted(world), world.plain()
        async with world.hub.subscribe("p") as messages:
            await anext(messages)
            await world.hub.drain()
            assert isinstance(await anext(messages), Draining)
            with pytest.raises(StopAsyncIteration):
                await anext(messages)
        assert [one["type"] for one in await answers(native)] == ["draining"]
        assert await answers(plain) == []
        assert native.transport.close_read == plain.transport.close_read == (1012, "service restart")
        with pytest.raises(Unavailable) as caught:
            await world.publish("p", update("n"))
        assert caught.value.code == "draining"
        late = world.plain()
        late.received()
        assert late.transport.close_read == (1012, "service restart")


async def test_a_drain_does_not_wait_for_a_stalled_peer_or_a_stuck_store_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        stalled = world.plain(room=0)
        await world.publish("p", update("n"))
        world.store.hold_appends()
        await world.submit("p", update("n"))
        began = trio.current_time()
        await world.hub.drain()
        assert trio.current_time() - began <= world.hub.settings.drain.timeout
        assert stalled.session.subscriber.closing


async def test_a_restart_on_the_same_store_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    store = Store()
    async with a_world(store=store) as world:
        for value in range(30):
            await world.publish("p", update(f"n{value % 3}", a=value))
        position = world.hub.cache.get("p").position  # type: ignore[union-attr]
    async with a_world(store=store) as world:
        assert world.hub.health.stored_projects == 1
        async with world.hub.subscribe("p", since=Position(position.epoch, 10)) as messages:
            assert await anext(messages) == Subscribed("p", Position(position.epoch, 10), True)
            events = await anext(messages)
            assert isinstance(events, Events)
            assert [one.seq for one in events.records] == list(range(11, 31))
        published = await world.publish("p", update("n0", b=1))
        assert published.positions == [Position(position.epoch, 31)]
        assert world.hub.cache.get("p").tree.fields("n0") == {"a": 27, "b": 1}  # type: ignore[union-attr]
