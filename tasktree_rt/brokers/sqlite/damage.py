"""Reading what is left of a damaged project, and mending it. Every function blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from tasktree_rt.brokers.base import Life, Outline, Salvaged, Settled, Summary
from tasktree_rt.brokers.sqlite import interactions
from tasktree_rt.brokers.sqlite.log import death
from tasktree_rt.brokers.sqlite.schema import COUNT_BYTES, MAX_SEQ, event_key, is_damage, one_view
from tasktree_rt.brokers.sqlite.writer import Writer
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position

_LIFE: Final = (
    "SELECT epoch, head, floor, received, owner, state, nodes, about, life, bytes FROM life WHERE project = ?"
)
_EVENTS: Final = (
    "SELECT key & ?1, type, node, received, body FROM event WHERE key > ?2 AND key <= ?3 ORDER BY key"
)
_NEXT: Final = "SELECT min(key) & ?1 FROM event WHERE key > ?2 AND key <= ?3"
_NEWEST: Final = "SELECT max(key) & ?1 FROM event WHERE key > ?2 AND key <= ?3"


def outline(connection: sqlite3.Connection, project_id: str) -> Outline:
    """Read what is known of a project beside its log."""
    with one_view(connection):
        ended = death(connection, project_id)
        row = connection.execute(_LIFE, (project_id,)).fetchone()
        if row is None:
            received = ended.record.received if ended else 0
            return Outline(Life("", 0, 0, received, None, (), ended), None, 0)
        epoch, head, floor, received, owner, state, nodes, about, number, size = row
        life = Life(epoch, head, floor, received, None, (), ended, owner, size)
        summary = Summary(project_id, epoch, head, state, nodes, received, about)
        return Outline(life, summary, newest(connection, number, head))


def newest(connection: sqlite3.Connection | sqlite3.Cursor, life: int, head: int) -> int:
    """Return the seq of a life's newest event, at least its head."""
    key = (MAX_SEQ, event_key(life, head), event_key(life, MAX_SEQ))
    try:
        (found,) = connection.execute(_NEWEST, key).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return head
    return head if found is None else found


def checkpoints(connection: sqlite3.Connection, project_id: str) -> list[int]:
    """Read the seqs of a project's checkpoints, the newest first."""
    rows = connection.execute(
        "SELECT seq FROM life JOIN state USING (life) "
        "WHERE project = ? AND snapshot IS NULL AND whole = 1 ORDER BY seq DESC",
        (project_id,),
    )
    return [seq for (seq,) in rows]


def salvage(connection: sqlite3.Connection, project_id: str, after: int, limit: int) -> Salvaged:
    """Read the events after a seq that can be read, at most `limit`."""
    with one_view(connection):
        row = connection.execute(_LIFE, (project_id,)).fetchone()
        if row is None:
            return Salvaged((), 0)
        life = row[8]
        head = newest(connection, life, row[1])
        end = min(head, after + limit)
        rows = _rows(connection, event_key(life, after), event_key(life, end))
        if not rows and end < head:
            end = _before_next(connection, event_key(life, end), event_key(life, head), end)
        return Salvaged(tuple(Record(*one) for one in rows), max(end, after))


def _rows(
    connection: sqlite3.Connection, low: int, high: int
) -> list[tuple[int, str, str | None, int, bytes]]:
    """The events of the keys after `low` up to `high`. A stretch that cannot be read is halved, and so on, so
    that only what is damaged is left out."""
    try:
        return connection.execute(_EVENTS, (MAX_SEQ, low, high)).fetchall()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
    if high - low <= 1:
        return []
    middle = (low + high) // 2
    return _rows(connection, low, middle) + _rows(connection, middle, high)


def _before_next(connection: sqlite3.Connection, low: int, high: int, end: int) -> int:
    """Up to where there is nothing after seq `end`: a large hole is not looked through."""
    try:
        (found,) = connection.execute(_NEXT, (MAX_SEQ, low, high)).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return end
    return (found if found is not None else (high & MAX_SEQ) + 1) - 1


def recover(
    writer: Writer, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled]
) -> bool:
    """Let a life go on from the checkpoint at `at`; its events up to there have been deleted.

    Returns False if the life is over.
    """
    work = partial(_recover, project_id=project_id, at=at, new_epoch=new_epoch, settles=settles)
    try:
        return writer.transact(work)
    finally:
        writer.forget()


def _recover(
    cursor: sqlite3.Cursor, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled]
) -> bool:
    row = cursor.execute(
        "SELECT life, head, received FROM life WHERE project = ? AND epoch = ?", (project_id, at.epoch)
    ).fetchone()
    if row is None:
        return False
    life, head, received = row
    cursor.execute(
        "UPDATE state SET whole = 0 WHERE life = ? AND snapshot IS NULL AND whole = 1 AND seq <> ?",
        (life, at.seq),
    )
    cursor.execute(
        "UPDATE life SET epoch = ?1, floor = max(floor, ?2), covered = ?2, head = ?3 WHERE life = ?4",
        (new_epoch, at.seq, newest(cursor, life, head), life),
    )
    cursor.execute(COUNT_BYTES, (life,))
    interactions.settle(cursor, settles, received)
    return True
