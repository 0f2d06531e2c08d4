"""`Hub.subscribe`: a watcher in the same process, who may be slow, cancelled, or gone in the middle."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import OPEN, Grants, Scope
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Conflated, Message, Policy, StatePart, Subscribed
from tasktree_rt.dialects.tasktree import ServerSentEvents
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.settings import Delivery, Settings
from tests.hub.world import World, a_world, update

Said = Message | Events
Messages = AsyncIterator[Said]


def brief(said: Said) -> object:
    """The seqs of events, else the kind of message."""
    return [record.seq for record in said.records] if isinstance(said, Events) else type(said)


async def take(messages: Messages, most: int = 100) -> list[Said]:
    """What there is to read now, at most so much."""
    said: list[Said] = []
    with trio.move_on_after(0.1):
        while len(said) < most:
            said.append(await anext(messages))
    return said


async def fall_behind(world: World, events: int = 40) -> None:
    for value in range(events):
        await world.publish("p", update("n", a=value))


async def test_a_subscription_gives_the_state_and_then_events_as_they_come(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", a=1))
        async with world.hub.subscribe("p", state=True) as messages:
            subscribed, state = await take(messages)
            assert isinstance(subscribed, Subscribed)
            assert isinstance(state, StatePart)
            assert (subscribed.recovered, subscribed.position) == (None, state.position)
            assert [(name, node.fields) for name, node in state.nodes] == [("n", {"a": 1})]
            await world.publish("p", update("n", a=2), update("n", a=3))
            events = await anext(messages)
            assert isinstance(events, Events)
            changes = [json.loads(one.body)["data"]["changes"] for one in events.records]
            assert changes == [{"a": 2}, {"a": 3}]


async def test_a_position_is_resumed_from_exactly_or_is_a_gap(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        done = [await world.publish("p", update("n", a=one)) for one in range(4)]
        async with world.hub.subscribe("p", since=done[1].positions[-1]) as messages:
            assert [brief(one) for one in await take(messages)] == [Subscribed, [3, 4]]
        async with world.hub.subscribe("p", since=Position("other", 1)) as messages:
            subscribed, state = await take(messages)
            assert isinstance(subscribed, Subscribed)
            assert subscribed.recovered is False
            assert isinstance(state, StatePart)
            assert state.reason == "gap"


async def test_everything_is_watched_and_a_new_life_is_announced(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        async with world.hub.subscribe() as messages:
            first, _ = await take(messages)
            assert isinstance(first, Subscribed)
            assert first.project_id == "p"
            await world.publish("q", update("n"), update("m"))
            assert [brief(one) for one in await take(messages)] == [Subscribed, [1, 2]]
            await world.publish("q", {"type": "project_deleted"})
            assert [brief(one) for one in await take(messages)] == [[3]]


async def test_a_reader_that_falls_behind_gets_one_conflated_message(autojump_clock: MockClock) -> None:
    async with a_world(Settings(delivery=Delivery(outbox_messages=16))) as world:
        await world.publish("p", update("n", a=0))
        async with world.hub.subscribe("p", state=True) as messages:
            await take(messages)
            await fall_behind(world)
            assert world.hub.statistics().lagging == 1
            [said] = await take(messages)
            assert isinstance(said, Conflated)
            assert (said.after, said.position.seq) == (1, 41)
            assert [(name, node.fields) for name, node in said.nodes] == [("n", {"a": 39})]
            assert world.hub.statistics().lagging == 0
            await world.publish("p", update("n", a=99))
            assert brief(await anext(messages)) == [42]


async def test_or_the_whole_state_if_its_policy_says_so(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", a=0))
        async with world.hub.subscribe("p", policy=Policy.RESYNC) as messages:
            await take(messages)
            await fall_behind(world)
            [said] = await take(messages)
            assert isinstance(said, StatePart)
            assert (said.reason, said.position.seq) == ("shed", 41)


async def test_or_its_end(autojump_clock: MockClock) -> None:
    async with a_world() as world, world.hub.subscribe("p", policy=Policy.DISCONNECT) as messages:
        await take(messages)
        await fall_behind(world)
        assert [one async for one in messages] == []


async def test_leaving_the_block_in_the_middle_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for name in ("*", "p"):
                async with world.hub.subscribe(name) as messages:
                    async for _ in messages:
                        break
                    assert len(world.hub.connections) == 1
                del messages
            gc.collect()
            await wait_all_tasks_blocked()
        assert [str(one.message) for one in caught] == []
        assert (len(world.hub.connections), world.hub.statistics().subscriptions) == (0, 0)


async def test_leaving_by_an_error_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with a_world() as world:

        async def fail() -> None:
            async with world.hub.subscribe("p") as messages:
                await anext(messages)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert (len(world.hub.connections), world.hub.statistics().subscriptions) == (0, 0)


async def test_a_reader_in_another_task_ends_with_the_block(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        said: list[Said] = []
        ended = trio.Event()

        async def read(messages: Messages) -> None:
            said.extend([one async for one in messages])
            ended.set()

        async with world.hub.subscribe("p") as messages:
            world.nursery.start_soon(read, messages)
            await wait_all_tasks_blocked()
        with trio.fail_after(1):
            await ended.wait()
        assert [brief(one) for one in said] == [Subscribed]


async def test_a_cancelled_wait_ends_nothing_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        async with world.hub.subscribe("p") as messages:
            await take(messages)
            for value in range(3):
                await world.publish("p", update("n", a=value))
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await anext(messages)
                assert scope.cancelled_caught
            assert [brief(one) for one in await take(messages)] == [[2], [3], [4]]


@pytest.mark.parametrize(
    ("name", "code"), [("theirs", "forbidden"), ("no id!", "invalid_project_id"), ("mine", None)]
)
async def test_what_cannot_be_watched_is_refused_and_leaves_nothing_behind(
    autojump_clock: MockClock, name: str, code: str | None
) -> None:
    async with a_world() as world:
        world.store.failing_reads = True
        with pytest.raises(PeerError) as caught:
            async with world.hub.subscribe(name, grants=Grants("s", watch=Scope(("mine",)))):
                pass
        assert caught.value.code == (code or "store_unavailable")
        assert len(world.hub.connections) == 0


async def test_of_everything_only_what_may_be_watched_is_told(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("theirs", update("n"))
        await world.publish("mine", update("n"))
        async with world.hub.subscribe(grants=Grants("s", watch=Scope(("mine*",)))) as messages:
            await take(messages)
            for name in ("theirs", "mine", "mine-too", "theirs-too"):
                await world.publish(name, update("m"))
            said = [one for one in await take(messages) if isinstance(one, (Subscribed, Events))]
            assert [(one.project_id, brief(one)) for one in said] == [
                ("mine", [2]),
                ("mine-too", Subscribed),
                ("mine-too", [1]),
            ]


async def test_a_program_that_only_reads_lets_the_others_run(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        async with world.hub.subscribe("p") as messages:
            await take(messages)
            for value in range(10):
                await world.publish("p", update("n", a=value))
            turns = 0

            async def others() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await trio.lowlevel.checkpoint()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(others)
                for _ in range(10):
                    await anext(messages)
                nursery.cancel_scope.cancel()
            assert turns >= 5


async def test_live_events_wait_for_a_reader_that_asks_too(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        hub = world.hub
        reader = hub.connections.pull_subscriber(
            ServerSentEvents(), policy=Policy.NEWEST, grants=OPEN, address="here"
        )
        pieces = reader.encoded(b"alive", 60.0)
        reader.send_ephemeral(("t", "a"), b"older")
        reader.send_ephemeral(("t", "b"), b"other")
        reader.send_ephemeral(("t", "a"), b"newer")
        assert [await anext(pieces), await anext(pieces)] == [b"newer", b"other"]
        assert (reader.sent_messages, reader.sent_bytes, reader.sheds) == (2, 10, 1)
        assert await anext(pieces) == b"alive"
        hub.connections.detach(reader)
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
