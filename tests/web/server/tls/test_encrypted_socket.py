"""The encrypted path: what is taken arrives, whatever the socket takes of it; what is no data is bounded."""

from __future__ import annotations

import ctypes
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.settings import Tls
from tasktree_rt.web.server.syscalls import Syscalls
from tasktree_rt.web.server.tls.certificate_files import load
from tasktree_rt.web.server.tls.encrypted_socket import BATCH, MAX_ANSWERS, PIECE, SPARE, EncryptedSocket
from tests.secure import new_client_context, server_pair


class Wire:
    """Both ends of a connection in memory. `room`: bytes that the socket takes in each write, in turn; after
    them everything."""

    family = 2

    def __init__(self, room: list[int] | None = None, version: ssl.TLSVersion | None = None) -> None:
        self.room: deque[int] = deque()
        self.to_server = bytearray()
        self.closed = self.ended = False
        self.shut: list[int] = []
        base = Syscalls(readv=self.readv, write=self.write, wait_readable=ready, wait_writable=ready)
        self.server = EncryptedSocket(self, _server_context(), base)
        self.calls = self.server.syscalls()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = _client_context(version).wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost"
        )
        trio.run(self._shake_hands)
        self.room.extend(room or [])

    def fileno(self) -> int:
        return 77

    def shutdown(self, how: int) -> None:
        self.shut.append(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        pass

    def getpeername(self) -> Any:
        return ("127.0.0.1", 1)

    getsockname = getpeername

    def close(self) -> None:
        self.closed = True

    def readv(self, fd: int, into: tuple[bytearray]) -> int:
        if not self.to_server and not self.ended:
            raise BlockingIOError
        size = min(len(into[0]), len(self.to_server))
        into[0][:size] = self.to_server[:size]
        del self.to_server[:size]
        return size

    def write(self, fd: int, data: bytes | memoryview) -> int:
        assert fd == 77, "written to a socket that is closed"
        size = min(len(data), self.room.popleft()) if self.room else len(data)
        if not size:
            raise BlockingIOError
        self.incoming.write(bytes(data[:size]))
        return size

    async def _shake_hands(self) -> None:
        done = False
        while not done:
            with suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.to_server += self.outgoing.read()
            await self.server.receive()
            done = await self.server.shake_hands()
        self.heard()

    def say(self, data: bytes) -> None:
        """The client sends."""
        if data:
            self.client.write(data)
        self.to_server += self.outgoing.read()

    def heard(self) -> bytes:
        """What the client can read."""
        found = b""
        while True:
            try:
                data = self.client.read(1 << 20)
            except ssl.SSLWantReadError:
                return found
            if not data:
                return found
            found += data

    def read(self, size: int = 65536) -> bytes:
        """What the server reads in one call."""
        into = bytearray(size)
        return bytes(into[: self.calls.readv(77, (into,))])


async def ready(fd: int) -> None:
    await trio.lowlevel.checkpoint()


@cache
def _server_context() -> ssl.SSLContext:
    pair = server_pair()
    return load(Tls(certfile=str(pair.cert), keyfile=str(pair.key)), time.time()).context


def _client_context(version: ssl.TLSVersion | None) -> ssl.SSLContext:
    context = new_client_context()
    context.maximum_version = version or ssl.TLSVersion.MAXIMUM_SUPPORTED
    return context


# --- writing ------------------------------------------------------------------------------------------------


class Caller:
    """Writes frames as a subscriber does: what is begun it finishes first; what is not begun it may drop for
    something else."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.rest = b""
        self.queue: list[bytes] = []
        self.sent = b""
        """All frames that were begun, whole: what the reader must get."""

    def offer(self, frames: list[bytes]) -> None:
        """Write them joined, if nothing waits."""
        if self.rest or self.queue:
            self.queue += frames
            return
        taken = self.write(b"".join(frames))
        self.part(frames, taken)

    def part(self, frames: list[bytes], taken: int) -> None:
        for number, frame in enumerate(frames):
            if taken <= 0:
                self.queue = frames[number:] + self.queue
                return
            self.sent += frame
            if taken < len(frame):
                self.rest = frame[taken:]
                self.queue = frames[number + 1 :] + self.queue
                return
            taken -= len(frame)

    def write(self, data: bytes) -> int:
        try:
            return self.wire.calls.write(77, data)
        except BlockingIOError:
            return 0

    def drop(self, instead: bytes) -> None:
        """Drop what is not begun, and send something in its place."""
        self.queue = [instead]

    def pump(self) -> bool:
        """Write once; return whether nothing waits."""
        if self.rest:
            self.rest = self.rest[self.write(self.rest) :]
        elif self.queue:
            frames, self.queue = self.queue, []
            self.part(frames, self.write(b"".join(frames)))
        return not (self.rest or self.queue)


frames = st.builds(
    lambda mark, size: b"\x81" + bytes([mark]) * (size - 1),
    st.integers(0, 255),
    st.one_of(st.integers(2, 40), st.integers(PIECE - 2, PIECE + 2), st.integers(BATCH - 2, 2 * BATCH + 2)),
)
rooms = st.lists(
    st.one_of(st.just(0), st.integers(1, 60), st.integers(PIECE, BATCH + 200), st.just(1 << 20)), max_size=30
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.lists(frames, min_size=1, max_size=4)),
        st.tuples(st.just("drop"), frames),
        st.tuples(st.just("pump"), st.none()),
    ),
    max_size=15,
)


@given(rooms, steps)
def test_what_is_begun_arrives_whole_and_in_order_whatever_the_socket_takes(
    room: list[int], todo: list[tuple[str, Any]]
) -> None:
    wire = Wire(room)
    caller = Caller(wire)
    for what, given_to in todo:
        if what == "offer":
            caller.offer(given_to)
        elif what == "drop" and caller.queue:
            caller.drop(given_to)
        else:
            caller.pump()
        assert len(wire.server._unsent) <= BATCH + 200
    while not caller.pump():
        pass
    wire.room.clear()  # whatever happens now: nothing is left in the server
    assert wire.heard() == caller.sent


@given(rooms, st.integers(0, 100_000))
def test_a_write_that_is_taken_whole_leaves_nothing_behind(room: list[int], size: int) -> None:
    wire = Wire(room)
    data = memoryview(bytes(range(256)) * 400)[: size + 2]
    rest = data
    for _ in range(1000):
        try:
            rest = rest[wire.calls.write(77, rest) :]
        except BlockingIOError:
            continue
        if not rest:
            break
    wire.room.clear()
    assert wire.heard() == data
    wire.server.shutdown(1)
    assert wire.shut == [1]


def test_a_full_socket_takes_nothing_more_than_one_batch() -> None:
    wire = Wire([0] * 50)
    assert wire.calls.write(77, b"x" * 1_000_000) == BATCH
    for _ in range(20):
        with pytest.raises(BlockingIOError):
            wire.calls.write(77, b"x" * 1_000_000)
    assert len(wire.server._unsent) < BATCH + 200


def test_the_end_waits_for_room_and_is_said_once() -> None:
    wire = Wire([0, 3])
    with pytest.raises(BlockingIOError):
        wire.server.shutdown(1)
    with pytest.raises(BlockingIOError):
        wire.server.shutdown(1)
    assert not wire.shut
    wire.server.shutdown(1)
    assert wire.shut == [1]
    assert wire.client.read(10) == b""  # TLS' own end, not a cut
    wire.say(b"still talking")
    assert wire.read() == b"still talking", "reading goes on after our end"


def test_the_end_loses_nothing_that_came_before() -> None:
    wire = Wire()
    wire.say(b"one")
    wire.say(b"two")
    assert wire.read(1) == b"o", "the rest is decrypted, or waits to be"
    wire.server.shutdown(1)
    assert wire.read() == b"netwo"


def test_after_close_nothing_is_written_to_the_number_of_the_socket() -> None:
    wire = Wire()
    wire.server.close()
    with pytest.raises(AssertionError, match="closed"):
        wire.calls.write(77, b"stray")


# --- reading ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=5), st.integers(1, 70_000), st.data())
def test_everything_is_read_in_order_however_it_is_cut(
    sizes: list[int], room: int, data: st.DataObject
) -> None:
    wire = Wire()
    said = b"".join(bytes([65 + number % 26]) * size for number, size in enumerate(sizes))
    for number, size in enumerate(sizes):
        wire.client.write(bytes([65 + number % 26]) * size)
    pending, got = wire.outgoing.read(), b""
    while len(got) < len(said):
        cut = data.draw(st.integers(1, 30_000))
        wire.to_server += pending[:cut]
        pending = pending[cut:]
        while True:
            try:
                got += wire.read(room)
            except BlockingIOError:
                break
    assert got == said


def test_the_peers_end_is_an_end_and_a_cut_is_an_error() -> None:
    wire = Wire()
    wire.say(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        wire.client.unwrap()
    wire.say(b"")
    assert wire.read() == b"last words"
    assert wire.read() == b""
    cut = Wire()
    cut.say(b"last words")
    cut.ended = True
    assert cut.read() == b"last words"
    with pytest.raises(ConnectionResetError):
        cut.read()


def test_a_broken_record_ends_the_connection_after_the_data_before_it() -> None:
    wire = Wire()
    wire.say(b"good")
    wire.to_server += b"\x17\x03\x03\x00\x20" + b"x" * 32
    assert wire.read() == b"good"
    with pytest.raises(OSError, match=r"(?i)bad.record|decryption"):
        wire.read()


def change_keys(client: ssl.SSLObject, *, answer: bool) -> None:
    """Let a client send new keys (RFC 8446, 4.6.3), which Python itself cannot."""
    pointer = ctypes.c_void_p.from_address(id(client._sslobj) + 24).value  # type: ignore[attr-defined]
    try:
        library = ctypes.CDLL("libssl.so.3")
    except OSError:
        pytest.skip("no OpenSSL 3 to be loaded")
    library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    assert library.SSL_key_update(pointer, int(answer)) == 1
    library.SSL_do_handshake(pointer)


def flood(wire: Wire, count: int, say: Callable[[int], None]) -> int:
    """Let the client send; the server's reads until it gives up."""
    reads = 0
    for number in range(count):
        say(number)
        wire.to_server += wire.outgoing.read()
    while True:
        reads += 1
        try:
            wire.read()
        except BlockingIOError:
            if not wire.to_server:
                return reads


def test_new_keys_now_and_then_are_fine_and_answered() -> None:
    wire = Wire()
    for number in range(2000):
        change_keys(wire.client, answer=True)
        wire.say(b"some data %d" % number)
        assert wire.read() == b"some data %d" % number
        assert wire.heard() == b""


def test_new_keys_without_end_end_the_connection_a_piece_at_a_time() -> None:
    wire = Wire()
    wire.room.extend([1 << 20] * 10_000)
    with pytest.raises(ConnectionResetError, match="records without data"):
        flood(wire, 10_000, lambda number: change_keys(wire.client, answer=False))
    assert len(wire.to_server) > 10_000 * 27 - SPARE - 2 * PIECE, "no more was decrypted than may come"


def test_a_peer_that_wants_answers_and_reads_none_is_ended() -> None:
    wire = Wire([0] * 100_000)

    def say(number: int) -> None:
        change_keys(wire.client, answer=True)
        wire.client.write(b"some data, so that it counts as talk")

    with pytest.raises(ConnectionResetError, match="reads nothing"):
        flood(wire, 5_000, say)
    assert len(wire.server._unsent) <= MAX_ANSWERS + PIECE


def test_small_records_are_not_taken_for_a_flood() -> None:
    wire = Wire()
    got = b""
    for _ in range(3000):
        wire.say(b"abcdef")
        got += wire.read()
    assert got == b"abcdef" * 3000


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_carry_data_both_ways(version: ssl.TLSVersion) -> None:
    wire = Wire(version=version)
    assert wire.client.version() == version.name.replace("_", ".")
    assert wire.client.selected_alpn_protocol() is None
    wire.say(b"up")
    assert wire.read() == b"up"
    assert wire.calls.write(77, b"down" * 10_000) == 40_000
    assert wire.heard() == b"down" * 10_000
