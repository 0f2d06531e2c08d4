"""A Redis of one's own: a real server on a free port, killed, frozen and started again at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.processes import PATIENCE

NEEDED = pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")


def encoded(*words: str | bytes) -> bytes:
    """A command as Redis reads it."""
    raw = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in raw)


class RedisServer:
    """``redis-server`` on a port that stays the same over all its lives.

    Nothing is saved unless `options` say so. With `sentinel` it is a Sentinel, with a ``sentinel.conf`` in
    its folder.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0, sentinel: bool = False) -> None:
        self._folder = folder
        self._kind = ["sentinel.conf", "--sentinel"] if sentinel else ["--save", ""]
        self._options = options
        # Bound and never listening: between two lives nobody else is given the port.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", port))
        self.port = int(self._reserved.getsockname()[1])
        self._process: trio.Process | None = None
        self._stream: trio.SocketStream | None = None
        self._unread = b""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, greeting: bytes = b"+PONG") -> None:
        """Start it, and wait until it answers a PING so."""
        arguments = [*self._kind, "--port", str(self.port), "--bind", "127.0.0.1", *self._options]
        self._process = await trio.lowlevel.open_process(
            ["redis-server", *arguments], stdout=subprocess.DEVNULL, cwd=self._folder
        )
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    answer = await self.ask("PING")
                except (OSError, EOFError, trio.BrokenResourceError):
                    await self._hang_up()
                    await trio.sleep(0.02)
                else:
                    if answer.startswith(greeting):
                        return
                    assert answer.startswith(b"-LOADING"), answer

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, and wait until it is gone."""
        await self._hang_up()
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            with trio.fail_after(PATIENCE):
                await self._process.wait()
            self._process = None

    async def close(self) -> None:
        """Not for tests: `redis_server` calls it."""
        await self.end()
        self._reserved.close()

    # --- what it is asked ---------------------------------------------------------------------------

    async def ask(self, *words: str | bytes) -> bytes:
        """The first line of the answer; of a bulk string the string."""
        return (await self.ask_all([encoded(*words)]))[0]

    async def ask_all(self, commands: list[bytes]) -> list[bytes]:
        """Several in one go."""
        if self._stream is None:
            self._stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await self._stream.send_all(b"".join(commands))
        return [await self._answer() for _ in commands]

    async def ask_lines(self, *words: str | bytes) -> list[str]:
        """The lines of an answer that has several."""
        if self._stream is None:
            self._stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await self._stream.send_all(encoded(*words))
        size = int((await self._until(b"\r\n"))[1:])
        while len(self._unread) < size + 2:
            self._unread += await self._stream.receive_some()
        whole, self._unread = self._unread[:size], self._unread[size + 2 :]
        return whole.decode().splitlines()

    async def publish(self, channel: str, body: str | bytes) -> int:
        """To how many it went."""
        return int((await self.ask("PUBLISH", channel, body))[1:])

    async def _answer(self) -> bytes:
        line = await self._until(b"\r\n")
        if line[:1] == b"$":
            return await self._until(b"\r\n")
        return line

    async def _until(self, end: bytes) -> bytes:
        assert self._stream is not None
        while end not in self._unread:
            chunk = await self._stream.receive_some()
            if not chunk:
                raise EOFError
            self._unread += chunk
        line, _, self._unread = self._unread.partition(end)
        return line

    async def _hang_up(self) -> None:
        self._unread = b""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def redis_server(
    folder: Path, *options: str, running: bool = True, port: int = 0, sentinel: bool = False
) -> AsyncIterator[RedisServer]:
    """One that is gone at the end."""
    server = RedisServer(folder, *options, port=port, sentinel=sentinel)
    try:
        if running:
            await server.start()
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await server.close()


class Waiter:
    """Lets a test wait until something that only happens has happened."""

    def __init__(self) -> None:
        self._changed = trio.Event()

    def change(self, *_: Any) -> None:
        """Something happened."""
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, holds: Any) -> None:
        """Wait until `holds()`."""
        with trio.fail_after(PATIENCE):
            while not holds():
                await self._changed.wait()
