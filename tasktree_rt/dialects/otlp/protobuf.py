"""Read the fields of a protobuf message. Nothing here knows what they mean.

A message is a range of the request's bytes. A field is a triple: its tag, and a number (of an integer), or
where its bytes begin and end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasktree_rt.dialects.otlp.records import Malformed

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_WIDTH: Final = {FIXED64: 8, FIXED32: 4}

Data = bytes | bytearray
Field = tuple[int, int, int]
"""Tag (number and wire type), and a number and 0, or the begin and the end of the field's bytes."""


class TooManyFields(Exception):
    """A message and those within it have more fields than the reader may take."""


class Allowance:
    """How many fields may still be read of a message and of all messages within it."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def tag(number: int, wire: int) -> int:
    """Return the tag of a field."""
    return number << 3 | wire


def fields(data: Data, begin: int, end: int, allowance: Allowance) -> Iterator[Field]:
    """Yield the fields of the message in ``data[begin:end]``, unknown ones too.

    Raises:
        Malformed: the message is cut off, or has a wire type that protobuf has not.
        TooManyFields: it has more than the allowance.
    """
    at = begin
    while at < end:
        allowance.left -= 1
        if allowance.left < 0:
            raise TooManyFields
        found = data[at]
        at += 1
        if found > 0x7F:
            found, at = varint(data, at - 1, end)
        wire = found & 7
        if wire == VARINT:
            value, at = varint(data, at, end)
            yield found, value, 0
            continue
        size = _WIDTH.get(wire)
        if size is None:
            size, at = _size(data, at, end, wire)
        stop = at + size
        if stop > end:
            raise Malformed(f"byte {at}: a field of {size} bytes ends behind its message")
        yield (found, at, stop) if wire == BYTES else (found, int.from_bytes(data[at:stop], "little"), 0)
        at = stop


def _size(data: Data, at: int, end: int, wire: int) -> tuple[int, int]:
    if wire != BYTES:
        raise Malformed(f"byte {at - 1}: wire type {wire} does not exist")
    if at < end and data[at] <= 0x7F:
        return data[at], at + 1
    return varint(data, at, end)


def varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """Read an integer of at most 64 bits; return it and where it ends.

    Raises:
        Malformed: it is cut off or longer.
    """
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise Malformed(f"byte {at}: an integer without an end")


def signed(value: int) -> int:
    """Return a 64-bit integer with its sign."""
    return value - (1 << 64) if value >> 63 else value


# --- writing --------------------------------------------------------------------------------------


def as_varint(value: int) -> bytes:
    """Encode an integer of at least 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def as_number(number: int, value: int) -> bytes:
    """Encode a field with an integer; 0 is left out, as protobuf does."""
    return as_varint(tag(number, VARINT)) + as_varint(value) if value else b""


def as_bytes(number: int, value: bytes) -> bytes:
    """Encode a field with bytes, text or a message; an empty one is left out."""
    return as_varint(tag(number, BYTES)) + as_varint(len(value)) + value if value else b""
