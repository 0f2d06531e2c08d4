"""What readers of a branch see: the filter of the whole tree, whatever happens and wherever they begin."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasktree_rt.core.events import Event, ProjectId, Record
from tasktree_rt.core.log import Position, Recovered
from tasktree_rt.core.nodes import wholes
from tasktree_rt.core.reducer import named_node, reduce
from tasktree_rt.dialects.base import Dialect, encode_body, measure, plain
from tasktree_rt.dialects.deflate import Compressor
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.projects.branch_view import BranchView
from tasktree_rt.hub.projects.project import Project
from tests.core.strategies import happenings
from tests.model import NaiveTree

STAMP = "2026-01-02T03:04:05.000006Z"
NODES = ["N_a", "N_b", "N_c", "N_d"]
ROOT = NODES[0]
Happening = tuple[str, dict[str, Any]]

_node = st.sampled_from(NODES)
_parent = _node | _node | _node | st.none()
_needs = st.lists(_node, max_size=3)
_move = st.fixed_dictionaries({"parent_id": _parent})
_other = st.fixed_dictionaries(
    {},
    optional={
        "parent_id": _parent,
        "depends_on": _needs | st.none(),
        "status": st.sampled_from(["running", "failed", None]),
        "deleted": st.sampled_from([True, False, False]),
        "usage": st.just({"input_tokens": 3}),
    },
)
_update = st.tuples(
    st.just("node_update"), st.fixed_dictionaries({"node_id": _node, "changes": _move | _other | _other})
)
_prompt = st.fixed_dictionaries({"prompt_id": st.sampled_from(["q", "r"])}, optional={"node_id": _node})
_task = st.fixed_dictionaries({"task_id": _node}, optional={"parent_id": _parent, "dependencies": _needs})
_to = st.fixed_dictionaries({"to": st.just("ready")}, optional={"node_id": _node})
_line = st.fixed_dictionaries({"message": st.just("m")}, optional={"node_id": _node})
_rare: st.SearchStrategy[Happening] = st.one_of(
    st.tuples(st.just("state_transition"), _to),
    st.tuples(st.sampled_from(["task_updated", "task_deleted"]), _task),
    st.tuples(st.just("log"), _line),
    st.tuples(st.sampled_from(["prompt", "prompt_resolved"]), _prompt),
    st.tuples(st.just("project_update"), st.just({"changes": {"title": "secret"}})),
    st.tuples(st.sampled_from(["tasks_reset", "project_reset", "mission_snapshot"]), st.just({})),
)
_own = _update | _update | _update | _rare


def naive(tree: NaiveTree, root: str) -> dict[str, Any]:
    """The branch of a whole tree, from the rules in words."""
    inside = {one for one in tree.nodes if tree.reaches(one, root)} | {root}
    nodes = {}
    for node_id in inside & tree.nodes.keys():
        fields = {
            key: value for key, value in tree.nodes[node_id].items() if (node_id, key) != (root, "parent_id")
        }
        needs = fields.get("depends_on")
        if isinstance(needs, list):
            fields["depends_on"] = [one for one in needs if one in inside]
        elif needs is not None:
            del fields["depends_on"]
        nodes[node_id] = fields
    prompts = [one for one in tree.prompts if one.get("node_id") in inside]
    return {**NaiveTree("p").picture(), "prompts": prompts, "nodes": nodes}


class Reader:
    """Applies what one language says, and checks that positions follow each other."""

    def __init__(self, dialect: Dialect, root: str, seq: int = 0) -> None:
        self.dialect = dialect
        self.tree = NaiveTree("p")
        self.root = root
        self.seq = seq
        self.text = ""

    def take(self, view: BranchView, records: tuple[Record, ...]) -> None:
        if not records:
            return
        data = Batch(view.topic, view.epoch, records, after=self.seq).encoding(self.dialect).data
        for message in frames(data):
            self.text += json.dumps(message)
            if message["type"] == "conflated" and "after" in message:
                assert message["after"] == self.seq
                assert message["project_id"] == "p"
                for one in message["removed"]:
                    self.tree.nodes.pop(one, None)
                for node in message["nodes"]:
                    self.tree.nodes[node.pop("node_id")] = node
                self.tree.prompts = message.get("prompts", self.tree.prompts)
            else:
                native = self.dialect.name == "native"
                assert message["seq"] == self.seq + 1 if native else message["seq"] >= self.seq
                self.tree.apply(message["type"], message["data"])
            self.seq = message["seq"]


def frames(data: bytes) -> Iterator[dict[str, Any]]:
    while data:
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        payload = data[start : start + size]
        if data[0] & 0x40:  # compressed (RFC 7692)
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        yield json.loads(payload)
        data = data[start + size :]


class Run:
    """A project with its branch, beside the naive tree of the whole."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.project = Project("p")
        self.project.begin_epoch("e")
        self.view = BranchView(self.project, root, 0.0)
        self.project.branches[root] = self.view
        self.whole = NaiveTree("p")

    def happen(self, kind: str, data: dict[str, Any]) -> tuple[Record, ...]:
        event = Event(kind, ProjectId("p"), data, STAMP)
        tree = self.project.tree
        body = encode_body(event)
        change = reduce(tree, event, len(body), measure)
        record = Record(tree.head + 1, kind, named_node(event), 0, body)
        self.project.apply(record, change, len(body))
        self.whole.apply(kind, copy.deepcopy(data))
        return tuple(record for fresh in self.view.take_fresh() for record in fresh.records)

    def picture(self) -> dict[str, Any]:
        tree = self.view.tree
        nodes = {one.pop("node_id"): one for one in wholes(tree.nodes.items())}
        found: dict[str, Any] = plain({**tree.top, "nodes": nodes})
        return found


