"""The load client: one epoll loop, as little work a frame as can be, every sequence number checked.

All watchers of a run get the same bytes. The client keeps one reference stream, made by whichever watcher
is ahead and parsed frame by frame (the events are numbered by their producer), and compares every other
watcher's bytes with it. A lost, doubled or reordered delivery fails the run.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

from tests.bench.wire import (
    NATIVE,
    DeliveryError,
    Speech,
    Unframed,
    handshake,
    read_head,
    take_answers,
    take_frames,
)

RECEIVE = 1 << 18
_BUFFER = bytearray(RECEIVE)
_BUFFERS = [_BUFFER]
_VIEW = memoryview(_BUFFER)
PATIENCE = 30.0
"""Seconds without a byte from the server after which a run has failed."""


class Stream:
    """The reference: everything any watcher got, parsed as far as it goes."""

    def __init__(self, speech: Speech | None = None, first: int = 0) -> None:
        self.speech = speech or Speech()
        self.first = first
        self.data = bytearray()
        self.parsed = 0
        self.ends: list[int] = []

    @property
    def events(self) -> int:
        """How many events it holds."""
        return len(self.ends)

    def compare(self, offset: int, piece: bytes | memoryview) -> None:
        """Check that `piece` stands at `offset`, extending the reference if it goes beyond."""
        data = self.data
        if data.startswith(piece, offset):
            return
        known = len(data) - offset
        if known >= len(piece) or not data.startswith(piece[:known], offset):
            raise DeliveryError(f"a watcher got other bytes at {offset}: {bytes(piece[:400])!r}")
        data += piece[known:]
        self._parse()

    def _parse(self) -> None:
        data = self.data
        while True:
            begin, end = self.speech.message(data, self.parsed)
            if not end:
                return
            payload = bytes(data[begin:end])
            number, wanted = self.speech.number(payload), self.first + len(self.ends)
            if number != wanted:
                raise DeliveryError(f"expected event {wanted}, got {number}")
            self.parsed = end
            self.ends.append(end)


class Producer:
    """A connection that publishes; counts its answers and checks that they come in order."""

    def __init__(self, port: int, speech: Speech, path: str = "", first: int = 0) -> None:
        self.speech = speech
        self.next = first
        """The publish whose answer is due."""
        self.sock = open_socket(port, path or speech.push)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if speech.push_hello is None:
            self._data = greeted(self.sock, speech, speech.greeting)
        else:
            self._data = greeted(self.sock, speech, speech.push_greeting, speech.push_hello)
        self.sock.setblocking(False)
        self.unsent = bytearray()

    def send(self, data: bytes) -> None:
        """Send, or keep for `flush` what the socket does not take."""
        self.unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what is still unsent, as far as the socket takes it."""
        try:
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent)]
        except BlockingIOError:
            pass

    def receive(self) -> int:
        """Read answers; how many."""
        piece = self.sock.recv(RECEIVE)
        if not piece:
            raise DeliveryError("the producer was disconnected")
        self._data += piece
        before = self.next
        for number in self._answers():
            if number != self.next:
                raise DeliveryError(f"expected the answer to {self.next}, got that to {number}")
            self.next += 1
        return self.next - before

    def _answers(self) -> Iterator[int]:
        """Which publishes were answered."""
        for payload in take_frames(self._data):
            for answer in self.speech.answers(payload):
                yield self.speech.acked(answer, self.next)


class Poster(Producer):
    """The same over HTTP/1.1, on one connection: the requests are answered in order."""

    def __init__(self, port: int, speech: Speech, first: int = 0) -> None:
        self.speech = speech
        self.next = first
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self._data = bytearray()
        self.unsent = bytearray()

    def _answers(self) -> Iterator[int]:
        for answer in take_answers(self._data):
            if not answer.startswith(b"HTTP/1.1 2"):
                raise DeliveryError(f"publish {self.next} was answered {answer[:300]!r}")
            yield self.next


