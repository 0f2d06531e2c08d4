"""For every sequence of events, stalls, drops and requests: each client ends with the hub's tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.protocol import Policy
from tasktree_rt.hub.delivery import fanout
from tasktree_rt.hub.delivery import socket_subscriber as writing
from tasktree_rt.hub.projects import project, shared_snapshot
from tasktree_rt.hub.resume import catchup
from tasktree_rt.settings import Compression
from tests.hub.client import Oracle
from tests.hub.trimming import trim
from tests.hub.world import Peer, Store, World, a_world, run, small, update

PROJECTS = ("a", "b", "c")
NODES = ("n1", "n2", "n3")
INLINE = 256
"""Bytes of an input or an output that are not cut."""


@pytest.fixture(autouse=True)
def everything_interleaves() -> Iterator[None]:
    """One offer a slice, states in many parts, replays from the store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fanout, "SLICE", 1)
        patch.setattr(project, "TAIL_EVENTS", 6)
        patch.setattr(shared_snapshot, "PART_BYTES", 100)
        patch.setattr(shared_snapshot, "NODES_AN_EVENT", 1)
        patch.setattr(catchup, "REPLAY_EVENTS", 3)
        patch.setattr(catchup, "SMALL_REPLAY", 4)
        patch.setattr(catchup, "MAX_NODES", 4)
        patch.setattr(writing, "CHUNK", 256)
        yield


names = st.sampled_from(PROJECTS)
nodes = st.sampled_from(NODES)
events = st.one_of(
    st.builds(lambda node, value: update(node, progress=value), nodes, st.integers(0, 99)),
    st.builds(lambda node, parent: update(node, parent_id=parent), nodes, nodes),
    st.builds(lambda node, text: update(node, text="x" * text), nodes, st.integers(0, 300)),
    st.builds(
        lambda node, field, text: update(node, **{field: ["é" * text]}),
        nodes,
        st.sampled_from(("input", "output")),
        st.integers(100, 200),
    ),
    st.builds(
        lambda node, text: {"type": "task_updated", "data": {"task_id": node, "output": "x" * text}},
        nodes,
        st.integers(200, 300),
    ),
    st.builds(lambda node: update(node, deleted=True), nodes),
    st.builds(
        lambda node, to: {"type": "state_transition", "data": {"node_id": node, "from": "?", "to": to}},
        nodes,
        st.sampled_from(("running", "failed")),
    ),
    st.builds(lambda to: {"type": "state_transition", "data": {"from": "?", "to": to}}, nodes),
    st.builds(
        lambda line: {"type": "log", "data": {"node_id": "n1", "level": "info", "message": line}}, nodes
    ),
    st.builds(lambda title: {"type": "project_update", "data": {"changes": {"title": title}}}, nodes),
)
bursts = st.lists(events, min_size=1, max_size=24)
who = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("turns"), st.integers(0, 8)),
    st.tuples(st.just("publish"), names, bursts),
    st.tuples(st.just("publish"), names, bursts),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("room"), who, st.sampled_from((0, 1, 40, 150, 600, None))),
    st.tuples(
        st.just("subscribe"),
        who,
        st.sampled_from((*PROJECTS, "*")),
        st.sampled_from(("plain", "state", "since")),
    ),
    st.tuples(
        st.just("subscribe"),
        who,
        st.sampled_from((*PROJECTS, "*")),
        st.sampled_from(("plain", "state", "since")),
    ),
    st.tuples(st.just("unsubscribe"), who, st.sampled_from((*PROJECTS, "*"))),
    st.tuples(st.just("drop"), who),
    st.tuples(st.just("trim"), st.integers(1, 10)),
    st.tuples(st.just("hold")),
    st.tuples(st.just("release")),
    st.tuples(st.just("beat"), who),
    st.tuples(st.just("turns"), st.integers(0, 8)),
    st.tuples(st.just("settle")),
)


class Play:
    """Carries out the steps."""

    def __init__(self, world: World, policies: tuple[Policy, ...], deflate: tuple[bool, ...]) -> None:
        self.world = world
        self.peers = [world.peer(policy, deflate=one) for policy, one in zip(policies, deflate, strict=True)]
        self.said: list[tuple[str, list[dict[str, Any]]]] = []
        self.more = trio.Event()

    async def producer(self) -> None:
        """Publishes in order while the steps go on."""
        while True:
            while self.said:
                await self.world.submit(self.said[0][0], *self.said[0][1])
                self.said.pop(0)
            self.more = trio.Event()
            await self.more.wait()

    def connected(self, index: int) -> Peer:
        peer = self.peers[index]
        if peer.carried is None:
            known = [name for name in PROJECTS if peer.client.since(name) is not None]
            peer.connect(known[:1] if index != 2 else (), star=index == 2)
        return peer

    async def step(self, what: str, *args: Any) -> None:
        await getattr(self, f"on_{what}")(*args)

    async def on_publish(self, name: str, burst: list[dict[str, Any]]) -> None:
        self.said.append((name, burst))
        self.more.set()

    async def on_delete(self, name: str) -> None:
        await self.on_publish(name, [update("n1", last=1), {"type": "project_deleted", "data": {}}])

    async def on_room(self, index: int, room: int | None) -> None:
        self.connected(index).connection.transport.allow(room)

    async def on_subscribe(self, index: int, name: str, how: str) -> None:
        self.connected(index).subscribe(name, how)

    async def on_unsubscribe(self, index: int, name: str) -> None:
        self.connected(index).ask("unsubscribe", name)

    async def on_drop(self, index: int) -> None:
        self.peers[index].drop()

    async def on_trim(self, most: int) -> None:
        await trim(self.world, most)

    async def on_hold(self) -> None:
        self.world.store.hold()

    async def on_release(self) -> None:
        self.world.store.release()

    async def on_beat(self, index: int) -> None:
        peer = self.connected(index)
        peer.connection.session.beat(trio.current_time() + 1_000)

    async def on_turns(self, turns: int) -> None:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
            self.world.read()

    async def on_settle(self) -> None:
        await self.world.settle()

    async def finish(self) -> None:
        """Everything flows again: everybody must come to the present."""
        self.world.store.release()
        for peer in self.peers:
            if peer.carried is not None:
                peer.connection.transport.allow(None)
        await self.world.settle()
        for peer in self.peers:
            if peer.carried is not None:
                peer.is_current()
            known = [name for name in PROJECTS if peer.client.since(name) is not None]
            peer.drop()
            peer.connect(known)
        await self.world.settle()
        for peer in self.peers:
            peer.is_current()


@given(
    st.lists(steps, min_size=20, max_size=80),
    st.tuples(*[st.sampled_from((Policy.CONFLATE, Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT))] * 3),
    st.tuples(*[st.booleans()] * 3),
)
def test_every_client_ends_with_the_hubs_tree_and_is_told_of_every_gap(
    plan: list[tuple[Any, ...]], policies: tuple[Policy, ...], deflate: tuple[bool, ...]
) -> None:
    async def play() -> None:
        settings = small(limits={"max_inline_value": INLINE}, compression=Compression(min_size=1))
        async with a_world(settings, Store(Oracle(INLINE))) as world:
            stage = Play(world, policies, deflate)
            world.nursery.start_soon(stage.producer)
            for step in plan:
                await stage.step(*step)
                world.read()
            await stage.finish()

    run(play)
