"""Run one WebSocket connection. It owns its socket from the 101 to the last byte.

An idle connection is one trio task in one nursery, which waits for the socket to become readable. It has no
separate reader task, no queue and no read buffer: all connections read into one shared buffer, since nothing
is awaited between the read and the parser, which copies the bytes. The session sends: it writes to the socket
directly (`write_nowait`) and starts a task only while messages wait.

websockets' sans-I/O `Protocol` (`web.server.frames`) parses the frames: masking, sequence, sizes, pongs, the
closing handshake. A compressed message (permessage-deflate) is inflated when its turn comes, bounded and in
slices; nothing of the inflater stays.

The connection parses a few frames at a time, yields to other tasks in between, and counts frames that are no
message (`Session.frames`). After it sent a close frame, it parses `LAST_FRAMES` more frames for the peer's
close, and drops the rest.
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
from tasktree_rt.web.server.frames import BINARY, CLOSE, Frames, InvalidMessage, Messages, Packed
from tasktree_rt.web.server.inflated_message import inflated
from tasktree_rt.web.server.syscalls import REAL, RECEIVED, Socket, Syscalls, half_close, reset

log = get_logger(__name__)

WEIGHTY: Final = 1024
"""A fragment of fewer bytes counts as a frame that is no message (`Session.frames`)."""
DRIBBLE: Final = 64
"""A read of fewer bytes that completes no frame counts as such a frame too."""
LAST_FRAMES: Final = 64
"""Frames that the connection parses after it sent a close frame, to find the peer's close."""
LAST_BYTES: Final = 128 * 1024 * 1024
"""Maximum bytes that the peer may send after the server's close frame or last response; then the server
resets the connection. Most clients send a refused message to its end before they read the refusal, and
dropping bytes is cheap."""

_RECEIVED_VIEW: Final = memoryview(RECEIVED)
_INTO: Final = (RECEIVED,)


