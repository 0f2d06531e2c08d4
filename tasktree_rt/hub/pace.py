"""Long work in slices, between which everybody else goes first."""

from __future__ import annotations

from typing import Final

import trio

IDLE: Final = 0.0002
"""Seconds: a turn of the loop that takes longer was one in which others had something to do."""
TURNS: Final = 8
"""Turns that others get at most before the next slice: long work has to end on a busy hub too."""


async def breathe() -> None:
    """Let others run: a turn of the loop, and further ones as long as somebody uses them.

    An event takes some ten turns from its producer to its watchers; where only one of them passed between two
    slices, it would wait for ten slices.
    """
    for _ in range(TURNS):
        begun = trio.current_time()
        await trio.lowlevel.checkpoint()
        if trio.current_time() - begun < IDLE:
            return
