"""One WebSocket connection: the one owner of its socket, from the 101 to the last byte.

An idle connection is one trio task in one nursery, waiting for its socket to become readable. There is no
reader task beside a handler task, no queue between them, no buffer of its own: the bytes are read into one
buffer shared by all connections, because between the read and the parser that copies them nothing is awaited.
Sending is the session's: it writes to the socket directly (`write_nowait`) and starts a task only while
something waits.

The frames are parsed by websockets' sans-I/O `Protocol` (`web.frames`), which keeps masking, sequence, sizes,
pongs and the closing handshake right. No extension is negotiated, so none is ever applied.

What a peer sends is parsed a few frames at a time, with a turn of the loop between, and frames that are no
message are counted (`Session.frames`). After a close of ours as much is parsed as shows the peer's own; the
rest is thrown away as it comes.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

import trio
from structlog import get_logger
from websockets.frames import Frame

from tasktree_rt.core import close_codes as closing
from tasktree_rt.core.close_codes import Closing
from tasktree_rt.hub.transport import Session
from tasktree_rt.web.server.frames import BINARY, CLOSE, Frames, Messages, Unfit
from tasktree_rt.web.server.syscalls import KERNEL, RECEIVED, Socket, Syscalls, reset

log = get_logger(__name__)

WEIGHTY: Final = 1024
"""A fragment with so many bytes is paid for by the size of its message; a smaller one is counted."""
DRIBBLE: Final = 64
"""A read of fewer bytes that completes no frame is counted as one."""
LAST_FRAMES: Final = 64
"""So many frames after a close of ours are parsed, for the peer's close; the rest is thrown away."""
LAST_BYTES: Final = 128 * 1024 * 1024
"""A peer that sends more than this behind a close, or a last answer, of ours is reset. Most clients send all
of what was refused before they read why; to throw it away costs next to nothing."""

_RECEIVED_VIEW: Final = memoryview(RECEIVED)
_INTO: Final = (RECEIVED,)


