"""What TLS costs: to accept, to hold, to deliver; by the hub itself and by nginx in front of it."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator

from tests.bench.catalogue import OURS, TLS_NGINX, TLS_OWN, Peer
from tests.bench.client import PATIENCE, Stream
from tests.bench.process import Server
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, median
from tests.bench.wire import DeliveryError, Speech, handshake, publish, read_head, take_frames

WINDOW = 64
RECEIVE = 65_536


def _context(peer: Peer) -> ssl.SSLContext | None:
    if peer.is_hub:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Line:
    """One WebSocket, with TLS or without."""

    def __init__(self, port: int, path: str, context: ssl.SSLContext | None) -> None:
        sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock if context is None else context.wrap_socket(sock)
        self.sock.sendall(handshake(port, path))
        self.rest = read_head(self.sock)
        self.sock.setblocking(False)
        self.offset = 0

    def pieces(self) -> Iterator[bytes]:
        """Everything that can be read now."""
        while True:
            try:
                piece = self.sock.recv(RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not piece:
                raise DeliveryError("disconnected")
            yield piece


class Crowd:
    """Watchers of one project and its producer. Every watcher's bytes are compared with the first's."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self._port, self._context = port, context
        self._epoll = select.epoll()
        self._watchers: dict[int, Line] = {}
        self._stream = Stream()
        self._producer: Line | None = None
        self._acks = bytearray()
        self._sent = self._acked = 0

    def connect(self, count: int) -> None:
        """Open `count` watchers."""
        for _ in range(count):
            line = Line(self._port, Speech.watch, self._context)
            self._watchers[line.sock.fileno()] = line
            self._epoll.register(line.sock, select.EPOLLIN)

    def burst(self, count: int, window: int = WINDOW) -> None:
        """Publish `count` events, at most `window` unacked, until every watcher has all."""
        if self._producer is None:
            self._producer = Line(self._port, Speech.push, self._context)
            self._epoll.register(self._producer.sock, select.EPOLLIN)
        goal = self._sent + count
        while self._acked < goal or not self._all_have(goal):
            while self._sent < goal and self._sent - self._acked < window:
                if window == 1 and not self._all_have(self._sent):
                    break
                self._producer.sock.send(publish(self._sent))
                self._sent += 1
            ready = self._epoll.poll(PATIENCE, 1024)
            if not ready:
                raise DeliveryError("nothing came")
            for fd, _ in ready:
                self._take(fd)

    def _take(self, fd: int) -> None:
        watcher = self._watchers.get(fd)
        if watcher is None:
            assert self._producer is not None
            for piece in self._producer.pieces():
                self._acks += piece
            self._acked += sum(1 for _ in take_frames(self._acks))
            return
        for piece in watcher.pieces():
            self._stream.compare(watcher.offset, piece)
            watcher.offset += len(piece)

    def _all_have(self, count: int) -> bool:
        ends = self._stream.ends
        if len(ends) < count:
            return False
        end = ends[count - 1] if count else 0
        return all(one.offset >= end for one in self._watchers.values())

    def close(self) -> None:
        """Let go of everything."""
        for line in (*self._watchers.values(), *([self._producer] if self._producer else ())):
            line.sock.close()
        self._epoll.close()


def measure(peer: Peer, quick: bool) -> Figures:
    """CPU of an accept (ms) and of a delivery (µs), KB of an idle connection."""
    count, watchers, events = (200, 50, 200) if quick else (2_000, 200, 1_000)
    context = _context(peer)
    with peer.start() as server:
        figures = _held(server, context, count)
        crowd = Crowd(server.port, context)
        try:
            crowd.connect(watchers)
            crowd.burst(50)
            figures["burst_us"] = _cost(server, crowd, events, WINDOW) / (events * watchers) * 1e6
            few = events // 5
            figures["single_us"] = _cost(server, crowd, few, 1) / (few * watchers) * 1e6
        finally:
            crowd.close()
    return figures


def _held(server: Server, context: ssl.SSLContext | None, count: int) -> Figures:
    warm, crowd = Crowd(server.port, context), Crowd(server.port, context)
    try:
        warm.connect(50)
        server.settle()
        memory, before = server.pss(), server.cpu()
        crowd.connect(count)
        accept = (server.cpu() - before) / count * 1e3
        return {"accept_ms": accept, "idle_kb": (server.pss() - memory) / count / 1024}
    finally:
        warm.close()
        crowd.close()


def _cost(server: Server, crowd: Crowd, events: int, window: int) -> float:
    before = server.cpu()
    crowd.burst(events, window)
    return server.cpu() - before


def judge(found: Found) -> list[Verdict]:
    """Nothing is promised: the ratios are for the choice between both ways."""
    return [
        _ratio(found, name, key, what, base)
        for base, against in ((OURS, "plain"), (TLS_NGINX, "nginx in front"))
        for name, key, what in (
            (TLS_OWN, "accept_ms", f"own TLS to {against}: CPU of an accept"),
            (TLS_OWN, "burst_us", f"own TLS to {against}: CPU of a delivery, burst"),
            (TLS_OWN, "single_us", f"own TLS to {against}: CPU of a delivery, one at a time"),
            (TLS_OWN, "idle_kb", f"own TLS to {against}: memory of an idle connection"),
        )
    ]


def _ratio(found: Found, name: str, key: str, what: str, base: str) -> Verdict:
    mine, other = median(found, name, key), median(found, base, key)
    if mine is None or not other:
        return Verdict(what, "no bound", "not measured", None)
    return Verdict(what, "no bound", f"{mine / other:.2f} ({mine:.3g} : {other:.3g})", None)


TLS = Scenario(
    name="tls",
    title="TLS: none, the hub's own, nginx in front",
    peers=(OURS, TLS_OWN, TLS_NGINX),
    measure=measure,
    judge=judge,
    units={
        "accept_ms": Unit("CPU of an accept", "ms"),
        "idle_kb": Unit("memory of an idle one", "KB", 1),
        "burst_us": Unit("CPU a delivery, burst", "µs"),
        "single_us": Unit("CPU a delivery, one at a time", "µs"),
    },
)
