"""The reducer against its shared cases and against a naive model."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import as_name
from tasktree_rt.core.nodes import NO_CHANGE, Change, Node, Nodes, whole
from tasktree_rt.core.reducer import SMALL, named_node, reduce, weighed
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import encode_body, encode_json, measure
from tests.core.strategies import PROJECT, happenings
from tests.core.trees import change_of, event, indexes, picture, recomputed
from tests.model import NaiveTree
from tests.reducer_cases import reducer_cases

CASES = reducer_cases()


def assert_bounds_hold(nodes: Nodes) -> None:
    for node_id, node in nodes.nodes.items():
        size = len(encode_json(whole(node_id, node)))
        assert node.exact <= size <= node.bound <= max(SMALL, 2 * size), (node_id, node)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    tree = Tree("e")
    naive = NaiveTree(case["project_id"])
    for one in case["events"]:
        tree.advance(change_of(tree, one["type"], one["data"], case["project_id"]))
        naive.apply(one["type"], one["data"])
    assert picture(tree) == case["expect"]
    assert naive.picture() == case["expect"]


def test_case_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)


@given(st.lists(happenings, max_size=25))
def test_equals_the_naive_model_after_every_event(sequence: list[tuple[str, dict[str, Any]]]) -> None:
    tree, naive = Tree("e"), NaiveTree(PROJECT)
    for place, (kind, data) in enumerate(sequence, 1):
        tree.advance(change_of(tree, kind, data))
        naive.apply(kind, copy.deepcopy(data))
        assert picture(tree) == naive.picture()
        assert indexes(tree) == indexes(recomputed(tree))
        assert tree.head == place
        assert_bounds_hold(tree)


@given(st.lists(happenings, max_size=15))
def test_reducing_changes_nothing_by_itself(sequence: list[tuple[str, dict[str, Any]]]) -> None:
    tree = Tree("e")
    for kind, data in sequence:
        before, data_before = copy.deepcopy(picture(tree)), copy.deepcopy(data)
        change = change_of(tree, kind, data)
        assert picture(tree) == before
        tree.advance(change)
        assert data == data_before


@given(st.lists(happenings, max_size=20), st.integers(0, 20))
def test_goes_on_alike_after_a_restart(sequence: list[tuple[str, dict[str, Any]]], restart: int) -> None:
    lasting, tree = Tree("e"), Tree("e")
    for place, (kind, data) in enumerate(sequence):
        if place == restart:
            frozen, tree = tree.snapshot(), Tree("e", tree.head)
            tree.load(reversed(frozen.nodes), frozen.top)
        tree.advance(change_of(tree, kind, data))
        lasting.advance(change_of(lasting, kind, data))
    assert picture(tree) == picture(lasting)
    assert tree.head == lasting.head


_sized = st.tuples(st.sampled_from(["x", "é", "\x01", '"', "😀"]), st.integers(0, 900))
_sizes = st.one_of(
    st.none(),
    st.integers(0, 9),
    _sized.map(lambda one: one[0] * one[1]),
    st.lists(st.integers(0, 9), max_size=200),
    st.dictionaries(st.text(max_size=5), st.text(max_size=300), max_size=9),
)
_keys = st.sampled_from(["status", "message", "depends_on", "m" * 400, "é"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["node_update", "state_transition", "task_updated", "task_status_changed"]),
            st.sampled_from(["a", "é" * 512, '"' * 512]),
            st.dictionaries(_keys, _sizes, max_size=4),
            _sized,
        ),
        max_size=40,
    )
)
def test_size_bounds_hold_whatever_grows_and_shrinks(steps: list[Any]) -> None:
    nodes = Nodes()
    for kind, node_id, changes, (letter, length) in steps:
        data = {
            "node_update": {"node_id": node_id, "changes": changes},
            "state_transition": {"node_id": node_id, "to": letter * length},
            "task_updated": {"task_id": node_id, "dependencies": [1] * length, **changes},
            "task_status_changed": {"task_id": node_id, "status": letter * length},
        }[kind]
        nodes.apply(change_of(nodes, kind, data))
        assert_bounds_hold(nodes)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("node_update", {"node_id": "a", "changes": {"x": "\x01" * 900}}),
        ("state_transition", {"node_id": "a", "to": "\x01" * 900}),
        ("task_status_changed", {"task_id": "a", "status": "\x01" * 900}),
        ("task_updated", {"task_id": "a", "dependencies": [1] * 2000}),
        ("task_updated", {"task_id": "a", "dependencies": [1.0] * 2000}),
        ("tasks_reset", {}),
    ],
)
def test_a_large_node_may_grow_unmeasured_but_not_beyond_its_bound(kind: str, data: dict[str, Any]) -> None:
    nodes = Nodes()
    nodes.apply(change_of(nodes, "task_created", {"task_id": "a", "text": "x" * 20_000}))
    for place in range(9):
        nodes.apply(change_of(nodes, kind, data))
        assert_bounds_hold(nodes)
        nodes.apply(change_of(nodes, "node_update", {"node_id": "a", "changes": {f"n{place}": place}}))


def test_a_node_that_is_updated_often_is_measured_seldom() -> None:
    nodes = Nodes()
    whole_ones = 0

    def count(fields: dict[str, Any]) -> int:
        nonlocal whole_ones
        whole_ones += "node_id" in fields
        return measure(fields)

    nodes.apply(change_of(nodes, "node_update", {"node_id": "a", "changes": {"log": ["x" * 99] * 1000}}))
    for place in range(1000):
        happened = event("node_update", {"node_id": "a", "changes": {"n": place}})
        nodes.apply(reduce(nodes, happened, len(encode_body(happened)), count))
    assert whole_ones <= 2


def test_a_weighed_node_knows_its_size() -> None:
    node = weighed("é", {"title": "x"}, measure)
    assert node.bound == node.exact == len(encode_json(whole("é", node)))


def test_events_without_a_rule_share_one_change() -> None:
    assert change_of(Nodes(), "log", {"node_id": "a"}) is NO_CHANGE
    assert change_of(Nodes(), "task_deleted", {"task_id": "a"}) is NO_CHANGE


def test_resetting_a_deep_chain_of_tasks_takes_no_longer_than_its_length() -> None:
    # Leaf first: whoever walks each task's descendants anew takes n² steps, here 200 million.
    nodes = Nodes()
    length = 20_000
    nodes.apply(
        Change(put={str(n): Node({"kind": "task", "parent_id": str(n + 1)}, 64, 0) for n in range(length)})
    )
    assert len(change_of(nodes, "project_reset", {}).removed) == length


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"node_id": "a", "task_id": "b"}, "a"),
        ({"task_id": "b"}, "b"),
        ({"task_id": 5}, "5"),
        ({"task_id": 5.0}, "5"),
        ({"node_id": None, "task_id": 5}, "5"),
        ({"node_id": ["a"]}, None),
        ({"node_id": "x" * 513}, None),
        ({"task_id": True}, None),
        ({"task_id": 2**53}, None),
        pytest.param({"task_id": 10**5000}, None, id="huge"),
        ({}, None),
    ],
)
def test_the_node_an_event_names(data: dict[str, Any], name: str | None) -> None:
    assert named_node(event("anything", data)) == name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.5, b"a", ("a",), object()])
def test_what_is_no_id_names_nothing(value: object) -> None:
    assert as_name(value) is None
