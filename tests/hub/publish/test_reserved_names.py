"""The names of the hub's own messages are refused as types, within the program that embeds a hub too."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.reserved_names import MESSAGES
from tasktree_rt.errors import InvalidInput, PeerError
from tests.hub.world import STAMP, World, a_world, update
from tests.named import ALL, take_anything


def event(kind: str, **data: Any) -> Event:
    return Event(kind, ProjectId("p"), data, STAMP)


async def no_log(world: World) -> bool:
    return (await world.store.load("p")).epoch == ""


@pytest.mark.parametrize("kind", sorted(MESSAGES))
async def test_no_event_is_called_like_a_message(kind: str, autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with pytest.raises(PeerError) as caught:
            await world.hub.publish([event("x"), event(kind)])
        assert (caught.value.code, caught.value.field) == ("invalid_event", "events[1].type")
        with pytest.raises(PeerError) as caught:
            await world.hub.broadcast_to_project("p", {"type": kind, "data": {}})
        assert (caught.value.code, caught.value.field) == ("invalid_event", "message.type")
        assert await no_log(world)


@pytest.mark.parametrize("kind", sorted(MESSAGES))
async def test_no_broadcast_and_no_personal_message_is_called_so(
    kind: str, autojump_clock: MockClock
) -> None:
    async with a_world() as world:
        watcher = world.plain()
        with pytest.raises(InvalidInput) as caught:
            world.hub.broadcast({"type": kind})
        assert (caught.value.code, caught.value.field) == ("invalid_message", "type")
        with pytest.raises(InvalidInput) as caught:
            world.hub.send_personal_message(watcher.session.subscriber.id, {"type": kind})
        assert (caught.value.code, caught.value.field) == ("invalid_message", "message.type")
        assert watcher.received() == []


async def test_no_personal_message_looks_like_an_event(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watcher = world.plain()
        name = watcher.session.subscriber.id
        with pytest.raises(InvalidInput) as caught:
            world.hub.send_personal_message(name, {"seq": 1, "timestamp": STAMP, "type": "x"})
        assert caught.value.field == "message.seq"
        assert world.hub.send_personal_message(name, {"seq": 1, "type": "x"})
        assert watcher.received() == [{"seq": 1, "type": "x"}]


async def test_the_end_of_a_project_is_an_event_and_no_message(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        await world.publish("p", {"type": "project_deleted"})
        assert await no_log(world)


@pytest.mark.parametrize("told", ALL)
async def test_a_log_that_holds_such_events_is_read_as_ever(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with a_world() as world:
        with monkeypatch.context() as before:
            take_anything(before)
            await world.publish("p", update("n", a=1), told, update("n", b=2))
        peer = world.peer()
        peer.connect(["p"])
        peer.subscribe("p", "since")
        await world.settle()
        peer.read()
        peer.is_current()
        assert dict((await world.hub.state("p")).nodes)["n"].fields == {"a": 1, "b": 2}
