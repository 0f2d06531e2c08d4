"""The decoders below the messages: the request's head, and frames."""

from __future__ import annotations

import struct
from typing import Final

import h11
import trio
from attrs import define, field

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.hub.transport import Transport
from tasktree_rt.web.server.request_head import (
    MAX_HEAD,
    Head,
    end_of_head,
    fault,
    flaw,
    lenient,
    strict,
    websocket_head,
)
from tasktree_rt.web.server.syscalls import Syscalls
from tasktree_rt.web.server.websocket_connection import Connection
from tests.fuzz.frames import LIMIT, Expected, frames_of, reference

HEAD_WORDS: Final = (
    b"GET / HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"Upgrade: h2c\r\n",
    *(b"u@", b"http://a", b"#", b"?", b"[::1]:80"),
    *(b"\r\n", b"\n", b"\r", b"\t", b" ", b": ", b",", b"\x00", b"\x7f", b"\xff", b"HTTP/1.0", b"POST"),
)


def run_head(data: bytes) -> None:
    """The strict parser says what h11 says, what has no flaw h11 takes, the end is found wherever it is cut,
    and nothing is raised."""
    end = end_of_head(data)
    for cut in {1, len(data) // 2, max(0, len(data) - 1)}:
        before = end_of_head(data[:cut])
        assert end_of_head(data, cut) == end if before < 0 else before == end
    head = strict(data)
    if head is not None:
        assert end == head.size <= len(data)
        assert (head.method, head.target, head.http_version, head.headers) == _by_h11(data)
        assert lenient(data) == head or len(data) > MAX_HEAD
    if 0 < end <= MAX_HEAD and flaw(data) is None:
        taken = lenient(data[:end])
        assert taken is not None
        assert head is None or taken == head
        assert taken.http_version == b"1.0" or len(taken.values(b"host")) == 1
    asked = websocket_head(data[:MAX_HEAD])
    if asked is not None:
        _sound(asked)


def _by_h11(data: bytes) -> tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]] | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    return event.method, event.target, event.http_version, list(event.headers)


def _sound(head: Head) -> None:
    assert head.method == b"GET"
    assert b"websocket" in [one.lower() for one in head.tokens(b"upgrade")]
    wrong = fault(head)
    if wrong is None:
        assert len(head.values(b"sec-websocket-key")[0]) == 24
    else:
        assert wrong[0] in (400, 426)


# --- frames ---------------------------------------------------------------------------------------


FRAME_WORDS: Final = (
    *(bytes([first]) for first in (0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x88, 0x89, 0x8A, 0xC1, 0x83)),
    *(b"\x80", b"\x81", b"\xfe", b"\xff", b"\x00\x00\x00\x00", b"\x03\xe8", b"\xfe\x03\xe9", b"\xc3\xa9"),
    b"\x81\x82\x00\x00\x00\x00ok",
    b"\x01\x81\x00\x00\x00\x00{",
    b"\x80\x81\x00\x00\x00\x00}",
    b"\x89\x80\x00\x00\x00\x00",
    b"\x88\x82\x00\x00\x00\x00\x03\xe8",
)


@define
class _Recorder:
    """A session that only listens, and whose socket takes everything."""

    last_received: float = 0.0
    messages: list[str | bytes] = field(factory=list)
    written: bytearray = field(factory=bytearray)
    endings: list[tuple[int | None, str]] = field(factory=list)
    transport: Transport | None = None

    def opened(self, transport: Transport, start: object) -> None:
        self.transport = transport

    async def message(self, message: str | bytes) -> None:
        self.messages.append(message)

    def frames(self, count: int) -> None:
        assert count > 0

    def control(self, data: bytes) -> None:
        assert self.transport is not None
        if data:
            assert self.transport.write_nowait(data) == len(data)
        else:
            self.transport.shutdown()

    def close(self, closing: Closing, reason: str = "") -> None:
        raise AssertionError(f"the carrier crashed: {closing}")

    def ended(self, code: int | None, reason: str) -> None:
        self.endings.append((code, reason))


class _Socket:
    """A descriptor that is only ever used through `Syscalls`."""

    def fileno(self) -> int:
        return 1_000_000

    def shutdown(self, how: int, /) -> None:
        pass

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        raise AssertionError("nothing here asks for RST")

    def close(self) -> None:
        pass


def run_frames(data: bytes) -> None:
    """What a peer sends after its handshake, in pieces: just what RFC 6455 says comes of it.

    The first byte says how large the pieces are, 0 that everything came with the handshake.
    """
    size, sent = data[0] if data else 0, data[1:]
    session = _Recorder()
    trio.run(_carry, sent, size, session)
    _compare(session, reference(sent))


async def _carry(sent: bytes, size: int, session: _Recorder) -> None:
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)] if size else []

    def readv(_: int, into: tuple[bytearray]) -> int:
        piece = pieces.pop(0) if pieces else b""
        into[0][: len(piece)] = piece
        return len(piece)

    def write(_: int, written: bytes | memoryview) -> int:
        session.written += written
        return len(written)

    async def ready(_: int) -> None:
        await trio.lowlevel.checkpoint()

    connection = Connection(
        _Socket(),
        session,
        max_message_size=LIMIT,
        close_timeout=0,
        syscalls=Syscalls(readv, write, ready, ready),
    )
    await connection.run(b"" if size else sent)


def _compare(session: _Recorder, expected: Expected) -> None:
    assert session.messages == expected.messages
    assert len(session.endings) == 1
    written = frames_of(bytes(session.written))
    pongs = [payload for opcode, payload in written if opcode == 0xA]
    closes = [payload for opcode, payload in written if opcode == 0x8]
    assert len(written) == len(pongs) + len(closes)
    assert len(closes) <= 1
    if closes:
        assert written[-1][0] == 0x8
    code = struct.unpack("!H", closes[0][:2])[0] if closes and closes[0] else 1005 if closes else None
    assert code in expected.codes, f"closed {code}, expected one of {expected.codes}"
    if expected.echo is not None:
        assert closes == [expected.echo]
    remaining = iter(expected.pings)
    assert all(pong in remaining for pong in pongs), "pongs in the order of their pings"
    if expected.pings and expected.certain:
        assert pongs[-1:] == expected.pings[-1:], "the newest ping is answered"
