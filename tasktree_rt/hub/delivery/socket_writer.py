"""The writer of a socket: writes at once while the socket takes bytes, in a task while it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, Protocol

import trio

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.transport import Transport, while_acknowledging

CHUNK: Final = 64 * 1024
"""Bytes that are written in one go where the socket takes them."""
TURN: Final = 32 * 1024
"""Bytes after which a writer's task lets others run: a part of a state."""
Start = Callable[[Callable[[], Awaitable[None]]], None]


class Pumped(Enum):
    """The result of a pump."""

    IDLE = "nothing waits"
    FULL = "the socket takes no more"
    MORE = "enough for now"
    FETCH = "a feed has to read the store"


class Outgoing(Protocol):
    """The subscriber whose messages a writer writes, as far as the writer needs it.

    Attributes:
        direct: the socket's own send while nothing waits, else None; the writer sets it.
        sent_bytes: counted by the writer.
    """

    direct: Callable[[bytes], int] | None
    sent_bytes: int

    @property
    def closing(self) -> bool:
        """Return whether only the waiting replies and the close frame are still sent."""

    def next_bytes(self) -> bytes | memoryview | Pumped:
        """Return the next whole messages, or `Pumped.IDLE`, or `Pumped.FETCH`."""

    async def fetch(self) -> None:
        """Read from the store what the next messages need."""

    def over(self) -> None:
        """Note that the connection has ended."""

    def stalled(self) -> None:
        """End the connection at once: the socket took nothing for `stall_timeout`."""

    def fault(self, error: Exception) -> None:
        """Close the connection, or end it if it is closing: the hub has a fault."""


class SocketWriter:
    """Write one connection's messages into its `Transport`; `start` runs the task when one is needed.

    Attributes:
        write: the transport's `write_nowait`.
    """

    __slots__ = (
        "_aborted",
        "_eof",
        "_last",
        "_outgoing",
        "_pending",
        "_pumping",
        "_send",
        "_stall_timeout",
        "_start",
        "_transport",
        "_writing",
        "write",
    )

    def __init__(
        self, outgoing: Outgoing, transport: Transport, start: Start, *, stall_timeout: float
    ) -> None:
        self._outgoing = outgoing
        self._transport = transport
        self._start = start
        self._stall_timeout = stall_timeout
        self.write = transport.write_nowait
        self._send = transport.send
        self._pending: bytes | memoryview | None = None
        self._last = b""
        self._pumping = False
        self._writing = False
        self._eof = False
        self._aborted = False

    def wake(self) -> None:
        """Write what the socket takes now; a task writes the rest."""
        if self._writing or self._pumping:
            return
        state = self._drive(CHUNK)
        if state is not Pumped.IDLE and not self._writing:
            self._run(state)

    def wake_later(self) -> None:
        """Write as soon as the socket takes bytes again: the task tries first."""
        if not self._writing:
            self._run(None)

    def _run(self, state: Pumped | None) -> None:
        self._writing = True

        async def write_all() -> None:
            await self._write_all(state)

        self._start(write_all)

    def close(self, closing: Closing, reason: str) -> None:
        """Write the close frame behind the begun message and the replies."""
        self.finish(self._transport.close_frame(closing, reason))

    def finish(self, frame: bytes) -> None:
        """Write `frame` behind the begun message and the replies."""
        self._last += frame
        self.wake()

    def shut(self) -> None:
        """Half-close the connection behind the begun message, the replies and the close frame."""
        self._eof = True
        self.wake()

    def abort(self) -> None:
        """End the connection at once."""
        if not self._aborted:
            self._aborted = True
            self._transport.abort()

    def abort_after(self, seconds: float) -> None:
        """End the connection after some time if something waits now."""

        async def end() -> None:
            await trio.sleep(seconds)
            self.abort()

        if self._writing:
            self._start(end)

    # --- the task ---------------------------------------------------------------------------------

    async def _write_all(self, state: Pumped | None) -> None:
        """Write while something waits; end a peer that takes nothing for `stall_timeout`."""
        try:
            while state is not Pumped.IDLE:
                if state is Pumped.FULL:
                    transport = self._transport
                    try:
                        await while_acknowledging(
                            transport.writable, transport.unacknowledged, self._stall_timeout
                        )
                    except trio.TooSlowError:
                        self._outgoing.stalled()
                        return
                elif state is Pumped.FETCH:
                    await self._outgoing.fetch()
                elif state is Pumped.MORE:
                    await yield_if_due()
                state = self._drive(TURN)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._outgoing.over()
        finally:
            self._writing = False

    def unacknowledged(self) -> int:
        """Return how many written bytes the peer has not acknowledged."""
        return self._transport.unacknowledged()

    def _drive(self, budget: int) -> Pumped:
        """Pump; a fault in it ends this connection and nothing else."""
        try:
            return self._pump(budget)
        except Exception as error:
            self._outgoing.fault(error)
            return Pumped.IDLE if self._aborted else Pumped.MORE

    def _pump(self, budget: int) -> Pumped:
        """Write as long as the socket takes it and `budget` (bytes) lasts."""
        outgoing = self._outgoing
        self._pumping = True
        outgoing.direct = None
        try:
            while True:
                while self._pending is not None:
                    taken = self.write(self._pending)
                    outgoing.sent_bytes += taken
                    if taken < len(self._pending):
                        self._pending = memoryview(self._pending)[taken:]
                        return Pumped.FULL
                    self._pending = None
                    budget -= taken
                if budget <= 0:
                    return Pumped.MORE
                found = outgoing.next_bytes()
                if not isinstance(found, Pumped):
                    self._pending = found
                elif found is Pumped.FETCH:
                    return found
                elif not outgoing.closing:
                    outgoing.direct = self._send
                    return found
                elif not self._end():
                    return found
        finally:
            self._pumping = False

    def _end(self) -> bool:
        """Write the close frame next, if it is not written yet: nothing else waits."""
        if self._last:
            self._pending, self._last = self._last, b""
            return True
        if self._eof:
            self._transport.shutdown()
        return False
