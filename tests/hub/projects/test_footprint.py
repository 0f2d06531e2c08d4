"""What projects in memory hold: an estimate near the truth, and idle ones put away when it is too much."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.brokers.sqlite.broker import SqliteBroker
from tasktree_rt.core.events import Record, parse_event
from tasktree_rt.core.reducer import named_node
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects import cache as shelf
from tasktree_rt.hub.projects import footprint as footprints
from tasktree_rt.hub.projects.checkpoints import encode_parts, fill
from tasktree_rt.hub.projects.footprint import BASE, Footprint
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.settings import Limits
from tests.hub.world import STAMP, a_world, small, update
from tests.web.realhub import real_hub

MIB = 1 << 20
LIMITS = Limits()
Events = list[dict[str, Any]]


def logs(count: int = 8_000) -> Events:
    data = {"level": "info", "message": "x" * 250}
    return [{"type": "log", "data": {"node_id": f"n{one % 20}", **data}} for one in range(count)]


def tasks() -> Events:
    return [
        update(f"t{one}", parent_id=f"t{one // 10}", title=f"Task {one}", status="running", kind="task")
        for one in range(3_000)
    ]


def updated() -> Events:
    first = [update(f"n{one}", title=f"Task {one}", status="running") for one in range(300)]
    return first + [
        update(f"n{one % 300}", progress=one % 101, message=f"step {one}") for one in range(4_000)
    ]


def texts() -> Events:
    return [update(f"n{one}", text="x" * 10_000) for one in range(100)]


def nested() -> Events:
    points = [[one, one * 2.5, {"k": f"v{one}"}] for one in range(200)]
    return [update(f"n{one}", points=points) for one in range(60)]


def removed() -> Events:
    return [
        event for one in range(2_000) for event in (update(f"n{one}", a=1), update(f"n{one}", deleted=True))
    ]


def kept() -> Events:
    return [{"type": "step_done", "data": {"a": one, "text": "y" * 300}} for one in range(1_500)]


def own_fields() -> Events:
    agents = [{"id": f"a{one}", "state": "busy"} for one in range(4_000)]
    return [{"type": "orchestrator_started", "data": {"agents": agents}}, *kept()[:5]]


SHAPES: list[Callable[[], Events]] = [logs, tasks, updated, texts, nested, removed, kept, own_fields]


def fed(given: Events) -> Project:
    """A project that took these events as they come from a socket."""
    project = Project("p")
    project.begin_epoch("e")
    for text in map(json.dumps, given):
        event = parse_event({"project_id": "p", **json.loads(text)}, now=STAMP)
        body = encode_body(event)
        project.stage([event], [len(body)], LIMITS, enforce=False)
        (change,) = project.next_changes()
        project.apply(
            Record(project.tree.head + 1, event.type, named_node(event), 1_700_000_000, body),
            change,
            len(body),
        )
    return project


@pytest.mark.parametrize("shape", SHAPES)
def test_the_estimate_is_near_what_is_held(shape: Callable[[], Events]) -> None:
    given = shape()
    fed(given[:20])
    gc.collect()
    tracemalloc.start()
    project = fed(given)
    gc.collect()
    real, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    before = Footprint(Project("p"))
    before.project = project
    assert 0.7 < before.weigh() / real < 1.5


@pytest.mark.parametrize("shape", [tasks, texts, nested])
async def test_so_is_that_of_a_state_read_from_its_checkpoint(shape: Callable[[], Events]) -> None:
    parts = await encode_parts(fed(shape()).tree.snapshot())
    gc.collect()
    tracemalloc.start()
    project = Project("p")
    footprint = Footprint(project)
    await fill("p", footprint.counting(parts), project.tree)
    project.staged.copy_from(project.tree)
    gc.collect()
    real, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await footprint.learn()
    assert 0.7 < footprint.weigh() / real < 1.5


def test_what_is_taken_away_is_counted_no_more() -> None:
    project = fed([])
    footprint = Footprint(project)
    empty = footprint.weigh()
    assert empty <= 2 * BASE
    grown = fed(nested())
    footprint.project = grown
    assert footprint.weigh() > 30 * empty
    grown.end_epoch(Record(1, "project_deleted", None, 1, b"{}"))
    assert footprint.weigh() <= 2 * empty


class Counting(bytes):
    """A body that counts how often it is looked through."""

    looks = 0

    def count(self, *given: Any) -> int:
        Counting.looks += 1
        return super().count(*given)


def publish_counted(project: Project, number: int) -> None:
    """Publish one more event with a `Counting` body."""
    event = parse_event({"project_id": "p", **update("n", a=number)}, now=STAMP)
    body = Counting(encode_body(event))
    project.stage([event], [len(body)], LIMITS, enforce=False)
    (change,) = project.next_changes()
    project.apply(Record(number, event.type, "n", 1, body), change, len(body))


async def test_a_project_read_from_the_store_is_looked_through_in_slices_and_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yields: list[int] = []

    async def noted() -> None:
        yields.append(Counting.looks)

    monkeypatch.setattr(footprints, "yield_if_due", noted)
    project = fed([])
    for number in range(1, 51):
        publish_counted(project, number)
    footprint = Footprint(project)
    Counting.looks = 0
    monkeypatch.setattr(footprints, "SLICE", 5)
    await footprint.learn()
    assert len(yields) == 10
    assert all(after - before <= 15 for before, after in pairwise([0, *yields])), "five events a slice"
    yields = [Counting.looks]
    parts = (b"", *(Counting(b'["n",{}]') for _ in range(50)))
    yields.extend(Counting.looks for _ in footprint.counting(parts))
    assert all(after - before <= 3 for before, after in pairwise(yields)), "one part a step"
    looked = Counting.looks
    footprint.weigh()
    assert Counting.looks == looked


def test_each_event_is_looked_through_once_however_often_a_project_is_weighed() -> None:
    project = fed([])
    footprint = Footprint(project)
    Counting.looks = 0
    for number in range(1, 101):
        publish_counted(project, number)
        for _ in range(3):
            footprint.weigh()
    assert Counting.looks <= 3 * 100


# --- in a hub -----------------------------------------------------------------------------------------


async def publish_logs(hub: Hub, name: str) -> None:
    given = logs(2_000)
    for start in range(0, len(given), 500):
        events = [parse_event({"project_id": name, **one}, now=STAMP) for one in given[start : start + 500]]
        await hub.publish(events)


def names(hub: Hub) -> list[str]:
    return sorted(str(one.project_id) for one in hub.cache)


async def test_the_longest_unused_go_when_all_hold_too_much_and_what_is_busy_stays(
    autojump_clock: MockClock,
) -> None:
    async with a_world(small(limits={"max_loaded_bytes": 5 * MIB})) as world:
        watched = world.peer()
        watched.connect(["p0"])
        await world.settle()
        for number in range(10):
            await publish_logs(world.hub, f"p{number}")
            world.read()
            await trio.sleep(1)
        await world.hub.cache.load("p7")
        await trio.sleep(2)
        assert "p0" in names(world.hub)
        assert world.hub.cache.footprints.bytes < 5 * MIB * 17 / 16
        left = names(world.hub)
        await publish_logs(world.hub, "q")
        await trio.sleep(3)
        gone = set(left) - set(names(world.hub))
        assert "p0" not in gone
        assert "p7" not in gone, "it was used last"
        assert "p9" in gone, "it is unused for longest"
        again = await world.hub.cache.load("p1")
        assert again.tree.head == 2_000


async def test_what_is_busy_and_too_much_is_not_looked_at_again_and_again(autojump_clock: MockClock) -> None:
    async with a_world(small(limits={"max_loaded_bytes": MIB})) as world:
        peer = world.peer()
        peer.connect([f"p{number}" for number in range(4)])
        await world.settle()
        for number in range(4):
            await publish_logs(world.hub, f"p{number}")
            world.read()
        await trio.sleep(2)
        assert len(names(world.hub)) == 4
        looks = 0
        before = world.hub.idle_projects.put_away

        def counted() -> None:
            nonlocal looks
            looks += 1
            before()

        world.hub.idle_projects.put_away = counted  # type: ignore[method-assign]
        for number in range(50):
            await world.hub.cache.load(f"new{number}")
        await trio.sleep(30)
        assert looks <= 4


async def test_of_sixty_idle_projects_no_more_stay_than_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "RECENT", 0.0)
    store = SqliteBroker(str(tmp_path / "hub.db"))
    async with real_hub(store, limits={"max_loaded_bytes": 8 * MIB}) as running, running.http() as http:
        for number in range(60):
            await publish_logs(running.hub, f"p{number}")
        running.hub.idle_projects.let_go()
        assert MIB < running.hub.statistics().projects_bytes <= 8 * MIB * 17 // 16
        assert 2 < len(names(running.hub)) < 20
        text = (await http.get("/metrics")).text
        [gauge] = [line for line in text.splitlines() if line.startswith("tasktree_projects_bytes ")]
        assert float(gauge.split()[1]) == running.hub.statistics().projects_bytes
        for number in (0, 59):
            state = (await http.get(f"/api/v1/projects/p{number}/state")).json()
            assert state["seq"] == 2_000