def follow(root: str, happened: list[Happening]) -> Run:
    run = Run(root)
    readers = [Reader(Native(), root), Reader(Plain(), root)]
    pictures, heads = [naive(run.whole, root)], [0]
    for kind, data in happened:
        new = run.happen(kind, data)
        for reader in readers:
            reader.take(run.view, new)
        expected = naive(run.whole, root)
        assert run.picture() == expected
        assert readers[0].tree.picture() == expected
        assert readers[1].tree.nodes == expected["nodes"]
        assert readers[0].seq == run.view.tree.head
        pictures.append(copy.deepcopy(expected))
        heads.append(run.view.tree.head)
    for seq, before in enumerate(pictures):
        resumed(run, seq, before)
    return run


def resumed(run: Run, seq: int, before: dict[str, Any]) -> None:
    """A reader that was at any position resumes: by the events, or by what changed in one message."""
    if seq > run.view.tree.head:
        return  # nothing of the branch has happened since
    reader = Reader(Native(), run.root, seq)
    for name, value in copy.deepcopy(before).items():
        setattr(reader.tree, name, value)
    found = run.view.log.since(Position("e", seq))
    assert isinstance(found, Recovered)
    reader.take(run.view, found.records)
    assert reader.tree.picture() == run.picture()
    difference = run.view.tree.since(seq, 1000)
    assert difference is not None
    nodes = {one: fields for one, fields in before["nodes"].items() if one not in difference.removed}
    nodes.update((one.pop("node_id"), one) for one in wholes(difference.nodes))
    conflated = {**before, **difference.top, "nodes": nodes}
    assert plain(conflated) == run.picture()


@given(
    st.sampled_from(["a", "1"]),
    st.lists(happenings.filter(lambda one: one[0] != "project_deleted"), max_size=20),
)
def test_a_branch_is_the_filter_of_the_whole_after_every_event(root: str, happened: list[Happening]) -> None:
    follow(root, happened)


SMALL = Compressor(1, 6)
"""Compresses every message."""


def placed(node_id: str, parent: str | None, **changes: Any) -> Happening:
    return "node_update", {"node_id": node_id, "changes": {"parent_id": parent, **changes}}


IN_A_CIRCLE = [
    placed("N_b", "N_a"),
    placed("N_c", "N_b"),
    placed("N_a", "N_c"),
    placed("N_d", "N_a"),
    placed("N_b", None),
]
NEEDED = [placed("N_c", None), placed("N_b", "N_a", depends_on=["N_c", "N_d"]), placed("N_c", "N_a")]
ASKED: list[Happening] = [
    placed("N_b", None),
    ("prompt", {"prompt_id": "q", "node_id": "N_b"}),
    placed("N_b", "N_a"),
    placed("N_b", None),
]


@settings(max_examples=100)
@example(IN_A_CIRCLE)
@example(NEEDED)
@example(ASKED)
@given(st.lists(_own, min_size=4, max_size=16))
def test_moves_prompts_and_dependencies_are_the_filters_too_and_name_no_other_node(
    happened: list[Happening],
) -> None:
    run = Run(ROOT)
    reader = Reader(Native(), ROOT)
    ever = {ROOT}
    for kind, data in happened:
        before = set(run.view.tree.nodes)
        reader.text = ""
        reader.take(run.view, run.happen(kind, data))
        ever = {ROOT, *before, *run.view.tree.nodes}
        said = {one for one in NODES if f'"{one}"' in reader.text}
        assert said <= ever
        assert "secret" not in reader.text
    follow(ROOT, happened)


def test_a_move_within_the_branch_and_a_new_node_pass_as_they_are() -> None:
    run = Run("r")
    passed: list[bool] = []
    for data in (
        {"node_id": "r", "changes": {"title": "Root"}},
        {"node_id": "a", "changes": {"parent_id": "r"}},
        {"node_id": "b", "changes": {"parent_id": "r", "depends_on": ["a"]}},
        {"node_id": "b", "changes": {"parent_id": "a"}},
        {"node_id": "b", "changes": {"status": "running"}},
    ):
        passed.extend(record.body != b"" for record in run.happen("node_update", data))
    assert passed == [True] * 5


def test_what_is_elsewhere_costs_a_branch_nothing_it_keeps() -> None:
    run = Run("r")
    run.happen("node_update", {"node_id": "r", "changes": {}})
    for number in range(100):
        assert run.happen("node_update", {"node_id": f"x{number}", "changes": {"parent_id": "x0"}}) == ()
        assert run.happen("log", {"node_id": "x1", "message": "m"}) == ()
    assert (run.view.tree.head, len(run.view.log), len(run.view.tree)) == (1, 1, 1)


@pytest.mark.parametrize("language", [Native(), Plain(), SMALL.of(Native()), SMALL.of(Plain())])
def test_a_subtree_that_moves_in_appears_whole_and_one_that_moves_out_goes(language: Dialect) -> None:
    run, reader = Run("r"), Reader(language, "r")
    for node_id, parent in (("r", None), ("x", None), ("y", "x"), ("z", "y")):
        changes = {"title": node_id} | ({} if parent is None else {"parent_id": parent})
        reader.take(run.view, run.happen("node_update", {"node_id": node_id, "changes": changes}))
    assert set(reader.tree.nodes) == {"r"}
    reader.take(run.view, run.happen("node_update", {"node_id": "y", "changes": {"parent_id": "r"}}))
    assert reader.tree.nodes["y"] == {"title": "y", "parent_id": "r"}
    assert set(reader.tree.nodes) == {"r", "y", "z"}
    reader.take(run.view, run.happen("node_update", {"node_id": "y", "changes": {"parent_id": "x"}}))
    assert set(reader.tree.nodes) == {"r"}
