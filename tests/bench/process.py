"""A server under measurement: its CPU time over all threads and children, its memory, its core."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
"""Peers' environments and everything that a run writes; git does not know it."""
SERVER_CORE = 0
CLIENT_CORE = 1
SPARE = 500
"""Descriptors that a server needs for other things than its clients."""
_CPU_CLOCK = 2


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has it."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def raise_open_files(wanted: int = 40_000) -> int:
    """Allow this process, and the servers it starts, `wanted` open files or as many as may be; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
        if soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (ValueError, OSError):
            continue
        soft = limits[0]
    return soft


def data_folder(purpose: str) -> Path:
    """Make an empty folder in ``.bench/data``, which needs not exist yet; its name begins with `purpose`."""
    data = HOME / "data"
    data.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=data))


class Server:
    """A server process that says ``ready PORT`` on its standard output.

    It finds a folder of its own in $BENCH_FOLDER and the port to listen on in $BENCH_PORT (0: any free one).
    Its standard error, where servers log, goes to a file in that folder; `log_tail` reads its end.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        folder: Path | None = None,
        port: int = 0,
        checkout: Path = ROOT,
    ) -> None:
        self.name = name
        self._own = folder is None
        self.folder = folder or data_folder("run")
        environment = os.environ | {"BENCH_FOLDER": str(self.folder), "BENCH_PORT": str(port)}
        self.started = time.perf_counter()
        self._log = self.folder / "server.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=checkout,
                env=environment,
                start_new_session=True,
            )
        try:
            self._pin_server()
            self.port = self._ready()
        except BaseException:
            self.__exit__()
            raise
        self.ready_after = time.perf_counter() - self.started

    def _pin_server(self) -> None:
        """Before it has done anything: the threads and children to come inherit it."""
        if (os.cpu_count() or 1) > SERVER_CORE:
            os.sched_setaffinity(self.process.pid, {SERVER_CORE})

    def _ready(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"ready (\d+)", line):
                return int(found[1])
        raise RuntimeError(f"{self.name} did not start: exit code {self.process.wait()}\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of what it logged so far."""
        return self._log.read_bytes()[-2000:].decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End it and its children at once, as a power cut would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def cpu(self) -> float:
        """Seconds on a processor so far, user and system, over all threads, ended ones too (ns clock)."""
        # The kernel's numbering of CPU clocks (clock_getcpuclockid): the inverted pid above three bits.
        return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in self._pids())

    def settle(self, longest: float = 30.0) -> None:
        """Wait until it has done what it still had to do: under a tenth of a core for a fifth of a second."""
        end = time.perf_counter() + longest
        while time.perf_counter() < end:
            before = self.cpu()
            time.sleep(0.2)
            if self.cpu() - before < 0.02:
                return

    def pss(self) -> int:
        """Proportional set size in bytes."""
        total = 0
        for pid in self._pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
            assert found is not None
            total += int(found[1]) * 1024
        return total

    def _pids(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found
