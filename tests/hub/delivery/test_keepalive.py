"""Pings, dead peers and tokens that run out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from tasktree_rt.core.access import EVERYTHING, Grants
from tests.hub.sessions.test_watcher import answers, greeted
from tests.hub.world import a_world, small, update


async def test_a_silent_peer_is_pinged_after_30_s_and_aborted_10_s_later(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain()
        await trio.sleep(29)
        plain.received()
        assert plain.transport.pings == 0
        await trio.sleep(2)
        plain.received()
        assert (plain.transport.pings, plain.transport.fate()) == (1, "open")
        await trio.sleep(8)
        assert plain.transport.fate() == "open"
        await trio.sleep(3)
        assert plain.transport.fate() == "aborted"
        plain.received()
        assert plain.transport.pings == 1


async def test_a_peer_that_still_acknowledges_what_is_before_its_ping_is_not_dead(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        plain = world.plain()
        plain.transport.on_the_way = 4_000_000
        for _ in range(30):
            await trio.sleep(9.5)
            plain.transport.on_the_way -= 1
        assert plain.transport.fate() == "open"
        plain.transport.on_the_way = 0
        await trio.sleep(25)
        assert plain.transport.fate() == "aborted"


async def test_any_byte_is_life(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain()
        for _ in range(10):
            await trio.sleep(35)
            plain.session.last_received = trio.current_time()  # a pong, or the beginning of a message
        plain.received()
        assert plain.transport.fate() == "open"
        assert 8 <= plain.transport.pings <= 10


async def test_who_answers_pings_lives_however_short_their_interval(autojump_clock: MockClock) -> None:
    async with a_world(evolve(small(), delivery=evolve(small().delivery, ping_interval=0.4))) as world:
        plain = world.plain()
        for _ in range(20):
            pings = plain.transport.pings
            await trio.sleep(1)
            plain.received()
            if plain.transport.pings > pings:
                plain.session.last_received = trio.current_time()
        assert plain.transport.fate() == "open"
        assert plain.transport.pings > 5


async def test_who_still_takes_what_is_sent_is_not_dead(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain()
        await trio.sleep(25)
        plain.transport.allow(0)
        await world.publish("p", update("n", text="x" * 700))
        for _ in range(100):
            await trio.sleep(5)
            plain.transport.allow(1)
        assert plain.transport.fate() == "open"
        plain.transport.allow(None)
        await trio.sleep(1.5)
        plain.received()
        assert plain.transport.pings == 1, "as soon as there is room"
        await trio.sleep(12)
        assert plain.transport.fate() == "aborted"


async def test_grants_that_run_out_close_4003(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        soon = Grants("anna", EVERYTHING, expires=world.hub.wall() / 1e6 + 3_600)
        late = Grants("anna", EVERYTHING, expires=world.hub.wall() / 1e6 - 1)
        first, second = await greeted(world, grants=soon), await greeted(world, grants=late)
        await trio.sleep(2)
        await answers(second)
        assert second.transport.close_read == (4003, "token invalid or expired")
        await answers(first)
        assert first.transport.close_read is None


async def test_a_session_that_fails_to_be_tended_harms_no_other(autojump_clock: MockClock) -> None:
    class Broken:
        def tend(self, now: float, wall: float) -> None:
            raise RuntimeError("a bug")

    async with a_world() as world:
        broken = Broken()
        world.hub.sessions[broken] = None
        plain = world.plain()
        await trio.sleep(45)
        assert plain.transport.fate() == "aborted"
        assert set(world.faults) == {"liveness: RuntimeError('a bug')"}
        del world.hub.sessions[broken]
        world.faults.clear()


async def test_many_sessions_are_gone_through_in_slices_over_a_second(autojump_clock: MockClock) -> None:
    class Noted:
        def __init__(self) -> None:
            self.seen: list[float] = []

        def tend(self, now: float, wall: float) -> None:
            self.seen.append(now)

    async with a_world() as world:
        await trio.sleep(0.5)
        sessions = [Noted() for _ in range(2_000)]
        world.hub.sessions.update(dict.fromkeys(sessions))
        await trio.sleep(4)
        first = [one.seen[0] for one in sessions]
        assert [first.count(when) for when in sorted(set(first))] == [500, 500, 500, 500]
        assert max(first) - min(first) == pytest.approx(0.75)
        assert all(
            after - before == pytest.approx(1) for one in sessions for before, after in pairwise(one.seen)
        )
        world.hub.sessions.clear()


async def test_a_session_that_ended_meanwhile_is_not_tended(autojump_clock: MockClock) -> None:
    class Ending:
        tended = 0

        def tend(self, now: float, wall: float) -> None:
            Ending.tended += 1
            world.hub.sessions.clear()

    async with a_world() as world:
        world.hub.sessions.update(dict.fromkeys(Ending() for _ in range(3)))
        await trio.sleep(3)
        assert Ending.tended == 1
