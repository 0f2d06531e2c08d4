"""The tick: subscribing, going on and leaving at every point of it, and what one bad subscriber costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.hub.delivery import fanout
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.socket_subscriber import SocketSubscriber
from tests.hub.delivery.test_heartbeat_schedule import beat_now
from tests.hub.world import Peer, World, a_world, run, update

EVENTS = 3


@pytest.fixture(autouse=True)
def one_offer_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 1)


async def in_the_middle(world: World, turns: int, do: Callable[[], None], last: Peer) -> None:
    """Publish to `last` and many others, and `do` something after so many turns of the tick."""
    before = world.hub.fanout.ticks
    for value in range(EVENTS):
        await world.submit("p", update("n", progress=value))
    for _ in range(turns):
        await trio.lowlevel.checkpoint()
        last.read()
    do()
    await world.settle()
    assert world.hub.fanout.ticks > before


@pytest.mark.parametrize("how", ["plain", "state", "since"])
@pytest.mark.parametrize("known", [False, True])
def test_a_subscription_at_every_point_of_a_tick_has_no_gap_and_no_event_twice(how: str, known: bool) -> None:
    async def body(turns: int) -> None:
        async with a_world() as world:
            await world.publish("p", update("n", status="ready"))
            others = [world.peer() for _ in range(3)]
            peer = world.peer()
            for one in (*others, peer):
                one.connect()
            for one in (*others, *([peer] if known else [])):
                one.subscribe("p", "state")
            await world.settle()
            await in_the_middle(world, turns, lambda: peer.subscribe("p", how), peer)
            peer.is_current()
            await world.publish("p", update("n", progress=99))
            await world.settle()
            for one in (*others, peer):
                one.is_current()

    for turns in range(14):
        run(lambda turns=turns: body(turns))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["p", "*"])
def test_nothing_comes_after_the_answer_to_unsubscribe(name: str) -> None:
    async def body(turns: int) -> None:
        async with a_world() as world:
            await world.publish("p", update("n", status="ready"))
            peers = [world.peer() for _ in range(4)]
            for one in peers:
                one.connect()
                one.subscribe(name, "state")
            await world.settle()
            last = peers[-1]
            await in_the_middle(world, turns, lambda: last.ask("unsubscribe", name), last)
            assert not last.client.course("p").subscribed
            last.subscribe("p", "since")
            await world.settle()
            last.is_current()

    for turns in range(12):
        run(lambda turns=turns: body(turns))  # type: ignore[misc]


async def test_a_heartbeat_in_the_middle_of_a_tick_claims_nothing_that_is_not_there(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", status="ready"))
        peers = [world.peer() for _ in range(4)]
        for one in peers:
            one.connect()
            one.subscribe("p", "state")
        await world.settle()
        beaten = 0
        for _ in range(20):
            await world.submit("p", update("n", progress=1))
            for _ in range(10):
                await trio.lowlevel.checkpoint()
                if world.hub.fanout.underway("p"):
                    beaten += 1
                    for one in peers:
                        beat_now(one.connection)
                world.read()
        assert beaten > 10


async def test_everybody_else_runs_between_the_slices(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        plain = [world.plain() for _ in range(10)]
        progress: set[int] = set()
        await world.submit("p", update("n", progress=1))
        while not all(one.transport.taken for one in plain):
            progress.add(sum(one.transport.taken > 0 for one in plain))
            await trio.lowlevel.checkpoint()
        assert len(progress) > 3, "who ran meanwhile saw it advance"


def failing_for(broken: SocketSubscriber) -> Callable[[SocketSubscriber, Batch], None]:
    right = SocketSubscriber.offer

    def offer(subscriber: SocketSubscriber, batch: Batch) -> None:
        if subscriber is broken:
            raise RuntimeError("a bug")
        right(subscriber, batch)

    return offer


async def test_a_subscriber_that_breaks_is_closed_and_the_others_get_their_events(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        first, broken, last = (world.plain() for _ in range(3))
        broken.transport.allow(0)  # a socket that takes all is not offered anything, but written to
        monkeypatch.setattr(SocketSubscriber, "offer", failing_for(broken.session.subscriber))
        await world.publish("p", update("n", progress=1))
        broken.transport.allow(None)
        await world.settle()
        assert [len(one.received()) for one in (first, last)] == [1, 1]
        broken.received()
        assert broken.transport.close_read == (1011, "internal error")
        assert world.faults == ["fanout: RuntimeError('a bug')"]
        world.faults.clear()


async def test_a_tick_gives_each_watcher_one_write_for_a_project(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        watcher = world.plain()
        before = watcher.transport.writes
        world.store.hold_appends()
        for value in range(10):
            await world.submit("p", update("n", progress=value))
        world.store.release_appends()
        await world.settle()
        assert [one["seq"] for one in watcher.received()] == list(range(2, 12))
        # The committer takes the first publish alone, the others in one lot.
        assert watcher.transport.writes - before <= 2


async def test_one_tick_may_end_a_life_and_begin_the_next(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = world.peer()
        peer.connect()
        peer.subscribe("p", "state")
        await world.publish("p", update("n"))
        await world.settle()
        world.store.hold_appends()
        await world.submit("p", update("n", a=1), {"type": "project_deleted"})
        await world.submit("p", update("m", b=1))
        await world.submit("p", {"type": "project_deleted"})
        await world.submit("p", update("o", c=1))
        world.store.release_appends()
        await world.settle()
        peer.is_current()
        assert list(peer.client.course("p").tree.nodes) == ["o"]


async def test_a_session_that_ended_in_the_middle_of_a_tick_is_not_written_to(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        watchers = [world.plain() for _ in range(4)]
        await world.submit("p", update("n", progress=1))
        while not world.hub.fanout.underway("p"):
            await trio.lowlevel.checkpoint()
        last = watchers[-1]
        last.end()
        last.transport.aborted = False  # as if the number of the socket were somebody else's now
        writes = last.transport.writes
        await world.settle()
        assert last.transport.writes == writes
