"""Loading a project: each event is reduced once, and the loop goes on after every small step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

from tasktree_rt.brokers.base import Checkpoint, Life
from tasktree_rt.core import nodes
from tasktree_rt.core.events import Record, parse_event
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.hub.projects import checkpoints, loading
from tasktree_rt.hub.projects import footprint as footprints
from tasktree_rt.hub.projects.checkpoints import encode_parts
from tasktree_rt.hub.projects.large_values import WHOLE
from tasktree_rt.hub.projects.loading import load_project
from tasktree_rt.hub.projects.project import Project
from tests.hub.world import STAMP, Store, update

STORED, BEHIND = 1_000, 700
Step = Callable[[], None]


async def unread(*_: object) -> Recovered | Gap:
    raise AssertionError("enough events are behind the checkpoint")


def record(seq: int, **fields: object) -> Record:
    event = parse_event({"project_id": "p", **update(f"n{seq}", **fields)}, now=STAMP)
    return Record(seq, event.type, f"n{seq}", 1, encode_body(event))


async def a_life() -> Life:
    """A project of 1,700 nodes: 1,000 in a checkpoint of many parts, the others in events behind it."""
    project = Project("p")
    for seq in range(1, STORED + 1):
        one = record(seq, parent_id=f"n{seq // 2}", title="x" * 200)
        project.tree.advance(checkpoints.change("p", project.tree, one)[1])
    parts = await encode_parts(project.tree.snapshot())
    tail = tuple(record(STORED + seq, parent_id=f"n{seq}") for seq in range(1, BEHIND + 1))
    return Life("e", STORED + BEHIND, 0, 1, Checkpoint("e", STORED, parts), tail, None)


class Loaded(Store):
    """A store that has this life only."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.lives = [life]

    async def load(self, project_id: str) -> Life:
        return self.lives.pop()


def count_steps(patch: pytest.MonkeyPatch, step: Step) -> None:
    """Call `step` wherever loading yields to the loop."""

    async def stepped() -> None:
        step()

    for module in (loading, checkpoints, footprints):
        patch.setattr(module, "yield_if_due", stepped)


async def test_a_step_puts_few_nodes_into_a_tree_and_each_node_is_put_there_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Loaded(await a_life())
    put, steps = [0], [0]
    right = nodes.Nodes._put

    def counted(tree: nodes.Nodes, node_id: str, node: nodes.Node) -> None:
        put[0] += 1
        right(tree, node_id, node)

    with monkeypatch.context() as patch:
        patch.setattr(nodes.Nodes, "_put", counted)
        patch.setattr(loading, "OLDER", 500)
        count_steps(patch, lambda: steps.append(put[0]))
        project = (await load_project(store, unread, "p", WHOLE)).project
    most = max(checkpoints.SLICE, loading.SLICE)
    assert max(after - before for before, after in pairwise([*steps, put[0]])) <= most
    assert put[0] == STORED + BEHIND, "the staged tree is a copy"
    assert project.staged.nodes == project.tree.nodes
    assert project.staged.nodes is not project.tree.nodes
    assert list(project.staged.children("n7")) == list(project.tree.children("n7"))
    assert project.position == Position("e", STORED + BEHIND)


async def test_the_copy_of_a_tree_with_many_parents_is_made_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Loaded(await a_life())
    monkeypatch.setattr(nodes, "COPIED", 10)
    monkeypatch.setattr(loading, "OLDER", 500)
    copied: list[int] = []
    staged: list[nodes.Nodes] = []
    right = nodes.Nodes.copying

    def noted(tree: nodes.Nodes, other: nodes.Nodes) -> object:
        staged.append(tree)
        return right(tree, other)

    monkeypatch.setattr(nodes.Nodes, "copying", noted)
    count_steps(monkeypatch, lambda: copied.append(len(staged[0]._children) if staged else 0))
    await load_project(store, unread, "p", WHOLE)
    assert max(copied) > 500
    assert all(after - before <= 10 for before, after in pairwise(copied))


async def test_what_was_read_is_let_go_while_it_is_used_and_not_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = await a_life()
    checkpoint = life.checkpoint
    assert checkpoint is not None
    pieces: list[object] = [*checkpoint.parts[1:], *life.tail]
    store = Loaded(life)
    del life, checkpoint
    held: list[int] = []

    def look() -> None:
        """Count what the loader still holds of parts, and of the events that memory does not keep."""
        held.append(sum(sys.getrefcount(one) > 4 for one in pieces[:-50]))

    monkeypatch.setattr(loading, "OLDER", 500)
    monkeypatch.setattr("tasktree_rt.hub.projects.project.TAIL_EVENTS", 50)
    count_steps(monkeypatch, look)
    await load_project(store, unread, "p", WHOLE)
    assert held[0] > 600
    assert held[-1] <= 1
    most = max(before - after for before, after in pairwise(held))
    assert most <= max(checkpoints.SLICE, loading.SLICE) + 1, "freed at one time"
