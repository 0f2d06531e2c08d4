"""One project: staged ahead of the disk, applied behind it, and whole after whatever was refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import Record
from tasktree_rt.core.nodes import Change, Node, Nodes
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import encode_body, encode_json
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.settings import Limits
from tests.hub.resume.test_conflation import events
from tests.hub.world import made, update

LIMITS = Limits(max_nodes=3, max_node_size=1024)


def accept(project: Project, *given: dict[str, Any]) -> None:
    listed = made("p", *given)
    project.stage(listed, [len(encode_body(one)) for one in listed], LIMITS, enforce=True)


def apply(project: Project, *given: dict[str, Any]) -> None:
    for event, change in zip(made("p", *given), project.next_changes(), strict=True):
        body = encode_body(event)
        project.apply(Record(project.tree.head + 1, event.type, None, 0, body), change, len(body))


def fields(nodes: Nodes) -> dict[str, Any]:
    return {key: node.fields for key, node in nodes.nodes.items()}


@given(st.lists(st.lists(events, min_size=1, max_size=6), max_size=10))
def test_a_refused_publish_leaves_no_trace(publishes: list[list[dict[str, Any]]]) -> None:
    project, kept = Project("p"), Nodes()
    for publish in publishes:
        kept.copy_from(project.staged)
        try:
            accept(project, *publish)
        except Refused:
            assert fields(project.staged) == fields(kept)
            assert project.staged.top == kept.top
            assert sorted(project.staged.subtrees(["n1"])) == sorted(kept.subtrees(["n1"]))
        else:
            apply(project, *publish)
            assert fields(project.staged) == fields(project.tree)


def test_fields_of_another_shape_are_refused_only_if_the_lifecycle_is_enforced() -> None:
    project = Project("p")
    odd = made("p", update("n", usage={"input_tokens": -5}))
    with pytest.raises(InvalidInput) as caught:
        project.stage(odd, [9], LIMITS, enforce=True)
    assert caught.value.field == "events[0].data.changes.usage.input_tokens"
    assert caught.value.message == "expected an integer from 0 to 10000000000, or null, got -5"
    project.stage(odd, [9], LIMITS, enforce=False)
    assert project.fields_questioned == 1
    assert fields(project.staged) == {"n": {"usage": {"input_tokens": -5}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "m", "usage": {"input_tokens": 5, "other": "x"}, "cost_usd": 0.1},
        {"model": None, "usage": None, "cost_usd": None},
        {"kind": "anything", "input": [1], "output": "x", "usage": {"input_tokens": None}},
    ],
)
def test_documented_fields_and_unknown_ones_pass_an_enforcing_hub(changes: dict[str, Any]) -> None:
    accept(Project("p"), update("n", **changes))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"model": 5}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"usage": "5 GB"}, "usage"),
        ({"usage": {"total_tokens": 0.5}}, "usage.total_tokens"),
        ({"cost_usd": -1}, "cost_usd"),
        ({"cost_usd": 1_000_001}, "cost_usd"),
        ({"cost_usd": "1"}, "cost_usd"),
    ],
)
def test_an_enforcing_hub_names_the_field(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        accept(Project("p"), update("n", **changes))
    assert caught.value.field == f"events[0].data.changes.{place}"


def test_restaging_finds_anew_what_was_found_on_top_of_what_did_not_happen() -> None:
    project = Project("p")
    project.begin_epoch("e")
    accept(project, update("n", status="running", a=1))
    accept(project, update("n", b=2))
    project.restage(project.next_changes())  # the first one is given up
    assert fields(project.staged) == {"n": {"b": 2}}
    apply(project, update("n", b=2))
    assert fields(project.tree) == {"n": {"b": 2}}


def test_each_refusal_names_the_event() -> None:
    project = Project("p")
    for given_events, code, field in (
        ((update("a"), update("b"), update("c"), update("d")), "project_full", "events[3]"),
        ((update("a"), update("a", text="x" * 2_000)), "node_too_large", "events[1]"),
        (
            (update("a", status="draft"), update("a", status="completed")),
            "invalid_transition",
            "events[1]",
        ),
    ):
        with pytest.raises(Refused) as caught:
            accept(project, *given_events)
        assert (caught.value.code, caught.value.field) == (code, field)
        assert project.pending == 0
        assert len(project.staged) == 0


def test_what_is_kept_of_attempts_does_not_count_as_the_nodes_size() -> None:
    project = Project("p")
    project.begin_epoch("e")
    for number in range(9):
        accept(project, update("a", status="running", attempt=number))
        accept(project, update("a", status="failed", message="m" * 900), update("a", status="ready"))
    assert len(encode_json(fields(project.staged)["a"])) > 2 * LIMITS.max_node_size
    with pytest.raises(Refused, match="larger than 1024 bytes"):
        accept(project, update("a", message="m" * 1024))


def test_a_state_is_cut_into_parts_that_together_are_all_of_it() -> None:
    project = Project("p")
    project.begin_epoch("e")
    for number in range(3):
        publish = update(f"n{number}", text="x" * 900)
        accept(project, publish)
        apply(project, publish)
    planned = SharedSnapshot("p", project.tree.snapshot())
    parts = [planned.part(index, "initial") for index in range(planned.parts)]
    assert [node_id for part in parts for node_id, _ in part.nodes] == ["n0", "n1", "n2"]
    assert [part.top is not None for part in parts] == [True] + [False] * (len(parts) - 1)
    assert SharedSnapshot("p", Project("q").tree.snapshot()).parts == 1


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 300), st.randoms())
def test_whatever_the_sizes_every_node_is_in_one_part_and_no_part_is_too_large(
    sizes: list[int], most: int, order: random.Random
) -> None:
    nodes = {f"n{place}": Node({}, size, 0) for place, size in enumerate(sizes)}
    tree = Tree("e")
    tree.advance(Change(put=nodes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasktree_rt.hub.projects.shared_snapshot.PART_BYTES", most)
        planned = SharedSnapshot("p", tree.snapshot())
        asked = list(range(planned.parts))
        order.shuffle(asked)
        parts = {index: planned.part(index, "initial").nodes for index in asked}
    assert [node_id for index in sorted(parts) for node_id, _ in parts[index]] == list(nodes)
    for part in parts.values():
        assert sum(node.bound for _, node in part[:-1]) <= most


def test_a_small_state_is_always_taken_anew_and_a_large_one_shared() -> None:
    project = Project("p")
    project.begin_epoch("e")
    first = project.snapshot()
    publish = update("n")
    accept(project, publish)
    apply(project, publish)
    assert project.snapshot() is not first
    for number in range(1_000):
        project.tree.nodes[f"x{number}"] = project.tree.nodes["n"]
    large = project.snapshot()
    for _ in range(5):
        accept(project, publish)
        apply(project, publish)
    assert project.snapshot() is large
    assert project.snapshot(least=project.tree.head) is not large


def test_a_new_life_remembers_only_how_the_last_one_ended() -> None:
    project = Project("p")
    project.begin_epoch("e")
    end = {"type": "project_deleted", "data": {}}
    accept(project, update("n"), end)
    apply(project, update("n"), end)
    last = Record(2, "project_deleted", None, 5, b"{}")
    project.end_epoch(last)
    assert (project.epoch, project.tree.head, fields(project.tree)) == ("", 0, {})
    assert project.death is not None
    assert (project.death.epoch, project.death.record) == ("e", last)
