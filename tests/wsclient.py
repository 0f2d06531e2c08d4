"""A WebSocket client that can break every rule: real sockets, frames written by hand."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Final

import trio
from attrs import field, frozen

from tests.secure import ClientStream, dressed

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DEFLATE: Final = (("Sec-WebSocket-Extensions", "permessage-deflate"),)
"""The headers of a handshake that offers compression."""
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What a server answers to KEY (RFC 6455, 1.3)."""


@frozen
class Frame:
    """A frame as it came."""

    opcode: int
    data: bytes
    fin: bool = True
    packed: bool = field(default=False, eq=False)

    @property
    def code(self) -> int:
        """A close frame's code."""
        return int(struct.unpack("!H", self.data[:2])[0])

    @property
    def reason(self) -> str:
        """A close frame's reason."""
        return self.data[2:].decode()


@frozen
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


def masked(
    opcode: int,
    data: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
    size: int | None = None,
) -> bytes:
    """A client's frame; `size` announces another length than it has."""
    length = len(data) if size is None else size
    out = bytearray([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if length < 126:
        out.append(bit | length)
    elif length < 65536:
        out += struct.pack("!BH", bit | 126, length)
    else:
        out += struct.pack("!BQ", bit | 127, length)
    if not mask:
        return bytes(out) + data
    key = os.urandom(4)
    out += key
    return bytes(out) + bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


def deflated(data: bytes, *, level: int = 6) -> bytes:
    """The payload of a compressed message (RFC 7692, 7.2.1)."""
    one = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (one.compress(data) + one.flush(zlib.Z_SYNC_FLUSH))[:-4]


def bomb(size: int) -> bytes:
    """The payload of a compressed message of `size` zeros, made without ever holding them."""
    one, piece = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(65_536)
    packed = b"".join(one.compress(piece) for _ in range(size // len(piece)))
    return (packed + one.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(data: bytes) -> bytes:
    """What a client makes of it that forgets everything after each message."""
    return zlib.decompressobj(-12).decompress(data + b"\x00\x00\xff\xff")


def closing(code: int | None, reason: str = "") -> bytes:
    """A client's close frame."""
    return masked(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def request_head(
    path: str = "/echo",
    headers: Iterable[tuple[str, str]] = (),
    *,
    without: Iterable[str] = (),
    host: str = "hub",
) -> bytes:
    """The head of a request for a WebSocket, with more headers or without some of the usual ones."""
    usual = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name in without:
        del usual[name]
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (*usual.items(), *headers))]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class WsClient:
    """One TCP connection to a server."""

    _all: ClassVar[list[WsClient]] = []

    def __init__(self, stream: ClientStream) -> None:
        self.stream = stream
        self._data = bytearray()
        self.extension = ""
        self._all.append(self)

    @classmethod
    def close_all(cls) -> None:
        """Close what a test left open; with trio running or not."""
        while cls._all:
            stream = cls._all.pop().stream
            sock = getattr(getattr(stream, "transport_stream", stream), "socket", None)
            if sock is None:  # a stream without a socket
                continue
            try:
                sock.close()
            except RuntimeError:
                os.close(sock.detach())

    @classmethod
    async def dial(cls, port: int, *, receive_buffer: int | None = None) -> WsClient:
        """Connect and say nothing yet."""
        sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(await dressed(trio.SocketStream(sock)))

    @classmethod
    async def open(
        cls,
        port: int,
        path: str = "/echo",
        headers: Iterable[tuple[str, str]] = (),
        *,
        receive_buffer: int | None = None,
    ) -> WsClient:
        """Connect and shake hands."""
        client = await cls.dial(port, receive_buffer=receive_buffer)
        await client.raw(request_head(path, headers))
        answer = await client.answer()
        assert answer.status == 101, answer
        client.extension = answer.headers.get("sec-websocket-extensions", "")
        return client

    async def __aenter__(self) -> WsClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stream.aclose()

    async def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        await self.stream.send_all(data)

    async def frame(
        self, opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True
    ) -> None:
        """Write one frame."""
        await self.raw(masked(opcode, data, fin=fin, rsv=rsv, mask=mask))

    async def text(self, text: str) -> None:
        """Write one text message."""
        await self.frame(TEXT, text.encode())

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Write a close frame."""
        await self.raw(closing(code, reason))

    async def eof(self) -> None:
        """Half-close."""
        await self.stream.send_eof()

    def reset(self) -> None:
        """Vanish: RST, and nothing else."""
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()

    async def _more(self) -> bool:
        data = await self.stream.receive_some(65536)
        self._data += data
        return bool(data)

    async def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            if not await self._more():
                raise EOFError
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    async def recv(self) -> Frame:
        """The next frame. Raises EOFError when there is none, BrokenResourceError after an RST."""
        first, second = await self._exactly(2)
        assert not second & 0x80, "a server masks nothing"
        packed = bool(first & 0x40)
        assert not first & 0x30
        assert not packed or self.extension, "no extension was negotiated"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._exactly(8))
        data = await self._exactly(size)
        data = inflated(data) if packed else data
        return Frame(first & 0x0F, data, bool(first & 0x80), packed)

    async def answer(self) -> Answer:
        """An HTTP response: the head and, if it tells its length, the body."""
        while b"\r\n\r\n" not in self._data:
            if not await self._more():
                raise EOFError
        head, _, rest = bytes(self._data).partition(b"\r\n\r\n")
        self._data = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert len(headers) == len(lines), "a header came twice"
        size = int(headers.get("content-length", 0))
        return Answer(int(first.split(" ")[1]), headers, await self._exactly(size))

    async def rest(self) -> bytes:
        """Everything up to EOF."""
        while await self._more():
            pass
        data = bytes(self._data)
        self._data.clear()
        return data
