"""Publishes one at a time against an exact model of the idempotent log, on a store that takes them at will.

The store takes a lot only when it is told to, and fails it if it is told so; the model knows which publishes
are in that lot and which wait behind it, what each was judged on, and so every single answer.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from trio import sleep

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.log import Position, Recovered
from tasktree_rt.core.status_transitions import may_change
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.hub import Accepted, result
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tests.hub.world import World, a_world, made, run, small, update

STATUSES = ("ready", "running", "failed", "review", "completed")
Body = tuple[tuple[str, str], ...]
"""Nodes and the status each is to have, one event each; node ``""`` ends the project."""
Answer = tuple[object, ...]
"""``("at", life, seq, duplicate)`` or ``("refused", code)``."""

bodies = st.one_of(
    st.lists(st.tuples(st.sampled_from("mn"), st.sampled_from(STATUSES)), min_size=1, max_size=3).map(tuple),
    st.just((("n", "ready"), ("", ""))),
    st.just((("n", "ready"), ("n", "running"), ("n", "draft"))),
)
steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from("pq"), st.sampled_from((None, "1", "2")), bodies),
    st.tuples(st.just("publish"), st.sampled_from("pq"), st.sampled_from((None, "1", "2")), bodies),
    st.tuples(st.just("again"), st.integers(0, 5)),
    st.tuples(st.just("store")),
    st.tuples(st.just("store")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("mend")),
)


def json_of(body: Body) -> list[dict[str, Any]]:
    return [update(node, status=to) if node else {"type": "project_deleted", "data": {}} for node, to in body]


@define(eq=False)
class Waiting:
    project: str
    key: str | None
    body: Body
    told: list[tuple[list[Answer], bool]] = Factory(list)


class Model:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.lives: dict[str, list[list[tuple[str, str]]]] = defaultdict(list)
        self.stored: dict[str, dict[str, str]] = defaultdict(dict)
        self.staged: dict[str, dict[str, str]] = defaultdict(dict)
        self.alive: dict[str, bool] = {}
        self.known: dict[str, tuple[str, Body, int, int]] = {}
        self.at_store: list[Waiting] = []
        self.behind: list[Waiting] = []
        self.failed = self.failing = False

    def publish(self, project: str, key: str | None, body: Body) -> list[Answer]:
        """What it is told; empty until it is known."""
        told: list[Answer] = []
        for one in (*self.at_store, *self.behind):
            if key is not None and one.key == key:
                if (one.project, one.body) != (project, body):
                    return [("refused", "idempotency_conflict")]
                one.told.append((told, True))
                return told
        if key is not None and key in self.known:
            *first, life, seq = self.known[key]
            same = first == [project, body]
            return [("at", life, seq, True) if same else ("refused", "idempotency_conflict")]
        if self.failed:
            return [("refused", "store_unavailable")]
        after = applied(self.staged[project], body)
        if after is None:
            return [("refused", "invalid_transition")]
        self.staged[project] = after
        (self.behind if self.at_store else self.at_store).append(
            Waiting(project, key, body, [(told, False)]),
        )
        return told

    def store(self) -> None:
        """The store takes the lot it has been given, or fails it and so all."""
        if self.failing and self.at_store:
            self.failed = True
            for one in (*self.at_store, *self.behind):
                for told, _ in one.told:
                    told.append(("refused", "store_unavailable"))
            self.at_store, self.behind = [], []
            self.staged = defaultdict(dict, {name: dict(nodes) for name, nodes in self.stored.items()})
            return
        for one in self.at_store:
            self.keep(one)
        self.at_store, self.behind = self.behind, []

    def keep(self, one: Waiting) -> None:
        lives = self.lives[one.project]
        if not self.alive.get(one.project):
            lives.append([])
            self.alive[one.project] = True
        life, seq = len(lives), len(lives[-1]) + 1
        lives[-1].extend(one.body)
        after = applied(self.stored[one.project], one.body)
        assert after is not None
        self.stored[one.project] = after
        if one.body[-1][0] == "":
            self.alive[one.project] = False
        if one.key is not None:
            self.known[one.key] = (one.project, one.body, life, seq)
        for told, again in one.told:
            told.append(("at", life, seq, again))


def applied(nodes: dict[str, str], body: Body) -> dict[str, str] | None:
    """The statuses after `body`; None if one of its transitions cannot be."""
    after = dict(nodes)
    for node, to in body:
        if node == "":
            return {}
        if not may_change(after.get(node), to):
            return None
        after[node] = to
    return after


class Real:
    """The hub's answers in the model's words."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lives: dict[str, list[str]] = defaultdict(list)

    def place(self, project: str, epoch: str, first: int, duplicate: bool) -> Answer:
        lives = self.lives[project]
        if epoch not in lives:
            lives.append(epoch)
        return ("at", lives.index(epoch) + 1, first, duplicate)

    async def publish(self, project: str, key: str | None, body: Body) -> list[Answer]:
        told: list[Answer] = []
        named = None if key is None else Key("", "x", key)
        try:
            found = await self.world.hub.publisher.submit(made(project, *json_of(body)), key=named)
        except PeerError as error:
            return [("refused", error.code)]
        if not isinstance(found, Accepted):
            return [self.place(found.project_id, found.epoch, found.first, found.duplicate)]

        def ended(publish: PendingPublish) -> None:
            try:
                done = result(publish)
            except PeerError as error:
                told.append(("refused", error.code))
            else:
                told.append(self.place(done.project_id, done.epoch, done.first, done.duplicate))

        found.callbacks.append(ended)
        await self.world.settle()
        return told

    async def logs(self, model: Model) -> None:
        """The store's logs and the hub's trees are the model's."""
        for project, lives in model.lives.items():
            found = await self.world.store.read(project, Position("", 0), limit=10_000)
            assert isinstance(found, Recovered)
            kept = lives[-1] if model.alive[project] else []
            assert len(found.records) == len(kept)
            loaded = await self.world.hub.cache.load(project)
            for tree in (loaded.tree, loaded.staged):
                statuses = {name: node.fields.get("status") for name, node in tree.nodes.items()}
                assert statuses == model.stored[project]


@given(st.lists(steps, min_size=25, max_size=60))
def test_every_answer_and_every_log_is_what_the_model_says(plan: list[tuple[Any, ...]]) -> None:
    async def body() -> None:
        async with a_world(small(lifecycle="enforce")) as world:
            model, real = Model(), Real(world)
            said: list[Any] = []
            answers: list[tuple[tuple[Any, ...], list[Answer], list[Answer]]] = []
            world.store.hold_appends()
            for what, *args in [*plan, ("mend",), ("store",), ("store",), ("mend",)]:
                if what == "again" and said:
                    what, args = "publish", list(said[args[0] % len(said)])
                if what == "publish":
                    said.append(tuple(args))
                    answers.append((tuple(args), model.publish(*args), await real.publish(*args)))
                elif what == "store":
                    model.store()
                    world.store.release_appends()
                    world.store.hold_appends()
                    await world.settle()
                elif what in ("fail", "mend"):
                    world.store.failing = model.failing = what == "fail"
                    await sleep(2.5)
                    model.failed = model.failed and (model.failing or bool(model.at_store))
                for asked, expected, told in answers:
                    assert told == expected, asked
            await real.logs(model)

    run(body)
