"""Waits in a thread, whatever event loop this is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import trio


async def in_thread(function: Callable[[], None]) -> None:
    """Run `function`, which takes seconds at most, in a thread, to its end even if this is cancelled."""
    if trio.lowlevel.in_trio_task():
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(function)
    else:
        await asyncio.shield(asyncio.to_thread(function))
