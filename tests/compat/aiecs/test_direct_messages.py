"""Heartbeats of tasks at work: each when it is due, at a cost that does not grow with the other tasks."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from tasktree_rt.compat.aiecs import direct_messages as module
from tasktree_rt.compat.aiecs.direct_messages import HEARTBEAT, LEASE, SPARE, DirectMessages
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.errors import Refused
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.projects import quotas as holdings
from tasktree_rt.hub.projects.quotas import Quotas
from tasktree_rt.settings import Limits

LONG = 1_000.0


@define
class World:
    messages: DirectMessages
    told: list[tuple[float, str]] = field(factory=list)

    def beats(self) -> Counter[str]:
        return Counter(task for _, task in self.told)


@asynccontextmanager
async def at_work(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    live = EphemeralTopics(10, lambda where, error: None)
    world = World(DirectMessages(live, Quotas(Limits()), map(str, itertools.count()).__next__))
    begun = trio.current_time()

    def publish(event: Ephemeral) -> int:
        if event.kind == HEARTBEAT:
            world.told.append((trio.current_time() - begun, event.data["task_id"]))
        return 0

    monkeypatch.setattr(live, "publish", publish)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.messages.run)
        yield world
        nursery.cancel_scope.cancel()


async def test_a_task_beats_at_once_and_then_every_interval_until_its_lease_ends(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(monkeypatch) as world:
        world.messages.start_task("u", "t", 2.0)
        await trio.sleep(100)
        assert world.told == [(2.0 * number, "t") for number in range(LEASE)]
        assert not world.messages.end_task("u", "t")


async def test_a_task_that_is_said_to_work_again_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(monkeypatch) as world:
        for _ in range(10):
            world.messages.start_task("u", "t", 2.0)
            await trio.sleep(2.5)
        assert world.beats()["t"] == 13  # every 2 s of 25 s, and the one at once


async def test_a_shorter_interval_counts_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(monkeypatch) as world:
        world.messages.start_task("u", "t", LONG)
        await trio.sleep(10)
        world.messages.start_task("u", "t", 1.0)
        await trio.sleep(1.5)
        assert [moment for moment, _ in world.told] == [0, 11]


async def test_a_task_that_rests_is_not_told_of_and_may_begin_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(monkeypatch) as world:
        world.messages.start_task("u", "t", 2.0)
        await trio.sleep(1)
        assert world.messages.end_task("u", "t")
        world.messages.start_task("u", "t", 2.0)
        await trio.sleep(2.5)
        assert [moment for moment, _ in world.told] == [0, 1, 3]


async def test_a_heartbeat_looks_at_its_own_task_and_not_at_the_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0

    def heappop(heap: list[Any]) -> Any:
        nonlocal taken
        taken += 1
        return heapq.heappop(heap)

    monkeypatch.setattr(module, "heapq", type("Counting", (), vars(heapq) | {"heappop": heappop}))
    async with at_work(monkeypatch) as world:
        for number in range(5_000):
            world.messages.start_task("u", f"slow {number}", LONG)
        world.messages.start_task("u", "quick", 1.0)
        for _ in range(10):
            await trio.sleep(1)
            world.messages.start_task("u", "quick", 1.0)
        await trio.sleep(0.5)
        assert world.beats()["quick"] == 11
        assert taken == 10


async def test_tasks_that_come_and_go_leave_nothing_behind(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(monkeypatch) as world:
        for number in range(2_000):
            world.messages.start_task("u", f"{number}", LONG)
            world.messages.end_task("u", f"{number}")
        assert len(world.messages._beats) <= SPARE + 1


async def test_one_subject_has_at_most_half_of_what_may_be_under_way(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "MAX_UNDER_WAY", 4)
    async with at_work(monkeypatch) as world:
        for task in ("t1", "t2", "t2"):
            world.messages.start_task("u", task, LONG, "sub:ada")
        with pytest.raises(Refused, match="you already hold 2") as caught:
            world.messages.start_task("u", "t3", LONG, "sub:ada")
        assert caught.value.code == "rate_limited"
        with pytest.raises(Refused):
            await world.messages.acknowledged("u", {}, 1.0, "sub:ada")
        world.messages.start_task("u", "t3", LONG, "sub:bob")
        assert (await world.messages.acknowledged("u", {}, 1.0, "sub:bob"))[1] is False
        world.messages.end_task("u", "t1")
        world.messages.start_task("u", "t4", LONG, "sub:ada")
