"""RFC 6455's receiving side, once more and as plainly as it can be said: what must come of a peer's bytes.

Written from the RFC alone, with all bytes at hand and no state machine.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

LIMIT: Final = 600
CONT, TEXT, CLOSE, PING = 0x0, 0x1, 0x8, 0x9
_KNOWN: Final = frozenset({0, 1, 2, 8, 9, 10})
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_MARGIN: Final = 125
"""So much beyond the limit may be waited for before it is refused."""


@define
class Expected:
    """What must come of it.

    Attributes:
        messages: whole ones, in order.
        pings: data of pings that must or may be answered.
        codes: that the close may have; None: no close frame; 1005: one without a code.
        echo: the close frame's payload, if it is the answer to the peer's.
        certain: the end was not brought about by a fault.
    """

    messages: list[str | bytes] = field(factory=list)
    pings: list[bytes] = field(factory=list)
    codes: set[int | None] = field(factory=set)
    echo: bytes | None = None
    certain: bool = False


@define
class _Frame:
    fin: bool
    rsv: int
    opcode: int
    masked: bool
    size: int
    payload: bytes | None  # None: it did not come whole
    end: int


def _read(data: bytes, at: int) -> _Frame | None:
    """The frame at `at`; None if not even its length came."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    size, begin = second & 0x7F, at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < begin + width:
            # Its first two bytes may be wrong already.
            return _Frame(first >> 7 == 1, first >> 4 & 7, first & 15, second >> 7 == 1, 0, None, 0)
        size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
    masked = second >> 7 == 1
    key = data[begin : begin + 4] if masked else bytes(4)
    begin += 4 if masked else 0
    payload: bytes | None = None
    if len(key) == 4 and len(data) >= begin + size:
        payload = bytes(byte ^ key[i & 3] for i, byte in enumerate(data[begin : begin + size]))
    return _Frame(first >> 7 == 1, first >> 4 & 7, first & 15, masked, size, payload, begin + size)


def reference(data: bytes) -> Expected:
    """See `Expected`."""
    found = Expected()
    whole: bytearray | None = None
    text = False
    at = 0
    while (frame := _read(data, at)) is not None:
        faults = _faults(frame, whole)
        if frame.payload is None:
            found.codes = {None, *faults}
            return found
        if faults:
            found.codes = set(faults)
            found.pings += _later_pings(data, frame.end)
            return found
        at = frame.end
        if frame.opcode == CLOSE:
            _close(found, frame.payload)
            return found
        if frame.opcode == PING:
            found.pings.append(frame.payload)
        if frame.opcode > CLOSE:
            continue
        if frame.opcode != CONT:
            whole, text = bytearray(), frame.opcode == TEXT
        assert whole is not None
        whole += frame.payload
        if frame.fin:
            try:
                found.messages.append(whole.decode() if text else bytes(whole))
            except UnicodeDecodeError:
                found.codes = {1007}
                found.pings += _later_pings(data, at)
                return found
            whole = None
    found.codes, found.certain = {None}, True
    return found


def _later_pings(data: bytes, at: int) -> list[bytes]:
    """Pings behind a fault: those that were read together with it may still be answered before the close."""
    found: list[bytes] = []
    while (frame := _read(data, at)) is not None and frame.payload is not None:
        at = frame.end
        if frame.opcode == PING:
            found.append(frame.payload)
    return found


def _faults(frame: _Frame, whole: bytearray | None) -> list[int | None]:
    """Each code that a frame may be refused with, by its head alone."""
    faults: list[int | None] = []
    control = frame.opcode >= CLOSE
    if frame.opcode not in _KNOWN or not frame.masked or frame.rsv:
        faults.append(1002)
    if control and (frame.size > 125 or not frame.fin):
        faults.append(1002)
    if not control and (frame.opcode == CONT) != (whole is not None):
        faults.append(1002)
    held = len(whole) if whole is not None else 0
    room = LIMIT - held + _MARGIN if control else LIMIT - held
    if frame.size > room:
        faults.append(1009)
    return faults


def _close(found: Expected, payload: bytes) -> None:
    if not payload:
        found.codes, found.echo, found.certain = {1005}, b"", True
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code not in _CODES:
        found.codes = {1002}
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        found.codes.add(1007)
    if not found.codes:
        found.codes, found.echo, found.certain = {code}, payload, True


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """What a server wrote, strictly: opcode and payload."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        frame = _read(data, at)
        assert frame is not None
        assert frame.payload is not None
        assert frame.fin
        assert not frame.rsv
        assert not frame.masked
        found.append((frame.opcode, frame.payload))
        at = frame.end
    return found
