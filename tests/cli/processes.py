"""Commands run as real processes, awaited by what they print."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from tests.cli.forking import ROOT, Forked, start

CODE = "from tasktree_rt.cli.main import main; main()"
PATIENCE = 180.0
"""Seconds until a test gives up: starting one process takes seconds of CPU, and many may share a core."""


class Running:
    """A command's process; its lines are read as they come."""

    def __init__(self, process: trio.Process | Forked) -> None:
        self.process = process
        self.lines: list[str] = []
        self._rest = b""

    async def line(self, holds: str) -> str:
        """The next line of standard output that holds this."""
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while True:
                while b"\n" in self._rest:
                    raw, _, self._rest = self._rest.partition(b"\n")
                    self.lines.append(raw.decode())
                    if holds in self.lines[-1]:
                        return self.lines[-1]
                chunk = await self.process.stdout.receive_some()
                assert chunk, f"ended without {holds!r}: {self.lines}"
                self._rest += chunk

    async def end(self) -> tuple[int, str]:
        """Wait for its end: exit code, and what it still wrote to standard output."""
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while chunk := await self.process.stdout.receive_some():
                self._rest += chunk
            return await self.process.wait(), self._rest.decode()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKTREE_RT_")}
    home = {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    return {**kept, **home, "PYTHONPATH": ROOT, "COLUMNS": "200"}


@asynccontextmanager
async def command(
    folder: Path, *arguments: str | bytes, code: str = CODE, stdin: int | None = None
) -> AsyncIterator[Running]:
    """Run ``tasktree-rt`` with these arguments, in a home of its own; killed at the end if it still runs."""
    process = start(
        code, *arguments, stdin=stdin, stdout=subprocess.PIPE, cwd=folder, env=environment(folder)
    )
    try:
        yield Running(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


async def finished(
    folder: Path, *arguments: str | bytes, stdin: bytes = b"", **env: str
) -> tuple[int, str, str]:
    """Run a command to its end: exit code, standard output, standard error."""
    pipe = subprocess.PIPE
    given = {**environment(folder), **env}
    process = start(CODE, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=given)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    printed = {process.stdout: b"", process.stderr: b""}

    async def feed(stream: trio.lowlevel.FdStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(stdin)

    async def read(stream: trio.lowlevel.FdStream) -> None:
        async with stream:
            async for chunk in stream:
                printed[stream] += chunk

    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(feed, process.stdin)
                for stream in printed:
                    nursery.start_soon(read, stream)
            code = await process.wait()
    finally:
        process.kill()
    output, errors = (data.decode() for data in printed.values())
    return code, output, errors


@asynccontextmanager
async def hub(
    folder: Path, *arguments: str, bind: str = "127.0.0.1:0", store: str = "memory:"
) -> AsyncIterator[tuple[Running, str]]:
    """A hub as a process of its own, and its address."""
    async with command(folder, "serve", "--bind", bind, "--store", store, *arguments) as running:
        yield running, address_in(await running.line("listening on"))


def address_in(line: str) -> str:
    return line.partition("listening on ")[2].partition(",")[0]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def text_of(url: str) -> str:
    """What a hub answers."""

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return str(response.read().decode())

    return await trio.to_thread.run_sync(fetch)


async def get(url: str) -> Any:
    """The same, as JSON."""
    return json.loads(await text_of(url))


async def events_of(address: str, project: str) -> list[dict[str, Any]]:
    """All of a project's events, page by page."""
    found: list[dict[str, Any]] = []
    since = ":0"
    while True:
        page = await get(f"{address}/api/v1/projects/{project}/events?since={since}&limit=1000")
        found += page["events"]
        if not page["events"] or not page.get("next"):
            return found
        since = page["next"]
