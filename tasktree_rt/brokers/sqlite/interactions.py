"""Prompts and commands in SQLite: rows of the table ``matter``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from tasktree_rt.brokers.base import Append, Interaction, Settled

_SELECT: Final = (
    "SELECT id, kind, topic, mirror, received, deadline, digest, body, settled, outcome, n, owner, name "
    "FROM matter "
)
_OF: Final = "(?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR topic = ?3 OR mirror = ?3)"
_AFTER: Final = f"n > ?1 AND {_OF} ORDER BY n LIMIT ?4"
_BEFORE: Final = f"n < ?1 AND {_OF} ORDER BY n DESC LIMIT ?4"
_OPEN: Final[dict[bool | None, str]] = {
    None: "",
    True: "settled IS NULL AND ",
    False: "settled IS NOT NULL AND ",
}
_FORGOTTEN_AT_ONCE: Final = 2_000


def write(cursor: sqlite3.Cursor, entry: Append) -> None:
    """Write what an append opens and settles."""
    for one in entry.opens:
        home, mirror = (*one.topics, None)[:2]
        cursor.execute(
            "INSERT INTO matter (id, kind, topic, mirror, received, deadline, digest, body, owner, name) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(one.id, one.kind, home, mirror, one.received, one.deadline),
                *(one.digest, one.body, one.owner, one.name),
            ),
        )
    settle(cursor, entry.settles, entry.received)


def settle(cursor: sqlite3.Cursor, settles: Sequence[Settled], received: int) -> None:
    """Settle those that are still open."""
    cursor.executemany(
        "UPDATE matter SET settled = ?, outcome = ? WHERE id = ? AND settled IS NULL",
        [(received, one.outcome, one.id) for one in settles],
    )


def forget(cursor: sqlite3.Cursor, cutoff: int) -> bool:
    """Delete some that were settled before `cutoff` (microseconds); True if there may be more."""
    cursor.execute(
        "DELETE FROM matter WHERE n IN (SELECT n FROM matter WHERE settled < ? LIMIT ?)",
        (cutoff, _FORGOTTEN_AT_ONCE),
    )
    return cursor.rowcount == _FORGOTTEN_AT_ONCE


def crowded(connection: sqlite3.Connection, most: int) -> list[tuple[str, int]]:
    """Find owners of more than `most` settled ones, each with the place of the newest that is too many."""
    owners = connection.execute(
        "SELECT owner FROM matter WHERE settled IS NOT NULL GROUP BY owner HAVING count(*) > ?", (most,)
    ).fetchall()
    query = "SELECT n FROM matter WHERE owner = ? AND settled IS NOT NULL ORDER BY n DESC LIMIT 1 OFFSET ?"
    return [(owner, connection.execute(query, (owner, most)).fetchone()[0]) for (owner,) in owners]


def forget_of(cursor: sqlite3.Cursor, owner: str, newest: int) -> bool:
    """Delete some settled ones of an owner up to place `newest`; True if there may be more."""
    cursor.execute(
        "DELETE FROM matter WHERE n IN "
        "(SELECT n FROM matter WHERE owner = ? AND settled IS NOT NULL AND n <= ? LIMIT ?)",
        (owner, newest, _FORGOTTEN_AT_ONCE),
    )
    return cursor.rowcount == _FORGOTTEN_AT_ONCE


def interaction(connection: sqlite3.Connection, interaction_id: str) -> Interaction | None:
    """Read a prompt or command by its id."""
    row = connection.execute(_SELECT + "WHERE id = ?", (interaction_id,)).fetchone()
    return _matter(row) if row else None


def interactions(
    connection: sqlite3.Connection,
    open: bool | None,
    kind: str | None,
    topic: str | None,
    name: str | None,
    after: int,
    before: int | None,
    limit: int,
) -> list[Interaction]:
    """Read prompts and commands after a place, or before one; see `Broker.interactions`."""
    place, rows = (after, _AFTER) if before is None else (before, _BEFORE)
    named = "" if name is None else "name = ?5 AND "
    query = f"{_SELECT}WHERE {_OPEN[open]}{named}{rows}"
    given = (place, kind, topic, limit) if name is None else (place, kind, topic, limit, name)
    return [_matter(row) for row in connection.execute(query, given)]


_Row = tuple[str, str, str, str | None, int, int, bytes, bytes, int | None, bytes, int, str, str]


def _matter(row: _Row) -> Interaction:
    topics = (row[2],) if row[3] is None else (row[2], row[3])
    return Interaction(row[0], row[1], topics, *row[4:])
