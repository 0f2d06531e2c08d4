"""What changed since a position; copies, snapshots and loading."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.nodes import EMPTY, EMPTY_TOP, NO_CHANGE, TOP_FIELDS, Change, Node, Nodes, whole, wholes
from tasktree_rt.core.tree import Difference, Snapshot, Tree
from tests.core.strategies import happenings
from tests.core.trees import change_of, indexes, picture

MANY = 10**9
GONE = {"deleted": True}
sequences = st.lists(happenings, max_size=20)


def apply_difference(state: dict[str, Any], difference: Difference) -> dict[str, Any]:
    """What a client does with a ``conflated`` message."""
    nodes = {one: fields for one, fields in state["nodes"].items() if one not in difference.removed}
    for sent in wholes(difference.nodes):
        nodes[sent["node_id"]] = {key: value for key, value in sent.items() if key != "node_id"}
    return {**state, **difference.top, "nodes": nodes}


@given(sequences, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 25))), st.integers(0, 6))
def test_a_difference_leads_from_any_position_to_any_later_one(
    sequence: list[tuple[str, dict[str, Any]]], trims: list[tuple[int, int]], most: int
) -> None:
    tree, floor = Tree("e"), 0
    states = [copy.deepcopy(picture(tree))]
    touched: list[set[str]] = [set()]
    for b, (kind, data) in enumerate(sequence, 1):
        change = change_of(tree, kind, data)
        tree.advance(change)
        touched.append({*change.removed, *change.put})
        states.append(copy.deepcopy(picture(tree)))
        for when, to in trims:
            if when == b:
                tree.forget(to)
                floor = max(floor, min(to, b))
        assert tree.floor == floor
        assert tree.since(b + 1, MANY) is None
        assert tree.since(-1, MANY) is None
        for a in range(b + 1):
            difference = tree.since(a, MANY)
            limited = tree.since(a, most)
            if a < floor:
                assert difference is limited is None
                continue
            assert difference is not None
            assert apply_difference(states[a], difference) == states[b]
            ids = [*difference.removed, *(one for one, _ in difference.nodes)]
            assert len(ids) == len(set(ids))
            assert set(ids) == set().union(*touched[a + 1 :])
            assert limited == (difference if len(ids) <= most else None)


@given(sequences)
def test_the_counts_are_those_of_a_recount(sequence: list[tuple[str, dict[str, Any]]]) -> None:
    tree = Tree("e")
    for kind, data in sequence:
        tree.advance(change_of(tree, kind, data))
        statuses = [node.fields.get("status") for node in tree.nodes.values()]
        assert tree.counts() == Counter(one if isinstance(one, str) else "" for one in statuses)
        assert 0 not in tree.counts().values()
        assert tree.bound == tree.snapshot().bound == sum(node.bound for node in tree.nodes.values())


def test_nothing_changed_since_the_head() -> None:
    tree = Tree("e")
    tree.advance(change_of(tree, "node_update", {"node_id": "a", "changes": {}}))
    assert tree.since(1, 0) == Difference([], [], {})


def test_only_the_top_fields_that_changed_are_told() -> None:
    tree = Tree("e")
    tree.advance(change_of(tree, "state_transition", {"to": "running"}))
    tree.advance(change_of(tree, "project_update", {"changes": {"title": "P"}}))
    tree.advance(NO_CHANGE)
    told = [tree.since(seq, MANY) for seq in range(4)]
    assert [one and one.top for one in told] == [
        {"state": "running", "project": {"title": "P"}},
        {"project": {"title": "P"}},
        {},
        {},
    ]


def test_a_node_deleted_and_created_again_is_put_whole_and_not_removed() -> None:
    tree = Tree("e")
    for data in (
        {"node_id": "a", "changes": {"title": "A"}},
        {"node_id": "a", "changes": {"deleted": True}},
        {"node_id": "a", "changes": {"status": "ready"}},
    ):
        tree.advance(change_of(tree, "node_update", data))
    difference = tree.since(1, 1)
    assert difference is not None
    assert difference.removed == []
    assert [(one, node.fields) for one, node in difference.nodes] == [("a", {"status": "ready"})]


def test_a_node_deleted_twice_is_remembered_by_its_second_end() -> None:
    tree = Tree("e")
    for node_id, changes in [("a", {}), ("a", GONE), ("b", {}), ("b", GONE), ("a", {}), ("a", GONE)]:
        tree.advance(change_of(tree, "node_update", {"node_id": node_id, "changes": changes}))
    assert [one and one.removed for one in map(tree.since, range(7), [MANY] * 7)] == (
        [["b", "a"]] * 4 + [["a"]] * 2 + [[]]
    )


def test_a_tree_loaded_at_a_position_remembers_nothing_before_it() -> None:
    tree = Tree("e", 7)
    tree.load([("a", Node({"parent_id": "b"}, 64, 0))], {"state": "running"})
    assert (tree.head, tree.floor, len(tree)) == (7, 7, 1)
    assert tree.since(6, MANY) is None
    assert tree.since(7, MANY) == Difference([], [], {})
    assert tree.top == {**EMPTY_TOP, "state": "running"}
    assert tree.subtrees(["b"]) == ["a"]


@given(sequences, sequences)
def test_a_copy_is_equal_and_stays_so_under_the_same_changes(
    before: list[tuple[str, dict[str, Any]]], after: list[tuple[str, dict[str, Any]]]
) -> None:
    tree, staged = Tree("e"), Nodes()
    for kind, data in before:
        tree.advance(change_of(tree, kind, data))
    staged.copy_from(tree)
    assert picture(staged) == picture(tree)
    assert indexes(staged) == indexes(tree)

    start = copy.deepcopy((picture(tree), indexes(tree)))
    ahead = []
    for kind, data in after:
        ahead.append(change_of(staged, kind, data))
        staged.apply(ahead[-1])
    assert (picture(tree), indexes(tree)) == start
    for change in ahead:
        tree.advance(change)
    assert picture(staged) == picture(tree)
    assert indexes(staged) == indexes(tree)


@given(sequences, sequences)
def test_a_snapshot_does_not_move(
    before: list[tuple[str, dict[str, Any]]], after: list[tuple[str, dict[str, Any]]]
) -> None:
    tree = Tree("e")
    for kind, data in before:
        tree.advance(change_of(tree, kind, data))
    frozen, state = tree.snapshot(), copy.deepcopy(picture(tree))
    for kind, data in after:
        tree.advance(change_of(tree, kind, data))
    assert (frozen.epoch, frozen.seq) == ("e", len(before))
    assert {**frozen.top, "nodes": {one: node.fields for one, node in frozen.nodes}} == state


def test_memory_of_what_was_removed_ends_with_the_log() -> None:
    tree = Tree("e")
    for n in range(100):
        tree.advance(change_of(tree, "node_update", {"node_id": str(n), "changes": {}}))
        tree.advance(change_of(tree, "node_update", {"node_id": str(n), "changes": {"deleted": True}}))
    tree.forget(150)
    assert len(tree._removed) == 25
    tree.forget(10**9)
    assert (tree.floor, tree._removed, tree._changed) == (200, {}, {})


def test_a_node_on_the_wire() -> None:
    assert whole("a", Node({"title": "T"}, 64, 0)) == {"node_id": "a", "title": "T"}
    assert "title" in repr(Node({"title": "T"}, 64, 0))


def test_the_shared_constants_stay_empty() -> None:
    tree = Tree("e")
    tree.advance(change_of(tree, "node_update", {"node_id": "a", "changes": {"title": "A"}}))
    tree.advance(NO_CHANGE)
    assert EMPTY.fields == {}
    assert Change() == NO_CHANGE
    assert tuple(tree.top) == TOP_FIELDS


@given(sequences, st.integers(1, 4))
def test_a_snapshot_stays_as_it_was_whatever_the_tree_becomes(
    sequence: list[tuple[str, dict[str, Any]]], size: int
) -> None:
    tree = Tree("e")
    kept: list[tuple[Snapshot, dict[str, Node], int]] = []
    for number, (kind, data) in enumerate(sequence):
        snapshot = tree.snapshot()
        if number % 3 == 0:  # the others are gone at once, while an older one may still be there
            kept.append((snapshot, dict(tree.nodes), tree.head))
        del snapshot
        tree.advance(change_of(tree, kind, data))
    for snapshot, nodes, head in kept:
        assert (snapshot.seq, len(snapshot), snapshot.bound) == (
            head,
            len(nodes),
            sum(node.bound for _, node in snapshot),
        )
        assert dict(snapshot.nodes) == nodes
        assert [one for slice_ in snapshot.slices(size) for one in slice_] == list(nodes.items())
        for start in (*range(0, len(nodes), size), 0):
            assert list(snapshot.share(start, start + size)) == list(nodes.items())[start : start + size]
