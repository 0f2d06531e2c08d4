"""The view equals the hub's tree. `core` stands for the hub; what is said goes through real JSON."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client.watcher.messages import ProjectDeleted, ProjectEvent, StateReplaced, Subscribed
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.client.watcher.tree_view import TreeView
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import TOP_FIELDS, wholes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import decode_json, encode_json, measure
from tests.core.strategies import NAMES, PROJECT, happenings
from tests.reducer_cases import reducer_cases

Json = dict[str, Any]
TIME = "2024-01-01T00:00:00.000000Z"


class Hub:
    """A project as the hub has it, and what it would say about it."""

    def __init__(self) -> None:
        self.lives = 0
        self.begin()

    def begin(self) -> None:
        self.lives += 1
        self.tree = Tree(f"e{self.lives}")

    @property
    def place(self) -> Json:
        return {"project_id": PROJECT, "epoch": self.tree.epoch, "seq": self.tree.head}

    def happen(self, kind: str, data: Json) -> Json:
        """One event: applied, and as watchers get it."""
        event = Event(kind, ProjectId(PROJECT), data, TIME)
        self.tree.advance(reduce(self.tree, event, measure(data), measure))
        return {"type": kind, "data": data, "timestamp": TIME, **self.place}

    def state(self, size: int) -> Iterator[Json]:
        """The whole state in parts of at most `size` nodes."""
        snapshot = self.tree.snapshot()
        nodes = list(wholes(snapshot.nodes))
        shares = [nodes[at : at + size] for at in range(0, len(nodes), size)] or [[]]
        for part, share in enumerate(shares, 1):
            top = snapshot.top if part == 1 else {}
            said = {"type": "project_state", "reason": "shed", "part": part, "parts": len(shares)}
            yield {**said, **self.place, "data": {**top, "nodes": share}}

    def conflated(self, after: int) -> Json:
        found = self.tree.since(after, 1000)
        assert found is not None
        nodes = list(wholes(found.nodes))
        said = {"type": "conflated", **self.place, "after": after, "removed": found.removed}
        return {**said, "nodes": nodes, **found.top, "events": []}


class Watching:
    """A view and what feeds it."""

    def __init__(self) -> None:
        self.follower = SubscriptionState("conflate")
        self.follower.subscribe(PROJECT, None, state=True)
        self.view = TreeView(PROJECT)

    def connect(self, hub: Hub, size: int) -> None:
        self.follower.opening()
        [request] = [one for one in self.follower.requests if one["type"] == "subscribe"]
        since = request.get("since")
        recovered = None if since is None else since == f"{hub.tree.epoch}:{hub.tree.head}"
        self.hear({"type": "subscribed", "id": request["id"], **hub.place, "recovered": recovered})
        if not recovered:
            for part in hub.state(size):
                self.hear(part)

    def hear(self, message: Json) -> None:
        for told in self.follower.receive(decode_json(encode_json(message))):
            self.view.apply(told)


def same(view: TreeView, hub: Hub) -> None:
    tree = hub.tree
    top = {name: getattr(view, name) for name in TOP_FIELDS}
    assert dict(view.nodes) == decode_json(
        encode_json({name: node.fields for name, node in tree.nodes.items()})
    )
    assert top == decode_json(encode_json(tree.top))
    assert view.position == Position(tree.epoch, tree.head)
    assert view.exact


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), happenings),
        st.tuples(st.just("hear"), happenings),
        st.tuples(st.just("miss"), happenings),
        st.tuples(st.just("conflate"), st.none()),
        st.tuples(st.just("state"), st.integers(1, 3)),
        st.tuples(st.just("drop"), st.integers(1, 3)),
        st.tuples(st.just("delete"), st.none()),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_is_missed_the_view_ends_where_the_hub_is(steps: list[tuple[str, Any]]) -> None:
    hub, watching = Hub(), Watching()
    watching.connect(hub, 2)
    heard = hub.tree.head  # behind the tree's: something was missed
    for step, what in steps:
        if step in ("hear", "miss"):
            before, said = hub.tree.head, hub.happen(*what)
            if step == "hear" and heard == before:
                watching.hear(said)
                heard = hub.tree.head
        elif step == "conflate":
            watching.hear(hub.conflated(heard))
            heard = hub.tree.head
        elif step == "state":
            for part in hub.state(what):
                watching.hear(part)
            heard = hub.tree.head
        elif step == "drop":
            watching.connect(hub, what)
            heard = hub.tree.head
        else:
            watching.hear(hub.happen("project_deleted", {}))
            assert not watching.view.nodes
            hub.begin()
            watching.hear({"type": "subscribed", **hub.place, "recovered": None})
            heard = 0
        if heard == hub.tree.head:
            same(watching.view, hub)
        assert_each_node_is_shown_once(watching.view)


def assert_each_node_is_shown_once(view: TreeView) -> None:
    shown, waiting = list[str](), view.roots()
    while waiting:
        shown.append(waiting.pop())
        waiting += view.children(shown[-1])
        assert len(shown) <= len(view.nodes)
    assert sorted(shown) == sorted(view.nodes)


CASES = reducer_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_shared_cases_of_the_reducer_hold_for_the_view(case: Json) -> None:
    project = case["project_id"]
    view = TreeView(project)
    view.apply(Subscribed(project, Position("e", 0), None))
    for seq, event in enumerate(case["events"], 1):
        position = Position("e", seq)
        if event["type"] == "project_deleted":
            view.apply(ProjectDeleted(project, position, event["data"], TIME))
        else:
            view.apply(ProjectEvent(project, position, event["type"], event["data"], TIME))
    expect = case["expect"]
    assert dict(view.nodes) == expect["nodes"]
    for name in TOP_FIELDS:
        assert getattr(view, name) == expect[name], name


def showing(**parents: str | None) -> TreeView:
    view = TreeView("p")
    nodes: dict[str, Json] = {name: {"parent_id": parent} for name, parent in parents.items()}
    view.apply(StateReplaced("p", Position("e", 1), "initial", None, {}, None, None, [], nodes))
    return view


def test_orphans_and_cycles_are_shown_at_the_root() -> None:
    view = showing(a=None, b="a", lost="nowhere", x="y", y="x", z="x", me="me", mine="me")
    assert view.roots() == ["a", "lost", "me", "x", "y"]
    assert [view.children(name) for name in ("a", "x", "y", "me")] == [["b"], ["z"], [], ["mine"]]
    assert view.children("unknown") == []


def test_siblings_are_shown_by_order_then_id() -> None:
    view = TreeView("p")
    orders = {"b": 2, "a": 2, "z": 1.5, "none": None, "also": "odd"}
    for seq, (name, order) in enumerate(orders.items(), 1):
        data = {"node_id": name, "changes": {"order": order}}
        view.apply(ProjectEvent("p", Position("e", seq), "node_update", data, TIME))
    assert view.roots() == ["z", "a", "b", "also", "none"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, None])), max_size=20))
def test_the_shape_follows_every_move(moves: list[tuple[str, str | None]]) -> None:
    view = TreeView("p")
    for seq, (name, parent) in enumerate(moves, 1):
        data = {"node_id": name, "changes": {"parent_id": parent}}
        view.apply(ProjectEvent("p", Position("e", seq), "node_update", data, TIME))
        fresh = showing(**{one: fields.get("parent_id") for one, fields in view.nodes.items()})
        assert view.roots() == fresh.roots()
        assert [view.children(one) for one in NAMES] == [fresh.children(one) for one in NAMES]


def test_it_is_not_exact_before_it_knows_the_whole() -> None:
    view = TreeView("p")
    exact = [view.exact]
    for message in (
        ProjectEvent("p", Position("e", 7), "node_update", {"node_id": "a", "changes": {}}, TIME),
        StateReplaced("p", Position("e", 9), "gap", "running", {}, None, None, [], {}),
    ):
        view.apply(message)
        exact.append(view.exact)
    assert exact == [False, False, True]
    assert (view.state, len(view.nodes)) == ("running", 0)


def test_the_first_event_of_another_life_begins_with_an_empty_tree() -> None:
    view = TreeView("p")
    for epoch, name in (("e", "old"), ("f", "new")):
        data = {"node_id": name, "changes": {}}
        view.apply(ProjectEvent("p", Position(epoch, 1), "node_update", data, TIME))
    assert (list(view.nodes), view.position) == (["new"], Position("f", 1))


def test_an_event_twice_or_of_another_project_changes_nothing() -> None:
    view = TreeView("p")
    event = ProjectEvent("p", Position("e", 1), "node_update", {"node_id": "a", "changes": {"x": 1}}, TIME)
    view.apply(event)
    view.apply(ProjectEvent("p", Position("e", 1), "node_update", {"node_id": "b", "changes": {}}, TIME))
    view.apply(ProjectEvent("q", Position("e", 2), "node_update", {"node_id": "c", "changes": {}}, TIME))
    assert (dict(view.nodes), view.position) == ({"a": {"x": 1}}, Position("e", 1))
