"""Checkpoints, retention, the end of finished projects, and putting idle ones away."""

from __future__ import annotations

import gc
from weakref import ref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.log import Position
from tasktree_rt.errors import Refused, StoreUnavailable
from tasktree_rt.hub.projects import cache as shelf
from tasktree_rt.settings import Keep, Settings
from tests.hub.world import Store, World, a_world, update


async def filled(world: World, events: int, name: str = "p") -> None:
    for value in range(events):
        await world.publish(name, update("n", a=value))


async def test_a_checkpoint_is_written_every_so_many_events(autojump_clock: MockClock) -> None:
    async with a_world(Settings(keep=Keep(checkpoint_events=10))) as world:
        await filled(world, 9)
        await trio.sleep(1)
        assert (await world.store.load("p")).checkpoint is None
        await filled(world, 1)
        await trio.sleep(1)
        checkpoint = (await world.store.load("p")).checkpoint
        assert checkpoint is not None
        assert checkpoint.seq == 10


async def test_and_every_so_many_bytes(autojump_clock: MockClock) -> None:
    async with a_world(Settings(keep=Keep(checkpoint_bytes=2_000))) as world:
        await world.publish("p", update("n", text="x" * 3_000))
        await trio.sleep(1)
        assert (await world.store.load("p")).checkpoint is not None
        assert world.hub.cache.get("p").bytes_since_checkpoint == 0  # type: ignore[union-attr]


async def test_a_project_loaded_with_many_events_behind_its_checkpoint_gets_a_new_one(
    autojump_clock: MockClock,
) -> None:
    store = Store()
    async with a_world(store=store) as world:
        await filled(world, 12)
    async with a_world(Settings(keep=Keep(checkpoint_events=10)), store=store) as world:
        await world.hub.cache.load("p")
        await trio.sleep(shelf.SETTLED - 0.5)
        assert (await store.load("p")).checkpoint is None, "its readers get the state first"
        await trio.sleep(1)
        life = await store.load("p")
        assert life.checkpoint is not None
        assert (life.checkpoint.seq, life.tail) == (12, ()), "nothing is left to reduce at the next load"


async def test_a_checkpoint_that_failed_is_tried_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(Settings(keep=Keep(checkpoint_bytes=2_000))) as world:
        right, failures = world.store.save_checkpoint, [1, 2, 3]

        async def save(*args: object) -> None:
            if failures:
                failures.pop()
                raise StoreUnavailable("full")
            await right(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(world.store, "save_checkpoint", save)
        await world.publish("p", update("n", text="x" * 3_000))
        await trio.sleep(5)
        assert not failures
        assert (await world.store.load("p")).checkpoint is not None


async def test_the_sweep_trims_what_a_checkpoint_covers_and_memory_follows(autojump_clock: MockClock) -> None:
    keep = Keep(checkpoint_events=10, max_events=5, sweep_interval=10)
    async with a_world(Settings(keep=keep)) as world:
        await filled(world, 10)
        await trio.sleep(1)
        await filled(world, 7)
        await trio.sleep(20)
        project = world.hub.cache.get("p")
        assert project is not None
        assert (project.floor, project.log.floor, project.tree.floor) == (10, 10, 10)
        peer = world.peer()
        peer.connect()
        peer.subscribe("p", "since")
        await world.settle()
        peer.is_current()
        assert (await world.hub.state("p", 10)).seq == 10
        with pytest.raises(Refused) as caught:
            await world.hub.state("p", 9)
        assert caught.value.code == "gone"


async def test_finished_projects_end_after_their_time(autojump_clock: MockClock) -> None:
    async with a_world(Settings(keep=Keep(project_ttl=60))) as world:
        now = world.hub.wall()
        await world.publish("done", {"type": "state_transition", "data": {"from": "x", "to": "completed"}})
        await world.publish("going", {"type": "state_transition", "data": {"from": "x", "to": "running"}})
        keeper = world.hub.retention
        await keeper.sweep()
        assert world.hub.cache.get("done").epoch != ""  # type: ignore[union-attr]
        world.hub.context.wall = lambda: now + 100_000_000
        await keeper.sweep()
        assert world.hub.cache.get("done").epoch == ""  # type: ignore[union-attr]
        assert world.hub.cache.get("going").epoch != ""  # type: ignore[union-attr]


async def test_the_longest_idle_are_put_away_unless_somebody_needs_them(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LOADED", 3)
    async with a_world() as world:
        peer = world.peer()
        peer.connect()
        peer.subscribe("p0", "state")
        await world.settle()
        for number in range(8):
            await world.publish(f"p{number}", update("n", a=number))
            await trio.sleep(1)
        await world.publish("p1", update("n", b=1))  # the newest use counts
        await trio.sleep(1)
        world.store.hold_appends()
        await world.submit("p2", update("n", b=2))
        await world.hub.retention.sweep()
        kept = {str(one.project_id) for one in world.hub.cache}
        assert {"p0", "p1", "p2", "p7"} <= kept
        assert not {"p3", "p4", "p5"} & kept
        world.store.release_appends()
        await wait_all_tasks_blocked()
        published = await world.publish("p3", update("n", b=3))
        assert published.first == 2
        assert world.hub.cache.get("p3").tree.fields("n") == {"a": 3, "b": 3}  # type: ignore[union-attr]


async def test_a_project_that_was_put_away_is_gone_from_memory(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LOADED", 0)
    async with a_world() as world:
        await world.publish("p", update("n"))
        project = ref(world.hub.cache.get("p"))
        await trio.sleep(1)
        world.hub.cache.put_away(world.hub.idle_projects.is_needed)
        await world.publish("q", update("n"))  # what the loop still held of the last tick
        gc.collect()
        assert project() is None


async def test_a_project_in_the_tick_under_way_is_not_put_away(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LOADED", 0)
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        await world.publish("p", update("n"))
        peers = [world.peer() for _ in range(5)]
        for peer in peers:
            peer.connect(star=True)
        await world.settle()
        for peer in peers:
            peer.connection.transport.allow(0)
        for value in range(40):
            await world.submit("p", update("n", a=value))
        while not world.hub.fanout.underway("p"):
            await trio.lowlevel.checkpoint()
        world.hub.cache.put_away(world.hub.idle_projects.is_needed)
        assert world.hub.cache.get("p") is not None
        for peer in peers:
            peer.connection.transport.allow(None)
        await world.settle()


async def test_a_fault_of_the_keepers_is_told_and_it_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(Settings(keep=Keep(checkpoint_events=1))) as world:
        with monkeypatch.context() as patch:

            async def fail(*_: object) -> None:
                raise RuntimeError("a bug")

            patch.setattr(world.hub.checkpoints, "save", fail)
            await world.publish("p", update("n"))
            await trio.sleep(1)
        assert set(world.faults) == {"keeper: RuntimeError('a bug')"}
        world.faults.clear()
        await trio.sleep(1)
        checkpoint = (await world.store.load("p")).checkpoint
        assert checkpoint is not None
        assert str(Position(checkpoint.epoch, checkpoint.seq)).endswith(":1")
