"""Watchers that read one byte a second."""

from __future__ import annotations

import contextlib
import socket
import time
import urllib.request

from tests.bench.client import PATIENCE, greeted
from tests.bench.wire import NATIVE, Speech, handshake

ROOM = 4_096
"""Bytes of the kernel's that a stalled reader has, so that the server notices it soon."""


class StalledReaders:
    """Native watchers of one project; call `trickle` often."""

    def __init__(self, port: int, count: int, path: str) -> None:
        self.port, self.path = port, path
        self.socks = [self._open() for _ in range(count)]
        self.lost = 0
        self._due = time.perf_counter() + 1

    def _open(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        sock.sendall(handshake(self.port, self.path, NATIVE))
        greeted(sock, Speech(), 2)
        sock.setblocking(False)
        return sock

    def trickle(self) -> None:
        """Once a second: each reads one byte; those that the server gave up come back."""
        if time.perf_counter() < self._due:
            return
        self._due += 1
        for index, sock in enumerate(self.socks):
            gone = False
            with contextlib.suppress(BlockingIOError):
                try:
                    gone = not sock.recv(1)
                except ConnectionError:
                    gone = True
            if gone:
                sock.close()
                self.lost += 1
                self.socks[index] = self._open()

    def close(self) -> None:
        """Let go of them."""
        for sock in self.socks:
            sock.close()


def lagging(port: int) -> int:
    """How many subscribers the hub says are behind."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("tasktree_lagging "):
                return int(float(line.split()[1]))
    raise LookupError("the hub does not tell tasktree_lagging")
