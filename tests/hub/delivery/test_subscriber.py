"""Slow readers: what an outbox may hold, what is shed, and that nobody else notices."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tasktree_rt.core.protocol import Policy
from tasktree_rt.settings import Delivery, Limits, Settings
from tests.hub.world import Peer, World, a_world, small, update

PAD = "x" * 100


async def watching(world: World, policy: Policy, projects: int) -> Peer:
    peer = world.peer(policy)
    peer.connect()
    for number in range(projects):
        peer.subscribe(f"p{number}", "state")
    await world.settle()
    return peer


@pytest.mark.parametrize("policy", [Policy.CONFLATE, Policy.RESYNC])
async def test_however_much_is_published_a_stalled_reader_costs_no_more_than_its_bounds(
    autojump_clock: MockClock, policy: Policy
) -> None:
    async with a_world() as world:
        stalled = [await watching(world, policy, 5) for _ in range(50)]
        healthy = await watching(world, policy, 5)
        for one in stalled:
            one.connection.transport.allow(0)
        delivery = world.hub.settings.delivery
        for turn in range(200):
            await world.publish(f"p{turn % 5}", *[update(f"n{turn}", text=PAD, a=a) for a in range(3)])
            healthy.read()
            assert healthy.connection.session.subscriber.idle, "it gets everything at once"
            for one in stalled:
                subscriber = one.connection.session.subscriber
                assert subscriber.outbox.waiting <= delivery.outbox_messages
                assert subscriber.outbox.waiting_bytes <= delivery.outbox_bytes
                assert len(subscriber.feeds.special_names) <= 5
        healthy.is_current()
        for one in stalled:
            assert one.connection.session.subscriber.sheds > 0
            one.connection.transport.allow(None)
        await world.settle()
        for one in stalled:
            one.is_current()


async def test_fifty_stalled_readers_delay_a_healthy_one_by_nothing(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        stalled = [await watching(world, Policy.CONFLATE, 1) for _ in range(50)]
        healthy = await watching(world, Policy.CONFLATE, 1)
        for one in stalled:
            one.connection.transport.allow(0)
        began = trio.current_time()
        for value in range(100):
            await world.publish("p0", update("n", progress=value, text=PAD))
        assert trio.current_time() == began
        healthy.read()
        healthy.is_current()
        await trio.sleep(11)
        assert {one.connection.transport.fate() for one in stalled} == {"aborted"}
        assert healthy.connection.transport.fate() == "open"


async def test_only_the_project_that_does_not_fit_is_shed(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await watching(world, Policy.CONFLATE, 2)
        peer.connection.transport.allow(0)
        await world.publish("p1", update("quiet", a=1))
        for value in range(30):
            await world.publish("p0", update("loud", progress=value))
        subscriber = peer.connection.session.subscriber
        assert "p0" in subscriber.feeds.positions()
        assert "p1" not in subscriber.feeds.positions()
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()


async def test_a_laggard_gets_one_message_for_all_it_missed(autojump_clock: MockClock) -> None:
    settings = Settings(
        limits=Limits(max_message_size=100_000), delivery=Delivery(outbox_messages=16, outbox_bytes=200_000)
    )
    async with a_world(settings) as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        await world.publish("p0", update("n", a=0))
        peer.read()
        connection = peer.connection
        connection.transport.allow(0)
        for value in range(500):
            await world.publish("p0", update("n", a=value))
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        said = connection.received()
        *handed_over, step = said
        assert [one["type"] for one in handed_over] == ["node_update"] * len(handed_over)
        assert len(handed_over) <= 16
        assert (step["type"], step["after"], step["seq"]) == ("conflated", len(handed_over) + 1, 501)
        assert step["nodes"] == [{"node_id": "n", "a": 499}]
        for message in said:
            peer.client.take(message)
        peer.is_current()


async def test_resync_gives_the_whole_state(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await watching(world, Policy.RESYNC, 1)
        await world.publish("p0", update("n", a=0))
        peer.read()
        connection = peer.connection
        connection.transport.allow(0)
        for value in range(40):
            await world.publish("p0", update("n", a=value))
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        said = connection.received()
        *handed_over, state = said
        assert [one["type"] for one in handed_over] == ["node_update"] * len(handed_over)
        assert (state["type"], state["reason"], state["seq"]) == ("project_state", "shed", 41)


async def test_the_policy_of_a_subscription_overrides_the_connections(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = world.peer(Policy.CONFLATE)
        peer.connect()
        peer.subscribe("p0", "state", "disconnect")
        await world.settle()
        peer.connection.transport.allow(0)
        for value in range(40):
            await world.publish("p0", update("n", a=value))
        assert peer.connection.session.subscriber.close_code == 4008


async def test_an_end_replaces_what_waits_of_its_project(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        await world.publish("p0", update("n"))
        peer.read()
        connection = peer.connection
        connection.transport.allow(0)
        for value in range(5):
            await world.publish("p0", update("n", a=value))
        await world.publish("p0", {"type": "project_deleted"})
        assert connection.session.subscriber.outbox.waiting == 1
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        assert [one["seq"] for one in connection.received()] == [2, 7], "what was begun, and the end"


async def test_hundreds_of_ends_do_not_cost_a_stalled_reader_its_connection(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        for number in range(300):
            await world.publish(f"p{number:03}", update("n"))
        peer = world.peer()
        peer.connect(star=True)
        for _ in range(3):
            await world.settle()
        peer.connection.transport.allow(0)
        for number in range(300):
            await world.publish(f"p{number:03}", {"type": "project_deleted"})
        subscriber = peer.connection.session.subscriber
        assert subscriber.outbox.waiting <= world.hub.settings.delivery.outbox_messages
        peer.connection.transport.allow(None)
        await world.settle()
        assert all(not one.tree.nodes for one in peer.client.courses.values())


async def test_broadcasts_to_a_stalled_reader_are_bounded_too(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        peer.connection.transport.allow(0)
        subscriber = peer.connection.session.subscriber
        most = 0
        for _ in range(500):
            world.hub.broadcast({"type": "news", "data": {"text": PAD}})
            most = max(most, subscriber.outbox.waiting_bytes)
        assert most <= 4 * world.hub.settings.delivery.outbox_bytes
        assert subscriber.close_code == 4008


async def test_a_lagging_project_goes_on_where_it_stands_when_it_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    async with a_world(small()) as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        peer.connection.transport.allow(0)
        for value in range(40):
            await world.publish("p0", update("n", a=value))
        peer.subscribe("p0", "plain")
        peer.subscribe("p0", "plain", "resync")
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()


async def test_the_bound_on_messages_holds_where_bytes_would_do(autojump_clock: MockClock) -> None:
    settings = Settings(delivery=Delivery(outbox_messages=16))
    async with a_world(settings) as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        peer.connection.transport.allow(0)
        subscriber = peer.connection.session.subscriber
        for value in range(40):
            await world.publish("p0", update("n", a=value))
            assert subscriber.outbox.waiting <= 16
        assert subscriber.sheds == 1


async def test_what_is_left_of_a_group_half_handed_over_is_dropped_with_the_rest(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.socket_subscriber.CHUNK", 256)
    async with a_world(Settings(delivery=Delivery(outbox_messages=16))) as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        await world.publish("p0", update("n"))
        peer.read()
        connection = peer.connection
        connection.transport.allow(0)
        await world.publish("p0", *[update("n", a=value) for value in range(10)])
        await trio.testing.wait_all_tasks_blocked()
        for value in range(10, 30):
            await world.publish("p0", update("n", a=value))
        assert "p0" in connection.session.subscriber.feeds.positions()
        assert (
            connection.session.subscriber.outbox.waiting,
            connection.session.subscriber.outbox.waiting_bytes,
        ) == (0, 0)
        connection.transport.allow(None)
        await world.settle()
        peer.is_current()


async def test_an_end_that_waits_does_not_stand_for_more_than_was_handed_over(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        peer = await watching(world, Policy.CONFLATE, 1)
        await world.publish("p0", update("n"))
        await world.settle()
        connection = peer.connection
        connection.transport.allow(0)
        for value in range(4):
            await world.publish("p0", update("n", a=value))
        await world.publish("p0", update("n", a=9), {"type": "project_deleted"})
        peer.subscribe("p0", "plain")
        await trio.testing.wait_all_tasks_blocked()
        connection.transport.allow(None)
        await world.settle()  # the client compares where it goes on with where it is
        peer.is_current()
