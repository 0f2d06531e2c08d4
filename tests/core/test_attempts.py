"""What the reducer keeps of attempts that ended."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.attempts import ENDED_ATTEMPTS, LONGEST, MOST, SHORT
from tasktree_rt.core.nodes import Nodes, wholes
from tasktree_rt.core.reducer import weighed
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import encode_json, measure
from tests.core.strategies import odd
from tests.core.trees import change_of, picture

MOST_BYTES = MOST * (6 * LONGEST + 3 * 6 * SHORT + 128)
"""Bytes that the entries can take: an escaped character takes up to six."""

_values = odd | st.text(alphabet="\x01x\U0001f600", max_size=400)
_changes = st.dictionaries(st.sampled_from(["started_at", "ended_at", "message", ENDED_ATTEMPTS]), _values)
_turns = st.tuples(st.sampled_from(["failed", "running"]), st.integers(1, 3), _changes)


def put(tree: Tree, **changes: Any) -> None:
    tree.advance(change_of(tree, "node_update", {"node_id": "n", "changes": changes}))


@given(st.lists(_turns, max_size=30))
def test_whatever_events_say_the_entries_are_few_and_small(turns: list[tuple[str, int, Any]]) -> None:
    tree = Tree("e")
    for status, attempt, changes in turns:
        put(tree, status=status, attempt=attempt, **changes)
        kept = tree.fields("n").get(ENDED_ATTEMPTS, [])
        assert len(kept) <= MOST
        assert len(encode_json(kept)) <= MOST_BYTES


def test_a_checkpoint_from_before_loads_and_its_next_attempt_is_kept() -> None:
    tree = Tree("e")
    old: dict[str, Any] = {"status": "failed", "started_at": "t1", "ended_at": "t2", "message": "no route"}
    tree.load([("n", weighed("n", old, measure))], {})
    put(tree, status="running", attempt=2, started_at="t3", ended_at=None, message=None)
    assert tree.fields("n") == {
        "status": "running",
        "attempt": 2,
        "started_at": "t3",
        ENDED_ATTEMPTS: [old],
    }


def test_a_foreign_field_of_that_name_in_an_old_checkpoint_is_replaced() -> None:
    tree = Tree("e")
    old: dict[str, Any] = {"status": "failed", ENDED_ATTEMPTS: "two"}
    tree.load([("n", weighed("n", old, measure))], {})
    put(tree, status="ready")
    assert tree.fields("n") == {"status": "ready", ENDED_ATTEMPTS: [{"status": "failed"}]}


def test_a_checkpoint_carries_them() -> None:
    tree, loaded = Tree("e"), Nodes()
    for status in ("failed", "running", "failed", "running"):
        put(tree, status=status)
    frozen = tree.snapshot()
    assert [one[ENDED_ATTEMPTS] for one in wholes(frozen.nodes)] == [[{"status": "failed"}] * 2]
    loaded.load(frozen.nodes, frozen.top)
    assert picture(loaded) == picture(tree)
