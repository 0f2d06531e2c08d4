"""CPU of a delivery in the load test's reader, beside a bare loop of epoll and read, in turns.

``python -m tests.load.reader_cost [WATCHERS] [EVENTS]``. The server is a process of its own that sends
finished frames, so that only the reading is measured.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from statistics import median
from typing import Final

import trio

from tasktree_rt.load.frames import accept_of, new_key, request, upgrade
from tasktree_rt.load.group import Group
from tasktree_rt.load.languages.tasktree import TaskTree
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.target import Target, resolve
from tasktree_rt.load.watcher import Kind, Topic
from tasktree_rt.load.workload import Workload
from tests.cli.forking import ROOT

WORKLOAD: Final = Workload(100, 512)
GAP: Final = 0.005
"""Seconds between two events: each is a read of its own."""
ROUNDS: Final = 5


def frame(seq: int) -> bytes:
    """Event `seq` of project ``p`` as a server frame."""
    event = WORKLOAD.event("p", seq, 1)
    whole = {**event, "timestamp": "2026-01-01T00:00:00.000000Z", "seq": seq, "epoch": "e"}
    payload = json.dumps(whole, separators=(",", ":")).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def serve(watchers: int, events: int) -> None:
    """Accept so many watchers, wait for a line, send so many events to each; again until the input ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=watchers) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        frames = [frame(number) for number in range(1, events + 1)]
        while True:
            socks = [_accept(listener) for _ in range(watchers)]
            if not sys.stdin.readline():
                return
            for one in frames:
                for sock in socks:
                    sock.sendall(one)
                time.sleep(GAP)
            for sock in socks:
                sock.recv(1)  # until the client has gone
                sock.close()


def _accept(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(65536)
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
    answer = f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept_of(key)}\r\n\r\n"
    sock.sendall(answer.encode())
    return sock


class Server:
    """`serve` in a process of its own."""

    def __init__(self, watchers: int, events: int) -> None:
        self.watchers, self.events = watchers, events
        code = f"from tests.load.reader_cost import serve; serve({watchers}, {events})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


def bare(server: Server) -> float:
    """CPU (µs) of a delivery in a loop that only reads."""
    epoll, socks = select.epoll(), []
    for _ in range(server.watchers):
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(request("/", "127.0.0.1", upgrade(new_key())))
        socks.append(sock)
    for sock in socks:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        sock.setblocking(False)
        epoll.register(sock, select.EPOLLIN)
    wanted = server.watchers * sum(len(frame(number)) for number in range(1, server.events + 1))
    buffers, readv, got = [bytearray(1 << 18)], os.readv, 0
    server.go()
    begun = time.thread_time()
    while got < wanted:
        for fd, _ in epoll.poll(-1, 128):
            got += readv(fd, buffers)
    spent = time.thread_time() - begun
    for sock in socks:
        sock.close()
    epoll.close()
    return spent / server.watchers / server.events * 1e6


async def ours(server: Server) -> float:
    """CPU (µs) of a delivery in the load test's reader, with everything that it checks and with Trio."""
    target: Target = resolve(f"http://127.0.0.1:{server.port}")
    topic = Topic("p", TaskTree(WORKLOAD), 0, 0, "e", SharedStream(contiguous=True))
    group = Group(target, WORKLOAD, "conflate", 0)
    finals = [(server.events, server.events)]
    async with trio.open_nursery() as nursery:
        group.fill([(topic, Kind.NORMAL)] * server.watchers, target, 0, 0)
        nursery.start_soon(group.run)
        await group.all_live()
        server.go()
        begun = time.thread_time()
        while group.tally.counts["delivered"] < server.watchers * server.events:  # noqa: ASYNC110
            await trio.sleep(0.05)
        spent = time.thread_time() - begun
        nursery.cancel_scope.cancel()
    assert not group.settle_accounts(finals, [topic]).faults, group.tally.examples
    group.close()
    return spent / server.watchers / server.events * 1e6


def measure(watchers: int, events: int, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """The medians of both (µs), and that of their ratio in the same round."""
    server = Server(watchers, events)
    try:
        found = [(bare(server), trio.run(ours, server)) for _ in range(rounds)]
    finally:
        server.close()
    loop, reader = zip(*found, strict=True)
    return median(loop), median(reader), median(one / other for other, one in found)


if __name__ == "__main__":
    arguments = [int(one) for one in sys.argv[1:]] or [500, 400]
    loop, reader, ratio = measure(*arguments)
    sys.stdout.write(f"bare {loop:.2f} µs, load test {reader:.2f} µs a delivery: ×{ratio:.2f}\n")
