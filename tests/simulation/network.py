"""Sockets in memory: what the kernel does for `web.transport.Connection`, and what goes wrong on the way.

A `Line` has two ends. The hub's end is a descriptor, used through `Network.syscalls` and a `Socket`; the
peer's end is used by the driver, synchronously. `room` is how many bytes the hub may still write before its
end is full.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

import trio

from tasktree_rt.web.server.syscalls import Socket, Syscalls
from tests.simulation.violation import Violation

FIRST_DESCRIPTOR: Final = 1_000
ENDLESS: Final = 2_000_000
"""Bytes that nobody can have to say to one peer between two steps."""
Note = Callable[[str, bytes], None]


class Line:
    """One connection. Every method is the peer's, but for those of `Socket`."""

    def __init__(self, network: Network, descriptor: int) -> None:
        self._network = network
        self._descriptor = descriptor
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()
        self._coming = bytearray()
        """From the peer, on the way."""
        self._inbound = bytearray()
        """From the peer, to be read by the hub."""
        self._outbound = bytearray()
        """From the hub, to be read by the peer."""
        self.room: int | None = None
        self.flow: int | None = None
        """So many of the peer's bytes arrive at each `tick`; None: all of them at once."""
        self.blocked = 0
        """How often the hub's end was full, or took only a part."""
        self._ending = False
        self.eof = False
        self.reset = False
        self.shut = False
        self.aborted = False
        self.closed = False

    @property
    def deflate(self) -> bool:
        """Whether the peer takes compressed messages: every second one does."""
        return self._descriptor % 2 == 0

    # --- the peer's end ---------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the hub hears nothing any more."""
        return self.closed or self.reset

    def say(self, data: bytes) -> None:
        """Send bytes to the hub."""
        if not (self.over or self._ending):
            self._coming += data
            if self.flow is None:
                self._arrive(len(self._coming))

    def tick(self) -> None:
        """A little of what is on the way arrives."""
        self._arrive(len(self._coming) if self.flow is None else self.flow)

    def _arrive(self, size: int) -> None:
        if size and self._coming:
            self._inbound += self._coming[:size]
            del self._coming[:size]
            self._readable.unpark_all()
        if self._ending and not self._coming and not self.eof:
            self.eof = True
            self._readable.unpark_all()

    def hear(self) -> bytes:
        """Take what the hub has sent."""
        data = bytes(self._outbound)
        self._outbound.clear()
        return data

    def lose_unread(self, keep: int) -> None:
        """Of what the peer has not read yet only `keep` bytes ever arrive."""
        del self._outbound[keep:]

    def allow(self, room: int | None) -> None:
        """From now on so many more bytes are taken; None: any number."""
        self.room = room
        if room != 0:
            self._writable.unpark_all()

    def half_close(self) -> None:
        """The peer will send nothing more than what is on the way."""
        self._ending = True
        self.tick()

    def drop(self) -> None:
        """The peer is gone, without a word."""
        self.reset = True
        self._wake()

    def _wake(self) -> None:
        self._readable.unpark_all()
        self._writable.unpark_all()

    @property
    def unheard(self) -> int:
        """Bytes that the peer has not heard yet."""
        return len(self._outbound)

    # --- the hub's end: `web.kernel.Socket` ---------------------------------------------------------

    def fileno(self) -> int:
        return self._descriptor

    def shutdown(self, how: int, /) -> None:
        if self.reset:
            raise OSError(errno.ENOTCONN, "not connected")
        self.shut = True

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        self.aborted = True

    def close(self) -> None:
        assert not self.closed, "a socket is closed twice"
        self.closed = True
        self._network.closed(self)
        self._wake()

    # --- the hub's end: `web.kernel.Io` -------------------------------------------------------------

    def read(self, buffer: bytearray) -> int:
        if self.reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        if not self._inbound:
            if self.eof:
                return 0
            raise BlockingIOError(errno.EAGAIN, "nothing to read")
        size = min(len(buffer), len(self._inbound))
        buffer[:size] = self._inbound[:size]
        del self._inbound[:size]
        return size

    def write(self, data: bytes | memoryview) -> int:
        if self.reset or self.shut:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")
        size = len(data)
        if self.room is not None:
            size = min(size, self.room)
            if size < len(data):
                self.blocked += 1
            if size == 0:
                raise BlockingIOError(errno.EAGAIN, "full")
            self.room -= size
        self._outbound += data[:size]
        return size

    async def readable(self) -> None:
        if self._inbound or self.eof or self.reset:
            await trio.lowlevel.checkpoint()
        else:
            await self._readable.park()

    async def writable(self) -> None:
        if self.room != 0 or self.reset:
            await trio.lowlevel.checkpoint()
        else:
            await self._writable.park()


class Network:
    """All lines of a run. `note` hears of every byte that the hub sends."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._open: dict[int, Line] = {}
        self._next = FIRST_DESCRIPTOR
        self.syscalls = Syscalls(
            self._readv,
            self._write,
            self._wait_readable,
            self._wait_writable,
            self._sender,
            self._unacknowledged,
        )

    def line(self) -> Line:
        """A new connection."""
        self._next += 1
        line = self._open[self._next] = Line(self, self._next)
        return line

    def closed(self, line: Line) -> None:
        """The hub has closed its end."""
        del self._open[line.fileno()]
        self._note(f"close {line.fileno()} {line.aborted}", b"")

    @property
    def open(self) -> int:
        """How many sockets the hub has not closed."""
        return len(self._open)

    def cut_all(self) -> None:
        """The process that had them is gone: nothing is written any more."""
        for line in self._open.values():
            line.drop()

    def _readv(self, descriptor: int, buffers: tuple[bytearray]) -> int:
        return self._open[descriptor].read(buffers[0])

    def _write(self, descriptor: int, data: bytes | memoryview) -> int:
        line = self._open[descriptor]
        size = line.write(data)
        if line.unheard > ENDLESS:
            raise Violation("everything ends", f"{line.unheard} bytes at one time")
        self._note(f"write {descriptor}", bytes(data[:size]))
        return size

    def _unacknowledged(self, descriptor: int) -> int:
        return self._open[descriptor].unheard

    def _sender(self, line: Socket) -> Callable[[bytes], int]:
        """What a socket's own ``send`` is."""
        assert isinstance(line, Line)

        def send(data: bytes) -> int:
            if line.closed:
                raise OSError(errno.EBADF, "closed")
            return self._write(line.fileno(), data)

        return send

    async def _wait_readable(self, descriptor: int) -> None:
        await self._open[descriptor].readable()

    async def _wait_writable(self, descriptor: int) -> None:
        await self._open[descriptor].writable()
