"""Coming to the present: replay, whole states, and what overtakes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Append, Outcome
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.hub.projects import project, shared_snapshot
from tasktree_rt.hub.resume import catchup
from tests.hub.sessions.test_watcher import answers, greeted
from tests.hub.trimming import trim
from tests.hub.world import World, a_world, small, update


async def filled(world: World, events: int, name: str = "p") -> str:
    for value in range(events):
        await world.publish(name, update(f"n{value % 4}", a=value, text="x" * 40))
    return world.hub.cache.get(name).epoch  # type: ignore[union-attr]


@pytest.fixture
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "TAIL_EVENTS", 4)
    monkeypatch.setattr(catchup, "REPLAY_EVENTS", 3)


@pytest.mark.usefixtures("short_tail")
async def test_a_replay_longer_than_memory_comes_from_the_store_without_a_seam(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        epoch = await filled(world, 30)
        carried = await greeted(world)
        carried.transport.allow(500)
        carried.send({"type": "subscribe", "project_id": "p", "since": f"{epoch}:2"})
        await wait_all_tasks_blocked()
        await filled(world, 5)
        carried.transport.allow(None)
        said = await answers(carried)
        assert (said[0]["type"], said[0]["seq"], said[0]["recovered"]) == ("subscribed", 2, True)
        assert [one["seq"] for one in said[1:]] == list(range(3, 36))


@pytest.mark.usefixtures("short_tail")
async def test_trimming_that_overtakes_a_replay_is_told_by_a_state(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        epoch = await filled(world, 30)
        carried = await greeted(world)
        carried.transport.allow(300)
        said = await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:0"})
        await trim(world, 2)
        carried.transport.allow(None)
        said += await answers(carried)
        kinds = [one["type"] for one in said]
        assert kinds[-1] == "project_state"
        assert said[-1]["reason"] == "gap"
        assert said[-1]["seq"] == 30
        seqs = [one["seq"] for one in said if one["type"] == "node_update"]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.usefixtures("short_tail")
async def test_a_language_without_states_closes_4009_where_one_would_be_due(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        epoch = await filled(world, 30)
        plain = world.plain(Subscribe("p", since=Position(epoch, 0)), room=300)
        await wait_all_tasks_blocked()
        await trim(world, 2)
        plain.transport.allow(None)
        said = await answers(plain)
        assert [one["seq"] for one in said] == list(range(1, len(said) + 1))
        assert len(said) < 30
        assert plain.transport.close_read == (4009, f"gap: reload the state, which is at {epoch}:30")


@pytest.mark.usefixtures("short_tail")
async def test_a_store_that_cannot_be_read_closes_1013_and_nobody_else(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        epoch = await filled(world, 30)
        other = world.plain()
        carried = await greeted(world)
        world.store.failing_reads = True
        await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:2"})
        assert carried.transport.close_read == (1013, "try again later")
        await world.publish("p", update("n"))
        assert [one["seq"] for one in await answers(other)] == [31]


@pytest.mark.usefixtures("short_tail")
async def test_a_slow_store_holds_up_only_who_asks_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        epoch = await filled(world, 30)
        other = world.plain()
        world.store.hold()
        carried = await greeted(world)
        await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:2"})
        await world.publish("p", update("n"))
        assert [one["seq"] for one in await answers(other)] == [31]
        world.store.release()
        assert [one["seq"] for one in await answers(carried)] == list(range(3, 32))


async def test_more_missed_than_is_replayed_is_a_gap(autojump_clock: MockClock) -> None:
    async with a_world(small(delivery={"max_replay": 10})) as world:
        epoch = await filled(world, 20)
        carried = await greeted(world)
        said = await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:9"})
        assert [one.get("recovered", one.get("reason")) for one in said] == [False, "gap"]
        said = await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:10"})
        assert said[0]["recovered"] is True
        assert len(said) == 11


@pytest.mark.parametrize("policy", [Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT])
async def test_events_wait_until_the_last_part_of_a_state(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    monkeypatch.setattr(shared_snapshot, "PART_BYTES", 100)
    async with a_world() as world:
        await filled(world, 8)
        peer = world.peer(policy)
        peer.connect(room=750)
        peer.subscribe("p", "state")
        await world.settle()
        await filled(world, 3)
        assert peer.client.course("p").parts, "part-way"
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()


async def test_a_state_in_use_is_shared_while_it_is_fresh_enough(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_snapshot, "NODES_AN_EVENT", 1)
    async with a_world() as world:
        await filled(world, 8)
        taken = 0
        right = world.hub.cache.get("p").tree.snapshot  # type: ignore[union-attr]

        def count() -> Any:
            nonlocal taken
            taken += 1
            return right()

        monkeypatch.setattr(world.hub.cache.get("p").tree, "snapshot", count)  # type: ignore[union-attr]
        peers = [world.peer() for _ in range(10)]
        for peer in peers:
            peer.connect(room=100)
            peer.subscribe("p", "state")
            await world.settle()
            if peer is peers[4]:
                await filled(world, 1)
        assert taken == 1
        for peer in peers:
            peer.connection.transport.allow(None)
        await world.settle()
        for peer in peers:
            peer.is_current()


async def test_nobody_is_given_a_state_older_than_what_he_has(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_snapshot, "NODES_AN_EVENT", 1)
    async with a_world() as world:
        await filled(world, 8)
        slow, quick = world.peer(), world.peer()
        slow.connect(room=100)
        slow.subscribe("p", "state")
        quick.connect()
        quick.subscribe("p", "since")
        await filled(world, 2)
        await world.settle()
        quick.subscribe("p", "state")
        await world.settle()
        quick.is_current()
        assert quick.client.course("p").at == (world.hub.cache.get("p").epoch, 10)  # type: ignore[union-attr]


async def test_an_unfinished_state_is_begun_again_by_a_subscription_that_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_snapshot, "PART_BYTES", 100)
    async with a_world() as world:
        epoch = await filled(world, 8)
        carried = await greeted(world)
        carried.transport.allow(400)
        await answers(carried, {"type": "subscribe", "id": 1, "project_id": "p", "state": True})
        await answers(carried, {"type": "subscribe", "id": 2, "project_id": "p"})
        carried.transport.allow(None)
        said = await answers(carried)
        again = [one for one in said if one.get("id") == 2]
        # It has nothing yet: to say that it stands at the state's position would be a silent gap.
        assert (again[0]["type"], again[0]["epoch"], again[0]["seq"]) == ("subscribed", "", 0)
        states = said[said.index(again[0]) + 1 :]
        assert [one["type"] for one in states] == ["project_state"] * len(states)
        assert (states[0]["part"], states[-1]["part"]) == (1, states[-1]["parts"])
        assert (states[-1]["epoch"], states[-1]["seq"]) == (epoch, 8)


async def test_a_subscription_replaced_before_its_answer_is_still_answered(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await filled(world, 2)
        carried = await greeted(world)
        carried.transport.allow(0)
        subscribe = {"type": "subscribe", "project_id": "p"}
        requests = [{**subscribe, "id": number} for number in range(4)]
        await answers(carried, *requests, {"type": "unsubscribe", "id": 4, "project_id": "p"})
        carried.transport.allow(None)
        assert [one["id"] for one in await answers(carried)] == [0, 1, 2, 3, 4]


async def test_the_end_of_a_life_comes_before_the_next_life_however_late_it_is_read(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await filled(world, 3)
        peer = world.peer()
        peer.connect()
        peer.subscribe("p", "state")
        await world.settle()
        peer.connection.transport.allow(0)
        for life in range(3):
            await filled(world, 25)
            await world.publish("p", update("n", life=life), {"type": "project_deleted"})
        await filled(world, 2)
        peer.connection.transport.allow(None)
        await world.settle()
        peer.is_current()
        assert len(peer.client.course("p").tree.nodes) == 2


async def test_who_asks_for_the_state_of_a_life_that_is_over_hears_of_its_end_before_the_next(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        epoch = await filled(world, 2)
        carried = await greeted(world)
        await answers(carried, {"type": "subscribe", "project_id": "p"})
        carried.transport.allow(0)
        await world.publish("p", update("n", a=1))  # handed over
        await wait_all_tasks_blocked()
        await world.publish("p", {"type": "project_deleted"})
        await answers(carried, {"type": "subscribe", "id": 1, "project_id": "p", "state": True})
        await world.publish("p", update("m"))
        carried.transport.allow(None)
        said = await answers(carried)
        assert [(one["type"], one["epoch"] == epoch) for one in said] == [
            ("node_update", True),
            ("subscribed", False),
            ("project_deleted", True),
            ("subscribed", False),
            ("node_update", False),
        ]


async def test_a_replay_from_the_store_does_not_run_ahead_of_what_is_applied(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "TAIL_EVENTS", 4)
    async with a_world() as world:
        epoch = await filled(world, 30)
        append, answered = world.store.append, trio.Event()

        async def append_and_wait(batch: Sequence[Append]) -> list[Outcome]:
            outcomes = await append(batch)
            await answered.wait()
            return outcomes

        monkeypatch.setattr(world.store, "append", append_and_wait)
        await world.submit("p", update("n"))
        await wait_all_tasks_blocked()  # committed, and not applied
        carried = await greeted(world)
        said = await answers(carried, {"type": "subscribe", "project_id": "p", "since": f"{epoch}:22"})
        assert [one["seq"] for one in said[1:]] == list(range(23, 31))
        answered.set()
        assert [one["seq"] for one in await answers(carried)] == [31]


async def test_a_state_after_a_state_is_a_newer_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_snapshot, "NODES_AN_EVENT", 1)
    monkeypatch.setattr(catchup, "SMALL_REPLAY", 2)
    async with a_world() as world:
        await filled(world, 4)
        carried = await greeted(world)
        wish = {"type": "subscribe", "project_id": "p", "state": True, "policy": "resync"}
        await answers(carried, wish)
        carried.transport.allow(0)
        await filled(world, 40)
        shared = world.hub.cache.get("p").snapshot()  # type: ignore[union-attr]
        await filled(world, 4)
        carried.transport.allow(20_000)
        said = await answers(carried)
        states = [one["seq"] for one in said if one["type"] == "project_state"]
        assert states == [shared.seq, 48]
