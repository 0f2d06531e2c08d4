"""Watchers that take compressed messages (RFC 7692), and count the bytes that came."""

from __future__ import annotations

import re
import select
import socket
import zlib
from collections.abc import Iterator

from tests.bench.client import PATIENCE, RECEIVE
from tests.bench.wire import DeliveryError, Speech, frame_end, handshake

OFFER = "permessage-deflate; client_max_window_bits"
"""What browsers offer."""


class DeflateWatcher:
    """One watcher; with `compressed` it offers compression, and fails if the server does not agree."""

    def __init__(self, port: int, speech: Speech, *, compressed: bool) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        request = handshake(port, speech.watch)
        if compressed:
            request = request[:-2] + f"Sec-WebSocket-Extensions: {OFFER}\r\n\r\n".encode()
        self.sock.sendall(request)
        self._forgets = True
        self._inflater = zlib.decompressobj(-15)
        self._message, self._packed = bytearray(), False
        self._data = bytearray(self._agreed(compressed))
        self.sock.sendall(speech.hello)
        self._greeted(speech)
        self.received = 0

    def _agreed(self, compressed: bool) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(1)
        text = head.decode("latin-1").lower()
        if (OFFER.split(";", maxsplit=1)[0] in text) is not compressed:
            raise DeliveryError(f"asked for compression: {compressed}, answered {text!r}")
        self._forgets = "server_no_context_takeover" in text
        return head.partition(b"\r\n\r\n")[2]

    def _greeted(self, speech: Speech) -> None:
        """Wait for the greeting: a server may tell a watcher nothing of what came before its subscription."""
        end = 0
        while speech.greeting and not (end := speech.greeting_end(self._data, 0, speech.greeting)):
            self._data += self._piece()
        del self._data[:end]

    def _piece(self) -> bytes:
        piece = self.sock.recv(RECEIVE)
        if not piece:
            raise DeliveryError("a watcher was disconnected")
        return piece

    def take(self) -> Iterator[bytes]:
        """Read; give the whole messages."""
        piece = self._piece()
        self.received += len(piece)
        self._data += piece
        at = 0
        while (ends := frame_end(self._data, at))[1]:
            first = self._data[at]
            if first & 0x0F:  # no continuation: the first frame says for the whole message
                self._packed, self._message = bool(first & 0x40), bytearray()
            self._message += self._data[ends[0] : ends[1]]
            if first & 0x80:
                yield self._inflated(bytes(self._message)) if self._packed else bytes(self._message)
            at = ends[1]
        del self._data[:at]

    def _inflated(self, payload: bytes) -> bytes:
        if self._forgets:
            self._inflater = zlib.decompressobj(-15)
        return self._inflater.decompress(payload + b"\x00\x00\xff\xff")


class DeflateWatchers:
    """Many of them, with one epoll."""

    def __init__(self, port: int, speech: Speech, count: int, *, compressed: bool) -> None:
        self.all = [DeflateWatcher(port, speech, compressed=compressed) for _ in range(count)]
        self._epoll = select.epoll()
        self._by_fd = {one.sock.fileno(): one for one in self.all}
        for fd in self._by_fd:
            self._epoll.register(fd, select.EPOLLIN)

    @property
    def received(self) -> int:
        """Bytes from the wire."""
        return sum(one.received for one in self.all)

    def until_all_have(self, number: int) -> None:
        """Wait until each has event `number` too."""
        marker, missing = re.compile(rb'"n": ?%d,' % number), len(self.all)
        while missing:
            ready = self._epoll.poll(PATIENCE)
            if not ready:
                raise DeliveryError(f"{missing} watchers did not get event {number}")
            for fd, _ in ready:
                missing -= sum(marker.search(payload) is not None for payload in self._by_fd[fd].take())

    def close(self) -> None:
        """Let go of everything."""
        for one in self.all:
            one.sock.close()
        self._epoll.close()
