"""Projects in memory: loaded from checkpoint and tail, once, as they were."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.log import Position, Recovered
from tasktree_rt.errors import Unavailable
from tasktree_rt.hub.projects import checkpoints, loading, project
from tests.hub.resume.test_conflation import events
from tests.hub.world import Store, a_world, run, update


@given(st.lists(st.lists(events, min_size=1, max_size=5), min_size=1, max_size=12), st.integers(0, 12))
def test_a_project_loaded_from_checkpoint_and_tail_is_the_one_that_was_put_away(
    publishes: list[list[dict[str, Any]]], checkpointed: int
) -> None:
    async def body() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loading, "OLDER", 4)
            patch.setattr(loading, "SLICE", 2)
            patch.setattr(checkpoints, "SLICE", 2)
            patch.setattr(checkpoints, "PART_BYTES", 60)
            patch.setattr(project, "TAIL_EVENTS", 8)
            async with a_world() as world:
                for index, publish in enumerate(publishes):
                    await world.publish("p", *publish)
                    if index == checkpointed:
                        await world.hub.checkpoints.save(world.hub.cache.get("p"))  # type: ignore[arg-type]
                before = world.hub.cache.get("p")
                assert before is not None
                world.hub.cache._projects.clear()
                after = await world.hub.cache.load("p")
                assert after is not before
                assert after.position == before.position
                assert after.tree.top == before.tree.top
                fields = [
                    {key: node.fields for key, node in one.nodes.items()}
                    for one in (before.tree, after.tree, after.staged)
                ]
                assert fields[0] == fields[1] == fields[2]
                assert after.received == before.received
                held = after.log.since(Position(after.epoch, after.log.floor))
                assert isinstance(held, Recovered)
                assert [one.seq for one in held.records] == list(
                    range(after.log.floor + 1, after.tree.head + 1)
                )

    run(body)


async def test_only_one_reads_and_the_others_wait(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, loads = Store(), []
    right = store.load

    async def load(project_id: str) -> Any:
        loads.append(project_id)
        return await right(project_id)

    monkeypatch.setattr(store, "load", load)
    async with a_world(store=store) as world:
        found: list[object] = []

        async def ask() -> None:
            found.append(await world.hub.cache.load("p"))

        store.hold()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            store.release()
        assert loads == ["p"]
        assert len(set(map(id, found))) == 1


async def test_who_gives_up_reading_leaves_it_to_the_next(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.store.hold()
        with trio.move_on_after(1):
            await world.hub.cache.load("p")
        world.store.failing_reads = True
        world.store.release()
        with pytest.raises(Unavailable):
            await world.hub.cache.load("p")
        world.store.failing_reads = False
        assert (await world.hub.cache.load("p")).epoch == ""


async def test_the_list_shows_projects_as_they_are_applied(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("a", update("n"))
        await world.publish("b", update("n"))
        stopped = trio.Event()
        world.hub.committer.connect(lambda publishes: stopped.set(), world.hub.fanout.room)
        await world.submit("a", {"type": "project_deleted"})
        await stopped.wait()
        page = await world.hub.cache.page("")
        assert [(one.project_id, one.seq) for one in page] == [("a", 1), ("b", 1)], "nobody has seen the end"
        world.hub.committer._unfinished = 0
