"""Long work in slices, between which everybody else goes first."""

from __future__ import annotations

from typing import Final

import trio

IDLE: Final = 0.0002
"""Seconds: a turn of the loop that takes longer was one in which others had something to do."""
TURNS: Final = 4
"""Turns that others get at most before the next slice."""
LONGEST: Final = 0.01
"""Seconds that slices grow to on a hub that is never idle."""
_until: Final = trio.lowlevel.RunVar("tasktree_rt.pace", 0.0)
"""The time until which long work may continue. All long work shares it: each piece would take the others for
busy tasks."""


async def yield_if_due() -> None:
    """Let others run, if it is time; called by long work after every small step.

    An event takes some ten turns of the loop from its producer to its watchers; where one turn passed
    between two steps, it would wait for ten steps. So the next step waits for a turn in which no task was
    busy. On a hub where there is none, long work goes on for half as long as the others had: it has to end.
    """
    turn = trio.current_time()
    if turn < _until.get():
        return
    for _ in range(TURNS):
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        if now - turn < IDLE:
            return
        turn = now
    before = _until.get()
    _until.set(max(before, turn + min((turn - before) / 2, LONGEST)))
