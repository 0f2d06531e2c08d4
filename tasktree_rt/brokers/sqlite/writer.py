"""The transactions of the SQLite broker, on the one connection that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from tasktree_rt.brokers.base import Append, Outcome
from tasktree_rt.brokers.sqlite.appender import Appender

T = TypeVar("T")

_PROBE_SIZE: Final = 65_536


class Writer:
    """The connection that writes. All methods block and belong into one thread at a time.

    `connect` makes the connection, and makes it again if one cannot even roll back. `committed` is called
    after each append, with the number of appends in all. `before` and `after` are called around each commit
    and raise if the next to open the database would not find it: what is refused is not kept, and what is
    lost is not answered.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        committed: Callable[[int], None],
        *,
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._committed = committed
        self._before = before
        self._after = after
        self._connection: sqlite3.Connection | None = connect()
        self._appender = Appender()

    def close(self) -> None:
        """Close the connection. The last one to close carries SQLite's write-ahead log over into the
        database.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def transact(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Do `work` in a transaction. If anything fails, nothing of it was done and the next one may work."""
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            result = work(cursor)
            self._before()
            cursor.execute("COMMIT")
            self._after()
        except BaseException:
            self._undo(self._connection)
            raise
        return result

    def _undo(self, connection: sqlite3.Connection) -> None:
        self._appender.forget()
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return
        self._connection = None
        with suppress(sqlite3.Error):
            connection.close()

    def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Write a batch in one transaction; see `Broker.append`."""
        try:
            outcomes, commits = self.transact(partial(self._append, batch, False))
        except sqlite3.IntegrityError:
            outcomes, commits = self.transact(partial(self._append, batch, True))
        self._committed(commits)
        return outcomes

    def _append(
        self, batch: Sequence[Append], look: bool, cursor: sqlite3.Cursor
    ) -> tuple[list[Outcome], int]:
        outcomes = self._appender.append(cursor, batch, look=look)
        cursor.execute("UPDATE store SET commits = commits + 1")
        return outcomes, cursor.execute("SELECT commits FROM store").fetchone()[0]

    def forget(self) -> None:
        """Forget what is in memory of lives and producers: their rows have been changed beside `append`."""
        self._appender.forget()

    def forget_producer(self, subject: str, producer_id: str) -> None:
        """Forget what is in memory of a producer: its row has been deleted."""
        self._appender.forget_producer(subject, producer_id)

    def probe(self) -> None:
        """Write pages and delete them again: raises if an append would."""
        self.transact(_probe)


def _probe(cursor: sqlite3.Cursor) -> None:
    cursor.execute("INSERT INTO probe (body) VALUES (zeroblob(?))", (_PROBE_SIZE,))
    cursor.execute("DELETE FROM probe")
