"""What native connections are told of where they stand, and when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tasktree_rt.core.protocol import Subscribe
from tasktree_rt.dialects.tasktree import Native
from tasktree_rt.hub.projects import recent_changes as moves_module
from tasktree_rt.hub.projects.recent_changes import RecentChanges, Turns
from tasktree_rt.hub.sessions.watcher import NativeSession
from tasktree_rt.settings import Delivery, Settings
from tests.hub.sessions.test_watcher import answers, greeted, native
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, small, update

INTERVAL = 8.0


def beat_now(carried: Carried) -> None:
    assert isinstance(carried.session, NativeSession)
    carried.session.positions.tell(trio.current_time())


async def positions(carried: Carried) -> dict[str, str]:
    """What a heartbeat tells at this moment."""
    await answers(carried)
    beat_now(carried)
    (beat,) = await answers(carried)
    assert beat["type"] == "heartbeat"
    found: dict[str, str] = beat["positions"]
    return found


def at(world: World, project: str) -> str:
    found = world.hub.cache.get(project)
    assert found is not None
    return str(found.position)


async def heard_for(carried: Carried, seconds: float, each: Any = None) -> list[tuple[float, Any]]:
    """What comes within some time, and when; `each` is awaited every half second."""
    began, found = trio.current_time(), []
    while trio.current_time() < began + seconds:
        await trio.sleep(0.5)
        carried.session.last_received = trio.current_time()
        if each is not None:
            await each()
        found += [(trio.current_time() - began, one) for one in await answers(carried)]
    return found


async def test_an_idle_connection_is_told_where_its_live_projects_stand(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        await world.publish("gone", update("n"))
        await world.publish("gone", {"type": "project_deleted"})
        carried = await greeted(world)
        await answers(carried, *[{"type": "subscribe", "project_id": name} for name in ("p", "gone")])
        beats = await heard_for(carried, 5 * INTERVAL)
        assert [one["positions"] for _, one in beats] == [{"p": at(world, "p")}] * len(beats)
        times = [0.0, *(when for when, _ in beats)]
        assert all(after - before <= 1.25 * INTERVAL for before, after in pairwise(times))
        assert 4 <= len(beats) <= 6


async def test_a_busy_project_hides_no_other(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("still", update("n"))
        carried = await greeted(world)
        await answers(carried, *[{"type": "subscribe", "project_id": name} for name in ("still", "busy")])

        async def busy() -> None:
            await world.publish("busy", update("n", a=trio.current_time()))

        heard = await heard_for(carried, 4 * INTERVAL, busy)
        beats = [one["positions"] for _, one in heard if one["type"] == "heartbeat"]
        assert len(beats) >= 3
        assert all(one["still"] == at(world, "still") for one in beats)
        assert len({one["busy"] for one in beats}) == len(beats), "each at its own position"


async def test_of_everything_those_that_moved_come_round_a_hundred_at_a_time(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        for number in range(250):
            await world.publish(f"p{number}", update("n"))
        await trio.sleep(1)
        carried = native(world, Subscribe("*"))
        await answers(carried)
        told: list[str] = []
        for turn in range(3):
            await trio.sleep(1)
            await world.publish("p7", update("n", a=turn))
            beat = await positions(carried)
            assert all(text == at(world, name) for name, text in beat.items())
            told += beat
        assert sorted(set(told)) == sorted(f"p{number}" for number in range(250))
        assert len(told) == 250
        await trio.sleep(1)
        assert list(await positions(carried)) == ["p7"], "it moved while they came round"
        await trio.sleep(1)
        assert await positions(carried) == {}


async def test_of_many_subscribed_by_name_each_comes_to_its_turn(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        names = [f"p{number}" for number in range(230)]
        for name in names:
            await world.publish(name, update("n"))
        carried = native(world, *map(Subscribe, names))
        await answers(carried)
        beats = [await positions(carried) for _ in range(3)]
        assert [len(one) for one in beats] == [100, 100, 100]
        assert {name for one in beats for name in one} == set(names)


async def test_what_waits_unsent_is_left_out_and_no_heartbeat_waits_behind_another(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        await world.publish("q", update("n"))
        carried = native(world, Subscribe("p"), Subscribe("q"))
        await answers(carried)
        carried.transport.allow(0)
        await world.publish("q", update("n", a=1))  # it is begun, and so finished whatever comes
        await world.publish("p", update("n", a=1))
        for _ in range(5):
            beat_now(carried)
        carried.transport.allow(None)
        said = await answers(carried)
        assert [one["type"] for one in said] == ["node_update", "node_update", "heartbeat"]
        assert said[2]["positions"] == {"q": at(world, "q")}
        assert await positions(carried) == {"p": at(world, "p"), "q": at(world, "q")}


async def test_a_project_that_was_on_its_way_in_its_turn_is_told_in_the_next(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        carried = native(world, Subscribe("*"))
        await answers(carried)
        await world.publish("p", update("n"))
        await answers(carried)
        carried.transport.allow(0)
        await world.publish("q", update("n", a=1))
        await world.publish("p", update("n", a=1))
        await trio.sleep(1)
        beat_now(carried)
        carried.transport.allow(None)
        (beat,) = [one for one in await answers(carried) if one["type"] == "heartbeat"]
        assert beat["positions"] == {"q": at(world, "q")}
        await trio.sleep(1)
        assert await positions(carried) == {"p": at(world, "p")}


async def test_a_project_that_was_on_its_way_in_its_turn_and_then_taken_back_is_not_told(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        carried = native(world, Subscribe("*"))
        await answers(carried)
        await world.publish("p", update("n"))
        carried.transport.allow(0)
        for number in range(2):
            await world.publish("p", update("n", a=number))
        beat_now(carried)
        carried.transport.allow(None)
        said = await answers(carried, {"type": "unsubscribe", "project_id": "p"})
        assert said[-1] == {"type": "unsubscribed", "project_id": "p"}
        assert await positions(carried) == {}


async def test_connections_at_the_same_position_share_one_encoding(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Any] = []
    encode = Native.encode

    def counted(self: Native, message: Any) -> bytes | None:
        encoded.append(message)
        return encode(self, message)

    async with a_world() as world:
        await world.publish("p", update("n"))
        watchers = [native(world, Subscribe("p")) for _ in range(50)]
        for one in watchers:
            await answers(one)
        monkeypatch.setattr(Native, "encode", counted)
        for one in watchers:
            beat_now(one)
        assert len(encoded) == 1
        for one in watchers:
            assert [beat["type"] for beat in await answers(one)] == ["heartbeat"]
        await world.publish("p", update("n", a=1))
        encoded.clear()
        for one in watchers:
            await answers(one)
            beat_now(one)
            assert (await answers(one))[0]["positions"] == {"p": at(world, "p")}
        assert len(encoded) == 1


async def test_connections_that_come_at_once_are_spread_over_the_interval(autojump_clock: MockClock) -> None:
    async with a_world(Settings(delivery=Delivery(heartbeat_interval=INTERVAL))) as world:
        watchers = [native(world, Subscribe("p")) for _ in range(80)]
        for one in watchers:
            await answers(one)
        for _ in range(2):
            rounds = []
            for _ in range(int(INTERVAL)):
                await trio.sleep(1.0)
                rounds.append(sum([len(await answers(one)) for one in watchers]))
            assert sum(rounds) in range(78, 83)
            assert max(rounds) <= 13


@pytest.mark.parametrize("interval", [0.2, 1.0, 8.0, 30.0])
async def test_a_heartbeat_is_late_by_a_quarter_of_the_interval_at_most(
    interval: float, autojump_clock: MockClock
) -> None:
    delivery = Delivery(heartbeat_interval=interval, outbox_messages=16, outbox_bytes=2048)
    async with a_world(Settings(limits=small().limits, delivery=delivery)) as world:
        carried = await greeted(world)
        last = trio.current_time()
        for _ in range(5):
            while not await answers(carried):
                await trio.sleep(interval / 100)
                carried.session.last_received = trio.current_time()
            assert trio.current_time() - last <= interval * 1.3
            last = trio.current_time()


# --- whose turn it is -------------------------------------------------------------------------------------


def everything(name: str) -> bool:
    return True


@given(
    st.lists(
        st.lists(st.integers(0, 30).map(lambda number: f"p{number:02}"), max_size=12), min_size=1, max_size=12
    ),
    st.integers(1, 5),
)
def test_whatever_moves_is_told_after_it_moved_for_the_last_time(beats: list[list[str]], most: int) -> None:
    moves, turns = RecentChanges(), Turns()
    moved: dict[str, int] = {}
    told: dict[str, int] = {}
    quiet = [[] for _ in range(2 * 31 // most + 4)]  # type: ignore[var-annotated]
    for now, names in enumerate([*beats, *quiet], 1):
        for name in names:
            moves.note(name, now)
            moved[name] = now
        found = turns.next(moves, everything, now + 0.5, most)
        assert len(found) <= most
        told |= dict.fromkeys(found, now)
    assert told.keys() == moved.keys()
    assert all(told[name] >= moved[name] for name in moved)


@given(st.integers(1, 4), st.integers(5, 20))
def test_one_that_moves_all_the_time_comes_to_its_turn_too(most: int, count: int) -> None:
    moves, turns = RecentChanges(), Turns()
    names = [f"p{number:02}" for number in range(count)]
    seen: list[str] = []
    for now in range(1, 3 * count // most + 4):
        for name in names:
            moves.note(name, now)
        seen += turns.next(moves, everything, now + 0.5, most)
    assert set(seen) == set(names)


def test_no_more_projects_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves_module, "MOVED", 10)
    moves = RecentChanges()
    for number in range(100):
        moves.note(f"p{number:02}", number)
    assert moves.newest(0, everything, 100) == [f"p{number}" for number in range(99, 89, -1)]
    assert moves.following("", 0, everything, 100) == ([f"p{number}" for number in range(90, 100)], "")


def test_a_heartbeat_looks_at_a_bounded_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves_module, "WALK", 8)
    moves, turns = RecentChanges(), Turns()
    for number in range(50):
        moves.note(f"p{number:02}", 1)
    looked: list[str] = []

    def only_last(name: str) -> bool:
        looked.append(name)
        return name == "p49"

    found: list[str] = []
    while not found:
        before = len(looked)
        found = turns.next(moves, only_last, 2, 100)
        assert len(looked) - before <= 16
    assert found == ["p49"]
