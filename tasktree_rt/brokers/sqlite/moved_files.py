"""Whether a database's files are still where they were opened: if not, the next to open it finds other ones.

SQLite goes on writing into files that were removed, moved or replaced. `check` compares their inodes. Around
every commit that would cost several looks at the file system, so `before_commit` and `after_commit` look at
the folder only: as long as it is the same one and its time of change stands, nothing in it was added, renamed
or removed. A time of change that is younger than a second proves nothing, since it moves in steps.
"""

from __future__ import annotations

import os
import time
from typing import Final

from tasktree_rt.errors import StoreUnavailable

_BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside a database while it is open; the first holds what is newest."""
_STEP: Final = 1_000_000_000
"""Nanoseconds; file systems that can hold a database count in less."""


class MovedFiles:
    """The files of the database at `path`, which is open. All methods block."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder = os.path.dirname(path)
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        names = [path, *(path + suffix for suffix in _BESIDE)]
        found = [(name, os.stat(name)) for name in names if os.path.exists(name)]
        self._files = [(name, one.st_dev, one.st_ino) for name, one in found]
        self._quiet = (0, 0, 0)
        """The folder's device, inode and time of change, when it proves that nothing happened."""

    def close(self) -> None:
        """Close the folder."""
        os.close(self._descriptor)

    def before_commit(self) -> None:
        """See `check`; a folder that was moved itself is found after the commit."""
        if os.fstat(self._descriptor).st_mtime_ns != self._quiet[2]:
            self.check()

    def after_commit(self) -> None:
        """See `check`; of the database's contents nothing is looked at."""
        if self._look() != self._quiet:
            self.check()

    def check(self) -> None:
        """Make sure that the next to open the database finds what is committed.

        Raises:
            StoreUnavailable: a file was removed, moved, replaced or emptied.
        """
        folder, now = self._look(), time.time_ns()
        for name, device, inode in self._files:
            try:
                found = os.stat(name)
            except OSError as error:
                raise _lost(name, f"is no longer there ({error.strerror})") from None
            if (found.st_dev, found.st_ino) != (device, inode):
                raise _lost(name, "was replaced by another file")
            if name == self._path and not found.st_size:
                raise _lost(name, "was emptied")
        self._quiet = folder if folder[2] + _STEP < now else (0, 0, 0)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._folder)
        except OSError as error:
            raise _lost(self._folder, f"is no longer there ({error.strerror})") from None
        return found.st_dev, found.st_ino, found.st_mtime_ns


def _lost(path: str, what: str) -> StoreUnavailable:
    return StoreUnavailable(f"{path} {what}: put it back, if it can be, and restart the hub", lasting=True)