class Connection:
    """The carrier of one accepted connection; implements `tasktree_rt.hub.transport.Transport`.

    `run` it once, after the 101 is written; it returns when the connection is over, with the socket closed
    and `Session.ended` called, and lets no exception of the session out. Cancelling it ends the connection at
    once.

    Args:
        sock: a non-blocking stream socket; the connection closes it.
        session: what is told of messages (`tasktree_rt.hub.transport.Session`).
        max_message_size: bytes of one message, over all its fragments; more closes 1009, and no more than a
            control frame beyond it is buffered.
        close_timeout: seconds from a close frame, or the end of what the peer sends, to the end.
    """

    __slots__ = (
        "_close_timeout",
        "_eof",
        "_fd",
        "_frames",
        "_io",
        "_last",
        "_lost",
        "_messages",
        "_nursery",
        "_session",
        "_shut",
        "_sock",
        "_thrown",
        "send",
    )

    def __init__(
        self,
        sock: Socket,
        session: Session,
        *,
        max_message_size: int,
        close_timeout: float,
        io: Syscalls = KERNEL,
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._session = session
        self._io = io
        self.send = self.write_nowait if io.sender is None else io.sender(sock)
        self._close_timeout = close_timeout
        self._frames = Frames(max_message_size)
        self._messages = Messages(max_message_size)
        self._eof = False  # the peer sends nothing more
        self._shut = False  # we send nothing more
        self._lost = False  # the socket is dead, or must be
        self._last = LAST_FRAMES  # frames that are still parsed once a close of ours is out
        self._thrown = 0  # bytes thrown away since then
        self._nursery: trio.Nursery

    async def run(self, received: bytes = b"") -> None:
        """Carry the connection to its end. `received`: what came after the request's head."""
        try:
            async with trio.open_nursery() as self._nursery:
                try:
                    self._session.opened(self, self._start)
                    await self._read(received)
                finally:
                    # Before the nursery is left: leaving it takes a schedule, in which it takes no new task.
                    self._lose()
        except* Exception as group:
            # Beside a cancellation too: an error must not go under because the peer went at the same moment.
            log.error("session failed", exc_info=group)
        finally:
            self._end()

    # --- Transport: the session's side, synchronous and never blocking --------------------------------------

    def write_nowait(self, data: bytes | memoryview) -> int:
        """Give bytes to the socket now; returns how many it took, 0 if it is full, half-closed or gone."""
        if self._shut or self._lost:
            return 0
        try:
            return self._io.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lose()
            return 0

    async def writable(self) -> None:
        """Wait until the socket may take bytes.

        Raises:
            trio.ClosedResourceError: it never will: the connection is over, or half-closed by `shutdown`.
        """
        if self._shut or self._lost:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("the connection takes no more bytes")
        await self._io.wait_writable(self._fd)

    def close_frame(self, closing: Closing, reason: str) -> bytes:
        """The close frame to write last; b"" if there was one. It starts the clock of `close_timeout`."""
        self._hurry()
        return self._frames.closing_frame(closing, reason)

    def shutdown(self) -> None:
        """Everything is written: half-close. The connection ends with the peer's EOF, or `close_timeout`."""
        if self._lost or self._shut:
            return
        self._shut = True
        self._hurry()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._lose()
        if self._eof:
            self._lose()

    def abort(self) -> None:
        """End the connection at once with RST; `Session.ended` follows."""
        if self._fd < 0:
            return
        reset(self._sock)
        self._lose()

    # --- the end --------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        self._lost = True
        self._nursery.cancel_scope.cancel()

    def _hurry(self) -> None:
        scope = self._nursery.cancel_scope
        scope.deadline = min(scope.deadline, trio.current_time() + self._close_timeout)

    def _end(self) -> None:
        # fd first: from here on nobody may write to a number that the kernel hands out again.
        self._fd = -1
        self._sock.close()
        self._frames.release()
        received = self._frames.close_rcvd
        try:
            if received is None:
                self._session.ended(None, "")
            else:
                self._session.ended(int(received.code), received.reason)
        except Exception:
            log.exception("session failed at its end")
        del self._session  # it refers to this connection: the other cycle

    # --- the nursery's other tasks --------------------------------------------------------------------------

    def _start(self, task: Callable[[], Awaitable[None]]) -> None:
        if not self._lost:
            self._nursery.start_soon(self._guard, task)

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose()
        except Exception:
            log.exception("session failed")
            self._crashed()

    def _crashed(self) -> None:
        try:
            self._session.close(closing.INTERNAL)
            self._hurry()
        except Exception:
            log.exception("session failed to close")
            self.abort()

    # --- reading --------------------------------------------------------------------------------------------

    async def _read(self, received: bytes) -> None:
        """Read until EOF is seen and everything written, or the socket is dead."""
        if received:
            await self._receive(received)
        while True:
            await self._io.wait_readable(self._fd)
            try:
                size = self._io.readv(self._fd, _INTO)
            except BlockingIOError:
                continue
            except OSError:
                return
            if size == 0:
                break
            # The parser copies what it is fed before anything is awaited; it takes any buffer.
            await self._receive(cast(bytes, _RECEIVED_VIEW[:size]))
            if self._thrown > LAST_BYTES:
                self.abort()
        await self._finish()

    async def _finish(self) -> None:
        self._eof = True
        said_end = self._frames.eof_sent
        self._frames.receive_eof()
        if not said_end:
            self._session.control(b"")
        if not self._shut:
            # What waits may still be written, to a peer that has only half-closed; `shutdown` ends the sleep.
            self._hurry()
            await trio.sleep_forever()

    async def _receive(self, data: bytes) -> None:
        self._session.last_received = trio.current_time()
        if self._last <= 0:
            self._thrown += len(data)
            return
        frames = self._frames
        frames.feed(data)
        if len(data) < DRIBBLE and not frames.events:
            self._session.frames(1)  # each read costs a turn of the loop, however little it brings
        await self._deal()
        while frames.paused:
            if self._last <= 0:
                self._thrown += frames.forget()
                return
            await trio.lowlevel.checkpoint()
            frames.go_on()
            await self._deal()

    async def _deal(self) -> None:
        """Deal with the frames that were parsed."""
        frames = self._frames
        ended = False
        if frames.writes:
            pong, ended = frames.answers()
            if pong:
                self._session.control(pong)
        events = cast(list[Frame], frames.events_received())
        small = 0
        for frame in events:
            if frame.opcode <= BINARY:
                if not frame.fin and len(frame.data) < WEIGHTY:
                    small += 1
                await self._data(frame)
            elif frame.opcode is not CLOSE:
                small += 1
        if small:
            self._session.frames(small)
        if ended:
            self._say_end()
        elif frames.close_sent is not None:
            self._last -= len(events)

    def _say_end(self) -> None:
        echo = self._frames.take_echo()
        if echo:
            self._session.control(echo)
        self._session.control(b"")
        self._hurry()
        self._last = 0

    async def _data(self, frame: Frame) -> None:
        # Once a close frame of ours is out, or about to be, what the peer says does not matter any more.
        if self._frames.close_sent is not None and not self._frames.echo:
            return
        try:
            message = self._messages.take(frame)
        except Unfit as unfit:
            self._refuse(unfit.closing)
            return
        if message is None:
            return
        try:
            await self._session.message(message)
        except Exception:
            log.exception("session failed")
            self._crashed()

    def _refuse(self, why: Closing) -> None:
        pong = self._frames.refuse(why)
        if pong:
            self._session.control(pong)
        self._say_end()
