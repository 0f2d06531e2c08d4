"""Bytes of HTTP and WebSocket (RFC 6455) as a client writes and reads them; nothing here waits."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
MAX_FRAME: Final = 64 << 20
"""Bytes of a frame beyond which a server is not listened to any more."""
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame_at(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return where the payload of the frame at `at` begins and ends; (0, 0) while it is incomplete.

    Raises:
        ValueError: the frame is masked, or larger than `MAX_FRAME`.
    """
    end = len(data)
    if at + 2 > end:
        return 0, 0
    size, begin = data[at + 1], at + 2
    if size == 126:
        begin = at + 4
        size = int.from_bytes(data[at + 2 : begin], "big") if begin <= end else 0
    elif size == 127:
        begin = at + 10
        size = int.from_bytes(data[at + 2 : begin], "big") if begin <= end else 0
    elif size > 127:
        raise ValueError("the server sent a masked frame")
    if size > MAX_FRAME:
        raise ValueError(f"the server sent a frame of {size} bytes")
    return (begin, begin + size) if begin <= end and begin + size <= end else (0, 0)


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return a whole client frame, masked with a random key."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    stream = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ stream).to_bytes(size, "big")


def closing(code: int = 1000) -> bytes:
    """Return a client's close frame."""
    return client_frame(code.to_bytes(2, "big"), CLOSE)


def new_key() -> str:
    """Return a random ``Sec-WebSocket-Key``."""
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def request(path: str, host: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of a GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def upgrade(key: str, subprotocol: str = "") -> list[tuple[str, str]]:
    """Return the headers that ask for a WebSocket."""
    asked = [("Sec-WebSocket-Protocol", subprotocol)] if subprotocol else []
    return [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        *asked,
    ]


@frozen
class Head:
    """The head of an answer. `size`: its bytes, blank line included."""

    status: int
    headers: dict[str, str]
    size: int


MAX_HEAD: Final = 65_536


def head_of(data: bytes | bytearray) -> Head | None:
    """Read the head of an answer at the front of `data`; None while it is incomplete.

    Raises:
        ValueError: it is not one of HTTP/1.1.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD or not b"HTTP/1.".startswith(bytes(data[:7])):
            raise ValueError(f"no answer of HTTP: {bytes(data[:80])!r}")
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    hit = re.match(r"HTTP/1\.[01] (\d{3})", first)
    if hit is None:
        raise ValueError(f"no answer of HTTP: {first[:80]!r}")
    pairs = (line.partition(":") for line in lines)
    return Head(int(hit[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, end + 4)
