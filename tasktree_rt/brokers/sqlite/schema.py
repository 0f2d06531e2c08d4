"""The tables of the SQLite broker, how a connection is made, and what SQLite's errors mean.

A life has a small integer; an event's key is that integer and its seq in one 64-bit integer, so that one
B-tree in order of insertion per project holds the log and there is no other index to keep up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tasktree_rt.errors import StoreUnavailable

APPLICATION_ID: Final = 0x7474_7274
"""``ttrt``: tells our databases from all others (header offset 68)."""
VERSION: Final = 7
"""Of the schema, in ``user_version``."""

SEQ_BITS: Final = 36
MAX_SEQ: Final = (1 << SEQ_BITS) - 1
"""About 69 thousand million events in one life."""
MAX_LIFE: Final = (1 << 63 - SEQ_BITS) - 1
"""About 134 million lives in one database."""
PART_BITS: Final = 20
MAX_PARTS: Final = 1 << PART_BITS

MINIMUM_SQLITE: Final = (3, 37, 0)
"""For STRICT tables."""

_MATTERS: Final = (
    # Prompts and commands, open and settled. `topic` is the home log; `mirror` the other one with its events.
    """CREATE TABLE matter (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        topic TEXT NOT NULL,
        mirror TEXT,
        received INTEGER NOT NULL,
        deadline INTEGER NOT NULL,
        digest BLOB NOT NULL,
        body BLOB NOT NULL,
        settled INTEGER,
        outcome BLOB NOT NULL DEFAULT x''
    ) STRICT""",
    "CREATE INDEX matter_open ON matter (n) WHERE settled IS NULL",
    "CREATE INDEX matter_settled ON matter (settled) WHERE settled IS NOT NULL",
)

# As an upgrade has it, so that a new database is the same to the letter.
_ABOUT: Final = ("ALTER TABLE life ADD COLUMN about BLOB NOT NULL DEFAULT x''",)
_OWNERS: Final = (
    *(
        f"ALTER TABLE {table} ADD COLUMN owner TEXT NOT NULL DEFAULT ''"
        for table in ("life", "matter", "state")
    ),
    "CREATE INDEX matter_owner ON matter (owner, n) WHERE settled IS NOT NULL",
)
"""The subject that a log, a prompt or command, or a snapshot counts for."""
_ACCESS: Final = (
    """CREATE TABLE api_key (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        digest BLOB NOT NULL,
        grants BLOB NOT NULL,
        created INTEGER NOT NULL,
        creator TEXT NOT NULL,
        expires INTEGER,
        used INTEGER,
        revoked INTEGER
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE revocation (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        before INTEGER NOT NULL,
        made INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        creator TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID""",
)
_COUNT_ALL_BYTES: Final = """UPDATE life SET bytes = (
    SELECT coalesce(sum(length(body)), 0) FROM event
    WHERE key > (life << 36 | floor) AND key <= (life << 36 | head)
)"""
COUNT_BYTES: Final = f"{_COUNT_ALL_BYTES} WHERE life = ?"
"""Count the bytes of one life anew."""
_BYTES: Final = ("ALTER TABLE life ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0", _COUNT_ALL_BYTES)
"""Bytes of the bodies of a log's events."""
_NAMES: Final = (
    "ALTER TABLE matter ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "UPDATE matter SET name = id",
    "CREATE INDEX matter_name ON matter (name, n)",
)
"""The id of a prompt or command for peers; those of different projects may have the same."""
UPGRADES: Final = {1: _MATTERS, 2: _ABOUT, 3: _OWNERS, 4: _ACCESS, 5: _BYTES, 6: _NAMES}
"""What makes a database of an older version one of the next."""

SCHEMA: Final = (
    *_MATTERS,
    # One row. `commits` grows with every append, see `lock_file`; `lives` is the newest life's number.
    """CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        lineage TEXT NOT NULL,
        commits INTEGER NOT NULL,
        lives INTEGER NOT NULL
    ) STRICT""",
    # The lives that go on, one a project. `covered` is the seq of the newest checkpoint.
    """CREATE TABLE life (
        life INTEGER PRIMARY KEY,
        project TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        head INTEGER NOT NULL,
        floor INTEGER NOT NULL,
        covered INTEGER NOT NULL,
        received INTEGER NOT NULL,
        state TEXT,
        nodes INTEGER NOT NULL
    ) STRICT""",
    # key = life << 36 | seq
    """CREATE TABLE event (
        key INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        node TEXT,
        received INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE producer (
        producer INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        UNIQUE (subject, name)
    ) STRICT""",
    # The idempotency records; `n` counts a producer's publishes without holes.
    """CREATE TABLE publish (
        producer INTEGER NOT NULL,
        n INTEGER NOT NULL,
        id TEXT NOT NULL,
        digest BLOB NOT NULL,
        life INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        received INTEGER NOT NULL,
        PRIMARY KEY (producer, n)
    ) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX publish_id ON publish (producer, id)",
    # Checkpoints (snapshot is null) and snapshots. What is not `whole` is being written or taken away.
    """CREATE TABLE state (
        state INTEGER PRIMARY KEY AUTOINCREMENT,
        life INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        snapshot TEXT,
        name TEXT NOT NULL,
        created INTEGER NOT NULL,
        whole INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX state_of_life ON state (life, snapshot, seq)",
    "CREATE INDEX state_in_part ON state (state) WHERE whole = 0",
    # key = state << 20 | place
    "CREATE TABLE part (key INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
    # Ended lives of which something is left: events above `floor`, states, or publishes that name them.
    """CREATE TABLE grave (
        life INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        epoch TEXT NOT NULL,
        floor INTEGER NOT NULL,
        head INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        purged INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX grave_by_end ON grave (purged, ended)",
    # How the newest ended life of a project ended.
    """CREATE TABLE death (
        project TEXT PRIMARY KEY,
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL,
        type TEXT NOT NULL,
        node TEXT,
        received INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE probe (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
    *_ABOUT,
    *_OWNERS,
    *_ACCESS,
    *_BYTES,
    *_NAMES,
)

_REASONS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing the database failed",
    sqlite3.SQLITE_BUSY: "the database is locked by another program",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program",
    sqlite3.SQLITE_PROTOCOL: "the database is locked by another program",
    sqlite3.SQLITE_READONLY: "the database cannot be written",
    sqlite3.SQLITE_PERM: "the database cannot be written",
    sqlite3.SQLITE_CANTOPEN: "the database or a file beside it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the database is damaged",
    sqlite3.SQLITE_NOMEM: "out of memory",
}
PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Primary codes of faults that may go by themselves."""
DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary codes of a file whose pages are damaged: it does not mend by itself, and must not be written to."""


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that something stored cannot be read: pages, or text that is no UTF-8 (which has
    no code, since the sqlite3 module says it)."""
    if not isinstance(error, sqlite3.Error):
        return False
    return primary_code(error) in DAMAGED or str(error).startswith("Could not decode to UTF-8")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; -1 if the error is the sqlite3 module's own."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF if hasattr(error, "sqlite_errorcode") else -1


def reason(error: sqlite3.Error) -> str:
    """Describe an error for people, with SQLite's own words."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return f"{_REASONS.get(primary_code(error), 'the database refused')} ({error}; {name})"


@contextmanager
def translated() -> Iterator[None]:
    """Turn each `sqlite3.Error` into `StoreUnavailable`: the one place that does.

    Raises:
        StoreUnavailable: for every `sqlite3.Error`.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(reason(error), lasting=primary_code(error) in DAMAGED) from error


def connect(path: str) -> sqlite3.Connection:
    """Connect to a database. Any thread may use the connection, one at a time; it begins no transaction by
    itself.
    """
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)


def prepare_writer(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Set what holds for the connection that writes.

    The log that SQLite writes ahead grows to 16 MiB before it is carried over, so that a page written by many
    commits is carried over once. Debian's SQLite overwrites what is deleted with zeros unless told not to.
    """
    for pragma in (
        f"busy_timeout = {round(busy_timeout * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 4000",
        f"journal_size_limit = {64 << 20}",
        "cache_size = -16384",
        "secure_delete = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def prepare_reader(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Set what holds for the connection that reads."""
    connection.execute(f"PRAGMA busy_timeout = {round(busy_timeout * 1000)}")
    connection.execute("PRAGMA query_only = ON")


def event_key(life: int, seq: int) -> int:
    """The key of an event; those of a life are in order and next to each other."""
    return life << SEQ_BITS | seq


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything read within sees the same commits."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def life_of(cursor: sqlite3.Cursor, project_id: str, epoch: str) -> int | None:
    """Return the number of a life that goes on; None if it is over."""
    row = cursor.execute(
        "SELECT life FROM life WHERE project = ? AND epoch = ?", (project_id, epoch)
    ).fetchone()
    return row[0] if row else None
