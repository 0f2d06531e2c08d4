"""Filling the search index behind the commits, and taking out of it what was trimmed.

One step is one statement over some events: SQLite reads the events, takes the texts out of their JSON and
stores the words, all without Python, so that the event loop goes on meanwhile. The index's own position is
written in the same transaction: after a crash it goes on from there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, event_key
from tasktree_rt.brokers.sqlite.search_file import ATOMS, closed
from tasktree_rt.core.search import MAX_TEXT
from tasktree_rt.core.topics import user_topic

T = TypeVar("T")
_ROWS: Final = 250
"""Events that one step takes in, or out, at most."""
_BYTES: Final = 128 * 1024
"""Bytes of the bodies that one step takes in, if it takes in more than one event. A step is two milliseconds
of a processor then; where the event loop shares its processor with this thread, an event waits for a step."""
_USERS: Final = user_topic("")
_ESC: Final = "char(27)"
_MESSAGE: Final = "json_extract(CAST(body AS TEXT), '$.data.message')"
_LEVEL: Final = "lower(json_extract(CAST(body AS TEXT), '$.data.level'))"
_KIND: Final = "CASE type WHEN 'log' THEN 'klog' WHEN 'node_update' THEN 'knode' ELSE 'kevent' END"
_TEXT: Final = f"""
    CASE WHEN type = 'log' THEN
        CASE WHEN instr({_MESSAGE}, {_ESC}) THEN shown({_MESSAGE}) ELSE {_MESSAGE} END
    ELSE {ATOMS} END"""
_TAKE_IN: Final = f"""
    INSERT INTO entry (rowid, text, tags)
    SELECT key, substr(coalesce({_TEXT}, ''), 1, {MAX_TEXT}),
        {_KIND} || coalesce(' n' || hex(node), '')
        || CASE WHEN type = 'log' THEN coalesce(' l' || hex({_LEVEL}), '') ELSE '' END
    FROM store.event
    WHERE key > ? AND key <= ? AND json_valid(CAST(body AS TEXT))"""  # noqa: S608 - of constants
_TOO_MANY: Final = """
    SELECT min(key) FROM (
        SELECT key, sum(length(body)) OVER (ORDER BY key) - length(body) AS before
        FROM store.event WHERE key > ? AND key <= ?
    ) WHERE before >= ?"""
_BEHIND: Final = """
    SELECT l.life, l.floor, max(l.floor, coalesce(p.upto, 0)), l.head
    FROM store.life l LEFT JOIN progress p ON p.life = l.life
    WHERE l.life > ? AND l.head > coalesce(p.upto, 0) AND substr(l.project, 1, ?) <> ?
    ORDER BY l.life LIMIT 1"""
_TRIMMED: Final = """
    SELECT p.life, p.floor, min(coalesce(l.floor, p.upto), p.upto), l.life IS NULL
    FROM progress p LEFT JOIN store.life l ON l.life = p.life
    WHERE l.life IS NULL OR p.floor < min(l.floor, p.upto) LIMIT 1"""
_MOVE_ON: Final = """
    INSERT INTO progress VALUES (?1, ?2, ?3) ON CONFLICT (life) DO UPDATE SET upto = ?3"""
_TAKE_OUT: Final = "DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry WHERE rowid > ? AND rowid <= ?)"


class IndexWriter:
    """Steps of the index. All methods block and belong into one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._life = 0
        """The life that had the last turn."""
        self._done_at = -1
        """The database's version at which nothing was left to do."""

    def close(self) -> None:
        """Close the connection, and the file for good."""
        with suppress(sqlite3.Error):
            closed(self._connection)
        self._connection.close()

    def step(self) -> bool:
        """Do some of the work; False if nothing is left to do.

        Raises:
            sqlite3.Error: the step was not done.
        """
        (version,) = self._connection.execute("PRAGMA store.data_version").fetchone()
        if version == self._done_at:
            return False
        busy = self._worked()
        if not busy:
            self._done_at = version
        return busy

    def _worked(self) -> bool:
        row = self._behind(self._life) or self._behind(0)
        if row is None:
            return self._in_transaction(self._take_out)
        life, floor, upto, head = row
        self._life = life
        reached = min(head, upto + _ROWS)
        keys = event_key(life, upto), event_key(life, reached)
        with suppress(sqlite3.DatabaseError):  # of a damaged part: then all of it is one step
            (stop,) = self._connection.execute(_TOO_MANY, (*keys, _BYTES)).fetchone()
            if stop is not None:
                keys = keys[0], stop - 1
                reached = keys[1] & MAX_SEQ
        move_on = partial(self._connection.execute, _MOVE_ON, (life, floor, reached))
        try:
            self._in_transaction(
                lambda: (self._connection.execute(_TAKE_IN, keys), move_on(), self._take_out())
            )
        except sqlite3.DatabaseError:
            if self._readable(keys):
                raise
            self._in_transaction(move_on)  # what is damaged in the database cannot be found
        return True

    def _in_transaction(self, work: Callable[[], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    def _readable(self, keys: tuple[int, int]) -> bool:
        try:
            self._connection.execute(
                "SELECT sum(length(body)) FROM store.event WHERE key > ? AND key <= ?", keys
            )
        except sqlite3.DatabaseError:
            return False
        return True

    def _behind(self, after: int) -> tuple[int, int, int, int] | None:
        found: tuple[int, int, int, int] | None = self._connection.execute(
            _BEHIND, (after, len(_USERS), _USERS)
        ).fetchone()
        return found

    def _take_out(self) -> bool:
        row = self._connection.execute(_TRIMMED).fetchone()
        if row is None:
            return False
        life, floor, target, gone = row
        reached = min(target, floor + _ROWS, MAX_SEQ)
        self._connection.execute(_TAKE_OUT, (event_key(life, floor), event_key(life, reached)))
        if gone and reached == target:
            self._connection.execute("DELETE FROM progress WHERE life = ?", (life,))
        else:
            self._connection.execute("UPDATE progress SET floor = ? WHERE life = ?", (reached, life))
        return True
