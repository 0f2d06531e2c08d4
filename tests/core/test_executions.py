"""How an execution stands: by its state, by its nodes, and counted as one goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core import executions
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.executions import (
    STATUSES,
    TRANSITIONS,
    ExecutionStatus,
    Tally,
    execution_of,
    needs_count,
    project_of,
    status_of,
    status_word,
)
from tasktree_rt.core.nodes import EMPTY_TOP
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Tree
from tasktree_rt.errors import InvalidInput

FINISHED = {"completed", "merged", "failed", "cancelled"}
WAITING = {"draft", "ready", "pending", "queued", "unclaimed", "up_next"}
names = st.sampled_from("abcde")
statuses = st.sampled_from(["ready", "running", "completed", "failed", "own", None, 5])
changes = st.fixed_dictionaries(
    {}, optional={"parent_id": names | st.none() | st.just(5), "status": statuses, "deleted": st.booleans()}
)
updates = st.lists(st.tuples(names, changes), max_size=12)


def tree_of(*nodes: tuple[str, dict[str, Any]], tree: Tree | None = None) -> Tree:
    tree = Tree("x") if tree is None else tree
    for node_id, changes in nodes:
        event = Event("node_update", ProjectId("execution:e"), {"node_id": node_id, "changes": changes}, "t")
        tree.advance(reduce(tree, event, 100, lambda fields: len(str(fields))))
    return tree


def tally_of(tree: Tree) -> Tally:
    tally = Tally()
    tally.follow(tree)
    return tally


def naive(tree: Tree) -> tuple[int, str]:
    """Progress and status, counted from scratch."""
    fields = {node_id: node.fields for node_id, node in tree.nodes.items()}
    parents = {one.get("parent_id") for one in fields.values() if isinstance(one.get("parent_id"), str)}
    word = {one: f["status"] if isinstance(f.get("status"), str) else None for one, f in fields.items()}
    leaves = [one for one in fields if one not in parents]
    done = [one for one in leaves if word[one] in FINISHED]
    roots = [one for one, f in fields.items() if not isinstance(f.get("parent_id"), str)]
    progress = 100 * len(done) // len(leaves) if leaves else 0
    if all(one is None or one in WAITING for one in word.values()):
        return progress, "pending"
    if roots and all(word[one] in FINISHED for one in roots) and len(done) == len(leaves):
        failed = any(word[one] in ("failed", "cancelled") for one in roots)
        return progress, "failed" if failed else "completed"
    return progress, "running"


@given(st.lists(updates, max_size=5))
def test_counting_what_changed_is_as_good_as_counting_everything(rounds: list[Any]) -> None:
    tree, tally = Tree("x"), Tally()
    for one in rounds:
        tree_of(*one, tree=tree)
        tally.follow(tree)
        assert (tally.progress, tally.status) == naive(tree)
        # Every mark of every node, whether it decides anything here or not.
        assert tally._seen == tally_of(tree)._seen


@given(updates, updates)
def test_another_life_or_a_forgotten_past_is_counted_anew(first: Any, second: Any) -> None:
    tally = tally_of(tree_of(*first))
    other = tree_of(*second, tree=Tree("y"))
    tally.follow(other)
    assert (tally.progress, tally.status) == naive(other)
    tree = tree_of(*first)
    tally.follow(tree)
    tree_of(*second, tree=tree)
    tree.forget(tree.head)
    tally.follow(tree)
    assert (tally.progress, tally.status) == naive(tree)


@given(updates, updates, st.integers(0, 4))
def test_a_count_in_slices_is_right_whatever_changes_meanwhile(first: Any, second: Any, turn: int) -> None:
    tree, tally = tree_of(*first), Tally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executions, "_SLICE", 2)
        for number, _ in enumerate(tally.recount(tree)):
            if number == turn:
                tree_of(*second, tree=tree)
    tally.follow(tree)
    assert tally._seen == tally_of(tree)._seen
    assert (tally.progress, tally.status) == naive(tree)


def test_nothing_is_counted_where_the_nodes_decide_nothing() -> None:
    def never() -> Tally:
        raise AssertionError("counted")

    state: str | None
    for state, project in (("completed", {}), ("running", {"progress": 5}), ("failed", {"progress": 0.0})):
        top = {**EMPTY_TOP, "state": state, "project": project}
        assert not needs_count(top)
        status_of("e", top, never, 0)
    for state, project in ((None, {"progress": 5}), ("running", {}), ("failed", {"progress": 101})):
        top = {**EMPTY_TOP, "state": state, "project": project}
        assert needs_count(top)
        with pytest.raises(AssertionError):
            status_of("e", top, never, 0)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        *((one, "pending") for one in sorted(WAITING)),
        ("completed", "completed"),
        ("merged", "completed"),
        ("failed", "failed"),
        ("cancelled", "failed"),
        ("running", "running"),
        ("review", "running"),
        ("own", "running"),
        (None, "pending"),
    ],
)
def test_the_state_decides_where_there_is_one(state: str | None, word: str) -> None:
    assert status_word(state, Tally) == word


def status(state: str | None = "running", received: int = 0, **project: Any) -> ExecutionStatus:
    top = {**EMPTY_TOP, "state": state, "project": project}
    return status_of("e", top, Tally, received)


def test_a_progress_of_its_own_wins_if_it_is_one_and_completed_is_all() -> None:
    assert status(progress=40.5).progress == 40.5
    wrong: Any
    for wrong in (-1, 101, "40", True, None, [], float("nan")):
        assert status(progress=wrong).progress == 0
    assert status("completed", progress=40).progress == 100


def test_the_time_goes_on_until_it_ends() -> None:
    begun = "2026-11-21T12:00:00.000000Z"
    micros = 1_795_262_400_000_000
    assert status(received=micros).execution_time is None
    assert status(received=micros + 1_500_000, started_at=begun).execution_time == 1.5
    assert status(started_at=begun, ended_at="2026-11-21T13:00:02+01:00").execution_time == 2.0
    assert status(started_at=begun, ended_at="2026-11-21T11:00:00Z").execution_time == 0.0
    again = {"started_at": begun, "ended_at": "2026-11-21T11:00:00Z"}  # of an earlier attempt
    assert status(received=micros + 1_500_000, **again).execution_time == 1.5
    for odd in (5, "soon", "0001-01-01T00:00:00+23:59", None):
        assert status(started_at=odd).execution_time is None


def test_a_failed_one_says_why_as_far_as_anybody_said() -> None:
    assert status("failed", error={"code": 1}).error == {"code": 1}
    assert status("cancelled").error == "cancelled"
    assert status("failed").error is None
    top = {**EMPTY_TOP, "state": "failed", "orchestrator": {"status": "error", "error": "boom"}}
    assert status_of("e", top, Tally, 0).error == "boom"
    assert status_of("e", {**top, "state": "running"}, Tally, 0).error is None


def test_names() -> None:
    assert execution_of(project_of("e.1")) == "e.1"
    assert execution_of("executions:e") is None
    assert execution_of("execution:") is None
    for wrong in ("", "a b", "x" * 119, "é"):
        with pytest.raises(InvalidInput) as caught:
            project_of(wrong)
        assert (caught.value.code, caught.value.field) == ("invalid_project_id", "execution_id")


def test_every_status_has_a_way_on_or_none() -> None:
    assert TRANSITIONS.keys() == set(STATUSES)
    assert TRANSITIONS["completed"] == frozenset()
