"""A gzip stream (RFC 1952) of pieces that are compressed each by itself, so that all readers share them.

A piece never refers to another one: its length says nothing of what other producers wrote, and the hub keeps
no compressor for a response.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

SLICE: Final = 64 * 1024 - 1
"""Maximum bytes that are compressed at once, and of a stored block (RFC 1951, 3.2.4)."""
BEGIN: Final = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_LAST: Final = b"\x03\x00"
_FLUSH: Final = b"\x00\x00\x00\xff\xff"
"""An empty stored block. Go's reader, Caddy's too, hands out what it has read only at such a block."""


class GzipStream:
    """See the module's docstring. Begin with `BEGIN`, then `piece` as often as needed, then `end`.

    `packed` compresses (`dialects.deflate.Compressor.packed`); what is smaller than `min_size` is stored.
    """

    __slots__ = ("_checksum", "_min_size", "_packed", "_size")

    def __init__(self, packed: Callable[[bytes], bytes], min_size: int) -> None:
        self._packed = packed
        self._min_size = min_size
        self._checksum = zlib.crc32(b"")
        self._size = 0

    def piece(self, data: bytes) -> Iterator[bytes]:
        """Give the blocks of `data`, which end at a byte: a reader can read all of it."""
        for begin in range(0, len(data), SLICE):
            part = data[begin : begin + SLICE]
            self._checksum = zlib.crc32(part, self._checksum)
            self._size += len(part)
            packed = self._packed(part) if len(part) >= self._min_size else b""
            yield packed or _stored(part)

    def end(self) -> bytes:
        """Return the end of the stream."""
        return b"".join(
            (_LAST, self._checksum.to_bytes(4, "little"), (self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        )


def _stored(data: bytes) -> bytes:
    size = len(data)
    return b"".join(
        (b"\x00", size.to_bytes(2, "little"), (size ^ 0xFFFF).to_bytes(2, "little"), data, _FLUSH)
    )
