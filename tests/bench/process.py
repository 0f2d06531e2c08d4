"""A server under measurement: its CPU time over all threads, its memory, its core."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

SERVER_CORE = 0
CLIENT_CORE = 1


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has it."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


class Server:
    """A server process that says ``ready PORT`` on its standard output."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._pin_server()
        self.port = self._ready()

    def _pin_server(self) -> None:
        """Before it has done anything: the threads to come inherit it."""
        if SERVER_CORE in os.sched_getaffinity(self.process.pid) or (os.cpu_count() or 1) > SERVER_CORE:
            os.sched_setaffinity(self.process.pid, {SERVER_CORE})

    def _ready(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"ready (\d+)", line):
                return int(found[1])
        raise RuntimeError(f"{self.name} did not start: exit code {self.process.wait()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def cpu(self) -> float:
        """Seconds on a processor so far, user and system, over all threads (nanosecond clock)."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def pss(self) -> int:
        """Proportional set size in bytes."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]