class Client:
    """Watchers and one producer on one server."""

    def __init__(self, port: int, speech: Speech | None = None, first: int = 0) -> None:
        self.port = port
        self.speech = speech or Speech()
        self.epoll = select.epoll()
        self.watchers: dict[int, socket.socket] = {}
        self.offsets: dict[int, int] = {}
        self.unframed: dict[int, Unframed] = {}
        self.stream = Stream(self.speech, first)
        self.producer: Producer | None = None
        self.received_bytes = 0
        self._due = 0.0

    def close(self) -> None:
        """Let go of everything."""
        for sock in self.watchers.values():
            sock.close()
        if self.producer is not None:
            self.producer.sock.close()
        self.epoll.close()

    def connect(
        self,
        count: int,
        path: str = "",
        *,
        native: bool = False,
        in_flight: int = 100,
    ) -> None:
        """Open `count` watchers, `in_flight` at a time; native ones are told `welcome` and `subscribed`."""
        request = handshake(self.port, path or self.speech.watch, NATIVE if native else "")
        frames = 2 if native else self.speech.greeting
        for start in range(0, count, in_flight):
            batch = []
            for _ in range(min(in_flight, count - start)):
                sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
                sock.sendall(request)
                batch.append(sock)
            for sock in batch:
                rest = bytes(greeted(sock, self.speech, frames))
                sock.setblocking(False)
                self.epoll.register(sock, select.EPOLLIN)
                self.add(sock, rest)

    def add(self, sock: socket.socket, rest: bytes) -> None:
        """One more watcher; `rest` came behind its greeting."""
        self.watchers[sock.fileno()] = sock
        self.offsets[sock.fileno()] = 0
        if (unframed := self.speech.unframed()) is not None:
            self.unframed[sock.fileno()] = unframed
        if rest:
            self.got(sock.fileno(), rest)

    def open_producer(self, path: str = "", first: int = 0) -> Producer:
        """Open the connection that publishes, beginning with event `first`."""
        posts = self.speech.posts
        producer = (
            Poster(self.port, self.speech, first) if posts else Producer(self.port, self.speech, path, first)
        )
        self.epoll.register(producer.sock, select.EPOLLIN)
        self.producer = producer
        return producer

    def prime(self) -> None:
        """Publish one event before there are watchers, so that the project has begun."""
        producer = self._the_producer()
        producer.send(self.speech.publish(producer.next))
        self.stream.first = producer.next + 1
        while producer.next < self.stream.first:
            self.turn()

    def burst(self, count: int, unacked: int = 64, behind: int = 192) -> None:
        """Publish `count` events, at most `unacked` unanswered, and wait until every watcher has all.

        Also waits while the watchers are on average `behind` events behind, so that nothing is shed.
        """
        producer = self._the_producer()
        first = sent = producer.next
        end = first + count
        frames = [self.speech.publish(number) for number in range(first, end)]
        while sent < end or producer.next < end or not self.complete(end):
            ready = min(end, producer.next + unacked, self.stream.first + self._average() + behind)
            if sent < ready:
                producer.send(b"".join(frames[sent - first : ready - first]))
                sent = ready
            self.turn()

    def one_by_one(self, count: int) -> list[float]:
        """Publish `count` events, each when every watcher has the one before; seconds each took."""
        producer = self._the_producer()
        taken = []
        for number in range(producer.next, producer.next + count):
            frame = self.speech.publish(number)
            begun = time.perf_counter()
            self.publishing(begun)
            producer.send(frame)
            while not self.complete(number + 1):
                self.turn()
            taken.append(time.perf_counter() - begun)
            while producer.next <= number:
                self.turn()
        return taken

    def paced(self, count: int, interval: float) -> list[float]:
        """Publish `count` events, one each `interval` seconds; seconds until the last watcher had each.

        Keeps the rhythm over calls: the first event is due an interval after the last of the call before.
        """
        taken = []
        self._due = max(self._due, time.perf_counter())
        for _ in range(count):
            while (wait := self._due - time.perf_counter()) > 0:
                self.turn(wait)
            taken += self.one_by_one(1)
            self._due += interval
        return taken

    def complete(self, events: int) -> bool:
        """Whether every watcher has all events before number `events`."""
        ends, count = self.stream.ends, events - self.stream.first
        if not self.watchers:
            return True
        return len(ends) >= count and self.received_bytes >= ends[count - 1] * len(self.watchers)

    def turn(self, timeout: float | None = None) -> None:
        """Wait for something from the server and take it; with `timeout` nothing may come."""
        ready = self.epoll.poll(PATIENCE if timeout is None else timeout, 1024)
        if not ready and timeout is None:
            raise DeliveryError(f"nothing came for {PATIENCE:.0f} s")
        for fd, _ in ready:
            if fd in self.offsets:
                self.got(fd, _VIEW[: os.readv(fd, _BUFFERS)])
            elif self.producer is not None and fd == self.producer.sock.fileno():
                self.producer.receive()
            else:
                self.other(fd)
        if self.producer is not None and self.producer.unsent:
            self.producer.flush()

    def got(self, fd: int, piece: bytes | memoryview) -> None:
        """A watcher got bytes, which may be read only now."""
        if not piece:
            raise DeliveryError("a watcher was disconnected")
        if fd in self.unframed:
            piece = self.unframed[fd].take(piece)
        offset = self.offsets[fd]
        self.stream.compare(offset, piece)
        self.offsets[fd] = offset + len(piece)
        self.received_bytes += len(piece)

    def publishing(self, moment: float) -> None:
        """The next event goes out now."""

    def other(self, fd: int) -> None:
        """Something is to be read that is neither a watcher nor the producer."""
        raise DeliveryError(f"unknown descriptor {fd}")

    def _the_producer(self) -> Producer:
        assert self.producer is not None
        return self.producer

    def _average(self) -> int:
        """Events the watchers have on average."""
        if not self.watchers:
            return self._the_producer().next
        if not self.stream.ends:
            return 0
        size = self.stream.ends[-1] / len(self.stream.ends)
        return int(self.received_bytes / len(self.watchers) / size)


def open_socket(port: int, path: str, subprotocol: str = "") -> socket.socket:
    """A connection that has asked for a WebSocket and not yet read the answer."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.sendall(handshake(port, path, subprotocol))
    return sock


def greeted(sock: socket.socket, speech: Speech, messages: int, hello: bytes | None = None) -> bytearray:
    """Read the handshake's answer, say hello, take the first `messages`; return what came behind them."""
    rest = read_head(sock)
    if said := speech.hello if hello is None else hello:
        sock.sendall(said)
    while messages and not (end := speech.greeting_end(rest, 0, messages)):
        piece = sock.recv(65536)
        if not piece:
            raise DeliveryError(f"closed instead of a greeting: {bytes(rest)!r}")
        rest += piece
    if messages:
        del rest[:end]
    return rest
