"""Ten thousand lines of output at a time in one project: what the others, and slow readers, have of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import trio
import trio.testing

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.protocol import Conflated, Message
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.settings import Limits, Settings

LINES: Final = 10_000
FLOODS: Final = 5
TICKS: Final = 4
"""So many ticks of the fan-out at most, between a publish and its arrival in another project."""

SETTINGS: Final = Settings(limits=Limits(max_events_per_publish=LINES))


def output(hub: Hub, count: int) -> list[Event]:
    now = hub.timestamp()
    return [
        Event("log", ProjectId("loud"), {"node_id": f"n{number % 2}", "level": "info", "message": "x"}, now)
        for number in range(count)
    ]


def event(hub: Hub, number: int) -> Event:
    return Event("note", ProjectId("quiet"), {"number": number}, hub.timestamp())


async def arrival(messages: AsyncIterator[Message | Events]) -> Events:
    async for message in messages:
        if isinstance(message, Events):
            return message
    raise AssertionError("the subscription ended")


async def test_another_projects_events_arrive_within_a_few_ticks_of_a_flood() -> None:
    async with open_hub(MemoryBroker(), SETTINGS) as hub, hub.subscribe("quiet") as messages:
        done = False

        async def flood() -> None:
            nonlocal done
            for _ in range(FLOODS):
                await hub.publish(output(hub, LINES))
            done = True

        during = 0
        async with hub.subscribe("loud") as _, trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            while not done or during == 0:
                during += 1
                before = hub.fanout.ticks
                await hub.publish([event(hub, during)])
                assert [record.seq for record in (await arrival(messages)).records] == [during]
                assert hub.fanout.ticks - before <= TICKS
        assert during >= 2, "they were told while the flood went on"


async def test_whoever_does_not_read_has_lines_counted_not_queued() -> None:
    async with open_hub(MemoryBroker(), SETTINGS) as hub:
        await hub.publish(output(hub, 1))
        await unread(hub)


async def unread(hub: Hub) -> None:
    async with hub.subscribe("loud") as messages:
        async with trio.open_nursery() as nursery:  # who waits for the next event is live
            nursery.start_soon(arrival, messages)
            await trio.testing.wait_all_tasks_blocked()
            await hub.publish(output(hub, 1))
        most = 0
        for _ in range(FLOODS):
            await hub.publish(output(hub, LINES))
            most = max(most, hub.statistics().outbox_bytes)
        delivery = hub.settings.delivery
        assert most <= delivery.outbox_bytes + hub.settings.limits.max_message_size
        read, skipped = 0, 0
        while read + skipped < FLOODS * LINES:
            message = await anext(messages)
            if isinstance(message, Events):
                read += len(message.records)
            elif isinstance(message, Conflated):
                assert set(message.logs_skipped) == {"n0", "n1"}
                skipped += sum(message.logs_skipped.values())
        assert read + skipped == FLOODS * LINES
        assert skipped >= (FLOODS - 1) * LINES
