"""From the bytes of a connection to messages: WebSocket frames, or the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasktree_rt.load import frames
from tasktree_rt.load.watcher import Watcher

MAX_BODY: Final = frames.MAX_FRAME
_DATA: Final = b"data:"


def websocket(watcher: Watcher) -> Iterator[tuple[int, bytes, bytes]]:
    """Take the whole frames out of a watcher's `rest`: opcode, payload, all bytes; fragments are joined.

    Raises:
        ValueError: the server breaks the protocol.
    """
    rest, at = watcher.rest, 0
    try:
        while True:
            begin, end = frames.frame_at(rest, at)
            if not end:
                return
            first, frame, payload = rest[at], bytes(rest[at:end]), bytes(rest[begin:end])
            at = end
            if first & 0x70:
                raise ValueError("the server sent a frame with reserved bits; no extension was negotiated")
            opcode = first & 0x0F
            if opcode >= frames.CLOSE or (first & 0x80 and watcher.fragments is None):
                yield opcode, payload, frame
                continue
            watcher.fragments = (watcher.fragments or bytearray()) + payload
            if len(watcher.fragments) > frames.MAX_FRAME:
                raise ValueError("the server sent a message that is too large")
            if first & 0x80:
                whole, watcher.fragments = bytes(watcher.fragments), None
                yield frames.TEXT, whole, b""
    finally:
        del rest[:at]


def stream(watcher: Watcher, *, chunked: bool = True) -> Iterator[tuple[int, bytes, bytes]]:
    """Take the whole events out of a stream of server-sent events; ends with a close when the body ends.

    Raises:
        ValueError: the server breaks the protocol.
    """
    ended = False
    if chunked:
        ended = _dechunk(watcher)
    else:
        watcher.body += watcher.rest
        watcher.rest.clear()
    body = watcher.body
    if len(body) > MAX_BODY:
        raise ValueError("the server sent an event that is too large")
    while (end := body.find(b"\n\n")) >= 0:
        block = bytes(body[:end])
        del body[: end + 2]
        lines = [line[len(_DATA) :].strip() for line in block.split(b"\n") if line.startswith(_DATA)]
        if lines:
            yield frames.TEXT, b"\n".join(lines), b""
    if ended:
        yield frames.CLOSE, b"", b""


def _dechunk(watcher: Watcher) -> bool:
    """Move whole chunks from `rest` to `body`; return whether the last one came."""
    rest, at = watcher.rest, 0
    try:
        while True:
            line = rest.find(b"\r\n", at)
            if line < 0:
                return False
            size = int(rest[at:line].partition(b";")[0], 16)
            begin, end = line + 2, line + 2 + size
            if size > MAX_BODY:
                raise ValueError("the server sent a chunk that is too large")
            if end + 2 > len(rest):
                return False
            watcher.body += rest[begin:end]
            at = end + 2
            if not size:
                return True
    finally:
        del rest[:at]