class Connection:
    """The transport of one session; implements `tasktree_rt.hub.transport.Transport`.

    Call `run` once, after the 101 is written. It returns when the connection is over: the socket is closed
    and `Session.ended` was called. It logs the session's exceptions and raises none. Cancelling it ends the
    connection at once.

    Args:
        sock: a non-blocking stream socket; the connection closes it.
        session: receives the messages (`tasktree_rt.hub.transport.Session`).
        max_message_size: bytes of one message, over all fragments. A larger one closes with 1009; the
            connection buffers at most one control frame more.
        close_timeout: seconds from a close frame, or the peer's EOF, to the end.
        deflate: permessage-deflate was negotiated.
    """

    __slots__ = (
        "_close_timeout",
        "_eof",
        "_fd",
        "_frames",
        "_last",
        "_lost",
        "_messages",
        "_nursery",
        "_session",
        "_shut",
        "_sock",
        "_syscalls",
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
        deflate: bool = False,
        syscalls: Syscalls = REAL,
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._session = session
        self._syscalls = syscalls
        self.send = self.write_nowait if syscalls.sender is None else syscalls.sender(sock)
        self._close_timeout = close_timeout
        self._frames = Frames(max_message_size, deflate=deflate)
        self._messages = Messages(max_message_size)
        self._eof = False  # the peer sends nothing more
        self._shut = False  # the server sends nothing more
        self._lost = False  # the socket is dead, or about to be closed
        self._last = LAST_FRAMES  # frames still to be parsed after the server's close frame
        self._thrown = 0  # bytes dropped since then
        self._nursery: trio.Nursery

    async def run(self, received: bytes = b"") -> None:
        """Run the connection to its end. `received`: the bytes after the request's head."""
        try:
            async with trio.open_nursery() as self._nursery:
                try:
                    self._session.opened(self, self._start)
                    await self._read(received)
                finally:
                    # Inside the nursery: its exit takes a schedule, in which it accepts no new task.
                    self._lose()
        except* Exception as group:
            # `except*` finds the error also beside a cancellation, e.g. when the peer closes at that moment.
            log.error("session failed", exc_info=group)
        finally:
            self._end()

    # --- Transport: the session's side, synchronous and never blocking --------------------------------------

    def write_nowait(self, data: bytes | memoryview) -> int:
        """Write to the socket now; return the bytes that it took, 0 if it is full, half-closed or gone."""
        if self._shut or self._lost:
            return 0
        try:
            return self._syscalls.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lose()
            return 0

    @property
    def deflate(self) -> bool:
        """Return whether permessage-deflate was negotiated."""
        return bool(self._frames.extensions)

    async def writable(self) -> None:
        """Wait until the socket may take bytes.

        Raises:
            trio.ClosedResourceError: the connection is over, or half-closed by `shutdown`.
        """
        if self._shut or self._lost:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("the connection takes no more bytes")
        await self._syscalls.wait_writable(self._fd)

    def unacknowledged(self) -> int:
        """Return how many bytes were written that the peer's machine has not acknowledged."""
        return 0 if self._lost else self._syscalls.unacknowledged(self._fd)

    def close_frame(self, closing: Closing, reason: str) -> bytes:
        """Return the close frame to write last, b"" if there was one already. Starts `close_timeout`."""
        self._start_close_timeout()
        return self._frames.closing_frame(closing, reason)

    def shutdown(self) -> None:
        """Half-close after the last byte. It ends with the peer's EOF or after `close_timeout`."""
        if self._lost or self._shut:
            return
        self._shut = True
        self._start_close_timeout()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._start(self._half_close)  # with TLS, the end of the stream takes room too
            return
        except OSError:
            self._lose()
        if self._eof:
            self._lose()

    async def _half_close(self) -> None:
        try:
            await half_close(self._sock, self._syscalls)
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

    def _start_close_timeout(self) -> None:
        scope = self._nursery.cancel_scope
        scope.deadline = min(scope.deadline, trio.current_time() + self._close_timeout)

    def _end(self) -> None:
        # First: after the close the kernel may give the descriptor's number to another socket.
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
            log.exception("session failed in ended()")
        del self._session  # breaks the cycle: the session refers to this connection

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
            self._start_close_timeout()
        except Exception:
            log.exception("session failed in close()")
            self.abort()

    # --- reading --------------------------------------------------------------------------------------------

    async def _read(self, received: bytes) -> None:
        """Read until the peer's EOF and the last written byte, or until the socket is dead."""
        if received:
            await self._receive(received)
        while True:
            await self._syscalls.wait_readable(self._fd)
            try:
                size = self._syscalls.readv(self._fd, _INTO)
            except BlockingIOError:
                continue
            except OSError:
                return
            if size == 0:
                break
            # The parser copies the bytes before the next await; it takes any buffer.
            await self._receive(cast(bytes, _RECEIVED_VIEW[:size]))
            if self._thrown > LAST_BYTES:
                self.abort()
        await self._finish()

    async def _finish(self) -> None:
        self._eof = True
        end_sent = self._frames.eof_sent
        self._frames.receive_eof()
        if not end_sent:
            self._session.control(b"")
        if not self._shut:
            # The peer may have half-closed only: waiting messages still go out. `shutdown` cancels this.
            self._start_close_timeout()
            await trio.sleep_forever()

    async def _receive(self, data: bytes) -> None:
        self._session.last_received = trio.current_time()
        if self._last <= 0:
            self._thrown += len(data)
            return
        frames = self._frames
        frames.feed(data)
        if len(data) < DRIBBLE and not frames.events:
            self._session.frames(1)  # a read costs the same, however few bytes it returns
        await self._process_frames()
        while frames.paused:
            if self._last <= 0:
                self._thrown += frames.forget()
                return
            await trio.lowlevel.checkpoint()
            frames.go_on()
            await self._process_frames()

    async def _process_frames(self) -> None:
        """Answer pings and closes, and pass the messages of the parsed frames to the session."""
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
            self._send_end()
        elif frames.close_sent is not None:
            self._last -= len(events)

    def _send_end(self) -> None:
        echo = self._frames.take_echo()
        if echo:
            self._session.control(echo)
        self._session.control(b"")
        self._start_close_timeout()
        self._last = 0

    async def _data(self, frame: Frame) -> None:
        # After the server's close frame the session gets no more messages.
        if self._frames.close_sent is not None and not self._frames.echo:
            return
        try:
            message = self._messages.take(frame)
            if isinstance(message, Packed):
                message = await inflated(message, self._messages)
                if self._frames.close_sent is not None and not self._frames.echo:
                    return
        except InvalidMessage as error:
            self._refuse(error.closing)
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
        self._send_end()
