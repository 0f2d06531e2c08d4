"""The frames of a WebSocket, by websockets' sans-I/O parser, and the messages that they make."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Final, cast

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SERVER, Protocol, State
from websockets.streams import StreamReader

from tasktree_rt.core.close_codes import INVALID_DATA, TOO_LARGE, Closing

TURN: Final = 64
"""Frames that are parsed at once: of the smallest a fifth of a millisecond."""
_MAX_CONTROL: Final = 125
_MAX_REASON: Final = 123
# To name a member of an enumeration takes longer than to compare with it.
CONT: Final = Opcode.CONT
TEXT: Final = Opcode.TEXT
BINARY: Final = Opcode.BINARY
CLOSE: Final = Opcode.CLOSE
_NOTHING: Final = bytearray()

# Protocol tells its logger of every close, and asks it once per connection whether it wants to hear more.
_SILENT: Final = logging.getLogger("tasktree_rt.frames")
_SILENT.disabled = True


class _Reader(StreamReader):
    """What the parser reads from. It lets the parser pause after `TURN` frames, though more are here."""

    frames = 0

    def at_eof(self) -> Generator[None, None, bool]:
        """Tell the parser, before each frame, whether the input has ended."""
        self.frames += 1
        if self.frames > TURN and self.buffer:
            yield
            self.frames = 1
        while not self.buffer:
            if self.eof:
                return True
            yield
        return False


class Frames(Protocol):
    """websockets' parser; but it pauses after `TURN` frames, and a close may come inside a message: the peer
    gave the message up.

    `max_message_size`: in bytes, over all fragments.
    """

    reader: _Reader

    def __init__(self, max_message_size: int) -> None:
        # The parser counts a control frame between fragments towards the message: leave room for one.
        super().__init__(SERVER, max_size=max_message_size + _MAX_CONTROL, logger=_SILENT)
        self.echo = b""
        """A close frame that the parser made and that is not sent yet."""
        self.parser.close()
        self.reader = _Reader()
        self.parser = self.parse()
        next(self.parser)

    def feed(self, data: bytes | memoryview) -> None:
        """Parse the first `TURN` frames of `data`, which is copied. Then deal with what there is to send and
        with the events, and `go_on` as long as it is `paused`."""
        self.reader.frames = 0
        self.reader.feed_data(cast(bytes, data))
        next(self.parser)

    @property
    def paused(self) -> bool:
        """Whether there is more to parse."""
        return self.reader.frames > TURN and bool(self.reader.buffer)

    def go_on(self) -> None:
        """Parse the next `TURN` frames."""
        next(self.parser)

    def forget(self) -> int:
        """Throw away what is not parsed; how many bytes."""
        size = len(self.reader.buffer)
        self.reader.discard()
        return size

    def answers(self) -> tuple[bytes, bool]:
        """Take what the parser wants to send: the newest pong (RFC 6455, 5.5.3: the others may be left out),
        and whether it has nothing more to send ever. A close frame waits in `echo`, until the messages before
        it are dealt with."""
        writes = self.data_to_send()
        ended = writes[-1] == b""
        if ended:
            writes.pop()
            if writes and writes[-1][0] & 0x0F == Opcode.CLOSE:
                self.echo = writes.pop()
        return (writes[-1] if writes else b""), ended

    def take_echo(self) -> bytes:
        """Take the close frame that waits; b"" if none does."""
        echo, self.echo = self.echo, b""
        return echo

    def closing_frame(self, closing: Closing, reason: str) -> bytes:
        """Make the close frame to send last, or take the one that waits; b"" if one was sent."""
        echo = self.take_echo()
        if self.state is State.OPEN:
            self.send_close(closing.code, fitting(reason))
            return b"".join(self.data_to_send())
        return echo

    def refuse(self, why: Closing) -> bytes:
        """Give the peer up: the close frame waits in `echo`. Returns the newest pong before it."""
        if self.state is State.OPEN:
            self.fail(why.code, why.reason)
            return self.answers()[0]
        # The peer's close came in the same read, so that its echo is made: ours says what was wrong.
        self.close_sent = Close(why.code, why.reason)
        self.echo = Frame(Opcode.CLOSE, self.close_sent.serialize()).serialize(mask=False)
        return b""

    def release(self) -> None:
        """Break the parser's two reference cycles: without them a connection is freed at once."""
        self.parser.close()
        self.parser_exc = None

    def recv_frame(self, frame: Frame) -> None:
        """Take one frame; a close may come inside a message."""
        if frame.opcode is CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class Unfit(Exception):
    """A message that cannot be: `closing` says why."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.reason)
        self.closing = closing


class Messages:
    """Joins fragments. The parser has seen to their sequence."""

    __slots__ = ("_fragments", "_most", "_opcode")

    def __init__(self, max_message_size: int) -> None:
        self._most = max_message_size
        self._fragments = _NOTHING
        self._opcode = CONT

    def take(self, frame: Frame) -> str | bytes | None:
        """The message that `frame` completes, if it does.

        Raises:
            Unfit: it is too large, or text that is not UTF-8.
        """
        opcode = frame.opcode
        if frame.fin and opcode is not CONT:
            return self._decoded(frame.data, opcode)
        if len(self._fragments) + len(frame.data) > self._most:
            raise Unfit(TOO_LARGE)
        if opcode is not CONT:
            self._opcode, self._fragments = opcode, bytearray(frame.data)
            return None
        self._fragments += frame.data
        if not frame.fin:
            return None
        whole, self._fragments = self._fragments, _NOTHING
        return self._decoded(whole, self._opcode)

    def _decoded(self, data: bytes | bytearray | memoryview, opcode: Opcode) -> str | bytes:
        if len(data) > self._most:
            raise Unfit(TOO_LARGE)
        try:
            return str(data, "utf-8") if opcode is TEXT else bytes(data)
        except UnicodeDecodeError:
            raise Unfit(INVALID_DATA) from None


def fitting(reason: str) -> str:
    """As much of `reason` as a close frame holds."""
    return reason.encode()[:_MAX_REASON].decode(errors="ignore")
