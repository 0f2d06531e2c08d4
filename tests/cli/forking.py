"""Commands as real processes without the second of CPU that their imports cost.

The first start in a run of tests makes one process that imports every command and waits: the template. Each
start forks it. The child has a pid, an environment, a folder and standard streams of its own, runs the given
code as ``python -c`` does, and ends as an interpreter ends. Only the imports are not its own. A variable that
changes the interpreter itself cannot reach it: `start` refuses one.

A request goes over a socket pair of its own: 4 bytes of length, then a pickled tuple (code, arguments,
folder, environment). The template answers with the pid, and at the child's end with its wait status, each in
4 bytes.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO

import trio

from tests.cli.template import LENGTH, exactly

ROOT = str(Path(__file__).parents[2])
_OF_THE_INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_", "TZ")


class Forked:
    """A child of the template, with the members of `trio.Process` that tests use.

    Attributes:
        pid: of the child; its parent is the template.
        stdin, stdout, stderr: this end of each stream that was asked for as a pipe.
    """

    def __init__(
        self,
        channel: socket.socket,
        stdin: trio.lowlevel.FdStream | None,
        stdout: trio.lowlevel.FdStream | None,
        stderr: trio.lowlevel.FdStream | None,
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.pid = int.from_bytes(exactly(channel, LENGTH), "little")
        self._channel = channel
        self._code: int | None = None
        self._waiting = trio.Lock()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            self._channel.setblocking(False)
            try:
                self._take()
            except BlockingIOError:
                return None
        return self._code

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        async with self._waiting:
            while (code := self.returncode) is None:
                await trio.lowlevel.wait_readable(self._channel)
        return code

    def wait_blocking(self, timeout: float) -> int:
        """`wait` for a test without Trio; raise `TimeoutError` after so many seconds."""
        if self._code is None:
            self._channel.settimeout(timeout)
            self._take()
        assert self._code is not None
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9``."""
        self.send_signal(signal.SIGKILL)

    def _take(self) -> None:
        status = int.from_bytes(exactly(self._channel, LENGTH), "little")
        self._code = os.waitstatus_to_exitcode(status)
        self._channel.close()


def start(
    code: str,
    *arguments: str | bytes,
    cwd: Path,
    env: Mapping[str, str],
    stdin: IO[bytes] | int | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> Forked:
    """Run `code` as ``python -c`` does, in a process of its own.

    Args:
        stdin, stdout, stderr: `subprocess.PIPE` or `DEVNULL`, a file or its descriptor; by default that of
            this process.
    """
    template, theirs = _template()
    changed = {name for name in {*env, *theirs} if env.get(name) != theirs.get(name)}
    refused = sorted(name for name in changed if name.startswith(_OF_THE_INTERPRETER))
    assert not refused, f"{refused}: only a process that is not forked can have these"
    with ExitStack() as stack:
        kept, given = list[trio.lowlevel.FdStream | None](), list[int]()
        for number, wanted in enumerate((stdin, stdout, stderr)):
            ours = None
            if wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                mine, its = (writing, reading) if number == 0 else (reading, writing)
                ours = trio.lowlevel.FdStream(mine)
                stack.callback(os.close, its)
            elif wanted == subprocess.DEVNULL:
                its = os.open(os.devnull, os.O_RDWR)
                stack.callback(os.close, its)
            else:
                its = number if wanted is None else wanted if isinstance(wanted, int) else wanted.fileno()
            kept.append(ours)
            given.append(its)
        channel, other = socket.socketpair()
        with other:
            socket.send_fds(template, [b"+"], [other.fileno(), *given])
    request = pickle.dumps((code, [os.fsdecode(one) for one in arguments], str(cwd), dict(env)))
    channel.sendall(len(request).to_bytes(LENGTH, "little") + request)
    return Forked(channel, *kept)


@cache
def _template() -> tuple[socket.socket, Mapping[str, str]]:
    """The socket of this process' template, and the environment it was started with."""
    ours, theirs = socket.socketpair()
    env = {**os.environ, "PYTHONPATH": ROOT}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.cli.template import main; main({theirs.fileno()})"],
            cwd=ROOT,
            env=env,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, env
