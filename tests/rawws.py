"""A WebSocket client that writes bytes and reads frames, blocking, and the hub it talks to.

The hub's echo is its ``ping`` request: the answer carries the request's ``id``. So a case can tell that
a message came through whole, of whatever size (spaces around JSON do not count) and in whatever letters.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from attrs import frozen

from tests.cli.forking import start
from tests.cli.processes import CODE, PATIENCE, environment
from tests.secure import client_context, secure
from tests.wsclient import ACCEPT, CLOSE, PING, PONG, TEXT, Frame, inflated, masked, request_head

MAX_MESSAGE: Final = 64 * 1024
"""The hub's limit here, so that reaching it is quick."""
PATH: Final = "/ws/orchestrator"
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_LARGE: Final = 1009

_LISTENING = re.compile(r"listening on https?://127\.0\.0\.1:(\d+)")


@frozen
class Serving:
    """A running hub."""

    port: int
    pid: int
    log: Path


@contextmanager
def serving(folder: Path, *settings: str, store: str = "memory:", before: str = "") -> Iterator[Serving]:
    """A hub as a process of its own, which logs into `folder`; it runs `before` first."""
    arguments = ["serve", "--bind", "127.0.0.1:0", "--store", store]
    given = (f"limits.max_message_size={MAX_MESSAGE}", *settings)
    arguments += [*secure.flags(), *(part for one in given for part in ("--set", one))]
    path = folder / "hub.log"
    reading, writing = os.pipe()
    with open(reading, "rb") as output:
        with path.open("wb") as log, open(writing, "wb") as ours:
            process = start(
                f"{before}\n{CODE}",
                *arguments,
                stdout=ours,
                stderr=log,
                cwd=folder,
                env=environment(folder),
            )
        try:
            line = output.readline().decode()
            found = _LISTENING.search(line)
            assert found is not None, line + path.read_text()
            yield Serving(int(found[1]), process.pid, path)
        finally:
            process.kill()
            process.wait_blocking(PATIENCE)


def ask(request: str, size: int | None = None) -> bytes:
    """The text of a request that the hub echoes, `size` bytes long."""
    text = json.dumps({"type": "ping", "id": request}, ensure_ascii=False).encode()
    return text if size is None else text.ljust(size)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data`, cut into pieces of `size`."""
    return (data[at : at + size] for at in range(0, len(data), size))


def fragments(opcode: int, *parts: bytes) -> list[bytes]:
    """One message in as many frames as there are parts."""
    last = len(parts) - 1
    return [masked(0 if at else opcode, part, fin=at == last) for at, part in enumerate(parts)]


class RawSocket:
    """One connection to the hub. Every wait is bounded."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure.on:
            self._socket = client_context().wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._data = b""

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    # --- handshake

    def shake_hands(
        self, path: str = PATH, headers: Iterable[tuple[str, str]] = (), *, then: bytes = b""
    ) -> dict[str, str]:
        """Ask for a WebSocket and get one; the answer's headers. `then` goes out in the same write."""
        self.send(request_head(path, headers, host=f"127.0.0.1:{self._port}") + then)
        status, found = self.answer()
        assert status == 101
        assert found["sec-websocket-accept"] == ACCEPT
        return found

    def answer(self) -> tuple[int, dict[str, str]]:
        """The head of an HTTP response."""
        while b"\r\n\r\n" not in self._data:
            assert self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return int(first.split(" ")[1]), {
            name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
        }

    # --- writing

    def send(self, *data: bytes) -> None:
        """Write bytes as they are."""
        self._socket.sendall(b"".join(data))

    def dribble(self, data: bytes, size: int = 1) -> None:
        """Write `data` in pieces, each in a segment of its own."""
        for piece in pieces(data, size):
            self._socket.sendall(piece)

    def reset(self) -> None:
        """Vanish: RST, and nothing else."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    # --- reading

    def recv(self, *, compresses: bool = False) -> Frame:
        """The next frame, which must be one that a server may send. `compresses`: permessage-deflate was
        negotiated, and a compressed message is inflated.
        """
        first, second = self._exactly(2)
        allowed = 0x40 if compresses else 0
        assert not first & 0x70 & ~allowed, "a reserved bit is set, and no extension was negotiated"
        assert not second & 0x80, "a server masks nothing"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
            assert size >= 126, "not the shortest form"
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
            assert size >= 65536, "not the shortest form"
        data, packed = self._exactly(size), bool(first & 0x40)
        frame = Frame(first & 0x0F, inflated(data) if packed else data, bool(first & 0x80), packed)
        assert frame.opcode in (TEXT, CLOSE, PING, PONG)
        assert frame.fin
        assert frame.opcode == TEXT or size <= 125
        return frame

    def expect_echo(self, request: str) -> None:
        """The next message is the answer to `ask`."""
        assert self.hear() == {"type": "pong", "id": request}

    def expect_error(self, code: str) -> None:
        """The next message is an error: what was sent came through, and means nothing."""
        found = self.hear()
        assert (found["type"], found["code"]) == ("error", code)

    def hear(self) -> Any:
        """The next frame, which must be a text in JSON."""
        frame = self.recv()
        assert frame.opcode == TEXT, frame
        return json.loads(frame.data)

    def expect_pong(self, data: bytes) -> None:
        """The next frame is this pong."""
        assert self.recv() == Frame(PONG, data)

    def expect_alive(self) -> None:
        """The connection works as ever."""
        self.send(masked(TEXT, ask("alive")))
        self.expect_echo("alive")

    def expect_closed(self, code: int | None) -> Frame:
        """The next frame is a close with this code, and nothing follows but the end of the stream."""
        frame = self.recv()
        assert frame.opcode == CLOSE, frame
        assert (frame.code if frame.data else None) == code
        frame.data[2:].decode()
        assert self.rest() == b""
        return frame

    def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._more():
            pass
        data, self._data = self._data, b""
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            assert self._more(), "the stream ended"
        data, self._data = self._data[:size], self._data[size:]
        return data

    def _more(self) -> bool:
        data = self._socket.recv(65536)
        self._data += data
        return bool(data)
