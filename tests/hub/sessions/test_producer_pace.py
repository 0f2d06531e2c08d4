"""A producer over its rate is read more slowly: nothing is refused, nothing lost, and no other notices."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import Grants, Scope
from tasktree_rt.core.protocol import Subscribe
from tasktree_rt.settings import NO_RATES, Rates
from tests.hub.sessions.test_producer import event, publish
from tests.hub.transport import Carried
from tests.hub.world import a_world, small

EVERYTHING = Scope(("*",))
ADA, BOB = (Grants(name, EVERYTHING, EVERYTHING) for name in ("ada", "bob"))


def rates(**given: float) -> Rates:
    """These only, a second of each at once."""
    return evolve(NO_RATES, burst=1.0, **given)


async def acks(carried: Carried, count: int) -> list[int]:
    """Wait for so many answers, all of them acks; their ids."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        await trio.sleep(0.125)
        found += carried.received()
    assert [one["type"] for one in found] == ["ack"] * count, found
    return [one["id"] for one in found]


@pytest.mark.parametrize("rate", ["events_per_subject", "events_per_project"])
async def test_publishes_over_the_rate_wait_and_keep_their_order(
    autojump_clock: MockClock, rate: str
) -> None:
    async with a_world(small(rates=rates(**{rate: 10.0}))) as world:
        watcher = world.plain(Subscribe("p"))
        producer, other = world.orchestrator("x", ADA), world.orchestrator("y", BOB)
        began = trio.current_time()
        for number in range(6):
            producer.send(publish(number, *(event(f"n{number}.{one}") for one in range(5))))
        await wait_all_tasks_blocked()
        assert [one["id"] for one in producer.received()] == [0, 1], "ten events at once"
        other.send(publish("now", event(project="q")))
        await wait_all_tasks_blocked()
        assert [one["type"] for one in other.received()] == ["ack"]
        assert trio.current_time() == began, "the other one did not wait"
        assert await acks(producer, 4) == [2, 3, 4, 5]
        assert 1.5 <= trio.current_time() - began <= 2.5, "30 events: 10 at once, the others at 10 a second"
        assert [one["seq"] for one in watcher.received()] == list(range(1, 31))
        assert world.hub.meter.registry.get_sample_value("tasktree_slowed_total") == 4


async def test_connections_of_one_subject_share_its_rate(autojump_clock: MockClock) -> None:
    async with a_world(small(rates=rates(events_per_subject=10.0))) as world:
        began = trio.current_time()
        producers = [world.orchestrator(str(number), ADA) for number in range(5)]
        for one in producers:
            one.send(publish(1, *(event(f"n{number}") for number in range(10))))
        for one in producers:
            await acks(one, 1)
        assert 2.9 <= trio.current_time() - began <= 4.5, "50 events, however many connections send them"


async def test_bytes_over_the_rate_wait(autojump_clock: MockClock) -> None:
    async with a_world(small(rates=rates(bytes_per_subject=1_000.0))) as world:
        producer, began = world.orchestrator("x", ADA), trio.current_time()
        for number in range(5):
            producer.send(publish(number, event(text="é" * 350)))  # 700 bytes and what is around them
        assert await acks(producer, 5) == [0, 1, 2, 3, 4]
        assert trio.current_time() - began >= 2.0


async def test_new_projects_over_the_rate_wait(autojump_clock: MockClock) -> None:
    async with a_world(small(rates=rates(projects_per_subject=2.0))) as world:
        producer, second, began = (
            world.orchestrator("x", ADA),
            world.orchestrator("y", ADA),
            trio.current_time(),
        )
        for number in range(4):
            producer.send(publish(number, event(project=f"x{number}")))
            second.send(publish(number, event(project=f"y{number}")))
        assert await acks(producer, 4) == [0, 1, 2, 3]
        assert await acks(second, 4) == [0, 1, 2, 3]
        assert trio.current_time() - began >= 2.9, "eight projects, two of them at once"


async def test_a_slowed_producer_is_not_taken_for_a_dead_one(autojump_clock: MockClock) -> None:
    """It cannot answer a ping while the hub does not read from it."""
    async with a_world(small(rates=rates(events_per_subject=0.01))) as world:
        producer = world.orchestrator("x", ADA)
        producer.send(publish(1, event()))
        producer.send(publish(2, event("m")))
        producer.send(publish(3, event("o")))
        await trio.sleep(190)
        assert producer.transport.fate() == "open"
        assert await acks(producer, 3) == [1, 2, 3]


async def test_a_slowed_connection_closes_without_delay(autojump_clock: MockClock) -> None:
    async with a_world(small(rates=rates(events_per_subject=0.01))) as world:
        producer = world.orchestrator("x", ADA)
        for number in range(4):
            producer.send(publish(number, event(f"n{number}")))
        await wait_all_tasks_blocked()
        await world.hub.drain()
        producer.received()
        assert producer.transport.close_read is not None
