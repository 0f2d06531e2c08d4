"""Tokens and cost, and their sums, against adding everything up anew."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasktree_rt.core import usage
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.tree import Tree
from tasktree_rt.core.usage import DEEPEST, ENDED_USAGE, as_json, spent
from tests.core.strategies import NAMES, PROJECT, happenings
from tests.core.strategies import usage as usages
from tests.core.trees import change_of
from tests.model import NaiveTree

_moves = st.tuples(
    st.just("node_update"),
    st.fixed_dictionaries(
        {
            "node_id": st.sampled_from(NAMES),
            "changes": st.fixed_dictionaries(
                {},
                optional={
                    "parent_id": st.sampled_from([*NAMES, None]),
                    "usage": usages,
                    "cost_usd": st.sampled_from([0.25, 0.001, 3]),
                    "status": st.sampled_from(["failed", "running"]),
                },
            ),
        }
    ),
)


def _move(node_id: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    return "node_update", {"node_id": node_id, "changes": changes}


_OUT_OF_A_CYCLE_INTO_ITSELF = [
    _move("b", parent_id="a"),
    _move("a", parent_id="b", status="failed", cost_usd=0.25),
    _move("a", parent_id="a"),
]


def put(nodes: Nodes, node_id: str, **changes: Any) -> None:
    nodes.apply(change_of(nodes, "node_update", {"node_id": node_id, "changes": changes}))


def assert_sums(nodes: Nodes, naive: NaiveTree) -> None:
    assert list(nodes.used()) == naive.used()
    for name in NAMES:
        assert list(nodes.used_in(name)) == naive.used(name), name


@given(st.lists(_moves | happenings, max_size=40))
def test_sums_equal_adding_up_whatever_moves_goes_or_is_tried_again(
    sequence: list[tuple[str, dict[str, Any]]],
) -> None:
    tree, naive = Tree("e"), NaiveTree(PROJECT)
    for kind, data in sequence:
        tree.advance(change_of(tree, kind, data))
        naive.apply(kind, data)
        assert_sums(tree, naive)


@given(st.lists(_moves, max_size=40), st.integers(1, 4))
def test_sums_equal_adding_up_in_a_tree_that_is_too_deep_for_kept_branches(
    sequence: list[tuple[str, dict[str, Any]]], deepest: int
) -> None:
    tree, naive = Tree("e"), NaiveTree(PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage, "DEEPEST", deepest)
        for kind, data in sequence:
            tree.advance(change_of(tree, kind, data))
            naive.apply(kind, data)
            assert_sums(tree, naive)


@given(st.lists(_moves, max_size=20), st.lists(_moves, max_size=20))
@example([], _OUT_OF_A_CYCLE_INTO_ITSELF)
def test_a_copy_and_a_loaded_tree_go_on_alike(
    first: list[tuple[str, dict[str, Any]]], then: list[tuple[str, dict[str, Any]]]
) -> None:
    tree, naive, copy, loaded = Nodes(), NaiveTree(PROJECT), Nodes(), Nodes()
    for kind, data in first:
        tree.apply(change_of(tree, kind, data))
        naive.apply(kind, data)
    copy.copy_from(tree)
    loaded.load(reversed(tree.nodes.items()), tree.top)
    for kind, data in then:
        naive.apply(kind, data)
        for one in (copy, loaded):
            one.apply(change_of(one, kind, data))
    assert_sums(copy, naive)
    assert_sums(loaded, naive)


@pytest.mark.parametrize(("moved", "to"), list(product("abc", ["a", "b", "c", None])))
def test_sums_equal_adding_up_after_a_move_in_any_three_nodes(moved: str, to: str | None) -> None:
    for parents in product(["a", "b", "c", None], repeat=3):
        nodes, naive = Nodes(), NaiveTree(PROJECT)
        placed = [
            _move(name, parent_id=parent, cost_usd=cost)
            for name, parent, cost in zip("abc", parents, (1, 10, 100), strict=True)
        ]
        for kind, data in (*placed, _move(moved, parent_id=to)):
            nodes.apply(change_of(nodes, kind, data))
            naive.apply(kind, data)
        assert_sums(nodes, naive)


def test_a_deep_chain_costs_a_bounded_number_of_steps() -> None:
    nodes = Nodes()
    for n in range(2 * DEEPEST):
        put(nodes, str(n), parent_id=str(n + 1))
    asked = 0
    parent = nodes.parent

    def counting(node_id: str) -> str | None:
        nonlocal asked
        asked += 1
        return parent(node_id)

    nodes.parent = counting  # type: ignore[method-assign]
    for tokens in range(100):
        put(nodes, "0", usage={"input_tokens": tokens})
    assert asked <= DEEPEST + 1
    assert nodes.used_in(str(2 * DEEPEST))[0] == 99


def test_what_has_no_usage_makes_no_sums() -> None:
    nodes = Nodes()
    put(nodes, "a", status="running", parent_id="b", meta={"usage": 5})
    assert nodes._usage is None


def test_ended_attempts_count_however_many_there_were() -> None:
    nodes = Nodes()
    for _ in range(20):
        put(nodes, "a", status="running")
        put(nodes, "a", status="failed", usage={"input_tokens": 10, "output_tokens": 5}, cost_usd=0.1)
    assert as_json(nodes.used()) == {
        "input_tokens": 200,
        "output_tokens": 100,
        "total_tokens": 300,
        "cost_usd": 2.0,
    }
    entry = {"status": "failed", "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}
    assert nodes.fields("a")["ended_attempts"] == [{**entry, "cost_usd": 0.1}] * 8


def test_the_reducer_alone_says_what_ended_attempts_used() -> None:
    nodes = Nodes()
    put(nodes, "a", ended_usage={"input_tokens": 5})
    assert ENDED_USAGE not in nodes.fields("a")
    assert nodes.used() == usage.NOTHING


@pytest.mark.parametrize("value", [-1, 0.5, 10**10 + 1, True, "5", None, [], {}, float("nan"), float("inf")])
def test_what_is_no_count_does_not_count(value: object) -> None:
    assert spent({"usage": {"input_tokens": value}, "cost_usd": None}) == usage.NOTHING


@pytest.mark.parametrize("value", [-0.1, 1_000_001, True, "5", None, [], float("nan"), float("inf")])
def test_what_is_no_cost_does_not_count(value: object) -> None:
    assert spent({"cost_usd": value}) == usage.NOTHING


def test_cost_is_summed_exactly() -> None:
    nodes = Nodes()
    for n in range(10):
        put(nodes, f"n{n}", parent_id="top", cost_usd=0.1)
    assert as_json(nodes.used_in("top")) == {"cost_usd": 1.0}
