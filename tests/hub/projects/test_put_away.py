"""Projects that are put away and loaded again while people watch: nobody may notice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.protocol import Policy
from tasktree_rt.errors import PeerError, Unavailable
from tasktree_rt.hub.delivery import fanout
from tasktree_rt.hub.projects import cache as shelf
from tasktree_rt.hub.projects import loading, shared_snapshot
from tasktree_rt.settings import Keep
from tests.hub.world import Peer, World, a_world, run, small, update

PROJECTS = ("a", "b", "c")
names = st.sampled_from(PROJECTS)
who = st.integers(0, 2)
events = st.one_of(
    st.builds(lambda node, value: update(node, a=value), st.sampled_from("xyz"), st.integers(0, 9)),
    st.builds(lambda node: update(node, text="t" * 200), st.sampled_from("xyz")),
    st.builds(lambda node: update(node, deleted=True), st.sampled_from("xyz")),
    st.just({"type": "project_deleted", "data": {}}),
)
steps = st.one_of(
    st.tuples(st.just("publish"), names, events),
    st.tuples(st.just("publish"), names, events),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("drop"), who),
    st.tuples(st.just("subscribe"), who, names, st.sampled_from(("plain", "state", "since"))),
    st.tuples(st.just("unsubscribe"), who, names),
    st.tuples(st.just("room"), who, st.sampled_from((0, 60, None))),
    st.tuples(st.just("checkpoint"), names),
    st.tuples(st.just("hold")),
    st.tuples(st.just("release")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("mend")),
    st.tuples(st.just("turns"), st.integers(0, 6)),
)


@pytest.fixture(autouse=True)
def nothing_idle_stays() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "LOADED", 0)
        patch.setattr(loading, "OLDER", 3)
        patch.setattr(fanout, "SLICE", 1)
        patch.setattr(shared_snapshot, "PART_BYTES", 100)
        yield


class Play:
    """Carries out the steps; the third peer watches everything."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keeper = world.hub.retention
        self.number = itertools.count()
        self.peers = [world.peer(policy) for policy in (Policy.CONFLATE, Policy.DISCONNECT, Policy.RESYNC)]

    def connected(self, index: int) -> Peer:
        peer = self.peers[index]
        if peer.carried is None:
            known = [name for name in PROJECTS if peer.client.since(name) is not None]
            peer.connect(known if index != 2 else (), star=index == 2)
        return peer

    async def on_publish(self, name: str, event: dict[str, Any]) -> None:
        self.world.nursery.start_soon(self.publish, name, event)

    async def publish(self, name: str, event: dict[str, Any]) -> None:
        with suppress(Unavailable):
            await self.world.publish(name, event, key=Key("", f"x{next(self.number)}", "1"))

    async def on_sweep(self) -> None:
        self.world.hub.idle_projects.let_go()
        await self.keeper.sweep()

    async def on_drop(self, index: int) -> None:
        self.peers[index].drop()

    async def on_subscribe(self, index: int, name: str, how: str) -> None:
        self.connected(index).subscribe(name, how)

    async def on_unsubscribe(self, index: int, name: str) -> None:
        self.connected(index).ask("unsubscribe", name)

    async def on_room(self, index: int, room: int | None) -> None:
        self.connected(index).connection.transport.allow(room)

    async def on_checkpoint(self, name: str) -> None:
        found = self.world.hub.cache.get(name)
        if found is not None and found.epoch:
            await self.world.hub.checkpoints.save(found)

    async def on_hold(self) -> None:
        self.world.store.hold()

    async def on_release(self) -> None:
        self.world.store.release()

    async def on_fail(self) -> None:
        self.world.store.failing = True

    async def on_mend(self) -> None:
        self.world.store.failing = False
        await trio.sleep(2.5)

    async def on_turns(self, turns: int) -> None:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
            self.world.read()

    async def finish(self) -> None:
        self.world.store.release()
        await self.on_mend()
        for index in range(len(self.peers)):
            self.connected(index).connection.transport.allow(None)
        for name in PROJECTS:
            await self.world.publish(name, update("last"))
        await self.world.settle()
        for peer in self.peers:
            peer.is_current()
        for _ in range(2):
            for name in PROJECTS:
                await self.check(name)
            await self.keeper.sweep()

    async def check(self, name: str) -> None:
        """In memory, or read from the store again, it is what its log says."""
        found = await self.world.hub.cache.load(name)
        nodes = {key: node.fields for key, node in found.tree.nodes.items()}
        position = (found.epoch, found.tree.head)
        assert {**found.tree.top, "nodes": nodes} == self.world.oracle.tree(name, position)
        assert position[1] == len(self.world.oracle.lives[name, found.epoch])


