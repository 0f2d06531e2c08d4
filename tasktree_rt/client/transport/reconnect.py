"""Connecting to a hub again and again, with a growing delay between failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from tasktree_rt.client.transport.backoff import Retry
from tasktree_rt.client.transport.connection import Connection
from tasktree_rt.client.transport.errors import ConnectionEnded

STEADY: Final = 5.0
"""Seconds that a good connection must last before the delays begin anew."""


async def stay_connected(
    connect: Callable[[], AbstractAsyncContextManager[Connection]],
    serve: Callable[[Connection], Awaitable[None]],
    on_ended: Callable[[ConnectionEnded, float], Awaitable[None]],
    retry: Retry,
    patience: float,
) -> None:
    """Connect and `serve`, again and again; `on_ended` is called with every end and the delay until the next
    try.

    `serve` ends by raising `ConnectionEnded`. The back-off starts anew after a connection that was `good` and
    lasted for `STEADY` seconds, or that lasted as long as the longest delay: a hub that fails soon after
    every connect, however well it begins, is not to be hammered.

    Raises:
        ConnectionEnded: one that is final, or there was no good connection for more than `patience` seconds.
    """
    last_good = trio.current_time()
    while True:
        begun, connection = trio.current_time(), None
        try:
            async with connect() as connection:
                await serve(connection)
        except ConnectionEnded as end:
            now = trio.current_time()
            lasted = now - begun
            if connection is not None and (connection.good or lasted >= retry.backoff.cap):
                last_good = now
                if lasted >= STEADY:
                    retry.reset()
            if end.final:
                raise
            if now - last_good > patience:
                raise ConnectionEnded(
                    f"gave up after {patience:g} s: {end}", code=end.code, final=True
                ) from end
            delay = retry.delay(end.retry_after)
            await on_ended(end, delay)
            await trio.sleep(delay)
