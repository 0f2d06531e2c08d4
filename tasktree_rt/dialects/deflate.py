"""Compress finished messages for clients that negotiated permessage-deflate (RFC 7692), once for all readers.

Each message is compressed by itself, by a fresh compressor: so the same bytes serve every client, a plain
message may come between two compressed ones, and the hub keeps no compressor for a connection.

Only messages of the kinds in `COMPRESSED` are compressed: what a project's watchers see. Answers to one
peer's requests stay plain.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Final

from tasktree_rt.core.events import Record
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus
from tasktree_rt.core.protocol import Broadcast, Command, Conflated, Ephemeral, Message, StatePart
from tasktree_rt.dialects.base import Dialect, Encoding, join

WINDOW_BITS: Final = 12
"""Of the compressor. 4 KiB compress JSON within a tenth as well as 32 KiB, in half the time."""
_MEMORY: Final = 5
"""zlib's memLevel: a fresh compressor takes 5 µs; with the default of 8 it takes up to 30."""
MOST: Final = 256 * 1024
"""Maximum bytes compressed in one go, some 2 ms. What is beyond stays plain."""
REMEMBERED: Final = 256
"""Compressed messages that are kept for other readers: those who resume, and those of another language."""
REMEMBERED_BYTES: Final = 2 * 1024 * 1024
"""Their bytes at most, plain and compressed, but for the newest."""
COMPRESSED: Final = (StatePart, Conflated, Broadcast, Ephemeral, ExecutionStatus, NodeStatus, LogLine)
"""Beside events. No message of these kinds holds a token or a key of the hub's."""
_TEXT: Final = 0x81
_PACKED_TEXT: Final = b"\xc1"
_CUT_OFF: Final = 4
"""Bytes that the receiver adds again: the end of an empty stored block."""


def _ignored(before: int, after: int) -> None:
    """Count nothing."""


class Compressor:
    """Compress text frames and pieces of HTTP bodies. One serves all connections of a hub.

    Args:
        min_size: bytes of a payload; a smaller one stays as it is.
        level: of zlib, 1 to 9.
        count: called with the bytes of a payload before and after it was compressed.
    """

    def __init__(self, min_size: int, level: int, count: Callable[[int, int], None] = _ignored) -> None:
        self._min_size = min_size
        self._level = level
        self._count = count
        self._known: dict[bytes, bytes] = {}
        self._known_bytes = 0
        self._deflated: dict[Dialect, Deflated] = {}

    def of(self, dialect: Dialect) -> Deflated:
        """Return the compressed form of a language; the same object at each call."""
        if isinstance(dialect, Deflated):
            return dialect
        found = self._deflated.get(dialect)
        if found is None:
            found = self._deflated[dialect] = Deflated(dialect, self)
        return found

    def frame(self, frame: bytes) -> bytes:
        """Return a finished text frame compressed, or as it is if that gains nothing."""
        if len(frame) < self._min_size or frame[0] != _TEXT:
            return frame
        begin = _begin(frame)
        if not self._min_size <= len(frame) - begin <= MOST:
            return frame
        packed = self.packed(frame[begin:])
        size = len(packed) - _CUT_OFF
        return _PACKED_TEXT + _size(size) + packed[:size] if packed else frame

    def packed(self, data: bytes) -> bytes:
        """Return deflate blocks with `data`, none of them the last, up to a byte's end (`Z_SYNC_FLUSH`); b""
        if they are no smaller. At most `MOST` bytes should be given at once.
        """
        found = self._known.pop(data, None)
        if found is None:
            one = zlib.compressobj(self._level, zlib.DEFLATED, -WINDOW_BITS, _MEMORY)
            found = one.compress(data) + one.flush(zlib.Z_SYNC_FLUSH)
            if len(found) - _CUT_OFF < len(data):
                self._count(len(data), len(found) - _CUT_OFF)
            else:
                found = b""
            self._known_bytes += len(data) + len(found)
        self._known[data] = found  # the last to be forgotten
        while len(self._known) > REMEMBERED or (
            self._known_bytes > REMEMBERED_BYTES and len(self._known) > 1
        ):
            first = next(iter(self._known))
            self._known_bytes -= len(first) + len(self._known.pop(first))
        return found

    def frames(self, encoding: Encoding) -> Encoding:
        """Compress each message of an encoding by itself; the same object if that gains nothing."""
        ends = encoding.ends
        if len(ends) == 1:
            one = self.frame(encoding.data)
            return encoding if one is encoding.data else Encoding(one, (len(one),))
        if len(encoding.data) < self._min_size:
            return encoding
        pieces, begin, left, gained = [], 0, MOST, False
        for end in ends:
            piece = encoding.data[begin:end]
            if self._min_size <= len(piece) <= left:
                packed = self.frame(piece)
                if packed is not piece:
                    left -= len(piece)
                    piece, gained = packed, True
            pieces.append(piece)
            begin = end
        return join(pieces) if gained else encoding


class Deflated:
    """A language as it is sent to clients that negotiated permessage-deflate; see `Dialect`.

    Attributes:
        plain: the language itself.
        wire_name: see the function.
    """

    def __init__(self, plain: Dialect, compressor: Compressor) -> None:
        self.plain = plain
        self.name = plain.name
        self.wire_name = f"{plain.name}+deflate"
        self.decode: Callable[[str | bytes], Command | None] = plain.decode
        self.compress = compressor.frames
        self._frame = compressor.frame

    def encode(self, message: Message) -> bytes | None:
        """Encode a message; compress it if it is of one of the kinds in `COMPRESSED`."""
        data = self.plain.encode(message)
        return self._frame(data) if data is not None and isinstance(message, COMPRESSED) else data

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Encode events, each compressed by itself."""
        return self.compress(self.plain.encode_events(records, epoch))


def plain_of(dialect: Dialect) -> Dialect:
    """Return a language without compression: its messages can be sent to every client."""
    return dialect.plain if isinstance(dialect, Deflated) else dialect


def wire_name(dialect: Dialect) -> str:
    """Return a name under which to keep what was encoded: that of the language, and of its compression."""
    return dialect.wire_name if isinstance(dialect, Deflated) else dialect.name


def _begin(frame: bytes) -> int:
    """Return the offset of the payload in an unmasked frame."""
    return {126: 4, 127: 10}.get(frame[1], 2)


def _size(size: int) -> bytes:
    """Return the length of a payload as a frame's head has it."""
    if size < 126:
        return size.to_bytes(1, "big")
    return b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
