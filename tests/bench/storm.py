"""Many connections asked for in the same moment: all handshakes are under way at once."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass, field

from tests.bench.client import Client
from tests.bench.wire import NATIVE, DeliveryError, Speech, handshake

SOURCES = 8
"""Addresses of the loopback that connections come from, so that no pair of address and port is short."""


@dataclass
class Opening:
    """A connection on its way to being a watcher."""

    sock: socket.socket
    data: bytearray = field(default_factory=bytearray)
    asked: bool = False
    greeting_at: int = 0
    """Where the greeting begins, once the handshake's answer is whole."""


class StormClient(Client):
    """A `Client` whose watchers may all connect at once."""

    def __init__(self, port: int, speech: Speech | None = None, first: int = 0) -> None:
        super().__init__(port, speech, first)
        self.opening: dict[int, Opening] = {}
        self.refused = 0
        self._request = b""
        self._greeting = 0
        self._must = b""

    def connect_at_once(
        self, count: int, path: str = "", *, native: bool = False, must: bytes = b""
    ) -> float:
        """Open `count` watchers at once; seconds until all were greeted. `must` stands in every greeting."""
        self._request = handshake(self.port, path or self.speech.watch, NATIVE if native else "")
        self._greeting = 2 if native else self.speech.greeting
        self._must = must
        begun = time.perf_counter()
        for number in range(count):
            self._begin(number)
        while self.opening:
            self.turn()
        return time.perf_counter() - begun

    def _begin(self, number: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.0.0.{1 + number % SOURCES}", 0))
        sock.connect_ex(("127.0.0.1", self.port))
        self.opening[sock.fileno()] = Opening(sock)
        self.epoll.register(sock, select.EPOLLOUT)

    def other(self, fd: int) -> None:
        """One that connects goes on."""
        one = self.opening[fd]
        try:
            if not one.asked:
                one.sock.send(self._request)
                one.asked = True
                self.epoll.modify(fd, select.EPOLLIN)
                return
            piece = one.sock.recv(65536)
        except (ConnectionError, TimeoutError):
            self._again(fd)
            return
        if not piece:
            raise DeliveryError(f"closed instead of a greeting: {bytes(one.data[:200])!r}")
        one.data += piece
        rest = self._rest(one)
        if rest is not None:
            del self.opening[fd]
            self.add(one.sock, rest)

    def _again(self, fd: int) -> None:
        one = self.opening.pop(fd)
        self.epoll.unregister(fd)
        one.sock.close()
        self.refused += 1
        if self.refused > 100_000:
            raise DeliveryError("connections are refused for good")
        self._begin(self.refused)

    def _rest(self, one: Opening) -> bytes | None:
        """What came behind handshake and greeting, once they are whole."""
        if not one.greeting_at and not self._answered(one):
            return None
        at = self.speech.greeting_end(one.data, one.greeting_at, self._greeting)
        if not at:
            return None
        greeting = bytes(one.data[one.greeting_at : at])
        if self._must not in greeting:
            raise DeliveryError(f"expected {self._must!r} in {greeting!r}")
        return bytes(one.data[at:])

    def _answered(self, one: Opening) -> bool:
        """Whether the handshake's answer is whole; if so says hello."""
        end = one.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not one.data.startswith(b"HTTP/1.1 101"):
            raise DeliveryError(f"no handshake: {bytes(one.data[:200])!r}")
        one.greeting_at = end + 4
        if self.speech.hello:
            one.sock.send(self.speech.hello)
        return True
