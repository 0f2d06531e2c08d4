"""The outbox of a socket: what goes out directly, what waits, what is finished when it closes."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tasktree_rt.core.close_codes import RESTART
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.base import text_frame
from tasktree_rt.dialects.tasktree import Native
from tasktree_rt.hub.resume.wildcard import WildcardSubscription
from tests.hub.transport import Carried
from tests.hub.world import Peer, World, a_world, update

PAD = "x" * 150


async def a_watcher(world: World, *, policy: Policy = Policy.CONFLATE, name: str = "p") -> Peer:
    peer = world.peer(policy)
    peer.connect()
    await world.publish("p", update("n", status="ready"))
    peer.subscribe(name, "state")
    await world.settle()
    return peer


async def stuff(world: World, events: int, pad: str = PAD) -> None:
    for value in range(events):
        await world.publish("p", update("n", progress=value, text=pad))


async def test_nothing_waiting_means_one_write_and_no_task(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        subscriber = peer.connection.session.subscriber
        writes, scopes = peer.connection.transport.writes, len(peer.connection.scopes)
        await world.publish("p", update("n"))
        await world.publish("p", update("n", a=1))
        assert peer.connection.transport.writes == writes + 2
        assert len(peer.connection.scopes) == scopes
        assert subscriber.idle
        assert (subscriber.outbox.waiting, subscriber.outbox.waiting_bytes) == (0, 0)


@pytest.mark.parametrize("room", range(0, 700, 37))
async def test_a_write_cut_anywhere_is_continued_where_it_was_cut(
    autojump_clock: MockClock, room: int
) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        peer.connection.transport.allow(room)
        await world.publish("p", *[update("n", progress=value) for value in range(6)])
        for _ in range(40):
            peer.connection.transport.allow(31)
            await world.settle()
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()
        assert not peer.connection.transport.unread


async def test_the_writer_ends_when_nothing_waits(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        idle = len(peer.connection.scopes)
        peer.connection.transport.allow(0)
        await stuff(world, 3)
        assert len(peer.connection.scopes) == idle + 1
        peer.connection.transport.allow(None)
        await world.settle()
        assert len(peer.connection.scopes) == idle
        peer.is_current()


async def test_a_socket_that_takes_nothing_for_stall_timeout_is_aborted(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        peer.connection.transport.allow(0)
        began = trio.current_time()
        await stuff(world, 1)
        transport = peer.connection.transport
        await trio.sleep(world.hub.settings.delivery.stall_timeout - 0.1)
        assert transport.fate() == "open"
        await trio.sleep(0.2)
        assert transport.fate() == "aborted"
        assert trio.current_time() - began < 10.5


async def test_a_byte_in_time_is_progress(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        peer.connection.transport.allow(0)
        await stuff(world, 1)
        for _ in range(20):
            await trio.sleep(9.5)
            peer.connection.transport.allow(1)
        assert peer.connection.transport.fate() == "open"


async def test_a_peer_that_acknowledges_bytes_is_not_aborted_though_its_socket_takes_none(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        transport = peer.connection.transport
        transport.allow(0)
        transport.on_the_way = 4_000_000
        await stuff(world, 1)
        for _ in range(20):
            await trio.sleep(9.5)
            transport.on_the_way -= 1
        assert transport.fate() == "open"
        await trio.sleep(2 * world.hub.settings.delivery.stall_timeout + 0.1)  # not at the same instant
        assert transport.fate() == "aborted"


async def test_closing_finishes_the_begun_frame_and_the_replies_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection = peer.connection
        connection.transport.allow(20)
        await world.publish("p", update("n", progress=1))
        await world.publish("p", update("n", progress=2))
        connection.send({"type": "ping", "id": 7})
        await trio.testing.wait_all_tasks_blocked()
        connection.session.close(RESTART, "bye")
        connection.session.close(RESTART, "again")
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        said = connection.received()
        assert [one["type"] for one in said] == ["node_update", "pong"]
        assert said[0]["data"]["changes"] == {"progress": 1}
        assert connection.transport.close_read == (1012, "bye")
        assert connection.session.subscriber.outbox.waiting_bytes == 0


async def test_nothing_is_written_behind_the_close_frame(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        peer.connection.session.close(RESTART)
        peer.connection.send({"type": "ping"})
        await stuff(world, 2)
        peer.connection.session.subscriber.say(text_frame(b"{}"))
        connection = peer.connection
        connection.received()
        await stuff(world, 1)
        assert connection.received() == []
        assert connection.transport.close_read == (1012, "service restart")


async def test_shutdown_follows_when_the_frame_layer_has_said_its_end(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection = peer.connection
        connection.transport.allow(0)
        await stuff(world, 1)
        connection.session.control(b"\x88\x02\x03\xe8")
        connection.session.control(b"")
        assert connection.transport.fate() == "open"
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        assert connection.transport.fate() == "shut"
        connection.received()
        assert connection.transport.close_read == (1000, "")


async def test_a_peer_that_only_half_closes_is_let_go_with_what_is_begun(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection = peer.connection
        connection.session.control(b"")
        assert connection.transport.fate() == "shut"
        await stuff(world, 1)
        assert connection.received() == []


async def test_a_pong_waits_its_turn_and_never_stands_inside_a_frame(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection = peer.connection
        connection.transport.allow(10)
        await stuff(world, 1)
        connection.session.control(b"\x8a\x00")
        connection.transport.allow(None)
        await world.settle()
        assert not connection.transport.unread
        peer.is_current()


async def test_of_many_pongs_only_so_many_wait(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        peer.connection.transport.allow(0)
        for _ in range(1_000):
            peer.connection.session.control(b"\x8a\x00")
        assert peer.connection.session.subscriber.outbox.waiting <= 64


async def test_reading_stops_while_replies_crowd_and_goes_on_after(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection = peer.connection
        connection.transport.allow(0)
        for number in range(150):
            connection.send({"type": "ping", "id": number})
        await trio.testing.wait_all_tasks_blocked()
        assert connection.session.subscriber.outbox.waiting <= 65
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        assert [one["id"] for one in connection.received()] == list(range(150))


async def test_opening_hundreds_of_projects_does_not_recurse_and_keeps_every_frame_whole(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        for number in range(400):
            await world.publish(f"p{number:03}", update("n", text=PAD))
        peer = world.peer()
        peer.connect(star=True, room=100)
        while peer.client.star is None or not peer.client.star.open:
            peer.connection.transport.allow(777)
            await world.settle()
        assert [name for name, one in peer.client.courses.items() if one.subscribed] == [
            f"p{number:03}" for number in range(400)
        ]


async def test_disconnect_says_the_position_and_loses_nothing_before_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world, policy=Policy.DISCONNECT)
        connection = peer.connection
        connection.transport.allow(200)
        await stuff(world, 30)
        assert connection.session.subscriber.closing
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        for message in connection.received():
            peer.client.take(message)
        at = peer.client.course("p").at
        assert at is not None
        assert connection.transport.close_read == (4008, f"slow consumer {at[0]}:{at[1]}")
        peer.drop()
        peer.connect(["p"])
        await world.settle()
        peer.is_current()


async def test_a_fault_in_a_catch_up_closes_1011_and_nobody_else(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        peer, other = await a_watcher(world), await a_watcher(world)
        peer.connection.transport.allow(0)
        await stuff(world, 30)

        def fail(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(type(world.hub.cache.get("p").tree), "since", fail)  # type: ignore[union-attr]
        connection = peer.connection
        connection.transport.allow(None)
        await trio.testing.wait_all_tasks_blocked()
        connection.received()
        assert connection.transport.close_read == (1011, "internal error")
        assert world.faults == ["outbox: RuntimeError('a bug')"]
        world.faults.clear()
        other.read()
        other.is_current()


async def test_a_broken_socket_ends_the_writer_quietly(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = await a_watcher(world)
        connection: Carried = peer.connection
        connection.transport.allow(0)
        await stuff(world, 1)
        connection.transport.abort()
        await trio.testing.wait_all_tasks_blocked()
        assert connection.session.subscriber.closing
        await stuff(world, 1)


async def test_what_is_counted_is_what_was_sent(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        peer = world.peer()
        peer.connect(room=50)
        peer.subscribe("p", "state")
        await stuff(world, 4, pad="y")
        for _ in range(30):
            await world.settle()
            peer.connection.transport.allow(90)
        transport = peer.connection.transport
        transport.allow(None)
        sent = 0
        while True:
            await trio.testing.wait_all_tasks_blocked()
            more = len(peer.connection.received())
            if not more:
                break
            sent += more
        subscriber = peer.connection.session.subscriber
        assert subscriber.sent_bytes == transport.taken
        assert json.dumps(subscriber.outbox.waiting) == "0"
        assert subscriber.sent_messages >= sent


async def test_a_catch_up_that_begins_another_while_it_is_asked_begins_no_second_write(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        for number in range(300):
            await world.publish(f"p{number:03}", update("n"))
        carried = world.plain(Subscribe("none"))
        carried.session.subscriber.dialect = Native()
        await trio.testing.wait_all_tasks_blocked()
        carried.received()
        subscriber = carried.session.subscriber
        opening = WildcardSubscription(
            world.hub.subscriptions, subscriber, (), since=None, state=True, request=1, max_replay=10
        )
        while opening._more:
            await opening.fetch()
        subscriber.set_wildcard(opening)
        await trio.testing.wait_all_tasks_blocked()
        said = [one.get("project_id") for one in carried.received()]
        assert said == [name for number in range(300) for name in [f"p{number:03}"] * 2] + [None]
