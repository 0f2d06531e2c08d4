"""``tasktree-rt``, with its number of Trio tasks and of allocated blocks of memory in the file $SOAK_COUNTS:
eight bytes each, little-endian.

Python allocates a block for each object and for what objects hold. A leak of objects shows in their number
at once; in the process' memory it hides behind caches that fill.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any, Final

import trio

from tasktree_rt.cli.main import main

INTERVAL: Final = 0.2
"""Seconds between two counts of blocks."""


class Counter(trio.abc.Instrument):
    """Writes the number of tasks at each change, and that of blocks a few times a second."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._place = mmap.mmap(file.fileno(), 16)
        self._count = 0
        self._due = 0.0

    def before_io_wait(self, timeout: float) -> None:
        now = trio.current_time()
        if now >= self._due:
            self._due = now + INTERVAL
            self._place[8:] = sys.getallocatedblocks().to_bytes(8, "little")

    def task_spawned(self, task: Any) -> None:
        self._note(1)

    def task_exited(self, task: Any) -> None:
        self._note(-1)

    def _note(self, change: int) -> None:
        self._count += change
        self._place[:8] = self._count.to_bytes(8, "little")


def run() -> None:
    """Run the command with the counter in every event loop."""
    plain = trio.run

    def counted(*arguments: Any, **options: Any) -> Any:
        return plain(*arguments, **options, instruments=[Counter(os.environ["SOAK_COUNTS"])])

    trio.run = counted  # type: ignore[assignment]
    main()
