"""Ids of publishes: rows of the tables ``producer`` and ``publish``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from tasktree_rt.brokers.base import KEPT_IDS, KEPT_IDS_AGE, Duplicate, Key

_ROWS: Final = 2_000
"""Publishes that one transaction deletes at most."""
_AT_ONCE: Final = 1_000
"""Producers that one step of planning looks at."""

Known = dict[Key, tuple[bytes, Duplicate]]
"""Digest and first outcome of publishes."""


def look_up(cursor: sqlite3.Cursor | sqlite3.Connection, keys: Sequence[Key]) -> Known:
    """Those of `keys` that are on record. The life of one may have ended since."""
    known: Known = {}
    for key in keys:
        row = cursor.execute(
            "SELECT digest, coalesce(life.project, grave.project), coalesce(life.epoch, grave.epoch), "
            "first, count FROM publish LEFT JOIN life USING (life) "
            "LEFT JOIN grave ON grave.life = publish.life "
            "WHERE producer = (SELECT producer FROM producer WHERE subject = ? AND name = ?) AND id = ?",
            (key.subject, key.producer_id, key.id),
        ).fetchone()
        if row is not None and row[1] is not None:
            known[key] = (row[0], Duplicate(*row[1:]))
    return known


def producer_ids(connection: sqlite3.Connection, subject: str, producer_id: str) -> list[str]:
    """Read the known ids of a producer, oldest first."""
    rows = connection.execute(
        "SELECT id FROM publish "
        "WHERE producer = (SELECT producer FROM producer WHERE subject = ? AND name = ?) ORDER BY n",
        (subject, producer_id),
    )
    return [row[0] for row in rows]


def forgettable(connection: sqlite3.Connection, after: int, now: int) -> tuple[list[int], int | None]:
    """Find producers with publishes that need not be known any more, after the producer numbered `after`.

    Returns their numbers, and the number after which to go on; None at the end.
    """
    rows = connection.execute(
        "SELECT producer, "
        "(SELECT received FROM publish p WHERE p.producer = producer.producer ORDER BY n LIMIT 1), "
        "(SELECT n FROM publish p WHERE p.producer = producer.producer ORDER BY n LIMIT 1), "
        "(SELECT n FROM publish p WHERE p.producer = producer.producer ORDER BY n DESC LIMIT 1) "
        "FROM producer WHERE producer > ? ORDER BY producer LIMIT ?",
        (after, _AT_ONCE),
    ).fetchall()
    found = [
        producer
        for producer, received, first, last in rows
        if received is None or received < now - KEPT_IDS_AGE or last - first >= KEPT_IDS
    ]
    return found, rows[-1][0] if len(rows) == _AT_ONCE else None


def forget(cursor: sqlite3.Cursor, producer: int, now: int) -> tuple[bool, tuple[str, str] | None]:
    """Delete some of a producer's oldest publishes, and the producer once it has none.

    Returns whether there is more to delete, and subject and id of the producer if it is gone.
    """
    rows = cursor.execute(
        "SELECT n, received FROM publish WHERE producer = ? ORDER BY n LIMIT ?", (producer, _ROWS)
    ).fetchall()
    last = cursor.execute("SELECT max(n) FROM publish WHERE producer = ?", (producer,)).fetchone()[0]
    kept = next((n for n, at in rows if n > last - KEPT_IDS and at >= now - KEPT_IDS_AGE), None)
    if kept is None and len(rows) < _ROWS:
        cursor.execute("DELETE FROM publish WHERE producer = ?", (producer,))
        (name,) = cursor.execute(
            "DELETE FROM producer WHERE producer = ? RETURNING subject, name", (producer,)
        ).fetchall()
        return False, name
    bound = rows[-1][0] + 1 if kept is None else kept
    cursor.execute("DELETE FROM publish WHERE producer = ? AND n < ?", (producer, bound))
    return kept is None, None
