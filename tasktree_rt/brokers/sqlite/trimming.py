"""Deleting what retention no longer wants: looked for by reading, so that finding nothing never holds up an
append, and deleted in small transactions that take their turn with the appends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from attrs import frozen

from tasktree_rt.brokers.base import KEPT_DEATHS_AGE, Retention, Trimmed
from tasktree_rt.brokers.sqlite import interactions
from tasktree_rt.brokers.sqlite import publish_ids as producers
from tasktree_rt.brokers.sqlite.connections import Connections
from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, event_key, one_view
from tasktree_rt.brokers.sqlite.states import StateWriter
from tasktree_rt.brokers.sqlite.writer import Writer
from tasktree_rt.core.log import Position

_AT_ONCE: Final = 1_000
"""Projects that one step of planning looks at."""
_ROWS: Final = 2_000
"""Rows that one transaction deletes at most."""
_BYTES: Final = 4 << 20
"""Bytes of events that one transaction deletes at most."""
_NEWEST_CHECKPOINT: Final = (
    "SELECT max(seq) FROM state WHERE life = ? AND snapshot IS NULL AND whole = 1 AND seq <= ?"
)
_DROP_CHECKPOINTS: Final = """
    UPDATE state SET whole = 0 WHERE life = ?1 AND snapshot IS NULL AND whole = 1 AND seq < (
        SELECT max(seq) FROM state WHERE life = ?1 AND snapshot IS NULL AND whole = 1 AND seq <= ?2
    )"""
"""All below the newest one at or below the floor."""


class Trimming:
    """`Broker.trim`. What a failure leaves, the next trim deletes."""

    def __init__(self, connections: Connections, states: StateWriter) -> None:
        self._connections = connections
        self._states = states

    async def trim(
        self, retention: Retention, now: int, spared: Collection[str], trimmed: Callable[[Trimmed], None]
    ) -> dict[str, Position]:
        """Delete what retention does not want; returns the new floors of the projects that lost events."""
        cutoff = now - round(retention.max_age * 1_000_000)
        floors = await self._logs(retention, cutoff, spared, trimmed)
        await self._repeat(_purge_grave)
        await self._repeat(self._states.sweep)
        await self._publishes(now)
        await self._repeat(partial(interactions.forget, cutoff=cutoff))
        crowded = partial(interactions.crowded, most=retention.max_events)
        for owner, newest in await self._connections.read(crowded):
            await self._repeat(partial(interactions.forget_of, owner=owner, newest=newest))
        await self._repeat(partial(_forget_graves, cutoff=min(cutoff, now - KEPT_DEATHS_AGE)))
        return floors

    async def _repeat(self, work: Callable[[sqlite3.Cursor], bool]) -> None:
        while await self._connections.transact(work):
            pass

    async def _logs(
        self, retention: Retention, cutoff: int, spared: Collection[str], trimmed: Callable[[Trimmed], None]
    ) -> dict[str, Position]:
        floors: dict[str, Position] = {}
        after: int | None = 0
        while after is not None:
            look = partial(_excess, after=after, retention=retention, cutoff=cutoff, spared=spared)
            found, after = await self._connections.read(look)
            for excess in found:
                more = True
                while more:
                    drop = partial(drop_events, life=excess.life, floor=excess.floor)
                    floor, more, size = await self._connections.transact(drop)
                    if floor:
                        trimmed(Trimmed(excess.project_id, excess.epoch, excess.owner, size))
                        floors[excess.project_id] = Position(excess.epoch, floor)
        return floors

    async def _publishes(self, now: int) -> None:
        after: int | None = 0
        while after is not None:
            look = partial(producers.forgettable, after=after, now=now)
            found, after = await self._connections.read(look)
            for producer in found:
                while await self._connections.write(partial(_forget_publishes, producer=producer, now=now)):
                    pass


@frozen
class _Excess:
    """A life whose events up to and including `floor` can be deleted."""

    life: int
    project_id: str
    epoch: str
    owner: str
    floor: int


def _excess(
    connection: sqlite3.Connection,
    after: int,
    retention: Retention,
    cutoff: int,
    spared: Collection[str],
) -> tuple[list[_Excess], int | None]:
    """Find lives with events that retention does not want (those received before `cutoff`, microseconds), up
    to a checkpoint; but none of the projects `spared`.

    Returns them, and the number of the life after which to go on; None at the end.
    """
    with one_view(connection):
        rows = connection.execute(
            "SELECT life, project, epoch, owner, floor, head, covered, bytes FROM life "
            "WHERE life > ? AND covered > floor ORDER BY life LIMIT ?",
            (after, _AT_ONCE),
        ).fetchall()
        found = []
        for life, project_id, epoch, owner, floor, head, covered, size in rows:
            wanted = min(covered, head - retention.max_events)
            if size > retention.max_bytes:
                wanted = max(wanted, _beyond(connection, life, floor, covered, size - retention.max_bytes))
            wanted = _older_than(connection, life, max(floor, wanted), covered, cutoff)
            (reached,) = connection.execute(_NEWEST_CHECKPOINT, (life, wanted)).fetchone()
            if reached is not None and reached > floor and project_id not in spared:
                found.append(_Excess(life, project_id, epoch, owner, reached))
    return found, rows[-1][0] if len(rows) == _AT_ONCE else None


def _beyond(connection: sqlite3.Connection, life: int, floor: int, high: int, excess: int) -> int:
    """Return the seq up to which the oldest events have `excess` bytes, at most `high`."""
    rows = connection.execute(
        "SELECT key & ?, length(body) FROM event WHERE key > ? AND key <= ? ORDER BY key",
        (MAX_SEQ, event_key(life, floor), event_key(life, high)),
    )
    for seq, length in rows:
        excess -= length
        if excess <= 0:
            return int(seq)
    return high


def _older_than(connection: sqlite3.Connection, life: int, low: int, high: int, cutoff: int) -> int:
    """Return the last seq in low … high whose event is older than `cutoff`, `low` if none is. Times never
    decrease, so one look tells that there is none, and halving finds it.
    """
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


def drop_events(cursor: sqlite3.Cursor, life: int, floor: int) -> tuple[int, bool, int]:
    """Delete some events of a life up to `floor`, and the checkpoints that are of no use then.

    Returns the new floor (0 if the life is over meanwhile), whether there is more to delete, and the bytes of
    the deleted bodies.
    """
    row = cursor.execute("SELECT floor FROM life WHERE life = ?", (life,)).fetchone()
    if row is None:
        return 0, False, 0
    reached, size = _delete_events(cursor, life, row[0], floor)
    cursor.execute("UPDATE life SET floor = ?, bytes = bytes - ? WHERE life = ?", (reached, size, life))
    cursor.execute(_DROP_CHECKPOINTS, (life, reached))
    return reached, reached < floor, size


def _purge_grave(cursor: sqlite3.Cursor) -> bool:
    """Delete some of what an ended life left; False if nothing is left."""
    row = cursor.execute("SELECT life, floor, head FROM grave WHERE purged = 0 LIMIT 1").fetchone()
    if row is None:
        return False
    life, floor, head = row
    reached, _ = _delete_events(cursor, life, floor, head)
    cursor.execute("UPDATE grave SET floor = ?, purged = ? WHERE life = ?", (reached, reached == head, life))
    cursor.execute("UPDATE state SET whole = 0 WHERE life = ? AND whole = 1", (life,))
    return True


def _forget_graves(cursor: sqlite3.Cursor, cutoff: int) -> bool:
    """Delete some lives that ended before `cutoff` (microseconds), and how they ended; True if there may be
    more.

    No publish on record can name them: the age of both goes by the same clock.
    """
    rows = cursor.execute(
        "SELECT project, epoch, life FROM grave WHERE purged = 1 AND ended < ? LIMIT ?", (cutoff, _ROWS)
    ).fetchall()
    cursor.executemany("DELETE FROM death WHERE project = ? AND epoch = ?", [row[:2] for row in rows])
    cursor.executemany("DELETE FROM grave WHERE life = ?", [row[2:] for row in rows])
    return len(rows) == _ROWS


def _forget_publishes(writer: Writer, producer: int, now: int) -> bool:
    """Delete some of a producer's oldest publishes; True if there may be more."""
    more, gone = writer.transact(partial(producers.forget, producer=producer, now=now))
    if gone is not None:
        writer.forget_producer(*gone)
    return more


def _delete_events(cursor: sqlite3.Cursor, life: int, floor: int, target: int) -> tuple[int, int]:
    """Delete events after `floor` up to `target`, as many as one transaction may. Returns the new floor, and
    the bytes of the deleted bodies.
    """
    rows = cursor.execute(
        "SELECT key & ?, length(body) FROM event WHERE key > ? AND key <= ? ORDER BY key LIMIT ?",
        (MAX_SEQ, event_key(life, floor), event_key(life, target), _ROWS),
    ).fetchall()
    size, reached = 0, floor
    for seq, length in rows:  # of a damaged log some are missing
        if reached > floor and size + length > _BYTES:
            break
        size += length
        reached = seq
    else:
        if len(rows) < _ROWS:
            reached = target
    cursor.execute(
        "DELETE FROM event WHERE key > ? AND key <= ?", (event_key(life, floor), event_key(life, reached))
    )
    return reached, size
