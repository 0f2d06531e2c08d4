"""Compressed and plain readers of the same hub: each message is compressed once, and all read the same."""

from __future__ import annotations

from typing import Any

import pytest

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.settings import Compression, Settings
from tasktree_rt.settings import Execution as Timing
from tests.dialects.execution_golden import NAME, PROJECT
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, run, small, update

TEXT = "the same few words, " * 100
P = Subscribe("p")


class Counted:
    """Counts what a hub compresses."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[tuple[int, int]] = []
        monkeypatch.setattr(
            world.hub.compressor, "_count", lambda before, after: self.sizes.append((before, after))
        )

    def __len__(self) -> int:
        return len(self.sizes)


def settings(**more: Any) -> Settings:
    return Settings(execution=Timing(status_interval=0), compression=Compression(**more))


def test_an_event_is_compressed_once_for_all_who_take_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            counted = Counted(world, monkeypatch)
            await world.publish("p", update("a", text=TEXT))
            everybody = [world.plain(P, deflate=number % 3 > 0) for number in range(30)]
            peers = [world.peer(deflate=number % 2 > 0) for number in range(10)]
            for peer in peers:
                peer.connect(("p",))
            await world.settle()
            await world.publish("p", update("b", text=TEXT), update("c", progress=1))
            await world.settle()
            assert len(counted) == 1, "once, for two languages"
            heard = [one.received() for one in everybody]
            assert all(one == heard[0] for one in heard)
            assert [one["data"]["node_id"] for one in heard[0]] == ["b", "c"]
            assert [one.transport.packed for one in everybody] == [
                int(number % 3 > 0) for number in range(30)
            ]
            small_bytes = {one.session.subscriber.sent_bytes for one in everybody if one.transport.deflate}
            large_bytes = {
                one.session.subscriber.sent_bytes for one in everybody if not one.transport.deflate
            }
            assert max(small_bytes) < min(large_bytes) / 3
            for peer in peers:
                peer.is_current()

    run(body)


@pytest.mark.parametrize("why", ["nobody", "small", "high"])
def test_nothing_is_compressed_where_nothing_asks_for_it(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    async def body() -> None:
        async with a_world(settings(min_size=10_000 if why == "high" else 1_024)) as world:
            counted = Counted(world, monkeypatch)
            await world.publish("p", update("a"))
            watcher = world.plain(P, deflate=why != "nobody")
            await world.settle()
            await world.publish("p", update("b", text="short" if why == "small" else TEXT))
            await world.settle()
            assert len(watcher.received()) == 1
            assert not counted.sizes
            assert not watcher.transport.packed

    run(body)


def test_a_reader_that_gets_a_part_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket takes a few bytes of a compressed batch at a time; the connection is lost in between."""

    async def body(room: int) -> None:
        async with a_world(small(compression=Compression(min_size=1))) as world:
            await world.publish("p", update("a"))
            peers = [world.peer(policy, deflate=True) for policy in (Policy.CONFLATE, Policy.RESYNC)]
            for peer in peers:
                peer.connect(("p",))
            await world.settle()
            for peer in peers:
                peer.connection.transport.allow(room)
            for burst in range(12):
                await world.publish("p", *(update(f"n{burst}", text="word " * n) for n in (3, 30, 60)))
                await world.settle()
            for peer in peers:
                peer.connection.transport.allow(None)
            await world.settle()
            for peer in peers:
                peer.is_current()
                peer.drop()
                peer.connect(("p",))
            await world.settle()
            for peer in peers:
                peer.is_current()

    for room in (0, 1, 2, 50, 130, 700):
        run(lambda room=room: body(room))  # type: ignore[misc]


def test_an_outbox_counts_the_bytes_that_wait() -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            await world.publish("p", update("a"))
            watchers = [world.plain(P, room=0, deflate=deflate) for deflate in (True, False)]
            await world.settle()
            for _ in range(5):
                await world.publish("p", update("b", text=TEXT))
            packed, plain = (one.session.subscriber.outbox for one in watchers)
            assert packed.waiting == plain.waiting > 0
            assert packed.waiting_bytes < plain.waiting_bytes / 5
            for one in watchers:
                one.transport.allow(None)
            await world.settle()
            assert packed.waiting_bytes == plain.waiting_bytes == 0
            assert watchers[0].received() == watchers[1].received()

    run(body)


def test_states_and_what_is_resumed_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            counted = Counted(world, monkeypatch)
            for number in range(60):
                await world.publish("p", update(f"n{number}", text=TEXT))
            for how in ("state", "since"):
                counted.sizes.clear()
                peers = [world.peer(deflate=number < 4) for number in range(6)]
                for peer in peers:
                    peer.connect()
                    peer.subscribe("p", how)
                await world.settle()
                for peer in peers:
                    peer.is_current()
                parts = world.hub.cache.get("p").snapshot(0).parts  # type: ignore[union-attr]
                assert len(counted) == (parts if how == "state" else 60)
                assert {peer.connection.transport.packed > 0 for peer in peers[:4]} == {True}
                assert {peer.connection.transport.packed for peer in peers[4:]} == {0}

    run(body)


def execution(world: World, *, deflate: bool) -> Carried:
    session = ExecutionSession(world.hub, Execution(), NAME, nodes=True, logs=True, grants=OPEN)
    return Carried(session, world.nursery, deflate=deflate)


@pytest.mark.parametrize("first", [True, False])
def test_watchers_of_one_execution_share_its_messages(monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            counted = Counted(world, monkeypatch)
            await world.publish(PROJECT, update("a", status="running"))
            watchers = [execution(world, deflate=first ^ (number % 2 > 0)) for number in range(6)]
            await world.settle()
            await world.publish(PROJECT, update("b", title=TEXT), {"type": "log", "data": {"message": TEXT}})
            await world.settle()
            heard = [one.received() for one in watchers]
            assert all(one == heard[0] for one in heard)
            assert [one["type"] for one in heard[0]].count("log") == 1
            assert len(counted) == 2
            assert {one.transport.packed for one in watchers if one.transport.deflate} == {2}

    run(body)


def test_a_broadcast_and_the_end_of_a_project() -> None:
    async def body() -> None:
        async with a_world(settings(min_size=1)) as world:
            await world.publish("p", update("a"))
            watchers = [world.plain(deflate=deflate) for deflate in (True, False, True)]
            await world.settle()
            for one in watchers:
                one.received()
            world.hub.broadcast({"type": "hello", "data": {"text": TEXT}})
            world.hub.send_personal_message(watchers[0].session.subscriber.id, {"text": TEXT})
            for one in watchers:
                one.transport.allow(0)
            await world.publish("p", update("a", text=TEXT))
            await world.hub.delete_project("p")
            for one in watchers:
                one.transport.allow(None)
            await world.settle()
            heard = [one.received() for one in watchers]
            assert heard[0].pop(1) == {"text": TEXT}
            assert heard[0] == heard[1] == heard[2]
            assert [one["type"] for one in heard[0]] == ["hello", "node_update", "project_deleted"]
            assert [one.transport.packed for one in watchers] == [3, 0, 3]

    run(body)
