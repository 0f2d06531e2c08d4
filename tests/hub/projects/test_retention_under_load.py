"""What the keeper writes and drops while much else goes on, and while the store fails."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from tasktree_rt.brokers.base import Checkpoint
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreUnavailable
from tasktree_rt.hub import context
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.settings import Keep, Settings
from tests.hub.world import Store, World, a_world, small, update

DAY = 86_400.0
START = 1_800_000_000
ROUND = 0.6
"""Longer than the keeper takes to see what was touched."""


def keep(**kept: Any) -> Settings:
    return small(keep=Keep(**{"sweep_interval": DAY, **kept}))


class Saves(Store):
    """A store that can refuse checkpoints, or take its time over them."""

    def __init__(self) -> None:
        super().__init__()
        self.refusing = 0
        self.saved: list[tuple[str, int]] = []
        self.before: Callable[[], Any] | None = None

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        if self.before is not None:
            await self.before()
        if self.refusing:
            self.refusing -= 1
            raise StoreUnavailable("disk full")
        await super().save_checkpoint(project_id, checkpoint)
        self.saved.append((project_id, checkpoint.seq))


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's wall clock go with Trio's."""
    now = SimpleNamespace(time_ns=lambda: int((START + trio.current_time()) * 1e9))
    monkeypatch.setattr(context, "time", now)


async def publish(world: World, events: int, project: str = "p") -> None:
    for value in range(events):
        await world.publish(project, update(f"n{value}", a=value))


def loaded(world: World, name: str = "p") -> Project:
    found = world.hub.cache.get(name)
    assert found is not None
    return found


# --- checkpoints ----------------------------------------------------------------------------------


async def test_the_next_checkpoint_counts_from_the_last(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_events=5), store) as world:
        await publish(world, 4)
        await trio.sleep(ROUND)
        assert store.saved == []
        await publish(world, 2)
        await trio.sleep(ROUND)
        assert store.saved == [("p", 6)]
        await publish(world, 4)
        await trio.sleep(ROUND)
        assert store.saved == [("p", 6)], "not as many since the last one"
        await publish(world, 1)
        await publish(world, 5, "q")
        await trio.sleep(ROUND)
        assert store.saved == [("p", 6), ("p", 11), ("q", 5)]


async def test_what_is_published_while_one_is_written_counts_for_the_next(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_events=5), store) as world:
        publishing = trio.Event()

        async def meanwhile() -> None:
            store.before = None
            await publish(world, 5)
            publishing.set()

        store.before = meanwhile
        await publish(world, 5)
        await publishing.wait()
        await trio.sleep(ROUND)
        assert store.saved == [("p", 5), ("p", 10)]
        assert loaded(world).bytes_since_checkpoint == 0


async def test_so_do_its_bytes(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_bytes=1_000), store) as world:

        async def meanwhile() -> None:
            store.before = None
            await world.publish("p", update("n", text="x" * 600))

        store.before = meanwhile
        await world.publish("p", update("n", text="x" * 1_000))
        await trio.sleep(2 * ROUND)
        assert store.saved == [("p", 1)]
        await world.publish("p", update("n", text="x" * 400))
        await trio.sleep(ROUND)
        assert store.saved == [("p", 1), ("p", 3)]
        assert loaded(world).bytes_since_checkpoint == 0


async def test_a_checkpoint_holds_what_is_applied_and_nothing_that_is_only_accepted(
    autojump_clock: MockClock,
) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_events=2), store) as world:
        await publish(world, 2)
        store.hold_appends()
        await world.submit("p", update("later"))
        await trio.sleep(ROUND)
        found = await store.checkpoint_at("p", loaded(world).position)
        assert found is not None
        assert found.seq == 2
        assert b"later" not in b"".join(found.parts)


async def test_a_checkpoint_of_a_life_that_ends_meanwhile_says_nothing_of_the_next(
    autojump_clock: MockClock,
) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_events=3), store) as world:

        async def meanwhile() -> None:
            store.before = None
            await world.publish("p", {"type": "project_deleted"})
            await publish(world, 2)

        store.before = meanwhile
        await publish(world, 3)
        await trio.sleep(ROUND)
        assert (await store.load("p")).checkpoint is None
        assert (loaded(world).checkpointed, loaded(world).tree.head) == (0, 2)
        await publish(world, 1)
        await trio.sleep(ROUND)
        assert store.saved[-1] == ("p", 3)
        assert (await store.load("p")).checkpoint is not None


async def test_what_the_store_refuses_is_tried_again(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(checkpoint_events=2), store) as world:
        store.refusing = 5
        await publish(world, 2, "p")
        await publish(world, 2, "q")
        await trio.sleep(1)
        assert store.saved == []
        await trio.sleep(2)
        assert sorted(store.saved) == [("p", 2), ("q", 2)]


# --- retention ------------------------------------------------------------------------------------


async def test_the_oldest_events_go_and_the_state_stays(autojump_clock: MockClock) -> None:
    async with a_world(keep(checkpoint_events=4, max_events=3, sweep_interval=10.0)) as world:
        await publish(world, 5)
        await trio.sleep(ROUND)
        await publish(world, 3)
        early, late = world.peer(), world.peer()
        picture = (await world.hub.state("p")).nodes
        await trio.sleep(11)
        project = loaded(world)
        assert (project.floor, project.tree.floor, len(project.log)) == (5, 5, 3)
        assert (await world.hub.state("p")).nodes == picture
        life = await world.store.load("p")
        assert (life.floor, life.head) == (5, 8)
        for peer, seq in ((early, 4), (late, 5)):
            peer.client.course("p").has = (project.epoch, seq)
            peer.client.course("p").tree.nodes = world.oracle.tree("p", (project.epoch, seq))["nodes"]
            peer.connect(["p"])
        await world.settle()
        early.is_current()
        late.is_current()
        assert [one.client.course("p").shown for one in (early, late)] == [{}, {project.epoch: 8}]


