"""Parse a WebSocket's frames with websockets' sans-I/O parser, and join them to messages.

A compressed message (RFC 7692) stays as it came until its turn: `Messages` returns it as `Packed`. Many of
them may come in one read, and inflated together they could fill the memory.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Final, cast

from attrs import frozen
from websockets.extensions import Extension
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SERVER, Protocol, State
from websockets.streams import StreamReader
from websockets.typing import ExtensionName

from tasktree_rt.core.close_codes import INVALID_DATA, TOO_LARGE, Closing

TURN: Final = 64
"""Maximum frames parsed in one go: a fifth of a millisecond for the smallest."""
_MAX_CONTROL: Final = 125
_MAX_REASON: Final = 123
# Module constants: looking up a member of an enumeration costs more than comparing with it.
CONT: Final = Opcode.CONT
TEXT: Final = Opcode.TEXT
BINARY: Final = Opcode.BINARY
CLOSE: Final = Opcode.CLOSE
_NOTHING: Final = bytearray()

# Protocol logs every close, and asks its logger once per connection for the debug level.
_SILENT: Final = logging.getLogger("tasktree_rt.frames")
_SILENT.disabled = True


class CompressedFrame(Frame):
    """The first frame of a compressed message. Its RSV1 is cleared: the parser refuses every other one."""


class _Marking(Extension):
    """permessage-deflate for the parser: marks the first frame of a compressed message; inflates nothing.

    It has no state: one serves every connection.
    """

    name = ExtensionName("permessage-deflate")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return a compressed frame as `CompressedFrame`, any other one as it is."""
        if frame.rsv1 and (frame.opcode is TEXT or frame.opcode is BINARY):
            return CompressedFrame(frame.opcode, frame.data, frame.fin, rsv2=frame.rsv2, rsv3=frame.rsv3)
        return frame

    def encode(self, frame: Frame) -> Frame:
        """Return the frame as it is: the parser sends control frames only."""
        return frame


_MARKING: Final[list[Extension]] = [_Marking()]


class _Reader(StreamReader):
    """The parser's input. It pauses the parser after `TURN` frames, even if more bytes are there."""

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
    """websockets' parser with two differences: it pauses after `TURN` frames, and a close may come inside a
    message, which the peer gives up then.

    `max_message_size`: in bytes, over all fragments. `deflate`: permessage-deflate was negotiated.
    """

    reader: _Reader

    def __init__(self, max_message_size: int, *, deflate: bool = False) -> None:
        # The parser counts a control frame between fragments towards the message: allow one more.
        super().__init__(SERVER, max_size=max_message_size + _MAX_CONTROL, logger=_SILENT)
        if deflate:
            self.extensions = _MARKING
        self.echo = b""
        """The close frame that the parser made and that is not sent yet; b"" if there is none."""
        self.parser.close()
        self.reader = _Reader()
        self.parser = self.parse()
        next(self.parser)

    def feed(self, data: bytes | memoryview) -> None:
        """Copy `data` and parse its first `TURN` frames.

        Afterwards take `answers` and `events_received`, and call `go_on` while `paused`.
        """
        self.reader.frames = 0
        self.reader.feed_data(cast(bytes, data))
        next(self.parser)

    @property
    def paused(self) -> bool:
        """Whether bytes are left to parse."""
        return self.reader.frames > TURN and bool(self.reader.buffer)

    def go_on(self) -> None:
        """Parse the next `TURN` frames."""
        next(self.parser)

    def forget(self) -> int:
        """Drop the bytes that are not parsed yet; return their number."""
        size = len(self.reader.buffer)
        self.reader.discard()
        return size

    def answers(self) -> tuple[bytes, bool]:
        """Take the parser's output: the newest pong (RFC 6455, 5.5.3 allows to leave out the others), and
        whether the output ends here. A close frame stays in `echo` until the session got the messages before
        it.
        """
        writes = self.data_to_send()
        ended = writes[-1] == b""
        if ended:
            writes.pop()
            if writes and writes[-1][0] & 0x0F == Opcode.CLOSE:
                self.echo = writes.pop()
        return (writes[-1] if writes else b""), ended

    def take_echo(self) -> bytes:
        """Take the close frame in `echo`; b"" if there is none."""
        echo, self.echo = self.echo, b""
        return echo

    def closing_frame(self, closing: Closing, reason: str) -> bytes:
        """Make the close frame to send last, or take the one in `echo`; b"" if one was sent already."""
        echo = self.take_echo()
        if self.state is State.OPEN:
            self.send_close(closing.code, fitting(reason))
            return b"".join(self.data_to_send())
        return echo

    def refuse(self, why: Closing) -> bytes:
        """Fail the connection: put the close frame into `echo`. Return the newest pong before it."""
        if self.state is State.OPEN:
            self.fail(why.code, why.reason)
            return self.answers()[0]
        # The peer's close came in the same read and its echo is made already: replace it by the error's.
        self.close_sent = Close(why.code, why.reason)
        self.echo = Frame(Opcode.CLOSE, self.close_sent.serialize()).serialize(mask=False)
        return b""

    def release(self) -> None:
        """Break the parser's two reference cycles, so that the connection's memory is freed at once."""
        self.parser.close()
        self.parser_exc = None

    def recv_frame(self, frame: Frame) -> None:
        """Take one frame; a close may come inside a message."""
        if frame.opcode is CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class InvalidMessage(Exception):
    """A message is invalid; the connection closes with `closing`."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.reason)
        self.closing = closing


@frozen
class Packed:
    """A whole compressed message, as it came."""

    data: bytes
    opcode: Opcode


class Messages:
    """Join fragments to messages. The parser has checked their sequence."""

    __slots__ = ("_fragments", "_opcode", "_packed", "most")

    def __init__(self, max_message_size: int) -> None:
        self.most = max_message_size
        self._fragments = _NOTHING
        self._opcode = CONT
        self._packed = False

    def take(self, frame: Frame) -> str | bytes | Packed | None:
        """Add a frame; return the message that it completes, None if it completes none.

        Raises:
            InvalidMessage: the message is too large, or its text is not UTF-8.
        """
        opcode = frame.opcode
        if frame.fin and opcode is not CONT:
            if type(frame) is CompressedFrame:
                return Packed(bytes(frame.data), opcode)
            return self.decoded(frame.data, opcode)
        if len(self._fragments) + len(frame.data) > self.most:
            raise InvalidMessage(TOO_LARGE)
        if opcode is not CONT:
            self._opcode, self._fragments = opcode, bytearray(frame.data)
            self._packed = type(frame) is CompressedFrame
            return None
        self._fragments += frame.data
        if not frame.fin:
            return None
        whole, self._fragments = self._fragments, _NOTHING
        return Packed(bytes(whole), self._opcode) if self._packed else self.decoded(whole, self._opcode)

    def decoded(self, data: bytes | bytearray | memoryview, opcode: Opcode) -> str | bytes:
        """Return a whole message as text or bytes.

        Raises:
            InvalidMessage: as `take`.
        """
        if len(data) > self.most:
            raise InvalidMessage(TOO_LARGE)
        try:
            return str(data, "utf-8") if opcode is TEXT else bytes(data)
        except UnicodeDecodeError:
            raise InvalidMessage(INVALID_DATA) from None


def fitting(reason: str) -> str:
    """Cut `reason` to the length that a close frame can hold."""
    return reason.encode()[:_MAX_REASON].decode(errors="ignore")
