"""The disk below the broker: SQLite connections that fail when told to, and a process that dies in a call.

What the broker asks for is done inline, so that nothing happens at a time that the seed does not choose. An
auditor's own connection looks at the database after every call, and so `Truth` learns of a commit before
anybody else can. That connection also keeps SQLite from tidying up when a process that died lets go of its
own: the next one finds the write-ahead log as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

import trio
from outcome import capture

T = TypeVar("T")

FULL: Final = {"INSERT": sqlite3.SQLITE_FULL}
IO_ERROR: Final = {"COMMIT": sqlite3.SQLITE_IOERR}
UNREADABLE: Final = {"SELECT": sqlite3.SQLITE_IOERR, "COMMIT": sqlite3.SQLITE_IOERR}
LOCKED: Final = {"BEGIN IMMEDIATE": sqlite3.SQLITE_BUSY}


class Disk:
    """One database file over all lives of the hub, and what is wrong with it at present.

    Attributes:
        fails: the first words of SQL statements that fail, with SQLite's result code.
        delay, delay_after: seconds that a call takes before and after it does its work.
        crash: "before" or "after": the process dies in its next commit, with nothing or all of it done.
        felt: how many statements failed or were late.
    """

    def __init__(
        self, path: str, looked: Callable[[sqlite3.Connection], None], die: Callable[[str], None]
    ) -> None:
        self.path = path
        self._looked = looked
        self._die = die
        self.fails: dict[str, int] = {}
        self.delay = 0.0
        self.delay_after = 0.0
        self.crash = ""
        self.felt = 0
        self.running = 0
        self._auditor: sqlite3.Connection | None = None
        self._changes = -1
        self._made: list[Connection] = []

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.fails = {}
        self.delay = self.delay_after = 0.0
        self.crash = ""

    @property
    def well(self) -> bool:
        """Whether every call does at once what it is for."""
        return not (self.fails or self.delay or self.delay_after or self.crash or self.running)

    # --- for the broker -----------------------------------------------------------------------------

    def connect(self, path: str) -> sqlite3.Connection:
        """See `SqliteBroker`."""
        made = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Connection)
        made.disk = self
        made.dead = False
        self._made = [one for one in self._made if not one.shut]
        self._made.append(made)
        return made

    async def run(self, call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> T:
        """See `brokers.sqlite.connections.Run`."""
        async with limiter:
            self.running += 1
            with trio.CancelScope(shield=True):
                await self._wait(self.delay)
                found = capture(call)
                self.audit()
                if self.crash == "done":
                    self._crashes("after")
                await self._wait(self.delay_after)
            self.running -= 1
            return found.unwrap()

    async def _wait(self, seconds: float) -> None:
        if seconds:
            self.felt += 1
            await trio.sleep(seconds)

    def about_to(self, connection: Connection, sql: str) -> None:
        """A statement is about to be executed."""
        if connection.dead:
            raise failure(sqlite3.SQLITE_IOERR)
        for start, code in self.fails.items():
            if sql.startswith(start):
                self.felt += 1
                raise failure(code)
        if self.crash and sql == "UPDATE store SET commits = commits + 1":
            connection.in_append = True
        if self.crash and sql == "COMMIT" and connection.in_append:
            if self.crash == "before":
                self._crashes("before")
                raise failure(sqlite3.SQLITE_IOERR)
            self.crash = "done"

    def _crashes(self, when: str) -> None:
        self.crash = ""
        self._die(when)

    # --- for the driver -----------------------------------------------------------------------------

    def kill(self) -> None:
        """The process is gone, and its connections with it."""
        for connection in self._made:
            connection.dead = True
            # Its locks go with it, and what it had begun. Closing alone would not do: where a statement of it
            # is still being read SQLite keeps the connection, and its locks, until that is let go of.
            for end in (connection.rollback, connection.interrupt, connection.close):
                with suppress(sqlite3.Error):
                    end()

    @property
    def open(self) -> int:
        """Connections of the broker's that are not closed."""
        return sum(not one.shut for one in self._made)

    def audit(self) -> None:
        """Look at what is committed, if there is anything new."""
        changes = sum(one.total_changes for one in self._made if not one.shut)
        if self._auditor is None or changes == self._changes:
            return
        self._changes = changes
        self._looked(self._auditor)

    def begin_audit(self) -> None:
        """The database is there: look at it from now on."""
        if self._auditor is None:
            self._auditor = sqlite3.connect(self.path, isolation_level=None)
            self._changes = -1
            self.audit()

    def end_audit(self) -> None:
        """Let the broker be the last to close the database."""
        if self._auditor is not None:
            self._auditor.close()
            self._auditor = None

    @property
    def auditor(self) -> sqlite3.Connection:
        """The auditor's connection."""
        assert self._auditor is not None
        return self._auditor


class Connection(sqlite3.Connection):
    """One of the broker's."""

    disk: Disk
    dead: bool
    in_append = False
    shut = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.disk.about_to(self, sql)
        return super().execute(sql, *parameters)

    def cursor(self, *arguments: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(Cursor)

    def close(self) -> None:
        self.shut = True
        super().close()


class Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
        connection = self.connection
        assert isinstance(connection, Connection)
        connection.disk.about_to(connection, sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Cursor:
        connection = self.connection
        assert isinstance(connection, Connection)
        connection.disk.about_to(connection, sql)
        super().executemany(sql, rows)
        return self


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "INJECTED"
    return error
