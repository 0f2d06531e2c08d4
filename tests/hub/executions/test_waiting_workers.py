"""Pending executions and waiting workers: who is woken, in what order they find, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import EVERYTHING, OPEN, Scope
from tasktree_rt.hub.executions.preconditions import ExecutionFilter
from tasktree_rt.hub.executions.waiting_workers import UNKNOWN, WaitingWorkers
from tests.hub.world import a_world

ANY: frozenset[str] = frozenset()


class TestNames:
    def test_the_oldest_comes_first_over_all_workflows(self) -> None:
        queue = WaitingWorkers()
        for name, workflow in (("3", "b"), ("1", "a"), ("2", UNKNOWN), ("0", "b")):
            queue.add(name, workflow)
        assert queue.names(()) == ["3", "1", "2", "0"]
        assert queue.names(["b"]) == ["3", "2", "0"]
        assert queue.names(["other"]) == ["2"]

    def test_an_execution_whose_workflow_becomes_known_keeps_its_place(self) -> None:
        queue = WaitingWorkers()
        queue.add("1", UNKNOWN)
        queue.add("2", "b")
        queue.add("1", "b")
        assert queue.names(["b"]) == ["1", "2"]
        assert queue.names(["other"]) == []

    def test_one_that_waits_again_goes_to_the_end(self) -> None:
        queue = WaitingWorkers()
        for name in ("1", "2"):
            queue.add(name, "a")
        queue.discard("1")
        queue.add("1", "a")
        assert queue.names(["a"]) == ["2", "1"]

    @given(
        st.lists(
            st.tuples(st.sampled_from("xyz"), st.one_of(st.none(), st.sampled_from("ab")), st.booleans())
        ),
        st.frozensets(st.sampled_from("abc")),
    )
    def test_is_what_a_plain_list_would_say(
        self, steps: list[tuple[str, str | None, bool]], workflows: frozenset[str]
    ) -> None:
        queue, plain = WaitingWorkers(), dict[str, str | None]()
        for name, workflow, leaves in steps:
            if leaves:
                queue.discard(name)
                plain.pop(name, None)
            else:
                queue.add(name, workflow)
                plain[name] = workflow
        assert queue.names(workflows) == [
            name for name, one in plain.items() if not workflows or one is UNKNOWN or one in workflows
        ]
        assert len(queue) == len(plain)
        for name in plain:
            queue.discard(name)
        assert vars(queue) | {"_next": 0} == vars(WaitingWorkers())


class CountingScope(Scope):
    asked = 0

    def covers(self, project_id: str) -> bool:
        CountingScope.asked += 1
        return super().covers(project_id)


class TestWorkers:
    def test_are_offered_what_they_asked_for(self) -> None:
        queue = WaitingWorkers()
        with (
            queue.waiting(EVERYTHING, ANY) as one,
            queue.waiting(EVERYTHING, frozenset({"b", "c"})) as two,
            queue.waiting(Scope(("x*",)), ANY) as three,
        ):
            queue.add("1", "a")
            queue.add("x2", "b")
            assert (one.take(), two.take(), three.take()) == (["1", "x2"], ["x2"], ["x2"])
            assert one.take() == []

    def test_are_offered_an_execution_that_becomes_one_of_theirs(self) -> None:
        queue = WaitingWorkers()
        with queue.waiting(EVERYTHING, frozenset({"b"})) as worker:
            queue.add("1", "a")
            queue.add("1", "b")
            assert worker.take() == ["1"]

    def test_leave_nothing_behind(self) -> None:
        queue = WaitingWorkers()
        for workflows in (ANY, frozenset({"a", "b"})):
            with queue.waiting(EVERYTHING, workflows):
                pass
        assert vars(queue) == vars(WaitingWorkers())

    def test_a_new_execution_looks_at_the_workers_of_its_workflow_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(CountingScope, "asked", 0)
        queue = WaitingWorkers()
        for number in range(4_000):
            queue.add(f"{number}", "a")
        workers = [queue.waiting(CountingScope(("*",)), frozenset({"b"})) for _ in range(50)]
        for worker in workers:
            worker.__enter__()
        queue.add("another", "a")
        assert CountingScope.asked == 0
        queue.add("theirs", "b")
        assert CountingScope.asked == 50


async def test_a_waiting_worker_looks_at_what_is_new_and_not_at_all_that_waits(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        executions = world.hub.executions
        for _ in range(40):
            await executions.start({"workflow_id": "a"}, OPEN, None)
        loaded: list[str] = []
        load = world.hub.cache.load

        async def counting(project_id: str) -> Any:
            loaded.append(project_id)
            return await load(project_id)

        found: list[str] = []

        async def work() -> None:
            wish = ExecutionFilter(EVERYTHING, 10, "pending", frozenset({"b"}))
            found.extend(one["id"] for one in await executions.waiting(wish, 60))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(work)
            await wait_all_tasks_blocked()
            made = [await executions.start({"workflow_id": name}, OPEN, None) for name in "aa"]
            monkeypatch.setattr(world.hub.cache, "load", counting)
            made.append(await executions.start({"workflow_id": "b"}, OPEN, None))
        theirs = made[-1][0]["id"]
        assert found == [theirs] * 3
        assert loaded.count(f"execution:{theirs}") == len(loaded)
