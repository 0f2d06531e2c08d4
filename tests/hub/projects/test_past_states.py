"""States of the past: few are read at a time, and shared."""

from __future__ import annotations

import gc

import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.hub.projects.past_states import READERS, PastStates


class State:
    """Something that can be shared."""


async def test_those_who_ask_for_the_same_state_share_it_as_long_as_one_holds_it() -> None:
    past = PastStates()
    reads = 0

    async def read() -> State:
        nonlocal reads
        reads += 1
        await trio.lowlevel.checkpoint()
        return State()

    first = await past.get("a", read)
    assert await past.get("a", read) is first
    assert reads == 1
    del first
    gc.collect()
    await past.get("a", read)
    assert reads == 2


async def test_few_are_read_at_a_time_and_a_failure_frees_its_turn() -> None:
    past = PastStates()
    go = trio.Event()
    reading = most = 0

    async def read() -> State | None:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await go.wait()
        reading -= 1
        return None

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(past.get, number, read)
        await wait_all_tasks_blocked()
        assert reading == READERS
        go.set()
    assert (most, reading) == (READERS, 0)
