"""``tasktree-rt``, with its number of Trio tasks in the file $SOAK_TASKS: eight bytes, little-endian."""

from __future__ import annotations

import mmap
import os
from typing import Any

import trio

from tasktree_rt.cli.main import main


class Counter(trio.abc.Instrument):
    """Writes the number of tasks at each change."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._place = mmap.mmap(file.fileno(), 8)
        self._count = 0

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
        return plain(*arguments, **options, instruments=[Counter(os.environ["SOAK_TASKS"])])

    trio.run = counted  # type: ignore[assignment]
    main()
