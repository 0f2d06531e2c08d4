"""What a summary says of a tree, and that it stays small whatever a producer says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.tree import Tree
from tasktree_rt.hub.projects.summary import SummaryEncoder, line
from tests.core.strategies import happenings
from tests.core.trees import change_of


def told(*happened: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    tree = Tree("e")
    for kind, data in happened:
        tree.advance(change_of(tree, kind, data))
    found: dict[str, Any] = json.loads(SummaryEncoder().encode(tree))
    return found


def node(name: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    return "node_update", {"node_id": name, "changes": changes}


def project(**changes: Any) -> tuple[str, dict[str, Any]]:
    return "project_update", {"changes": changes}


def test_says_what_the_project_is_and_what_there_is_to_count() -> None:
    fields = {"title": "T", "group": "G", "labels": ["a"], "url": "https://example.org"}
    prompt = ("prompt", {"prompt_id": "q"})
    assert told(
        project(**fields, other=1),
        ("orchestrator_started", {"pid": 5}),
        prompt,
        node("a", status="running"),
        node("b", status="running"),
        node("c"),
    ) == {**fields, "prompts": 1, "orchestrator": "running", "counts": {"running": 2, "": 1}}


def test_says_nothing_of_what_nobody_said() -> None:
    nothing = dict.fromkeys(("title", "group", "labels", "url", "orchestrator"))
    assert told() == {**nothing, "prompts": 0, "counts": {}}


def test_says_what_the_nodes_have_used_if_any_has() -> None:
    assert told(
        node("a", usage={"input_tokens": 10, "output_tokens": 2}, cost_usd=0.5),
        node("b", usage={"output_tokens": 1}),
        node("b", deleted=True),
        node("c", cost_usd=0.25),
    )["usage"] == {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "cost_usd": 0.75}


def test_what_is_too_long_is_cut_or_left_out() -> None:
    found = told(
        project(title="t" * 999, group="g" * 999, labels={"a": "x" * 3_000}, url="u" * 2_049),
        ("state_transition", {"to": "s" * 999}),
    )
    assert (found["title"], found["group"]) == ("t" * 256, "g" * 256)
    assert found["labels"] is found["url"] is None
    said = json.loads(line(Summary("p", "e", 1, "s" * 999, 0, 0, b'{"prompts":0}')))
    assert said["state"] == "s" * 256


def test_what_is_of_the_wrong_kind_is_left_out() -> None:
    found = told(("project_created", {"title": 5, "group": [], "url": {}}), ("orchestrator_started", {}))
    assert found["title"] is found["group"] is found["url"] is None


def test_only_so_many_statuses_stand_by_themselves_and_no_node_is_lost() -> None:
    many = [node(f"n{number}", status=f"s{number}") for number in range(50)]
    counts = told(node("long", status="x" * 65), node("star", status="*"), *many)["counts"]
    assert len(counts) == 31
    assert counts["*"] == 1 + 1 + 50 - 30  # itself, the long one, those beyond the 32
    assert counts["s0"] == counts["s29"] == 1


@given(st.lists(happenings, max_size=20))
def test_is_the_same_whether_made_at_every_step_or_once(sequence: list[tuple[str, dict[str, Any]]]) -> None:
    tree, kept = Tree("e"), SummaryEncoder()
    for kind, data in sequence:
        tree.advance(change_of(tree, kind, data))
        assert json.loads(kept.encode(tree)) == json.loads(SummaryEncoder().encode(tree))
