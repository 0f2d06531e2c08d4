"""The load client: one epoll loop, as little work a frame as can be, every sequence number checked.

All watchers of a run get the same bytes. The client keeps one reference stream, made by whichever watcher
is ahead and parsed frame by frame (the events are numbered by their producer), and compares every other
watcher's bytes with it. A lost, doubled or reordered delivery fails the run.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable

PAD = "x" * 96
RECEIVE = 1 << 18


class DeliveryError(Exception):
    """A watcher did not get exactly what was published."""


class Stream:
    """The reference: everything any watcher got, parsed as far as it goes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.parsed = 0
        self.events = 0
        self.ends: list[int] = []

    def compare(self, offset: int, piece: bytes) -> None:
        """Check that `piece` stands at `offset`, extending the reference if it goes beyond."""
        known = self.data[offset : offset + len(piece)]
        if known != piece[: len(known)]:
            raise DeliveryError(f"a watcher got other bytes at {offset}")
        if len(piece) > len(known):
            self.data += piece[len(known) :]
            self._parse()

    def _parse(self) -> None:
        data, at, end = self.data, self.parsed, len(self.data)
        while at + 2 <= end:
            size, header = data[at + 1], 2
            if size == 126:
                if at + 4 > end:
                    break
                size, header = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                if at + 10 > end:
                    break
                size, header = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if at + header + size > end:
                break
            self._check(data[at], bytes(data[at + header : at + header + size]))
            at += header + size
            self.ends.append(at)
        self.parsed = at

    def _check(self, first: int, payload: bytes) -> None:
        if first != 0x81:
            raise DeliveryError(f"not a whole text frame: {first:#x} {payload[:80]!r}")
        number = json.loads(payload)["data"]["n"]
        if number != self.events:
            raise DeliveryError(f"expected event {self.events}, got {number}")
        self.events += 1


def event(number: int, project: str = "bench") -> str:
    """Event `number`, about 256 bytes on the wire with its position."""
    return json.dumps(
        {
            "type": "node_update",
            "project_id": project,
            "data": {"node_id": "n1", "n": number, "changes": {"status": "running", "message": PAD}},
        },
        separators=(",", ":"),
    )


def publish(number: int, project: str = "bench") -> bytes:
    """The client frame that publishes event `number` (masked with a key of zeros)."""
    text = f'{{"type":"publish","id":{number},"events":[{event(number, project)}]}}'.encode()
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


def handshake(port: int, path: str) -> bytes:
    """A request for a WebSocket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class Client:
    """Watchers and one producer on one server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.epoll = select.epoll()
        self.watchers: dict[int, socket.socket] = {}
        self.offsets: dict[int, int] = {}
        self.stream = Stream()
        self.producer: socket.socket | None = None
        self.acked = 0
        self.received_bytes = 0
        self._acks = b""

    def close(self) -> None:
        """Let go of everything."""
        for sock in [*self.watchers.values(), *filter(None, [self.producer])]:
            sock.close()
        self.epoll.close()

    def connect(self, count: int, path: str, in_flight: int = 100) -> None:
        """Open `count` watchers, `in_flight` at a time."""
        request = handshake(self.port, path)
        for start in range(0, count, in_flight):
            batch = []
            for _ in range(min(in_flight, count - start)):
                sock = socket.create_connection(("127.0.0.1", self.port))
                sock.sendall(request)
                batch.append(sock)
            for sock in batch:
                rest = _answer(sock)
                sock.setblocking(False)
                self.watchers[sock.fileno()] = sock
                self.offsets[sock.fileno()] = 0
                self.epoll.register(sock, select.EPOLLIN)
                if rest:
                    self._got(sock.fileno(), rest)

    def open_producer(self, path: str) -> None:
        """Open the connection that publishes."""
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(handshake(self.port, path))
        _answer(sock)
        sock.setblocking(False)
        self.epoll.register(sock, select.EPOLLIN)
        self.producer = sock

    def burst(self, first: int, count: int, unacked: int = 64, behind: int = 192) -> None:
        """Publish `count` events, at most `unacked` unanswered, and wait until every watcher has all.

        Also waits while the watchers are on average `behind` events behind, so that nothing is shed.
        """
        assert self.producer is not None
        done, sent, end = self.acked, first, first + count
        frames = [publish(number) for number in range(first, end)]
        while sent < end or not self._complete(end):
            ready = min(end, first + self.acked - done + unacked, self._slowest() + behind)
            if sent < ready:
                self._send(b"".join(frames[sent - first : ready - first]))
                sent = ready
            self._turn()

    def one_by_one(self, first: int, count: int) -> list[float]:
        """Publish `count` events, each when every watcher has the one before; seconds each took."""
        assert self.producer is not None
        taken = []
        for number in range(first, first + count):
            begun = time.perf_counter()
            self._send(publish(number))
            while not self._complete(number + 1):
                self._turn()
            taken.append(time.perf_counter() - begun)
        return taken

    def _send(self, data: bytes) -> None:
        assert self.producer is not None
        view = memoryview(data)
        while view:
            try:
                view = view[self.producer.send(view) :]
            except BlockingIOError:
                self._turn()

    def _slowest(self) -> int:
        """Events the watchers have on average."""
        if not self.stream.ends:
            return 0
        size = self.stream.ends[-1] / len(self.stream.ends)
        return int(self.received_bytes / len(self.watchers) / size)

    def _complete(self, events: int) -> bool:
        ends = self.stream.ends
        return len(ends) >= events and self.received_bytes >= ends[events - 1] * len(self.watchers)

    def _turn(self) -> None:
        for fd, _ in self.epoll.poll(10):
            sock = self.watchers.get(fd)
            if sock is not None:
                self._got(fd, sock.recv(RECEIVE))
            else:
                self._got_acks()

    def _got(self, fd: int, piece: bytes) -> None:
        if not piece:
            raise DeliveryError("a watcher was disconnected")
        offset = self.offsets[fd]
        self.stream.compare(offset, piece)
        self.offsets[fd] = offset + len(piece)
        self.received_bytes += len(piece)

    def _got_acks(self) -> None:
        assert self.producer is not None
        data = self.producer.recv(RECEIVE)
        if not data or b'"error"' in data:
            raise DeliveryError(f"the producer got {data[:300]!r}")
        self._acks += data
        self.acked += self._acks.count(b'"ack"')
        self._acks = self._acks[-4:] if not self._acks.endswith(b'"ack"') else b""


def _answer(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise DeliveryError(f"no handshake: {data!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise DeliveryError(f"no handshake: {head!r}")
    return rest


def timed(action: Callable[[], object]) -> float:
    """Seconds `action` took."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
