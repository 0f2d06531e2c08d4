"""A hub in the program's own task tree: everything of its public face, without a socket."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from tasktree_rt.brokers.base import Key
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import BEGINNING
from tasktree_rt.core.protocol import (
    Broadcast,
    Draining,
    Message,
    Personal,
    Subscribe,
)
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.errors import InvalidInput, PeerError, Refused, StoreUnusable
from tasktree_rt.hub.delivery import broadcast as broadcasts
from tasktree_rt.hub.delivery import draining
from tasktree_rt.hub.hub import open_hub
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.settings import Settings
from tests.hub.world import Store, a_world, made, update
from tests.model import NaiveTree

Said = Message | Events


def picture(found: Snapshot) -> dict[str, Any]:
    return {**found.top, "nodes": {name: node.fields for name, node in found.nodes}}


def naive(*events: dict[str, Any]) -> dict[str, Any]:
    tree = NaiveTree("p")
    for event in events:
        tree.apply(event["type"], json.loads(json.dumps(event["data"])))
    return tree.picture()


def brief(said: Said) -> object:
    """The seqs of events, else the kind of message."""
    return [record.seq for record in said.records] if isinstance(said, Events) else type(said)


async def refusal(call: Any) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await call
    return caught.value


async def test_events_are_kept_as_json_would_say_them(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        [event] = made("p", update("n", tags=("a", "b"), ratio=math.nan))
        deep: dict[Any, Any] = {**event.data, 5: {"deep": [1]}}  # keys that JSON would make strings
        event = evolve(event, data=deep)
        await world.hub.publish(event)
        deep[5]["deep"].append(2)
        async with world.hub.subscribe("p", since=BEGINNING) as messages:
            await anext(messages)
            events = await anext(messages)
            assert isinstance(events, Events)
            data = {"node_id": "n", "changes": {"tags": ["a", "b"], "ratio": None}, "5": {"deep": [1]}}
            assert json.loads(events.records[0].body)["data"] == data
        assert picture(await world.hub.state("p"))["nodes"] == {"n": {"tags": ["a", "b"]}}


@pytest.mark.parametrize("data", [{"x": object}, {"x": object()}, {"x": "\ud800"}, {"x": 10**5000}])
async def test_what_is_no_json_is_refused(autojump_clock: MockClock, data: dict[str, Any]) -> None:
    async with a_world() as world:
        [event] = made("p", {"type": "x", "data": data})
        assert (await refusal(world.hub.publish(event))).code == "invalid_event"
        assert (await refusal(world.hub.state("p"))).code == "not_found"


async def test_giving_up_waiting_does_not_take_the_events_back(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.store.hold_appends()
        with trio.move_on_after(1) as scope:
            await world.publish("p", update("n", a=1))
        assert scope.cancelled_caught
        world.store.release_appends()
        await world.settle()
        assert picture(await world.hub.state("p"))["nodes"] == {"n": {"a": 1}}


async def test_one_key_for_two_projects_is_a_conflict(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        key = Key("", "program", "1")
        first = await world.publish("p", update("n"), key=key)
        assert (await world.publish("p", update("n"), key=key)) == evolve(first, duplicate=True)
        assert (await refusal(world.publish("q", update("n"), key=key))).code == "idempotency_conflict"


async def test_what_was_accepted_is_committed_when_the_block_is_left(autojump_clock: MockClock) -> None:
    store = MemoryBroker()
    async with open_hub(store, Settings()) as hub:
        for value in range(3):
            await hub.publisher.submit(made("p", update("n", a=value)))
    assert (await store.load("p")).head == 3


async def test_a_store_that_cannot_be_opened_is_told_at_once(autojump_clock: MockClock) -> None:
    class Foreign(MemoryBroker):
        async def open(self) -> None:
            raise StoreUnusable("foreign")

    with pytest.raises(StoreUnusable, match="foreign"):
        async with open_hub(Foreign(), Settings()):
            pass


# --- messages without a place ---------------------------------------------------------------------


async def test_a_broadcast_reaches_every_watcher_and_is_not_stored(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain, native = world.plain(), world.peer()
        native.connect(star=True)
        idle = world.peer()
        idle.connect()
        orchestrator = world.orchestrator()
        await world.settle()
        async with world.hub.subscribe("p") as messages:
            await anext(messages)
            assert world.hub.broadcast({"type": "maintenance", "data": {"at": (1, 2)}}) == 3
            said = await anext(messages)
            assert isinstance(said, Broadcast)
        await world.settle()
        [frame] = plain.received()
        assert frame == {
            "type": "maintenance",
            "project_id": None,
            "data": {"at": [1, 2]},
            "timestamp": said.timestamp,
        }
        assert native.client.said[-1] == frame
        assert idle.client.said[-1]["type"] == "welcome"
        assert orchestrator.received() == []
        assert world.store.appends == []


async def test_a_broadcast_to_many_goes_out_in_slices_and_in_order(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "SLICE", 10)
    async with a_world() as world:
        watchers = [world.plain() for _ in range(35)]
        await world.settle()
        got = [0] * 3
        for number in range(3):
            assert world.hub.broadcast({"type": "news", "data": {"n": number}}) == 35
            got[number] = sum(bool(one.transport.taken) for one in watchers)
        assert got == [10, 10, 10], "the first slice at once, the others by turns"
        turns = 0
        while not all(one.transport.taken for one in watchers):
            turns += 1
            await trio.lowlevel.checkpoint()
        assert turns >= 3
        await world.hub.broadcasts.quiet()
        for one in watchers:
            assert [frame["data"]["n"] for frame in one.received()] == [0, 1, 2]


async def test_broadcasts_without_a_pause_are_handed_over_by_their_maker(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "SLICE", 10)
    monkeypatch.setattr(broadcasts, "WAITING", 2)
    async with a_world() as world:
        watchers = [world.plain() for _ in range(35)]
        await world.settle()
        for number in range(20):
            world.hub.broadcast({"type": "news", "data": {"n": number}})
            assert len(world.hub.broadcasts._under_way) <= 2
        await world.hub.broadcasts.quiet()
        for one in watchers:
            assert [frame["data"]["n"] for frame in one.received()] == list(range(20))


async def test_a_hub_that_stops_tells_its_connections_in_slices_and_those_that_come_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "DISMISSED", 10)
    async with a_world() as world:
        peers = [world.peer() for _ in range(35)]
        for one in peers:
            one.connect()
        await world.settle()
        first, *_, last = world.hub.connections.values()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.hub.drain)
            while not first.closing:
                await trio.lowlevel.checkpoint()
            assert not last.closing
            late = world.peer()
            late.connect()
        for one in (*peers, late):
            assert one.connection.received()[-1]["type"] == "draining"
            assert one.connection.transport.close_read == (1012, "service restart")


@pytest.mark.parametrize(
    ("where", "part", "step"), [("fanout", "fanout", "_tick"), ("ingest", "committer", "_take")]
)
async def test_a_fault_of_the_committer_or_the_fan_out_is_told_and_ends_the_hub(
    where: str, part: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, told = MemoryBroker(), list[tuple[str, str]]()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("half done")

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with open_hub(
            store, Settings(), on_error=lambda where, error: told.append((where, str(error)))
        ) as hub:
            await hub.publish(Event("note", ProjectId("p"), {}, hub.timestamp()))
            monkeypatch.setattr(getattr(hub, part), step, broken)
            await hub.publish(Event("note", ProjectId("p"), {}, hub.timestamp()))
    assert told == [(where, "half done")]


@pytest.mark.parametrize(
    "message", [{}, {"type": 5}, {"type": "x", "data": 5}, {"type": "x", "data": {"x": object}}]
)
async def test_a_broadcast_that_is_none_is_refused(
    autojump_clock: MockClock, message: dict[str, Any]
) -> None:
    async with a_world() as world:
        with pytest.raises(InvalidInput):
            world.hub.broadcast(message)


async def test_a_broadcast_to_a_project_is_an_event_of_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain(Subscribe("p"))
        await world.settle()
        done = await world.hub.broadcast_to_project("p", {"type": "note", "data": {"tags": ("a",)}})
        assert [str(one) for one in done.positions] == [f"{done.epoch}:1"]
        [event] = plain.received()
        assert (event["type"], event["data"], event["seq"]) == ("note", {"tags": ["a"]}, 1)
        other = await refusal(world.hub.broadcast_to_project("p", {"type": "note", "project_id": "q"}))
        assert (other.code, other.field) == ("mixed_projects", "message.project_id")
        assert (
            await refusal(world.hub.broadcast_to_project("!", {"type": "x"}))
        ).code == "invalid_project_id"


async def test_a_personal_message_goes_to_one_connection(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        one, other = world.plain(), world.plain()
        hub, name = world.hub, one.session.subscriber.id
        assert hub.send_personal_message(name, {"hello": ("you",)})
        assert not hub.send_personal_message("nobody", {})
        assert (one.received(), other.received()) == ([{"hello": ["you"]}], [])
        with pytest.raises(InvalidInput):
            hub.send_personal_message(name, {"x": object})
        async with hub.subscribe("p") as messages:
            await anext(messages)
            [mine] = set(hub.connections) - {name, other.session.subscriber.id}
            assert hub.send_personal_message(mine, {"hello": 1})
            assert await anext(messages) == Personal({"hello": 1})
        one.end()
        assert not hub.send_personal_message(name, {})


# --- looking at it --------------------------------------------------------------------------------


async def test_statistics_tell_what_waits_and_who_lags(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        stalled = world.plain(Subscribe("p"), Subscribe("q"), room=0)
        await world.settle()
        before = world.hub.statistics()
        assert (before.connections, before.subscriptions, before.projects_loaded) == (1, 2, 2)
        for value in range(5):
            await world.publish("p", update("n", a=value))
        now = world.hub.statistics()
        assert (now.outbox_messages, now.ticks) == (4, before.ticks + 5), "the first is begun"
        assert now.outbox_bytes == stalled.session.subscriber.outbox.waiting_bytes > 0
        assert (now.store, now.store_error, now.draining) == ("memory:", None, False)
        world.store.hold_appends()
        await world.submit("p", update("n"))
        assert world.hub.statistics().publishes_waiting == 1


async def test_deleting_ends_the_life_and_another_may_begin(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        assert (await refusal(world.hub.delete_project("p"))).code == "not_found"
        first = await world.publish("p", update("n"))
        assert world.hub.health.stored_projects == 1
        ended = await world.hub.delete_project("p")
        assert (ended.epoch, ended.first) == (first.epoch, 2)
        assert (await refusal(world.hub.delete_project("p"))).code == "not_found"
        assert (await refusal(world.hub.state("p"))).code == "not_found"
        assert world.hub.health.stored_projects == await world.store.count_projects() == 0
        second = await world.publish("p", update("m"))
        assert second.first == 1
        assert second.epoch != first.epoch
        assert picture(await world.hub.state("p")) == naive(update("m"))


# --- its own faults, and its end ------------------------------------------------------------------


async def test_a_fault_of_the_hubs_own_is_told_and_it_goes_on(autojump_clock: MockClock) -> None:
    class Broken(Store):
        async def trim(self, *_: object, **__: object) -> Any:
            raise RuntimeError("a bug")

    told: list[tuple[str, str]] = []
    settings = evolve(Settings(), keep=evolve(Settings().keep, sweep_interval=10.0))
    async with open_hub(Broken(), settings, on_error=lambda where, e: told.append((where, str(e)))) as hub:
        await trio.sleep(25)
        assert told == [("keeper", "a bug")] * 2
        assert (await hub.publish(made("p", update("n")))).first == 1


async def test_draining_refuses_tells_and_ends_every_stream(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        async with world.hub.subscribe("p") as messages:
            await anext(messages)
            await world.hub.drain()
            assert [type(one) async for one in messages] == [Draining]
        assert (await refusal(world.publish("p", update("n")))).code == "draining"
        assert world.hub.statistics().draining
        late = world.peer()
        late.connect(["p"])
        late.connection.received()
        assert late.connection.transport.close_read == (1012, "service restart")


async def test_a_drain_does_not_wait_for_a_store_that_hangs(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain()
        world.store.hold_appends()
        await world.submit("p", update("n"))
        began = trio.current_time()
        await world.hub.drain()
        assert trio.current_time() - began == pytest.approx(world.hub.settings.drain.timeout / 2)
        assert plain.received() == []
        assert plain.transport.close_read == (1012, "service restart")


async def test_the_refusal_of_a_missing_project_names_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with pytest.raises(Refused, match="no project 'nowhere'"):
            await world.hub.state("nowhere")
