"""``tasktree-rt run`` and ``tasktree-sh`` as real processes, with pipes or in a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cli.processes import PATIENCE, environment

RUN = (sys.executable, "-m", "tasktree_rt", "run")


def ran(
    folder: Path, *words: str, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command ``run`` to its end."""
    env = {**environment(folder), **variables}
    return subprocess.run(
        [*RUN, *words], check=False, input=stdin, capture_output=True, cwd=folder, env=env, timeout=PATIENCE
    )


def begun(folder: Path, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start the command ``run``; its output comes by a pipe."""
    env = {**environment(folder), **variables}
    return subprocess.Popen(
        [*RUN, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=folder, env=env
    )


def read_until(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Read the output until a line holds this."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}")


class Terminal:
    """A program in a terminal of its own, as a person sees it."""

    def __init__(self, pid: int, master: int) -> None:
        self.pid = pid
        self.master = master
        self.shown = b""

    def until(self, text: bytes) -> None:
        """Read until the terminal has shown this."""
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self._read(end - time.monotonic()), self.shown

    def end(self) -> int:
        """Read to the end; return the exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE
        while self._read(end - time.monotonic()):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0.0, patience))
        assert ready, self.shown
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)


@contextmanager
def terminal(folder: Path, *command: str, env: Mapping[str, str], rows: int = 24) -> Iterator[Terminal]:
    """Run a program in a new terminal of so many rows and 80 columns, without echo."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            termios.tcsetwinsize(0, (rows, 80))
            mode = termios.tcgetattr(0)
            mode[tty.LFLAG] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSANOW, mode)
            os.chdir(folder)
            os.execve(command[0], command, dict(env))  # noqa: S606 - this test's own program
        finally:
            os._exit(99)
    try:
        yield Terminal(pid, master)
    finally:
        os.close(master)


def shell_script(folder: Path) -> Path:
    """``tasktree-sh`` as it is installed."""
    script = folder / "tasktree-sh"
    script.write_text(f"#!{sys.executable}\nfrom tasktree_rt.cli.shell.sh import main\n\nmain()\n")
    script.chmod(0o755)
    return script
