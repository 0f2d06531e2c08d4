"""Long work in slices, between which everybody else goes first."""

from __future__ import annotations

from typing import Final

import trio

IDLE: Final = 0.0002
"""Seconds: a turn of the loop that takes longer was one in which others had something to do."""
TURNS: Final = 4
"""Turns that others get at most before the next slice."""
LONGEST: Final = 0.01
"""Seconds that a slice grows to on a hub that is never idle."""


class Pace:
    """One long piece of work, which calls `breathe` after every small step.

    An event takes some ten turns of the loop from its producer to its watchers; where one of them passed
    between two steps, it would wait for ten steps. So the next step waits for a turn in which nobody was
    busy. On a hub where there is none, work goes on for half as long as the others had: it has to end.
    """

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = 0.0

    async def breathe(self) -> None:
        """Let others run, if it is time."""
        began = trio.current_time()
        if began < self._until:
            return
        turn = began
        for _ in range(TURNS):
            await trio.lowlevel.checkpoint()
            now = trio.current_time()
            if now - turn < IDLE:
                return
            turn = now
        self._until = turn + min((turn - began) / 2, LONGEST)
