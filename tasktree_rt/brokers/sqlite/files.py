"""Opening a database: what may be opened, making a new one, noticing that it is an older copy, and later that
it is no longer where it was.

An older copy (a restored backup; `lock_file` says how it is known) keeps everything it has, but each of
its projects goes on under a new epoch: logs, checkpoints, snapshots and idempotency records name a life by
its number, so renaming the lives is all there is to do, in the transaction that also begins the new lineage.
No position given out before, in this history or in the one that was lost, ever names another event.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt import private
from tasktree_rt.brokers.sqlite import open_checks as identity
from tasktree_rt.brokers.sqlite import schema
from tasktree_rt.brokers.sqlite.database_file import DatabaseFile
from tasktree_rt.brokers.sqlite.lock_file import LockFile
from tasktree_rt.brokers.sqlite.moved_files import MovedFiles
from tasktree_rt.errors import StoreUnavailable, StoreUnusable

log: Final[BoundLogger] = get_logger("tasktree_rt.sqlite")
_ZEROS: Final = 1 << 20
_ROOM: Final = 1 << 20
"""Bytes of a disk below which it is called full."""
_BESIDE: Final = ("-wal", "-shm", "-journal", ".lock")
Connect = Callable[[str], sqlite3.Connection]


class Files:
    """A database, its guard, and where they are. All methods block.

    Attributes:
        path: of the database, symbolic links resolved, so that two names of it have one guard.
    """

    def __init__(self, path: str, connect: Connect, busy_timeout: float, log_bytes: int = 0) -> None:
        self.path = os.path.realpath(path)
        self._connect = connect
        self._busy_timeout = busy_timeout
        self._log_bytes = log_bytes
        self._guard: LockFile | None = None
        self._hold: DatabaseFile | None = None
        self._places: MovedFiles | None = None

    def open(self) -> None:
        """Lock, check, and make or settle the database; then `writer` and `reader` connect to it.

        Raises:
            StoreUnusable, StoreUnavailable: nothing is left open or locked.
        """
        if sqlite3.sqlite_version_info < schema.MINIMUM_SQLITE:
            raise StoreUnusable(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 is needed")
        _make_folder(os.path.dirname(self.path))
        guard = LockFile.acquire(self.path)
        hold: DatabaseFile | None = None
        try:
            with refusals(self.path):
                hold = DatabaseFile.acquire(self.path)
                self._settle(guard, hold)
        except BaseException as error:
            unusable = isinstance(error, StoreUnusable)
            if hold is not None:
                hold.release(forget=unusable)
            guard.release(forget=unusable)
            raise
        self._guard, self._hold = guard, hold

    def writer(self) -> sqlite3.Connection:
        """A new connection to write with.

        Raises:
            StoreUnavailable: there was one before, and the files are no longer in their places.
        """
        self.check()
        self._lengthen_log()
        return self._prepared(schema.prepare_writer)

    def reader(self) -> sqlite3.Connection:
        """A new connection to read with; a last one that is closed takes the write-ahead log with it, so that
        this one has read already when the writer's is replaced.
        """
        connection = self._prepared(schema.prepare_reader)
        connection.execute("SELECT 1 FROM store").fetchone()
        return connection

    def opened(self) -> None:
        """Note where the files are, once both connections have been made and used."""
        self._places = MovedFiles(self.path)

    def check(self) -> None:
        """Raise if the files have moved, see `MovedFiles.check`; does nothing before `opened`."""
        if self._places is not None:
            self._places.check()

    @property
    def full(self) -> bool:
        """Whether the disk has next to no room; SQLite calls it an I/O error in some places."""
        try:
            found = os.statvfs(os.path.dirname(self.path))
        except OSError:
            return False
        return found.f_bavail * found.f_frsize < _ROOM

    def before_commit(self) -> None:
        """Check the places before a commit; see `MovedFiles.before_commit`."""
        if self._places is not None:
            self._places.before_commit()

    def after_commit(self) -> None:
        """Check the places after a commit; see `MovedFiles.after_commit`."""
        if self._places is not None:
            self._places.after_commit()

    def _lengthen_log(self) -> None:
        """Make the write-ahead log in zeros, if there is none.

        SQLite takes one without a header as empty, and writes over it. Without room it grows as ever.
        """
        path = f"{self.path}-wal"
        if not self._log_bytes or os.path.exists(path):
            return
        try:
            _write_zeros(path, self._log_bytes, os.stat(self.path))
        except OSError:
            with suppress(OSError):
                os.unlink(path)

    def committed(self, commits: int) -> None:
        """Note the number of appends committed in all; called before any of them is answered."""
        if self._guard is not None:
            self._guard.committed(commits)

    def close(self) -> None:
        """Release the locks, once all connections are closed."""
        guard, self._guard = self._guard, None
        hold, self._hold = self._hold, None
        if guard is None or hold is None:
            return
        try:
            in_place = os.path.samestat(os.stat(self.path), hold.status)
            # With a log beside it another program has it open and will still write.
            if in_place and not os.path.exists(f"{self.path}-wal"):
                guard.end(hold.status)
        except OSError:
            pass  # the next to open it finds it as after a crash
        finally:
            if self._places is not None:
                self._places.close()
            self._places = None
            hold.release()
            guard.release()

    def _tighten(self) -> None:
        """Leave the files to their owner alone; an older version made them as the umask was.

        SQLite gives what it makes beside a database the database's own mode.
        """
        for path in (self.path, *(self.path + suffix for suffix in _BESIDE)):
            with suppress(FileNotFoundError):
                private.tighten(path)

    def _prepared(self, prepare: Callable[[sqlite3.Connection, float], None]) -> sqlite3.Connection:
        connection = self._connect(self.path)
        try:
            prepare(connection, self._busy_timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    def _settle(self, guard: LockFile, hold: DatabaseFile) -> None:
        file = identity.inspect(self.path, hold)
        connection = self._connect(self.path)
        try:
            connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout * 1000)}")
            fresh = identity.is_fresh(connection, self.path)
            self._tighten()
            if fresh:
                _create(connection)
            else:
                _upgrade(connection)
            schema.prepare_writer(connection, self._busy_timeout)
            identity.check_pages(connection, self.path)
            lineage, commits = connection.execute("SELECT lineage, commits FROM store").fetchone()
            if not fresh and not (file and guard.knows(lineage, commits, file)):
                lineage = _begin_lineage(connection)
                log.warning(
                    "older copy opened: every project has a new epoch", store=self.path, commits=commits
                )
            guard.begin(lineage, commits, hold.status)
        finally:
            connection.close()


@contextmanager
def refusals(path: str) -> Iterator[None]:
    """Translate an error at open: a passing fault, or a file that can never be used."""
    try:
        yield
    except sqlite3.Error as error:
        if schema.primary_code(error) in schema.PASSING:
            raise StoreUnavailable(f"{path}: {schema.reason(error)}") from error
        raise StoreUnusable(f"{path}: {schema.reason(error)}") from error
    except OSError as error:
        raise StoreUnusable(f"{path}: {error.strerror or error}") from error


def _write_zeros(path: str, size: int, like: os.stat_result) -> None:
    """Make a file of zeros that the same may read and write as another."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, like.st_mode & 0o777)
    with open(descriptor, "wb") as file:
        if os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o777)
        file.writelines(bytes(_ZEROS) for _ in range(0, size, _ZEROS))
        file.flush()
        os.fsync(descriptor)


def _make_folder(folder: str) -> None:
    try:
        private.make_folder(folder)
    except OSError as error:
        raise StoreUnusable(f"cannot make the folder {folder}: {error.strerror}") from error


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in schema.SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO store VALUES (1, ?, 0, 0)", (secrets.token_hex(16),))
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring an older database to the present version, all or nothing."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == schema.VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for older in range(version, schema.VERSION):
        for statement in schema.UPGRADES[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")


def _begin_lineage(connection: sqlite3.Connection) -> str:
    """Rename every life of an older copy, and the copy's history with them."""
    lineage = secrets.token_hex(16)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE life SET epoch = lower(hex(randomblob(9)))")
    connection.execute("UPDATE store SET lineage = ?", (lineage,))
    connection.execute("COMMIT")
    return lineage
