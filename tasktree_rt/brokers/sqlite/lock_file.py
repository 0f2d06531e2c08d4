"""The file beside a database: one hub at a time, and a memory of how far the database had come.

``PATH.lock`` is locked (flock) as long as a hub has the database open; the database itself, which may have
other names, is held by `hold`. It also says of the database which lineage of history it is (a random name,
made with the database and again at every restore) and how many commits it has seen. A database that has
another lineage or fewer commits than its guard remembers, or that was opened before and has no guard, is an
older copy: watchers have seen events that came after the copy was taken, so their positions must not be given
again.

The count of commits is written after each commit and before its answer, without fsync: it outlives
``kill -9`` exactly. After a power failure it may lag behind by what the kernel had not written yet (some
30 s), and only a backup taken within that time would go unnoticed.

A copy of both files is known by the database's inode and, once the hub has closed in order, its change time.
Not recognised: a whole volume rolled back, and both files overwritten in place after a crash.
After either, remove ``PATH.lock`` by hand.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from typing import Final

from tasktree_rt import private
from tasktree_rt.errors import StoreUnusable

_TEXT: Final = "tasktree-rt guard 1\npid %010d\nlineage %-32s\ncommits %020d\ninode %020d\nchanged %020d\n"
_PATTERN: Final = re.compile(
    rb"tasktree-rt guard 1\npid (\d{10})\nlineage ([0-9a-f]*) *\ncommits (\d{20})\ninode (\d{20})\n"
    rb"changed (\d{20})\n"
)


class LockFile:
    """The locked file. `acquire` makes it; `release` unlocks it and leaves it where it is.

    The file is never removed once a database was opened: a hub that still had it open would lock a file that
    no other hub sees.
    """

    def __init__(self, path: str, descriptor: int, created: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self._created = created
        self._lineage = ""
        self._commits = 0
        self._inode = 0
        self._changed = 0
        self._read()

    @classmethod
    def acquire(cls, database: str) -> LockFile:
        """Lock the file beside `database`, making it if need be.

        Raises:
            StoreUnusable: another hub holds it, or it cannot be written.
        """
        path = f"{database}.lock"
        created = not os.path.exists(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
        except OSError as error:
            raise StoreUnusable(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreUnusable(f"{database} is open in another hub{holder}") from None
            raise StoreUnusable(f"cannot lock {path}: {error.strerror}") from error
        return cls(path, descriptor, created)

    def knows(self, lineage: str, commits: int, file: os.stat_result) -> bool:
        """Return whether the database that says this of itself is the one last seen, and not older.

        `file` is what the system says of it before it was opened.
        """
        return (
            lineage == self._lineage
            and commits >= self._commits
            and file.st_ino == self._inode
            and self._changed in (0, file.st_ctime_ns)
        )

    def begin(self, lineage: str, commits: int, file: os.stat_result) -> None:
        """Write what the database is now, at open; from then on `committed` is called for each commit.

        Raises:
            OSError: it could not be written durably.
        """
        self._lineage, self._commits, self._inode, self._changed = lineage, commits, file.st_ino, 0
        self._write()
        self._sync()

    def committed(self, commits: int) -> None:
        """Write the number of commits. If that fails, the next call or `end` makes up for it."""
        self._commits = commits
        with suppress(OSError):
            self._write()

    def end(self, file: os.stat_result) -> None:
        """Note that the database was closed in order by its only user, with `file` as its last status."""
        self._changed = file.st_ctime_ns
        with suppress(OSError):
            self._write()
            self._sync()

    def release(self, *, forget: bool = False) -> None:
        """Unlock. With `forget` a file made by this guard goes: the database turned out not to be ours."""
        if forget and self._created:
            with suppress(OSError):
                os.unlink(self._path)
        os.close(self._descriptor)

    def _read(self) -> None:
        match = _PATTERN.fullmatch(os.pread(self._descriptor, 512, 0))
        if match:
            self._lineage = match[2].decode()
            self._commits, self._inode, self._changed = (int(match[group]) for group in (3, 4, 5))

    def _write(self) -> None:
        text = _TEXT % (os.getpid(), self._lineage, self._commits, self._inode, self._changed)
        os.pwrite(self._descriptor, text.encode(), 0)

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        folder = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def holder_of(database: str) -> int | None:
    """Return the process of the hub that has a database open, 0 if that is unknown; None if no hub has.

    Asks for a shared lock for a moment, and makes no file.
    """
    try:
        descriptor = os.open(f"{database}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        match = _PATTERN.fullmatch(os.pread(descriptor, 512, 0))
        return int(match[1]) if match else 0
    finally:
        os.close(descriptor)
    return None


def _holder(descriptor: int) -> str:
    match = _PATTERN.fullmatch(os.pread(descriptor, 512, 0))
    return f" (process {int(match[1])})" if match else ""
