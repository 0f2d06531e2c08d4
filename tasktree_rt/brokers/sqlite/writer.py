"""What the SQLite broker writes: transactions on the one connection that does, each short."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from attrs import frozen

from tasktree_rt.brokers.base import KEPT_IDS, KEPT_IDS_AGE, Append, Outcome, Settled
from tasktree_rt.brokers.sqlite import interactions
from tasktree_rt.brokers.sqlite.appender import Appender
from tasktree_rt.brokers.sqlite.salvage import newest
from tasktree_rt.brokers.sqlite.schema import MAX_PARTS, MAX_SEQ, PART_BITS, event_key
from tasktree_rt.core.log import Position

T = TypeVar("T")

_ROWS: Final = 2_000
"""Rows that one transaction of `trim` takes away at most."""
_BYTES: Final = 4 << 20
"""And bytes of events."""
_PARTS: Final = 128
"""And parts of states."""
_PROBE_SIZE: Final = 65_536


_DROP_CHECKPOINTS: Final = """
    UPDATE state SET whole = 0 WHERE life = ?1 AND snapshot IS NULL AND whole = 1 AND seq < (
        SELECT max(seq) FROM state WHERE life = ?1 AND snapshot IS NULL AND whole = 1 AND seq <= ?2
    )"""
"""All below the newest one at or below the floor."""


@frozen
class NewState:
    """A checkpoint or snapshot to be written."""

    project_id: str
    epoch: str
    seq: int
    snapshot: str | None = None
    name: str = ""
    created: int = 0
    owner: str = ""


class Writer:
    """The connection that writes. All methods block and belong into one thread at a time.

    `connect` makes the connection, and makes it again should one not even roll back. `committed` is told the
    number of appends in all after each of them. `before` and `after` are called around each commit and raise
    if it would not be found again: nothing is kept that is refused, and nothing is answered that went astray.
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
        self._being_written: set[int] = set()

    def close(self) -> None:
        """Let go of the connection; carries SQLite's write-ahead log over if nobody else has it open."""
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
        """See `Broker.append`."""
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

    def probe(self) -> None:
        """Write: pages are asked for, written and given back."""
        self.transact(_probe)

    # --- checkpoints and snapshots: begun, filled and finished in transactions of their own -----------

    def begin_state(self, new: NewState) -> int | None:
        """A number to write its parts under; None if its life is over."""

        def begin(cursor: sqlite3.Cursor) -> int | None:
            life = _life(cursor, new.project_id, new.epoch)
            if life is None:
                return None
            cursor.execute(
                "INSERT INTO state (life, seq, snapshot, name, created, owner, whole) "
                "VALUES (?, ?, ?, ?, ?, ?, 0)",
                (life, new.seq, new.snapshot, new.name, new.created, new.owner),
            )
            state = cursor.lastrowid or 0
            self._being_written.add(state)
            return state

        return self.transact(begin)

    def leave_state(self, state: int) -> None:
        """It will not be written any further: what is not whole of it, `sweep_states` may take."""
        self._being_written.discard(state)

    def add_parts(self, state: int, first: int, parts: Sequence[bytes]) -> None:
        """Some of its parts, from place `first` on."""
        if first + len(parts) > MAX_PARTS:
            raise ValueError(f"a state of more than {MAX_PARTS} parts")
        rows = [(state << PART_BITS | place, part) for place, part in enumerate(parts, first)]
        self.transact(lambda cursor: cursor.executemany("INSERT INTO part VALUES (?, ?)", rows))

    def finish_state(self, state: int, new: NewState) -> None:
        """Make it visible, in the place of one of the same name; it stays unseen if its life is over."""

        def finish(cursor: sqlite3.Cursor) -> None:
            life = _life(cursor, new.project_id, new.epoch)
            if life is None:
                return
            cursor.execute(
                "UPDATE state SET whole = 0 WHERE life = ?1 AND whole = 1 AND snapshot IS ?2 "
                "AND (?2 IS NOT NULL OR seq = ?3)",
                (life, new.snapshot, new.seq),
            )
            cursor.execute("UPDATE state SET whole = 1 WHERE state = ?", (state,))
            if new.snapshot is None:
                cursor.execute("UPDATE life SET covered = max(covered, ?) WHERE life = ?", (new.seq, life))

        self.transact(finish)

    def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Make a snapshot unseen, for `sweep_states` to take; whether there was one."""

        def delete(cursor: sqlite3.Cursor) -> bool:
            cursor.execute(
                "UPDATE state SET whole = 0 WHERE snapshot = ? AND whole = 1 "
                "AND life = (SELECT life FROM life WHERE project = ?)",
                (snapshot_id, project_id),
            )
            return cursor.rowcount > 0

        return self.transact(delete)

    def life(self, project_id: str, epoch: str) -> int | None:
        """The number of a life that goes on."""
        return self.transact(lambda cursor: _life(cursor, project_id, epoch))

    def recover(self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled]) -> bool:
        """See `Broker.recover`; `drop_events` has been called up to the position."""

        def recover(cursor: sqlite3.Cursor) -> bool:
            row = cursor.execute(
                "SELECT life, head, received FROM life WHERE project = ? AND epoch = ?",
                (project_id, at.epoch),
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
            interactions.settle(cursor, settles, received)
            return True

        try:
            return self.transact(recover)
        finally:
            self._appender.forget()

    # --- trimming: each call is one small transaction and tells whether there is more to do -----------

    def drop_events(self, life: int, floor: int) -> tuple[int, bool]:
        """Drop some events of a life up to `floor` and what checkpoints that makes idle.

        Returns the new floor (0 if the life is over meanwhile) and whether there is more.
        """

        def drop(cursor: sqlite3.Cursor) -> tuple[int, bool]:
            row = cursor.execute("SELECT floor FROM life WHERE life = ?", (life,)).fetchone()
            if row is None:
                return 0, False
            reached = _delete_events(cursor, life, row[0], floor)
            cursor.execute("UPDATE life SET floor = ? WHERE life = ?", (reached, life))
            cursor.execute(_DROP_CHECKPOINTS, (life, reached))
            return reached, reached < floor

        return self.transact(drop)

    def purge_grave(self) -> bool:
        """Take away some of what an ended life left behind."""

        def purge(cursor: sqlite3.Cursor) -> bool:
            row = cursor.execute("SELECT life, floor, head FROM grave WHERE purged = 0 LIMIT 1").fetchone()
            if row is None:
                return False
            life, floor, head = row
            reached = _delete_events(cursor, life, floor, head)
            cursor.execute(
                "UPDATE grave SET floor = ?, purged = ? WHERE life = ?", (reached, reached == head, life)
            )
            cursor.execute("UPDATE state SET whole = 0 WHERE life = ? AND whole = 1", (life,))
            return True

        return self.transact(purge)

    def sweep_states(self) -> bool:
        """Take away some parts of a state that is not whole and never will be."""

        def sweep(cursor: sqlite3.Cursor) -> bool:
            unfinished = cursor.execute(
                "SELECT state FROM state WHERE whole = 0 ORDER BY state LIMIT ?",
                (len(self._being_written) + 1,),
            ).fetchall()
            state = next((state for (state,) in unfinished if state not in self._being_written), None)
            if state is None:
                return False
            cursor.execute(
                "DELETE FROM part WHERE key IN (SELECT key FROM part WHERE key >= ? AND key < ? LIMIT ?)",
                (state << PART_BITS, state + 1 << PART_BITS, _PARTS),
            )
            if cursor.rowcount < _PARTS:
                cursor.execute("DELETE FROM state WHERE state = ?", (state,))
            return True

        return self.transact(sweep)

    def forget_publishes(self, producer: int, now: int) -> bool:
        """Forget some of a producer's oldest publishes, and the producer once it has none."""

        def forget(cursor: sqlite3.Cursor) -> bool:
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
                self._appender.forget_producer(*name)
                return False
            bound = rows[-1][0] + 1 if kept is None else kept
            cursor.execute("DELETE FROM publish WHERE producer = ? AND n < ?", (producer, bound))
            return kept is None

        return self.transact(forget)

    def forget_matters(self, cutoff: int) -> bool:
        """Forget some prompts and commands settled before `cutoff` (microseconds)."""
        return self.transact(lambda cursor: interactions.forget(cursor, cutoff))

    def forget_matters_of(self, owner: str, newest: int) -> bool:
        """Forget some of an owner's settled prompts and commands, up to `newest`."""
        return self.transact(lambda cursor: interactions.forget_of(cursor, owner, newest))

    def forget_graves(self, cutoff: int) -> bool:
        """Forget some lives that ended before `cutoff` (microseconds), and how: no publish on record can name
        them (the age of both goes by the same clock)."""

        def forget(cursor: sqlite3.Cursor) -> bool:
            rows = cursor.execute(
                "SELECT project, epoch, life FROM grave WHERE purged = 1 AND ended < ? LIMIT ?",
                (cutoff, _ROWS),
            ).fetchall()
            cursor.executemany("DELETE FROM death WHERE project = ? AND epoch = ?", [row[:2] for row in rows])
            cursor.executemany("DELETE FROM grave WHERE life = ?", [row[2:] for row in rows])
            return len(rows) == _ROWS

        return self.transact(forget)


