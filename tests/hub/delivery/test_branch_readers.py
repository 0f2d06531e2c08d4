"""Readers of a branch through a whole hub: whatever happens, resumes or is shed, each ends with the filter of
the hub's tree; a change is encoded once for all of them, and costs nothing where no branch is watched.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.core.access import NOTHING, OPEN, Grants, Lease, Verb
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.core.topics import branch_topic
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects import branch_view
from tasktree_rt.hub.projects.branches import LINGER
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tests.hub.delivery.test_encoding_once import Counting
from tests.hub.projects.test_branch_view import NODES, ROOT, Happening, naive
from tests.hub.projects.test_branch_view import _own as happenings
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, open_to_all, run, small, update
from tests.model import NaiveTree

READS: Final = frozenset({Verb.WATCH, Verb.HISTORY})


def grants(root: str = ROOT) -> Grants:
    leases = {branch_topic("p", root): Lease(READS)}
    return Grants("", history=NOTHING, delete=NOTHING, leases=leases)


class Reader:
    """A native watcher of the branch, which takes what comes by the rules of docs/protocol.md."""

    def __init__(self, world: World, policy: Policy, dialect: Native | None = None) -> None:
        self.world, self.policy, self.dialect = world, policy, dialect or Native()
        self.tree = NaiveTree("p")
        self.has: Position | None = None
        self.carried: Carried | None = None
        self._parts: list[dict[str, Any]] = []

    def connect(self, room: int | None = None) -> None:
        wish = Subscribe("p", since=self.has, state=self.has is None)
        session = NativeSession(
            self.world.hub,
            self.dialect,
            (wish,),
            grants=grants(),
            policy=self.policy,
            authenticate=open_to_all,
        )
        self._parts = []
        self.carried = Carried(session, self.world.nursery, room)

    def drop(self) -> None:
        if self.carried is not None:
            self.carried.end()
            self.carried = None

    def read(self) -> None:
        if self.carried is None:
            return
        for message in self.carried.received():
            self.take(message)
        if self.carried.transport.close_read or self.carried.transport.aborted:
            self.drop()

    def take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if "timestamp" in message and "seq" in message:
            assert self.has is not None
            assert kind == "project_deleted" or message["seq"] == self.has.seq + 1
            self.tree.apply(kind, message["data"])
            self.has = Position(message["epoch"], message["seq"])
        elif kind == "subscribed" and (message["recovered"] or ("id" not in message and message["seq"] == 0)):
            assert message["project_id"] == "p"
            self.has = Position(message["epoch"], message["seq"])
        elif kind == "project_state":
            self.state(message)
        elif kind == "conflated":
            assert self.has == Position(message["epoch"], message["after"])
            for one in message["removed"]:
                self.tree.nodes.pop(one, None)
            self.tree.nodes.update((one.pop("node_id"), one) for one in message["nodes"])
            self.tree.prompts = message.get("prompts", self.tree.prompts)
            assert not message.keys() & {"state", "project", "orchestrator", "coordination"}
            self.has = Position(message["epoch"], message["seq"])

    def state(self, message: dict[str, Any]) -> None:
        self._parts = [message] if message["part"] == 1 else [*self._parts, message]
        if message["part"] == message["parts"]:
            top = {name: value for name, value in self._parts[0]["data"].items() if name != "nodes"}
            for name, value in top.items():
                setattr(self.tree, name, value)
            nodes = [node for part in self._parts for node in part["data"]["nodes"]]
            self.tree.nodes = {one.pop("node_id"): one for one in nodes}
            self.has = Position(message["epoch"], message["seq"])


def expected(project: Project) -> dict[str, Any]:
    """The naive filter of what the hub has applied."""
    whole = NaiveTree("p")
    whole.nodes = json.loads(encode_json({name: node.fields for name, node in project.tree.nodes.items()}))
    whole.prompts = project.tree.top["prompts"]
    return naive(whole, ROOT)


STEP = st.one_of(
    st.tuples(st.just("event"), happenings),
    st.tuples(st.just("event"), happenings),
    st.tuples(st.just("event"), happenings),
    st.tuples(st.sampled_from(["drop", "connect", "stall", "flow", "deleted", "flood"]), st.integers(0, 2)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=25), st.sampled_from([1, 1000]))
def test_every_reader_of_a_branch_ends_with_the_filter_of_the_tree(steps: list[Any], most: int) -> None:
    async def body() -> None:
        branch_view.MOST_MOVED, before = most, branch_view.MOST_MOVED  # type: ignore[misc]
        try:
            await play(steps)
        finally:
            branch_view.MOST_MOVED = before  # type: ignore[misc]

    run(body)


async def play(steps: list[Any]) -> None:
    async with a_world(small()) as world:
        readers = [Reader(world, policy) for policy in (Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT)]
        for reader in readers:
            reader.connect()
        for kind, given_ in steps:
            await step(world, readers, kind, given_)
        for reader in readers:
            if reader.carried is not None:
                reader.carried.transport.allow(None)
        await settled(world, readers)
        for reader in readers:
            if reader.carried is None:
                reader.connect()
        await settled(world, readers)
        project = world.hub.cache.get("p")
        for reader in readers:
            assert reader.tree.picture() == (
                NaiveTree("p").picture() if project is None else expected(project)
            )


async def settled(world: World, readers: list[Reader]) -> None:
    await world.settle()
    for reader in readers:
        reader.read()


async def step(world: World, readers: list[Reader], kind: str, found: Any) -> None:
    match kind:
        case "event":
            await happen(world, found)
        case "deleted":
            await happen(world, ("project_deleted", {}))
        case "flood":
            for number in range(24):
                changes = {"text": "x" * 200, "title": f"{number}"}
                await world.publish("p", update(NODES[number % 2], **changes))
        case "drop":
            readers[found].drop()
        case "connect" if readers[found].carried is None:
            readers[found].connect()
        case "stall" | "flow":
            carried = readers[found].carried
            if carried is not None:
                carried.transport.allow(0 if kind == "stall" else None)
    await settled(world, readers)


async def happen(world: World, event: Happening) -> None:
    kind, data = event
    with suppress(PeerError):
        if kind == "prompt":
            await world.hub.prompts.ask({"project_id": "p", "message": "?", **data}, grants=OPEN)
        elif kind == "prompt_resolved":
            await world.hub.prompts.cancel(data["prompt_id"], grants=OPEN, via={})
        else:
            await world.publish("p", {"type": kind, "data": data})


def test_a_large_move_brings_the_state_instead_of_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_view, "MOST_MOVED", 3)

    async def body() -> None:
        async with a_world() as world:
            await world.publish("p", update(ROOT), update("x"))
            await world.publish("p", *(update(f"y{number}", parent_id="x") for number in range(9)))
            reader = Reader(world, Policy.CONFLATE)
            reader.connect()
            session = PlainSession(
                world.hub, Plain(), (Subscribe("p"),), grants=grants(), policy=Policy.DISCONNECT
            )
            plain = Carried(session, world.nursery)
            await settled(world, [reader])
            await world.publish("p", update("x", parent_id=ROOT))
            await settled(world, [reader])
            assert len(reader.tree.nodes) == 11
            plain.received()
            assert plain.transport.close_read is not None
            assert plain.transport.close_read[0] == 4008

    run(body)


@pytest.mark.parametrize("readers", [1, 30])
def test_a_change_is_encoded_once_for_all_readers_of_a_branch(readers: int) -> None:
    async def body() -> None:
        async with a_world() as world:
            await world.publish("p", update(ROOT), update("x"))
            dialect = Counting(Native())
            everybody = [Reader(world, Policy.CONFLATE, dialect) for _ in range(readers)]  # type: ignore[arg-type]
            for reader in everybody:
                reader.connect()
            await settled(world, everybody)
            dialect.count = 0
            await world.publish("p", update("x", title="elsewhere"))
            await settled(world, everybody)
            assert dialect.count == 0
            await world.publish("p", update(ROOT, title="T"))
            await settled(world, everybody)
            assert dialect.count == 2  # the event, and the message before it
            assert all(reader.tree.nodes[ROOT] == {"title": "T"} for reader in everybody)

    run(body)


def test_a_branch_without_readers_is_dropped_after_a_while_and_their_number_is_bounded() -> None:
    async def body() -> None:
        async with a_world(small(limits={"max_branches": 1})) as world:
            hub: Hub = world.hub
            await world.publish("p", update(ROOT))
            reader = Reader(world, Policy.CONFLATE)
            reader.connect()
            await settled(world, [reader])
            project = hub.cache.get("p")
            assert project is not None
            assert list(project.branches) == [ROOT]
            with pytest.raises(Exception, match="at most 1 branches"):
                await hub.branches.open("p", "x")
            reader.drop()
            await hub.branches.open("p", "x")
            assert list(project.branches) == ["x"]
            project.branches["x"].left -= LINGER + 1
            await world.publish("p", update(ROOT))
            await world.settle()
            assert not project.branches

    run(body)


def test_watchers_of_whole_projects_cost_no_look_at_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with a_world() as world:
            looked: list[str] = []
            monkeypatch.setattr(world.hub.branches, "get", looked.append)
            monkeypatch.setattr(world.hub.fanout, "_of_branches", looked.append)
            for name in ("p", "q"):
                world.plain(Subscribe(name), grants=Grants("ada", watch=grants().watch))
                world.plain(Subscribe(name))
            await world.settle()
            await world.publish("p", update("a"))
            await world.settle()
            assert looked == []

    run(body)
