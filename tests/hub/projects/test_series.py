"""Series: the runs of one job, found after a restart too; what an overview of a run has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.access import EVERYTHING, Scope
from tasktree_rt.core.tree import Tree
from tasktree_rt.errors import Refused, Unavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects import run_overview, series
from tests.core.trees import change_of
from tests.hub.world import Store, World, a_world, run, small, update


def runs_of(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "project_update", "data": {"changes": {"series": name, **more}}}


async def found(hub: Hub, name: str = "nightly", scope: Scope = EVERYTHING, most: int = 30) -> list[Any]:
    lines, _ = await hub.series.runs(name, scope, most)
    return [json.loads(one) for one in lines]


async def ids(hub: Hub, name: str = "nightly", scope: Scope = EVERYTHING, most: int = 30) -> list[str]:
    return [one["project_id"] for one in await found(hub, name, scope, most)]


async def tell(world: World, project: str, *events: dict[str, Any]) -> None:
    await world.submit(project, *events)
    await world.settle()


def test_runs_are_found_whether_they_came_before_the_index_or_after() -> None:
    async def main() -> None:
        async with a_world(small()) as world:
            await tell(world, "a", runs_of("nightly", run=1))
            await tell(world, "b", runs_of("weekly"))
            assert await ids(world.hub) == ["a"]
            await tell(world, "c", runs_of("nightly", run="two"))
            assert await ids(world.hub) == ["c", "a"]
            await tell(world, "a", update("n", status="running"))
            assert await ids(world.hub) == ["a", "c"]
            assert [one["run"] for one in await found(world.hub)] == [1, "two"]
            assert await world.hub.series.names(EVERYTHING, "", 10) == (
                [
                    {"series": "nightly", "runs": 2, "newest": "a"},
                    {"series": "weekly", "runs": 1, "newest": "b"},
                ],
                None,
            )

    run(main)


def test_a_run_that_moves_to_another_series_or_ends_is_no_longer_there() -> None:
    async def main() -> None:
        async with a_world(small()) as world:
            for name in "abc":
                await tell(world, name, runs_of("nightly"))
            assert len(await ids(world.hub)) == 3
            await tell(world, "a", runs_of("weekly"))
            await tell(world, "b", {"type": "project_deleted", "data": {}})
            assert await ids(world.hub) == ["c"]
            await tell(world, "c", {"type": "project_update", "data": {"changes": {"series": None}}})
            with pytest.raises(Refused):
                await ids(world.hub)
            assert await ids(world.hub, "weekly") == ["a"]

    run(main)


def test_a_caller_sees_only_runs_that_it_may_watch() -> None:
    async def main() -> None:
        async with a_world(small()) as world:
            for name in ("a1", "a2", "b1"):
                await tell(world, name, runs_of("nightly"))
            await tell(world, "b2", runs_of("hidden"))
            scope = Scope(("a*",))
            assert await ids(world.hub, scope=scope) == ["a2", "a1"]
            names, _ = await world.hub.series.names(scope, "", 10)
            assert names == [{"series": "nightly", "runs": 2, "newest": "a2"}]
            with pytest.raises(Refused) as caught:
                await ids(world.hub, "hidden", scope)
            assert caught.value.code == "not_found"

    run(main)


def test_names_come_page_by_page() -> None:
    async def main() -> None:
        async with a_world(small()) as world:
            for name in "abcde":
                await tell(world, f"p{name}", runs_of(name))
            met, after = [], ""
            while True:
                page, following = await world.hub.series.names(EVERYTHING, after, 2)
                met += [one["series"] for one in page]
                if following is None:
                    break
                after = following
            assert met == list("abcde")

    run(main)


def test_a_store_that_fails_is_read_anew_with_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "ROWS", 1)

    async def main() -> None:
        store = Store()
        async with a_world(small(), store) as world:
            for name in "abc":
                await tell(world, name, runs_of("nightly"))
            store.failing_reads = True
            with pytest.raises(Unavailable):
                await ids(world.hub)
            store.failing_reads = False
            assert await ids(world.hub) == ["c", "b", "a"]

    run(main)


def test_a_run_that_has_not_changed_is_looked_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    real = run_overview.overview

    async def counting(snapshot: Any) -> Any:
        nonlocal made
        made += 1
        return await real(snapshot)

    monkeypatch.setattr(series, "overview", counting)

    async def main() -> None:
        async with a_world(small()) as world:
            await tell(world, "a", runs_of("nightly"))
            await tell(world, "b", runs_of("nightly"))
            first = await found(world.hub)
            assert await found(world.hub) == first
            assert made == 2
            await tell(world, "a", update("n", status="failed", message="no"))
            newest, other = await found(world.hub)
            assert made == 3
            assert [one["message"] for one in newest["overview"]["failed"]] == ["no"]
            assert other == first[0]
            monkeypatch.setattr(series, "KEPT", 10)
            await tell(world, "a", update("n", message="yes"))
            assert await found(world.hub) == await found(world.hub)
            assert world.hub.series._made_bytes <= 10

    run(main)


def of(*nodes: tuple[str, dict[str, Any]], state: str = "running", **project: Any) -> dict[str, Any]:
    tree, made = Tree("e"), {}
    tree.advance(change_of(tree, "state_transition", {"to": state}))
    tree.advance(change_of(tree, "project_update", {"changes": project}))
    for name, changes in nodes:
        tree.advance(change_of(tree, "node_update", {"node_id": name, "changes": changes}))

    async def look() -> None:
        made.update(await run_overview.overview(tree.snapshot()))

    run(look)
    return made


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"


def test_an_overview_has_the_times_the_top_and_what_failed_first() -> None:
    found = of(
        ("b", {"order": 1, "status": "failed", "started_at": at(3), "ended_at": at(9), "title": "B"}),
        ("a", {"order": 2, "status": "completed", "started_at": at(1), "ended_at": at(2)}),
        ("late", {"parent_id": "b", "status": "error", "message": "m" * 300, "ended_at": at(8)}),
        ("first", {"parent_id": "b", "status": "failed", "message": "x", "ended_at": at(7)}),
        ("orphan", {"parent_id": "nobody", "status": "completed"}),
    )
    assert [one["node_id"] for one in found["top"]] == ["b", "a", "orphan"]
    assert [one["node_id"] for one in found["failed"]] == ["first", "late"]
    assert found["failed"][1]["message"] == "m" * 200
    assert (found["started_at"], found["ended_at"]) == (at(1), at(9))
    assert found["top"][0]["title"] == "B"


def test_a_run_has_no_end_while_a_node_at_the_top_goes_on_and_its_own_times_count() -> None:
    going = ("b", {"status": "running", "started_at": at(3)})
    over = ("a", {"status": "completed", "started_at": at(1), "ended_at": at(2)})
    assert of(over, going)["ended_at"] is None
    own = of(over, going, started_at=at(0), ended_at=at(30))
    assert (own["started_at"], own["ended_at"]) == (at(0), at(30))
    assert of()["started_at"] is None


def test_a_run_whose_state_says_that_it_ended_has_an_end_though_a_node_was_left_behind() -> None:
    going = ("b", {"status": "running", "started_at": at(3)})
    over = ("a", {"status": "completed", "started_at": at(1), "ended_at": at(2)})
    assert of(over, going, state="failed")["ended_at"] == at(2)


@given(st.integers(0, 300))
def test_an_overview_is_bounded(count: int) -> None:
    found = of(
        *((f"n{n}", {"status": "failed", "title": "t" * 500, "message": "m" * 500}) for n in range(count))
    )
    assert len(found["top"]) + found["top_more"] == len(found["failed"]) + found["failed_more"] == count
    assert len(found["top"]) <= 100
    assert len(found["failed"]) <= 50
