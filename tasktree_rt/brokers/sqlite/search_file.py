"""The file of the search index, ``PATH.search``, beside the database.

It holds nothing that the database does not: a file that is lost, damaged, of another version or of another
history of the database is made anew and filled again. Its connections see the database as ``store``, to read
only.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from typing import Final
from urllib.parse import quote

from tasktree_rt import private
from tasktree_rt.core.search import BETWEEN, MAX_TEXT
from tasktree_rt.core.terminal import shown_text

SUFFIX: Final = ".search"
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
_VERSION: Final = 1
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = OFF",
    "cache_size = -8192",
    "busy_timeout = 500",
    "wal_autocheckpoint = 4000",
)
_LONGEST: Final = 4 * MAX_TEXT
"""Characters of output with escape sequences that are read as a terminal would."""
_SCHEMA: Final = (
    # `tags` has words for kind, level and node, so that a filter is one more word.
    "CREATE VIRTUAL TABLE entry USING fts5(text, tags, tokenize = 'unicode61 remove_diacritics 2')",
    # How far each life is in the index: events above `floor` up to `upto`.
    "CREATE TABLE progress (life INTEGER PRIMARY KEY, floor INTEGER NOT NULL, upto INTEGER NOT NULL) STRICT",
    # The history of the database; the run of the machine that writes the file, '' once it is closed.
    """CREATE TABLE source (
        id INTEGER PRIMARY KEY CHECK (id = 1), lineage TEXT NOT NULL, run TEXT NOT NULL
    ) STRICT""",
)
ATOMS: Final = f"""
    (SELECT group_concat(atom, '{BETWEEN}') FROM json_tree(CAST(body AS TEXT), '$.data')
     WHERE type IN ('text', 'integer', 'real'))"""  # noqa: S608 - of constants
"""An event's text as `core.search.event_text` has it."""


class SearchFile:
    """The index of one database; all methods block. `path` is the database's."""

    def __init__(self, path: str) -> None:
        self._store = os.path.realpath(path)
        self.path = self._store + SUFFIX

    @property
    def there(self) -> bool:
        """Whether the file is in its place."""
        return os.path.exists(self.path)

    def writer(self) -> sqlite3.Connection:
        """Connect to write; make the file anew if it is not an index of this database.

        Raises:
            sqlite3.Error, OSError: that cannot be done.
        """
        try:
            return self._usable()
        except (sqlite3.DatabaseError, _OfAnother):
            self.delete()
            return self._usable()

    def reader(self) -> sqlite3.Connection:
        """Connect to read, once `writer` has.

        Raises:
            sqlite3.Error: that cannot be done.
        """
        connection = self._connect()
        try:
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def delete(self) -> None:
        """Delete the file, if that can be done; nothing may be connected to it."""
        for suffix in _BESIDE:
            with suppress(OSError):
                os.unlink(self.path + suffix)

    def _usable(self) -> sqlite3.Connection:
        fresh = not self.there
        if fresh:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private.FILE))
        connection = self._connect()
        try:
            if fresh:
                _create(connection)
            _check(connection)
            connection.execute("UPDATE source SET run = ?", (_machine_run(),))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self.path)}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            # Nothing of this file waits for the disk, so that no commit of the database waits for that.
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            connection.execute("ATTACH ? AS store", (f"file:{quote(self._store)}?mode=ro",))
        except BaseException:
            connection.close()
            raise
        connection.text_factory = _text
        connection.create_function("shown", 1, _shown, deterministic=True)
        return connection


class _OfAnother(Exception):
    """The file is of another version or history, or lost something with the power."""


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO source SELECT 1, lineage, '' FROM store.store")
    connection.execute(f"PRAGMA main.user_version = {_VERSION}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA main.user_version").fetchone()
    if version != _VERSION:
        raise _OfAnother
    same, run = connection.execute(
        "SELECT s.lineage = o.lineage, s.run FROM source s, store.store o"
    ).fetchone()
    (ahead,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM progress JOIN store.life USING (life) WHERE upto > head)"
    ).fetchone()
    if not same or ahead or run not in ("", _machine_run()):
        raise _OfAnother


def closed(connection: sqlite3.Connection) -> None:
    """Write everything to the disk, and note that the file is whole. The connection is of no use then.

    Raises:
        sqlite3.Error: that cannot be done; the file is made anew if the machine is started again.
    """
    connection.execute("PRAGMA main.synchronous = FULL")
    connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("UPDATE main.source SET run = ''")


def _machine_run() -> str:
    """Return a name of this run of the machine; without one, a name that is never known again."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(8)


def works() -> bool:
    """Return whether SQLite was compiled with what the index needs."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
            connection.execute("SELECT json_extract('{}', '$.x')")
        except sqlite3.Error:
            return False
        return True


def _shown(message: str) -> str:
    return shown_text(message[:_LONGEST])


def _text(given: bytes) -> str:
    """Decode text; a lone surrogate in an event's JSON is no UTF-8."""
    return given.decode(errors="replace")