def _life(cursor: sqlite3.Cursor, project_id: str, epoch: str) -> int | None:
    row = cursor.execute(
        "SELECT life FROM life WHERE project = ? AND epoch = ?", (project_id, epoch)
    ).fetchone()
    return row[0] if row else None


def _delete_events(cursor: sqlite3.Cursor, life: int, floor: int, target: int) -> int:
    """Delete events after `floor` up to `target`, as many as one transaction may; returns the new floor."""
    rows = cursor.execute(
        "SELECT key & ?, length(body) FROM event WHERE key > ? AND key <= ? ORDER BY key LIMIT ?",
        (MAX_SEQ, event_key(life, floor), event_key(life, target), _ROWS),
    ).fetchall()
    size, reached = 0, floor
    for seq, length in rows:  # of a damaged log some are missing
        size += length
        if reached > floor and size > _BYTES:
            break
        reached = seq
    else:
        if len(rows) < _ROWS:
            reached = target
    cursor.execute(
        "DELETE FROM event WHERE key > ? AND key <= ?", (event_key(life, floor), event_key(life, reached))
    )
    return reached


def _probe(cursor: sqlite3.Cursor) -> None:
    cursor.execute("INSERT INTO probe (body) VALUES (zeroblob(?))", (_PROBE_SIZE,))
    cursor.execute("DELETE FROM probe")
