"""The interface between the hub and the transport of a connection's bytes.

`web.transport.Connection` is the one real carrier; tests put a transport in its place that they can
stall. The hub never sees a socket, the carrier never sees a project.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from tasktree_rt.core.close_codes import Closing


class Transport(Protocol):
    """The sending half of one connection. All methods but `writable` are synchronous and never block.

    Attributes:
        send: as `write_nowait`, but a socket that takes nothing may raise OSError (BlockingIOError if it is
            full). Then `write_nowait` is to be called, which knows what to make of it. For the fan-out, which
            calls little else: here the system call itself will do.
        deflate: the peer takes compressed messages (RFC 7692) beside plain ones.
    """

    @property
    def send(self) -> Callable[[bytes], int]:
        """See above; does not change."""

    @property
    def deflate(self) -> bool:
        """See above; does not change."""

    def write_nowait(self, data: bytes | memoryview) -> int:
        """Give bytes to the socket now; returns how many it took, 0 if it is full or gone."""

    async def writable(self) -> None:
        """Wait until the socket may take bytes.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: it never will again.
        """

    def unacknowledged(self) -> int:
        """Return how many bytes were written that the peer's machine has not acknowledged."""

    def close_frame(self, closing: Closing, reason: str) -> bytes:
        """The close frame to be written last; b"" if one was made before.

        From now on the carrier ignores what the peer says and ends the connection in order: it reads on
        until EOF, at most `close_timeout`, and throws away what it reads but for the peer's own close.
        """

    def shutdown(self) -> None:
        """Everything is written, the close frame last: half-close (SHUT_WR)."""

    def abort(self) -> None:
        """End the connection at once with RST; `Session.ended` follows."""


T = TypeVar("T")


async def while_acknowledging(
    wait: Callable[[], Awaitable[T]], unacknowledged: Callable[[], int], patience: float
) -> T:
    """Return the result of `wait`, for which a peer has to take bytes; `unacknowledged` counts the others.

    Raises:
        trio.TooSlowError: the peer acknowledged no byte for `patience` seconds.
    """
    left = unacknowledged()
    while True:
        with trio.move_on_after(patience):
            return await wait()
        before, left = left, unacknowledged()
        if left >= before:
            raise trio.TooSlowError


class Session(Protocol):
    """The hub's side of one connection, made by the route after it has accepted the handshake.

    The carrier calls `opened` once, then `message` for each whole message in turn (it reads nothing
    while one is awaited: that is the back-pressure on a peer), `frames` for what is no message, `control`
    for bytes of the frame layer itself (pongs, the echo of a close), and `ended` once, whatever happened.
    It keeps `last_received` (trio time of the newest byte from the peer) up to date: any byte is life.
    """

    last_received: float

    def opened(self, transport: Transport, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """The handshake is written. `start` runs a task in the connection's nursery; it ends with it."""

    async def message(self, message: str | bytes) -> None:
        """One whole message. An exception is a fault of the hub's: the carrier logs it, closes 1011."""

    def frames(self, count: int) -> None:
        """So many frames came that complete no message: pings, pongs, small fragments."""

    def control(self, data: bytes) -> None:
        """Send these bytes of the frame layer when their turn comes (never inside a begun frame).

        b"" stands for the end of what the frame layer has to say: `Transport.shutdown` follows what waits.
        """

    def close(self, closing: Closing, reason: str = "") -> None:
        """Finish the frame that is begun, drop what waits, send this close, and end."""

    def ended(self, code: int | None, reason: str) -> None:
        """The connection is gone. `code` and `reason` are the peer's (None: it never sent a close)."""
