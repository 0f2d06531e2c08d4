"""What the SQLite broker reads. Every function takes a connection and blocks; those that need more than
one statement see one state of the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from attrs import frozen

from tasktree_rt.brokers.base import (
    KEPT_IDS,
    KEPT_IDS_AGE,
    Checkpoint,
    Death,
    Life,
    Retention,
    Snapshot,
    Summary,
)
from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, PART_BITS, event_key
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Position, gap, gap_before
from tasktree_rt.errors import StoreDamaged

T = TypeVar("T")

_AT_ONCE: Final = 1_000
"""Projects or producers that one step of planning looks at."""

_EVENTS: Final = (
    "SELECT key & ?1, type, node, received, body FROM event WHERE key > ?2 AND key <= ?3 ORDER BY key"
)
_FILTERED: Final = (
    "SELECT key & ?1, type, node, received, body FROM event WHERE key > ?2 AND key <= ?3 "
    "AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR node = ?5) ORDER BY key"
)
_SNAPSHOTS: Final = (
    "SELECT snapshot, project, name, epoch, seq, created, state.owner, state.state "
    "FROM life JOIN state USING (life) WHERE snapshot IS NOT NULL AND whole = 1"
)

_BEYOND: Final = "SELECT 1 FROM event WHERE key > ? AND key < ? LIMIT 1"
_NEWEST_CHECKPOINT: Final = (
    "SELECT max(seq) FROM state WHERE life = ? AND snapshot IS NULL AND whole = 1 AND seq <= ?"
)


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything read within sees the same commits."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def load(connection: sqlite3.Connection, project_id: str) -> Life:
    """See `Broker.load`."""
    with one_view(connection):
        ended = death(connection, project_id)
        row = connection.execute(
            "SELECT life, epoch, head, floor, covered, received, owner FROM life WHERE project = ?",
            (project_id,),
        ).fetchone()
        if row is None:
            return Life("", 0, 0, ended.record.received if ended else 0, None, (), ended)
        life, epoch, head, floor, covered, received, owner = row
        checkpoint = _checkpoint(connection, project_id, life, epoch, covered)
        after = checkpoint.seq if checkpoint else 0
        key = (MAX_SEQ, event_key(life, after), event_key(life, head))
        tail = tuple(Record(*event) for event in connection.execute(_EVENTS, key))
        _check_whole(project_id, tail, after, head)
        if connection.execute(_BEYOND, (event_key(life, head), event_key(life + 1, 0))).fetchone():
            raise StoreDamaged(project_id, f"there are events beyond the newest, {head}")
        return Life(epoch, head, floor, received, checkpoint, tail, ended, owner)


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


def _checkpoint(
    connection: sqlite3.Connection, project_id: str, life: int, epoch: str, seq: int
) -> Checkpoint | None:
    """The newest one at or before `seq`."""
    row = connection.execute(
        "SELECT state, seq FROM state WHERE life = ? AND snapshot IS NULL AND seq <= ? AND whole = 1 "
        "ORDER BY seq DESC LIMIT 1",
        (life, seq),
    ).fetchone()
    return Checkpoint(epoch, row[1], _parts(connection, project_id, row[0])) if row else None


def _parts(connection: sqlite3.Connection, project_id: str, state: int) -> tuple[bytes, ...]:
    rows = connection.execute(
        "SELECT key, body FROM part WHERE key >= ? AND key < ? ORDER BY key",
        (state << PART_BITS, state + 1 << PART_BITS),
    ).fetchall()
    if rows and rows[-1][0] != (state << PART_BITS) + len(rows) - 1:
        raise StoreDamaged(project_id, "a part of a stored state is missing")
    return tuple(body for _, body in rows)


@frozen
class Slice:
    """A piece of a log: records found, how far was looked, and whether that was all."""

    records: list[Record]
    position: Position
    done: bool


Look = tuple[str, Position, int, int, tuple[str | None, str | None], int]
"""What a slice is asked with: project, from where, events, bytes, type and node, rows looked at."""


class ReadSlice(Protocol):
    """`read_slice` or `read_slice_back`."""

    def __call__(self, connection: sqlite3.Connection, /, *look: *Look) -> Slice | Gap:
        """Look."""


def read_slice(
    connection: sqlite3.Connection,
    project_id: str,
    since: Position,
    limit: int,
    max_bytes: int,
    wanted: tuple[str | None, str | None],
    rows: int,
) -> Slice | Gap:
    """Look through at most `rows` events after `since`; `wanted` is type and node."""
    with one_view(connection):
        row = connection.execute(
            "SELECT life, epoch, head, floor FROM life WHERE project = ?", (project_id,)
        ).fetchone()
        if row is None:
            return Slice([], since, True) if since == BEGINNING else Gap("epoch")
        life, epoch, head, floor = row
        missing = gap(since, epoch, head, floor)
        if missing is not None:
            return missing
        end = min(head, since.seq + rows)
        key = (MAX_SEQ, event_key(life, since.seq), event_key(life, end))
        query = _EVENTS if wanted == (None, None) else _FILTERED
        cursor = connection.execute(query, key if query is _EVENTS else key + wanted)
        records, full = _take(cursor, limit, max_bytes)
        last = records[-1].seq if full and records else end
        _check_slice(connection, project_id, life, records, wanted, since.seq, last)
        return Slice(records, Position(epoch, end), full or end == head)


def read_slice_back(
    connection: sqlite3.Connection,
    project_id: str,
    before: Position,
    limit: int,
    max_bytes: int,
    wanted: tuple[str | None, str | None],
    rows: int,
) -> Slice | Gap:
    """Look through at most `rows` events before `before`, backwards; the newest come first, and `position` is
    where the next slice ends."""
    with one_view(connection):
        row = connection.execute(
            "SELECT life, epoch, head, floor FROM life WHERE project = ?", (project_id,)
        ).fetchone()
        if row is None:
            return Gap("epoch")
        life, epoch, head, floor = row
        missing = gap_before(before, epoch, head)
        if missing is not None:
            return missing
        start = max(floor, before.seq - rows)
        if before.seq <= start:
            return Slice([], before, True)
        key = (MAX_SEQ, event_key(life, start), event_key(life, before.seq))
        query = _EVENTS if wanted == (None, None) else _FILTERED
        cursor = connection.execute(f"{query} DESC", key if query is _EVENTS else key + wanted)
        records, full = _take(cursor, limit, max_bytes)
        first = records[-1].seq - 1 if full and records else start
        _check_slice(connection, project_id, life, records[::-1], wanted, first, before.seq)
        return Slice(records, Position(epoch, start), full or start <= floor)


def _check_slice(
    connection: sqlite3.Connection,
    project_id: str,
    life: int,
    records: Sequence[Record],
    wanted: tuple[str | None, str | None],
    after: int,
    last: int,
) -> None:
    """Refuse a stretch of a log in which events are missing, also where not all were wanted."""
    if wanted == (None, None):
        _check_whole(project_id, records, after, last)
        return
    key = (event_key(life, after), event_key(life, last))
    (count,) = connection.execute("SELECT count(*) FROM event WHERE key > ? AND key <= ?", key).fetchone()
    if count != last - after:
        raise StoreDamaged(project_id, f"of the events {after + 1} to {last} some are missing")


def _take(cursor: sqlite3.Cursor, limit: int, max_bytes: int) -> tuple[list[Record], bool]:
    """Records until one of the bounds is reached, and whether it was."""
    records: list[Record] = []
    for row in cursor:
        max_bytes -= len(row[4])
        if len(records) >= limit or (records and max_bytes < 0):
            return records, True
        records.append(Record(*row))
    return records, len(records) >= limit


def checkpoint_at(connection: sqlite3.Connection, project_id: str, position: Position) -> Checkpoint | None:
    """See `Broker.checkpoint_at`."""
    with one_view(connection):
        row = connection.execute(
            "SELECT life FROM life WHERE project = ? AND epoch = ?", (project_id, position.epoch)
        ).fetchone()
        return _checkpoint(connection, project_id, row[0], position.epoch, position.seq) if row else None


def producer_ids(connection: sqlite3.Connection, subject: str, producer_id: str) -> list[str]:
    """See `Broker.producer_ids`."""
    rows = connection.execute(
        "SELECT id FROM publish "
        "WHERE producer = (SELECT producer FROM producer WHERE subject = ? AND name = ?) ORDER BY n",
        (subject, producer_id),
    )
    return [row[0] for row in rows]


def projects(connection: sqlite3.Connection, after: str, limit: int) -> list[Summary]:
    """See `Broker.projects`."""
    rows = connection.execute(
        "SELECT project, epoch, head, state, nodes, received, about FROM life "
        "WHERE project > ? AND project NOT GLOB '@*' ORDER BY project LIMIT ?",
        (after, limit),
    )
    return [Summary(*row) for row in rows]


def uncovered(connection: sqlite3.Connection, before: int, limit: int) -> list[str]:
    """See `Broker.uncovered`."""
    rows = connection.execute(
        "SELECT project FROM life WHERE received < ? AND covered < head LIMIT ?", (before, limit)
    )
    return [row[0] for row in rows]


def count_projects(connection: sqlite3.Connection) -> int:
    """See `Broker.count_projects`."""
    count: int = connection.execute("SELECT count(*) FROM life WHERE project NOT GLOB '@*'").fetchone()[0]
    return count


def owned(connection: sqlite3.Connection) -> dict[tuple[str, bool], int]:
    """See `Broker.owned`."""
    rows = connection.execute("SELECT owner, project GLOB '@*' AS user, count(*) FROM life GROUP BY 1, 2")
    return {(owner, bool(user)): count for owner, user, count in rows}


def snapshots(connection: sqlite3.Connection, project_id: str | None) -> list[Snapshot]:
    """See `Broker.snapshots`."""
    if project_id is None:
        return [Snapshot(*row[:-1]) for row in connection.execute(_SNAPSHOTS)]
    rows = connection.execute(f"{_SNAPSHOTS} AND project = ? ORDER BY created, snapshot", (project_id,))
    return [Snapshot(*row[:-1]) for row in rows]


def snapshot(
    connection: sqlite3.Connection, project_id: str, snapshot_id: str
) -> tuple[Snapshot, tuple[bytes, ...]] | None:
    """See `Broker.snapshot`."""
    with one_view(connection):
        query = f"{_SNAPSHOTS} AND project = ? AND snapshot = ?"
        row = connection.execute(query, (project_id, snapshot_id)).fetchone()
        return (Snapshot(*row[:-1]), _parts(connection, project_id, row[-1])) if row else None


# --- what there is to trim; looked for here so that finding nothing never holds up an append ----------


@frozen
class Excess:
    """A life whose events up to and including `floor` can go."""

    life: int
    project_id: str
    epoch: str
    floor: int


@frozen
class Plan(Generic[T]):
    """Work found in one step; the next step goes on `after`, None at the end."""

    work: list[T]
    after: int | None


def excess(
    connection: sqlite3.Connection,
    after: int,
    retention: Retention,
    cutoff: int,
    spared: Collection[str] = (),
) -> Plan[Excess]:
    """Lives with events that retention does not want (those received before `cutoff`, microseconds), up to
    a checkpoint; but none of the projects `spared`."""
    with one_view(connection):
        rows = connection.execute(
            "SELECT life, project, epoch, floor, head, covered FROM life WHERE life > ? AND covered > floor "
            "ORDER BY life LIMIT ?",
            (after, _AT_ONCE),
        ).fetchall()
        found = []
        for life, project_id, epoch, floor, head, covered in rows:
            wanted = min(covered, head - retention.max_events)
            wanted = _older_than(connection, life, max(floor, wanted), covered, cutoff)
            (reached,) = connection.execute(_NEWEST_CHECKPOINT, (life, wanted)).fetchone()
            if reached is not None and reached > floor and project_id not in spared:
                found.append(Excess(life, project_id, epoch, reached))
    return Plan(found, rows[-1][0] if len(rows) == _AT_ONCE else None)


def _older_than(connection: sqlite3.Connection, life: int, low: int, high: int, cutoff: int) -> int:
    """The last seq in low … high whose event is older than `cutoff`, `low` if none is. Times never decrease,
    so one look tells that there is none, and halving finds it."""
    probe = low + 1
    while low < high:
        received = connection.execute(
            "SELECT received FROM event WHERE key = ?", (event_key(life, probe),)
        ).fetchone()
        if received is not None and received[0] < cutoff:
            low = probe
        else:
            high = probe - 1
        probe = (low + high + 1) // 2
    return low


def forgettable(connection: sqlite3.Connection, after: int, now: int) -> Plan[int]:
    """Producers with more publishes on record than need be known, or older ones."""
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
    return Plan(found, rows[-1][0] if len(rows) == _AT_ONCE else None)