async def test_events_without_a_checkpoint_behind_them_stay(autojump_clock: MockClock) -> None:
    async with a_world(keep(checkpoint_events=100, max_events=3, sweep_interval=10.0)) as world:
        await publish(world, 8)
        await trio.sleep(11)
        assert (loaded(world).floor, (await world.store.load("p")).floor) == (0, 0)


@pytest.mark.usefixtures("wall")
async def test_a_quiet_projects_events_grow_too_old_and_go_too(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(), store) as world:
        await publish(world, 3)
        await publish(world, 2, "q")
    async with a_world(keep(max_age=100.0, sweep_interval=10.0), store) as world:
        await publish(world, 1, "q")
        await trio.sleep(95)
        assert store.saved == []
        await publish(world, 1, "q")
        await trio.sleep(20)
        assert store.saved == [("p", 3)]
        assert ((await store.load("p")).floor, (await store.load("q")).floor) == (3, 0)
        assert [one for one, _ in (await world.hub.state("p")).nodes] == ["n0", "n1", "n2"]
        await trio.sleep(200)
        assert store.saved == [("p", 3), ("q", 4)], "each once"


@pytest.mark.usefixtures("wall")
async def test_a_quiet_project_that_cannot_be_read_now_is_covered_later(autojump_clock: MockClock) -> None:
    store = Saves()
    async with a_world(keep(), store) as world:
        await publish(world, 3)
    async with a_world(keep(max_age=100.0, sweep_interval=10.0), store) as world:
        store.failing_reads = True
        await trio.sleep(150)
        assert (store.saved, world.faults) == ([], [])
        store.failing_reads = False
        await trio.sleep(20)
        assert store.saved == [("p", 3)]


@pytest.mark.usefixtures("wall")
async def test_events_that_are_too_old_go(autojump_clock: MockClock) -> None:
    async with a_world(keep(checkpoint_events=2, max_age=100.0, sweep_interval=10.0)) as world:
        await publish(world, 4)
        await trio.sleep(60)
        await publish(world, 4)
        await trio.sleep(35)
        assert loaded(world).floor == 0
        await trio.sleep(20)
        assert loaded(world).floor == 4


async def test_a_sweep_that_fails_is_made_up_for_at_the_next(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(keep(checkpoint_events=4, max_events=3, sweep_interval=10.0)) as world:
        await publish(world, 5)
        await trio.sleep(ROUND)
        await publish(world, 3)
        right = world.store.trim

        async def trim(*_: object, **__: object) -> dict[str, Position]:
            raise StoreUnavailable("busy")

        monkeypatch.setattr(world.store, "trim", trim)
        await trio.sleep(15)
        assert loaded(world).floor == 0
        monkeypatch.setattr(world.store, "trim", right)
        await trio.sleep(10)
        assert loaded(world).floor == 5


# --- the end of what is finished ------------------------------------------------------------------


async def finish(world: World, project: str, state: str) -> None:
    await world.publish(project, {"type": "state_transition", "data": {"from": "running", "to": state}})


@pytest.mark.usefixtures("wall")
async def test_finished_projects_end_after_their_time_and_others_never(autojump_clock: MockClock) -> None:
    async with a_world(keep(project_ttl=60.0, sweep_interval=10.0)) as world:
        for state in ("completed", "failed", "cancelled", "running", "review"):
            await finish(world, state, state)
        await publish(world, 1, "none")
        await trio.sleep(45)
        await finish(world, "failed", "failed")
        peer = world.peer()
        peer.connect(star=True)
        await world.settle()
        await trio.sleep(30)
        left = {str(one.project_id) for one in world.hub.cache if one.epoch}
        assert left == {"failed", "running", "review", "none"}
        await world.settle()
        assert peer.client.course("completed").at == ("dead", 0)
        assert world.hub.health.stored_projects == 4
        await trio.sleep(50)
        assert {str(one.project_id) for one in world.hub.cache if one.epoch} == {"running", "review", "none"}


@pytest.mark.usefixtures("wall")
async def test_so_do_those_that_are_not_in_memory(autojump_clock: MockClock) -> None:
    store = Store()
    async with a_world(keep(), store) as world:
        for number in range(5):
            await finish(world, f"p{number}", "completed")
    again = evolve(keep(project_ttl=60.0), keep=Keep(project_ttl=60.0, sweep_interval=10.0))
    async with a_world(again, store) as world:
        assert (len(world.hub.cache), world.hub.health.stored_projects) == (0, 5)
        await trio.sleep(80)
        assert (await store.count_projects(), world.hub.health.stored_projects) == (0, 0)


@pytest.mark.usefixtures("wall")
async def test_an_end_that_the_store_cannot_take_comes_later(autojump_clock: MockClock) -> None:
    async with a_world(keep(project_ttl=60.0, sweep_interval=10.0)) as world:
        await finish(world, "p", "completed")
        await finish(world, "q", "completed")
        world.store.failing = True
        await trio.sleep(100)
        assert await world.store.count_projects() == 2
        world.store.failing = False
        await trio.sleep(20)
        assert await world.store.count_projects() == 0