@given(st.lists(steps, min_size=30, max_size=70))
def test_whoever_watches_sees_every_event_whatever_is_put_away(plan: list[tuple[Any, ...]]) -> None:
    async def play() -> None:
        async with a_world(small(keep=Keep(sweep_interval=1e6))) as world:
            stage = Play(world)
            for what, *args in plan:
                await getattr(stage, f"on_{what}")(*args)
                world.read()
            await stage.finish()

    run(play)


async def test_a_watcher_of_everything_goes_on_over_a_project_that_was_away(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        for name in PROJECTS:
            await world.publish(name, update("n", a=1))
        peer = world.peer()
        peer.connect()
        peer.subscribe("*", "state")
        await world.settle()
        await world.hub.retention.sweep()
        assert len(world.hub.cache) == 0
        for name in PROJECTS:
            await world.publish(name, update("n", b=2))
        await world.settle()
        peer.is_current()
        assert [len(course.shown) for course in peer.client.courses.values()] == [1, 1, 1]


async def test_what_somebody_watches_by_name_or_catches_up_on_stays(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        for name in PROJECTS:
            await world.publish(name, update("n", text="x" * 150))
        named, laggard = world.peer(), world.peer()
        named.connect()
        named.subscribe("a", "state")
        laggard.connect(star=True)
        await world.settle()
        laggard.connection.transport.allow(0)
        for value in range(20):
            await world.publish("b", update("n", a=value, text="x" * 150))
        await world.hub.retention.sweep()
        assert sorted(str(one.project_id) for one in world.hub.cache) == ["a", "b"]
        laggard.connection.transport.allow(None)
        await world.settle()
        laggard.is_current()


async def test_a_store_that_cannot_read_it_back_refuses_and_then_does_not(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("a", update("n", a=1))
        plain = world.plain()
        await world.hub.retention.sweep()
        world.store.failing_reads = True
        with pytest.raises(PeerError) as caught:
            await world.publish("a", update("n", a=2))
        assert (caught.value.code, caught.value.retry_after) == ("store_unavailable", 1.0)
        world.store.failing_reads = False
        assert (await world.publish("a", update("n", a=2))).first == 2
        assert [one["seq"] for one in plain.received()] == [2]


# --- without a log --------------------------------------------------------------------------------


async def test_a_project_without_a_log_goes_when_the_last_who_named_it_leaves(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("written", update("n"))
        first, second = world.peer(), world.peer()
        names = [f"p{number}" for number in range(20)]
        for one in (first, second):
            one.connect(["written", *names])
        await world.settle()
        first.drop()
        await trio.sleep(1)
        assert all(world.hub.cache.get(name) is not None for name in names), "one still watches"
        second.ask("unsubscribe", "p0")
        await trio.sleep(1)
        assert world.hub.cache.get("p0") is None
        second.drop()
        await trio.sleep(1)
        assert not any(world.hub.cache.get(name) for name in names)
        assert world.hub.cache.get("written") is not None, "it has a log"


async def test_it_stays_while_a_publish_is_on_its_way_and_is_what_was_published(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        world.store.hold_appends()
        await world.submit("p", update("n", a=1))
        peer = world.peer()
        peer.connect(["p"])
        await trio.sleep(1)
        peer.drop()
        await trio.sleep(1)
        assert world.hub.cache.get("p") is not None
        world.store.release_appends()
        await world.hub.committer.quiet()
        state = await world.hub.state("p")
        assert dict(state.nodes)["n"].fields == {"a": 1}


async def test_a_deleted_project_goes_and_who_comes_back_is_told_of_its_end(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        peer = world.peer()
        peer.connect(["p"])
        await world.publish("p", update("n"))
        await world.settle()
        peer.drop()
        await world.publish("p", {"type": "project_deleted"})
        await trio.sleep(1)
        assert world.hub.cache.get("p") is None
        peer.connect(["p"])
        await world.settle()
        peer.is_current()
