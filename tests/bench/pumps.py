"""Producers that publish as fast as their answers come; the sequence of the answers is checked."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence

from tests.bench.client import PATIENCE, RECEIVE, greeted, open_socket
from tests.bench.wire import DeliveryError, Speech, publish

_ACK = re.compile(rb'"type":"ack","id":(\d+),"positions":\[\{[^]]*?"seq":(\d+)[,}]')
_REDIS_ID = re.compile(rb"\d+-\d+")


class Pump:
    """A connection that keeps `window` publishes unanswered until all are answered."""

    def __init__(self, sock: socket.socket, frames: Sequence[bytes], window: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock, self.frames, self.window = sock, frames, window
        self.sent = self.answered = 0
        self._unsent = b""
        self._data = b""

    def pump(self) -> None:
        """Send what the window allows."""
        upto = min(len(self.frames), self.answered + self.window)
        if upto > self.sent:
            self._unsent += b"".join(self.frames[self.sent : upto])
            self.sent = upto
        try:
            while self._unsent:
                self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except BlockingIOError:
            pass

    def take(self) -> None:
        """Read answers and check them."""
        piece = self.sock.recv(RECEIVE)
        if not piece:
            raise DeliveryError("a producer was disconnected")
        self._data = self.check(self._data + piece)

    def check(self, data: bytes) -> bytes:
        """Count the whole answers in `data`; what is left."""
        raise NotImplementedError


class HubPump(Pump):
    """Answers are `ack` messages: ids and positions both count from 1 in this producer's own project."""

    def check(self, data: bytes) -> bytes:
        """Every id and every position in its turn."""
        end = 0
        if b'"error"' in data:
            raise DeliveryError(f"a publish was answered {data[:400]!r}")
        for found in _ACK.finditer(data):
            self.answered += 1
            if int(found[1]) != self.answered or int(found[2]) != self.answered:
                raise DeliveryError(f"expected the answer to {self.answered}, got {found[0]!r}")
            end = found.end()
        return data[end:]


class RedisPump(Pump):
    """Answers are entry ids, each a bulk string of two lines."""

    def check(self, data: bytes) -> bytes:
        """Every answer must be an entry id."""
        lines = data.split(b"\r\n")
        rest = lines.pop()
        if len(lines) % 2:
            rest = lines.pop() + b"\r\n" + rest
        if not all(map(_REDIS_ID.fullmatch, lines[1::2])):
            raise DeliveryError(f"XADD was answered {data[:200]!r}")
        self.answered += len(lines) // 2
        return rest


def hub_pumps(port: int, producers: int, events: int, window: int) -> list[Pump]:
    """Producers of `events` one-event publishes, each into a project of its own."""
    made: list[Pump] = []
    for number in range(producers):
        name = f"ingest-{number}-{window}-{producers}"
        frames = [publish(id_, name, nodes=100) for id_ in range(1, events + 1)]
        sock = open_socket(port, f"/ws/orchestrator?producer_id={name}")
        if greeted(sock, Speech(), 0):
            raise DeliveryError("a producer was told something unasked")
        made.append(HubPump(sock, frames, window))
    return made


def redis_pumps(port: int, producers: int, events: int, window: int) -> list[Pump]:
    """Clients that add the same events to a stream of their own."""
    made: list[Pump] = []
    for number in range(producers):
        key = f"ingest-{number}-{window}-{producers}"
        frames = [
            _command("XADD", key, "*", "e", publish(id_, key, nodes=100)[8:].decode())
            for id_ in range(1, events + 1)
        ]
        made.append(
            RedisPump(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE), frames, window)
        )
    return made


def _command(*words: str) -> bytes:
    parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
    return f"*{len(parts)}\r\n{''.join(parts)}".encode()


def run_all(pumps: list[Pump]) -> float:
    """Run them to the end; seconds."""
    epoll = select.epoll()
    by_fd = {pump.sock.fileno(): pump for pump in pumps}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    begun = time.perf_counter()
    for pump in pumps:
        pump.pump()
    left = len(pumps)
    while left:
        ready = epoll.poll(PATIENCE, 1024)
        if not ready:
            raise DeliveryError(f"no answer for {PATIENCE:.0f} s")
        for fd, _ in ready:
            pump = by_fd[fd]
            pump.take()
            if pump.answered == len(pump.frames):
                left -= 1
                epoll.unregister(fd)
            else:
                pump.pump()
    taken = time.perf_counter() - begun
    for pump in pumps:
        pump.sock.close()
    epoll.close()
    return taken
