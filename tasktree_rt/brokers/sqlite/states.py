"""Checkpoints and snapshots: states in parts, written in slices and unseen until whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from attrs import frozen

from tasktree_rt.brokers.base import Checkpoint, Snapshot
from tasktree_rt.brokers.sqlite.connections import Connections
from tasktree_rt.brokers.sqlite.schema import MAX_PARTS, PART_BITS, life_of, one_view
from tasktree_rt.brokers.sqlite.writer import Writer
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreDamaged

_SLICE_BYTES: Final = 256 * 1024
"""Of a checkpoint written in one transaction, if its parts are small enough."""
_SWEPT_PARTS: Final = 128
"""Parts that one transaction deletes at most."""
_SWEPT_AT_OPEN: Final = 64
"""Transactions of cleaning up that `open` waits for; `trim` does the rest."""
_SNAPSHOTS: Final = (
    "SELECT snapshot, project, name, epoch, seq, created, state.owner, state.state "
    "FROM life JOIN state USING (life) WHERE snapshot IS NOT NULL AND whole = 1"
)


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


class StateWriter:
    """Writes states in several transactions, and deletes those that never became whole."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._being_written: set[int] = set()

    async def save(self, new: NewState, parts: tuple[bytes, ...]) -> None:
        """Write a state in slices; readers see it after the last one."""
        transact = self._connections.transact
        state = await transact(partial(self._begin, new=new))
        if state is None:
            return
        try:
            first = 0
            while first < len(parts):
                end = _slice_end(parts, first)
                await transact(partial(_add_parts, state=state, first=first, parts=parts[first:end]))
                first = end
            await transact(partial(_finish, state=state, new=new))
        finally:
            self._being_written.discard(state)

    def clean_up(self, writer: Writer) -> None:
        """Begin to delete what a crash left unfinished, in a store that is being opened."""
        self._being_written.clear()
        for _ in range(_SWEPT_AT_OPEN):
            if not writer.transact(self.sweep):
                break

    def sweep(self, cursor: sqlite3.Cursor) -> bool:
        """Delete some parts of a state that is not whole and never will be; False if there is none."""
        unfinished = cursor.execute(
            "SELECT state FROM state WHERE whole = 0 ORDER BY state LIMIT ?",
            (len(self._being_written) + 1,),
        ).fetchall()
        state = next((state for (state,) in unfinished if state not in self._being_written), None)
        if state is None:
            return False
        cursor.execute(
            "DELETE FROM part WHERE key IN (SELECT key FROM part WHERE key >= ? AND key < ? LIMIT ?)",
            (state << PART_BITS, state + 1 << PART_BITS, _SWEPT_PARTS),
        )
        if cursor.rowcount < _SWEPT_PARTS:
            cursor.execute("DELETE FROM state WHERE state = ?", (state,))
        return True

    def _begin(self, cursor: sqlite3.Cursor, new: NewState) -> int | None:
        """Return the number of the new state, for its parts; None if its life is over."""
        life = life_of(cursor, new.project_id, new.epoch)
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


def _add_parts(cursor: sqlite3.Cursor, state: int, first: int, parts: Sequence[bytes]) -> None:
    """Write some parts of a state, from place `first` on."""
    if first + len(parts) > MAX_PARTS:
        raise ValueError(f"a state of more than {MAX_PARTS} parts")
    rows = [(state << PART_BITS | place, part) for place, part in enumerate(parts, first)]
    cursor.executemany("INSERT INTO part VALUES (?, ?)", rows)


def _finish(cursor: sqlite3.Cursor, state: int, new: NewState) -> None:
    """Make a state visible in place of one of the same name; it stays unseen if its life is over."""
    life = life_of(cursor, new.project_id, new.epoch)
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


def _slice_end(parts: Sequence[bytes], first: int) -> int:
    """Return the end of the parts from `first` on, at least one, that fit into one transaction."""
    size = len(parts[first])
    end = first + 1
    while end < len(parts) and size + len(parts[end]) <= _SLICE_BYTES:
        size += len(parts[end])
        end += 1
    return end


def delete_snapshot(cursor: sqlite3.Cursor, project_id: str, snapshot_id: str) -> bool:
    """Make a snapshot unseen, for `StateWriter.sweep`; False if there is none."""
    cursor.execute(
        "UPDATE state SET whole = 0 WHERE snapshot = ? AND whole = 1 "
        "AND life = (SELECT life FROM life WHERE project = ?)",
        (snapshot_id, project_id),
    )
    return cursor.rowcount > 0


def checkpoint_at(connection: sqlite3.Connection, project_id: str, position: Position) -> Checkpoint | None:
    """Read the newest checkpoint at or before a position."""
    with one_view(connection):
        row = connection.execute(
            "SELECT life FROM life WHERE project = ? AND epoch = ?", (project_id, position.epoch)
        ).fetchone()
        if row is None:
            return None
        return newest_checkpoint(connection, project_id, row[0], position.epoch, position.seq)


def newest_checkpoint(
    connection: sqlite3.Connection, project_id: str, life: int, epoch: str, seq: int
) -> Checkpoint | None:
    """Read the newest checkpoint of a life at or before `seq`."""
    row = connection.execute(
        "SELECT state, seq FROM state WHERE life = ? AND snapshot IS NULL AND seq <= ? AND whole = 1 "
        "ORDER BY seq DESC LIMIT 1",
        (life, seq),
    ).fetchone()
    return Checkpoint(epoch, row[1], _parts(connection, project_id, row[0])) if row else None


def snapshots(connection: sqlite3.Connection, project_id: str | None) -> list[Snapshot]:
    """Read the snapshots of a project, oldest first, or of all."""
    if project_id is None:
        return [Snapshot(*row[:-1]) for row in connection.execute(_SNAPSHOTS)]
    rows = connection.execute(f"{_SNAPSHOTS} AND project = ? ORDER BY created, snapshot", (project_id,))
    return [Snapshot(*row[:-1]) for row in rows]


def snapshot(
    connection: sqlite3.Connection, project_id: str, snapshot_id: str
) -> tuple[Snapshot, tuple[bytes, ...]] | None:
    """Read a snapshot with its parts."""
    with one_view(connection):
        query = f"{_SNAPSHOTS} AND project = ? AND snapshot = ?"
        row = connection.execute(query, (project_id, snapshot_id)).fetchone()
        return (Snapshot(*row[:-1]), _parts(connection, project_id, row[-1])) if row else None


def _parts(connection: sqlite3.Connection, project_id: str, state: int) -> tuple[bytes, ...]:
    rows = connection.execute(
        "SELECT key, body FROM part WHERE key >= ? AND key < ? ORDER BY key",
        (state << PART_BITS, state + 1 << PART_BITS),
    ).fetchall()
    if rows and rows[-1][0] != (state << PART_BITS) + len(rows) - 1:
        raise StoreDamaged(project_id, "a part of a stored state is missing")
    return tuple(body for _, body in rows)
