"""What a run remembers of its nodes, and what entering one again keeps."""

from __future__ import annotations

from typing import Any

import pytest

from tasktree_rt.client import open_run
from tasktree_rt.client.joining.known_nodes import KnownNodes
from tasktree_rt.client.run.base import BaseRun
from tasktree_rt.client.run.node_sizes import MOST_NODES, NodeSizes
from tasktree_rt.core.events import Json
from tests.client.running import nodes, statuses
from tests.web.realhub import RealHub, real_hub

GIVEN: Json = {"title": "Compile", "kind": "phase", "order": 3, "depends_on": ["setup"]}


def enter(attempts: KnownNodes, node_id: str, end: str = "completed") -> None:
    attempts.begin(node_id)
    attempts.end(node_id, end)


def test_the_memory_of_ended_nodes_is_bounded_and_that_of_open_ones_is_kept() -> None:
    attempts = KnownNodes(most_nodes=100)
    attempts.begin("open")
    for number in range(10_000):
        enter(attempts, f"n{number}")
    assert len(attempts) == 101
    assert attempts.begin("open").attempt == 1  # it goes on
    assert attempts.begin("n9900").attempt == 2
    assert attempts.begin("n9899").attempt == 1  # forgotten: a new one


def test_a_node_that_is_entered_again_is_remembered_longest() -> None:
    attempts = KnownNodes(most_nodes=2)
    for name in ("a", "b", "a", "c"):
        enter(attempts, name)
    assert [attempts.begin(name).attempt for name in ("a", "b")] == [3, 1]


def test_the_memory_of_descriptions_is_bounded() -> None:
    attempts = KnownNodes(most_described=10_000)
    for number in range(100):
        attempts.describe(f"n{number}", {"title": "x" * 1_000, "message": "x" * 100_000})
    assert len(attempts) == 9
    for number in range(100):
        attempts.describe(f"n{number}", {"title": "x"})
    assert len(attempts) == 100


def test_only_what_describes_a_node_is_remembered_and_only_given_where_the_hub_lost_it() -> None:
    attempts = KnownNodes()
    attempts.describe("n", {**GIVEN, "message": "m", "progress": 3, "files": 4})
    attempts.describe("n", {"order": None})
    enter(attempts, "n", "failed")
    assert (entry := attempts.begin("n")).described == {}
    assert (entry.attempt, entry.before) == (2, "failed")
    attempts.end("n", "completed")
    entry = attempts.begin("n")
    assert entry.described == {"title": "Compile", "kind": "phase", "depends_on": ["setup"]}


def test_a_failed_node_is_described_again_where_another_was_deleted_meanwhile() -> None:
    attempts = KnownNodes()
    attempts.begin("parent")
    attempts.describe("planned", {"title": "P"})
    enter(attempts, "child", "failed")
    attempts.describe("child", {"title": "C"})
    attempts.end("parent", "completed")
    attempts.begin("parent")
    assert attempts.begin("child").described == {"title": "C"}
    assert attempts.begin("planned").described == {"title": "P"}


def test_the_memory_of_sizes_is_bounded() -> None:
    sizes = NodeSizes(1_000_000)
    for number in range(MOST_NODES + 10):
        sizes.note(f"n{number}", {"text": "x" * 2_000})
        sizes.ended(f"n{number}")
    assert len(sizes) == MOST_NODES


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "planned"])
async def test_what_describes_a_node_outlives_its_entering_again(end: str) -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        with run.node("phase") as phase:
            if end == "planned":
                run.plan("n", **GIVEN)
            else:
                fault = {"failed": LookupError, "cancelled": KeyboardInterrupt}.get(end)
                fail(run, fault)
        with run.node("n"):
            await run.flush()
            found = (await nodes(running))["n"]
        assert phase.status == "completed"
        assert run.statistics().lost == 0
    assert {name: found[name] for name in GIVEN} == GIVEN
    assert (found["parent_id"], found["status"]) == ("phase", "running")
    assert "message" not in found


def fail(run: BaseRun[Any], fault: type[BaseException] | None) -> None:
    def enter() -> None:
        with run.node("n", **{**GIVEN, "title": "Comp"}) as step:
            step.update(title="Compile", order=3)
            step.update(message="half way")
            if fault is not None:
                raise fault

    if fault is None:
        enter()
    else:
        with pytest.raises(fault):
            enter()


async def test_what_is_given_on_entering_again_replaces_what_was_there() -> None:
    async with real_hub() as running, open_run(running.url, "p") as run:
        for fields in (GIVEN, {"title": "Link", "kind": None}):
            with run.node("a"), run.node("n", **fields):
                pass
        with run.node("n", parent=None):
            pass
        await run.flush()
        found = (await nodes(running))["n"]
    assert (found["title"], found["order"], found["attempt"]) == ("Link", 3, 3)
    assert not found.keys() & {"kind", "parent_id"}


async def test_a_later_run_does_not_overwrite_the_title_that_an_earlier_one_gave() -> None:
    async with real_hub() as running:
        for fields in ({"title": "Build"}, {}):
            async with open_run(running.url, "p") as run:
                with run.node("phase"), run.node("n", **fields):
                    pass
            async with open_run(running.url, "p") as run:
                with run.node("n"):
                    pass
        found = (await nodes(running))["n"]
    assert (found["title"], found["parent_id"]) == ("Build", "phase")


async def test_a_child_of_a_node_that_is_replaced_keeps_its_title() -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        for fields in ({"title": "Inner"}, {}):
            with run.node("outer"), pytest.raises(LookupError), run.node("inner", **fields):
                raise LookupError
        await run.flush()
        assert (await nodes(running))["inner"]["title"] == "Inner"
        assert await statuses(running, "inner") == ["running", "failed", "ready", "running", "failed"]


async def test_a_run_of_many_nodes_remembers_so_many_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasktree_rt.client.run.base.KnownNodes", lambda: KnownNodes(most_nodes=10))

    async def remembered(running: RealHub) -> int:
        async with open_run(running.url, "p") as run:
            for number in range(200):
                with run.node(f"n{number}"):
                    pass
            return len(run._attempts)

    async with real_hub() as running:
        assert await remembered(running) == 10
        assert len(await nodes(running)) == 200
