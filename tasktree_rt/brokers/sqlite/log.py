"""Reading logs. Every function takes a connection and blocks; one that needs more than one statement sees one
state of the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from attrs import evolve, frozen

from tasktree_rt.brokers.base import Death, Life
from tasktree_rt.brokers.sqlite.connections import Connections
from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, event_key, one_view
from tasktree_rt.brokers.sqlite.states import newest_checkpoint
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, gap, gap_before
from tasktree_rt.errors import StoreDamaged

_SCANNED_AT_ONCE: Final = 20_000
"""Events that one step of a filtered read looks at."""

_EVENTS: Final = (
    "SELECT key & ?1, type, node, received, body FROM event WHERE key > ?2 AND key <= ?3 ORDER BY key"
)
_FILTERED: Final = (
    "SELECT key & ?1, type, node, received, body FROM event WHERE key > ?2 AND key <= ?3 "
    "AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR node = ?5) ORDER BY key"
)
_BEYOND: Final = "SELECT 1 FROM event WHERE key > ? AND key < ? LIMIT 1"


def load(connection: sqlite3.Connection, project_id: str) -> Life:
    """Read a project's life; see `Broker.load`."""
    with one_view(connection):
        ended = death(connection, project_id)
        row = connection.execute(
            "SELECT life, epoch, head, floor, covered, received, owner, bytes FROM life WHERE project = ?",
            (project_id,),
        ).fetchone()
        if row is None:
            return Life("", 0, 0, ended.record.received if ended else 0, None, (), ended)
        life, epoch, head, floor, covered, received, owner, size = row
        checkpoint = newest_checkpoint(connection, project_id, life, epoch, covered)
        after = checkpoint.seq if checkpoint else 0
        key = (MAX_SEQ, event_key(life, after), event_key(life, head))
        tail = tuple(Record(*event) for event in connection.execute(_EVENTS, key))
        _check_whole(project_id, tail, after, head)
        if connection.execute(_BEYOND, (event_key(life, head), event_key(life + 1, 0))).fetchone():
            raise StoreDamaged(project_id, f"there are events beyond the newest, {head}")
        return Life(epoch, head, floor, received, checkpoint, tail, ended, owner, size)


def _check_whole(project_id: str, records: Sequence[Record], after: int, last: int) -> None:
    """Refuse records that are not all those after `after` up to `last`."""
    for seq, record in enumerate(records, after + 1):
        if record.seq != seq:
            raise StoreDamaged(project_id, f"event {seq} is missing")
    if after + len(records) != last:
        raise StoreDamaged(project_id, f"event {after + len(records) + 1} is missing")


def death(connection: sqlite3.Connection, project_id: str) -> Death | None:
    """How the newest life of a project that is over ended."""
    row = connection.execute(
        "SELECT epoch, seq, type, node, received, body FROM death WHERE project = ?", (project_id,)
    ).fetchone()
    return Death(row[0], Record(*row[1:])) if row else None


@frozen
class Slice:
    """A piece of a log: records found, how far was looked, and whether that was all."""

    records: list[Record]
    position: Position
    done: bool


@frozen
class Request:
    """What to read of a log: at most `limit` events, about `max_bytes`, of a type and a node (None: any)."""

    project_id: str
    limit: int
    max_bytes: int
    wanted: tuple[str | None, str | None]


class ReadSlice(Protocol):
    """The type of `read_slice` and `read_slice_back`."""

    def __call__(
        self, connection: sqlite3.Connection, /, *, request: Request, place: Position, rows: int
    ) -> Slice | Gap:
        """Look through at most `rows` events from `place` on."""


async def read(
    connections: Connections, read_slice: ReadSlice, request: Request, place: Position
) -> list[Record] | Gap:
    """Read records in the order in which `read_slice` goes through the log, slice by slice."""
    found: list[Record] = []
    while True:
        look = partial(read_slice, request=request, place=place, rows=_SCANNED_AT_ONCE)
        piece = await connections.read_project(request.project_id, look)
        if isinstance(piece, Gap):
            return found or piece
        max_bytes = request.max_bytes
        for record in piece.records:
            max_bytes -= len(record.body)
            if found and max_bytes < 0:
                return found
            found.append(record)
        if piece.done:
            return found
        request = evolve(request, limit=request.limit - len(piece.records), max_bytes=max_bytes)
        place = piece.position


def read_slice(
    connection: sqlite3.Connection, /, *, request: Request, place: Position, rows: int
) -> Slice | Gap:
    """Look through at most `rows` events after `place`."""
    with one_view(connection):
        row = connection.execute(
            "SELECT life, epoch, head, floor FROM life WHERE project = ?", (request.project_id,)
        ).fetchone()
        if row is None:
            return Slice([], place, True) if place == BEGINNING else Gap("epoch")
        life, epoch, head, floor = row
        missing = gap(place, epoch, head, floor)
        if missing is not None:
            return missing
        end = min(head, place.seq + rows)
        key = (MAX_SEQ, event_key(life, place.seq), event_key(life, end))
        query = _EVENTS if request.wanted == (None, None) else _FILTERED
        cursor = connection.execute(query, key if query is _EVENTS else key + request.wanted)
        records, full = _take(cursor, request.limit, request.max_bytes)
        last = records[-1].seq if full and records else end
        _check_slice(connection, request, life, records, place.seq, last)
        return Slice(records, Position(epoch, end), full or end == head)


def read_slice_back(
    connection: sqlite3.Connection, /, *, request: Request, place: Position, rows: int
) -> Slice | Gap:
    """Look through at most `rows` events up to `place`, backwards: the newest come first, and `position` is
    where the next slice ends.
    """
    with one_view(connection):
        row = connection.execute(
            "SELECT life, epoch, head, floor FROM life WHERE project = ?", (request.project_id,)
        ).fetchone()
        if row is None:
            return Gap("epoch")
        life, epoch, head, floor = row
        missing = gap_before(place, epoch, head)
        if missing is not None:
            return missing
        start = max(floor, place.seq - rows)
        if place.seq <= start:
            return Slice([], place, True)
        key = (MAX_SEQ, event_key(life, start), event_key(life, place.seq))
        query = _EVENTS if request.wanted == (None, None) else _FILTERED
        cursor = connection.execute(f"{query} DESC", key if query is _EVENTS else key + request.wanted)
        records, full = _take(cursor, request.limit, request.max_bytes)
        first = records[-1].seq - 1 if full and records else start
        _check_slice(connection, request, life, records[::-1], first, place.seq)
        return Slice(records, Position(epoch, start), full or start <= floor)


def _check_slice(
    connection: sqlite3.Connection,
    request: Request,
    life: int,
    records: Sequence[Record],
    after: int,
    last: int,
) -> None:
    """Raise `StoreDamaged` if events of a stretch of a log are missing, also where not all were wanted."""
    if request.wanted == (None, None):
        _check_whole(request.project_id, records, after, last)
        return
    key = (event_key(life, after), event_key(life, last))
    (count,) = connection.execute("SELECT count(*) FROM event WHERE key > ? AND key <= ?", key).fetchone()
    if count != last - after:
        raise StoreDamaged(request.project_id, f"of the events {after + 1} to {last} some are missing")


def _take(cursor: sqlite3.Cursor, limit: int, max_bytes: int) -> tuple[list[Record], bool]:
    """Return records until one of the bounds is reached, and whether it was."""
    records: list[Record] = []
    for row in cursor:
        max_bytes -= len(row[4])
        if len(records) >= limit or (records and max_bytes < 0):
            return records, True
        records.append(Record(*row))
    return records, len(records) >= limit
