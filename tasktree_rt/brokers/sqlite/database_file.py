"""The database file itself, open and locked as long as a hub uses it, whatever name the hub knows it by.

A hard link, or one file mounted into two containers, gives a database two names, each with a guard and a
write-ahead log of its own: two hubs would not see each other. So one byte of the file is locked, too, far
behind those that SQLite locks (sqlite.org/lockingv3). The lock is one of an open file description: closing
another descriptor of the file in the same process, as SQLite does, leaves it alone. Where a system has no
such locks (they are Linux's) only the guard keeps a second hub out.

The descriptor must be closed after SQLite's: closing it drops the process's POSIX locks on the file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from typing import Final

from tasktree_rt import private
from tasktree_rt.errors import StoreUnusable

_OFD_SETLK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_PLACE: Final = 1 << 62
"""The byte that is locked."""
_held: Final[set[tuple[int, int]]] = set()
"""Device and inode of what this process holds: opening such a file and closing it would drop its locks."""
_FLOCK: Final = struct.Struct("hhqqi4x")
"""Linux's ``struct flock`` with 64-bit offsets: type, whence, start, length, and a process of 0."""


class DatabaseFile:
    """A database file held by one hub. Made by `acquire`."""

    def __init__(self, path: str, descriptor: int, created: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self._created = created

    @classmethod
    def acquire(cls, path: str) -> DatabaseFile:
        """Open and lock the file, making an empty one if there is none.

        Raises:
            OSError: it cannot be opened.
            StoreUnusable: it is no file, or another hub holds it.
        """
        created = not os.path.lexists(path)
        if not created and not os.path.isfile(path):
            raise StoreUnusable(f"{path} is not a file")
        # For writing too, though nothing is written: SQLite would open a read-only file without a word.
        if not created and _identity(os.stat(path)) in _held:
            raise _in_use(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
        try:
            if created:
                private.tighten(descriptor)
            _lock(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        _held.add(_identity(os.fstat(descriptor)))
        return cls(path, descriptor, created)

    @property
    def status(self) -> os.stat_result:
        """The file's status now."""
        return os.fstat(self._descriptor)

    def read(self, size: int) -> bytes:
        """Read the first bytes of the file."""
        return os.pread(self._descriptor, size, 0)

    def release(self, *, forget: bool = False) -> None:
        """Unlock and close it. With `forget` an empty file that `acquire` made goes."""
        if forget and self._created and self.status.st_size == 0:
            with suppress(OSError):
                os.unlink(self._path)
        _held.discard(_identity(self.status))
        os.close(self._descriptor)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _in_use(path: str) -> StoreUnusable:
    return StoreUnusable(f"{path} is open in another hub, which knows it by another name")


def _lock(descriptor: int, path: str) -> None:
    if _OFD_SETLK is None:
        return
    try:
        fcntl.fcntl(descriptor, _OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _PLACE, 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise _in_use(path) from None
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise StoreUnusable(f"cannot lock {path}: {error.strerror}") from error
