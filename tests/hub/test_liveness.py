"""Pings, dead peers and tokens that run out."""

from __future__ import annotations

import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import EVERYTHING, Grants
from tests.hub.test_watching import answers, greeted
from tests.hub.world import World, a_world, small, update


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


async def test_going_through_many_sessions_lets_others_run(autojump_clock: MockClock) -> None:
    async def count(world: World, turns: list[int]) -> None:
        while True:
            turns[0] += 1
            await trio.lowlevel.checkpoint()

    class Counted:
        def __init__(self, turns: list[int]) -> None:
            self.turns = turns
            self.seen = 0

        def tend(self, now: float, wall: float) -> None:
            self.seen = self.turns[0]

    async with a_world() as world:
        turns = [0]
        sessions = [Counted(turns) for _ in range(2_000)]
        world.hub.sessions.update(dict.fromkeys(sessions))
        await trio.sleep(0.9)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count, world, turns)
            autojump_clock.jump(0.2)
            while not sessions[-1].seen:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert len({one.seen for one in sessions}) >= 3
        world.hub.sessions.clear()
        await wait_all_tasks_blocked()
