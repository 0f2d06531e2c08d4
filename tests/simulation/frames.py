"""WebSocket frames from the peer's side (RFC 6455), strict about what a server may send."""

from __future__ import annotations

from typing import Final

from tests.simulation.violation import Violation
from tests.wsclient import inflated

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_KNOWN: Final = (TEXT, CLOSE, PING, PONG)
_MASK: Final = b"\x5a\xa5\x0f\xf0"


class Frames:
    """Cuts what comes into frames. What is not whole waits. `deflate`: messages may be compressed."""

    def __init__(self, *, deflate: bool = False) -> None:
        self._heads = (0x80, 0xC0) if deflate else (0x80,)
        self._rest = bytearray()
        self._closed = False

    @property
    def begun(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and payload of the frames that are whole now."""
        rest = self._rest
        rest += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while (frame := self._frame(rest, at)) is not None:
            opcode, begin, at = frame
            if self._closed:
                raise Violation("frames", "a frame behind the close frame")
            self._closed = opcode & 0x0F == CLOSE
            payload = bytes(rest[begin:at])
            found.append((opcode & 0x0F, inflated(payload) if opcode & 0x40 else payload))
        if at:
            del rest[:at]
        return found

    def _frame(self, data: bytearray, at: int) -> tuple[int, int, int] | None:
        """First byte, begin of the payload and end of the frame at `at`; None if it is not whole."""
        if len(data) < at + 2:
            return None
        first, size, begin = data[at], data[at + 1], at + 2
        if first & 0xF0 not in self._heads or first & 0x0F not in _KNOWN or size & 0x80:
            raise Violation("frames", f"a frame that begins with {bytes(data[at : at + 12])!r}")
        if size >= 126:
            width = 2 if size == 126 else 8
            begin += width
            if len(data) < begin:
                return None
            size = int.from_bytes(data[at + 2 : begin], "big")
        if first & 0x0F >= CLOSE and (size > 125 or first & 0x40):
            raise Violation("frames", "a control frame that is too long, or compressed")
        end = begin + size
        return (first, begin, end) if len(data) >= end else None


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole frame of a client's."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    else:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    repeated = _MASK * (size // 4 + 1)
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
    return head + _MASK + mixed.to_bytes(size, "big")
