"""Appending to the SQLite broker: a whole batch in one transaction.

Numbers of lives and producers, heads and times are kept in memory, so that a publish costs its rows and no
look-up. What is kept there is what the database holds: after any failure all of it is forgotten.

Whether a publish is known already is not asked beforehand. Its row goes in first, and only if the index
refuses it is the batch begun again with every key looked up: publishes that come twice are rare. A row that
is refused even then is of a life forgotten long ago (the clock was turned back), and is replaced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from attrs import Factory, define

from tasktree_rt.brokers.base import Append, Appended, Conflict, Duplicate, Key, Outcome
from tasktree_rt.brokers.sqlite import interactions
from tasktree_rt.brokers.sqlite.publish_ids import Known, look_up
from tasktree_rt.brokers.sqlite.schema import MAX_LIFE, MAX_SEQ, event_key
from tasktree_rt.errors import StoreUnavailable

_REMEMBERED: Final = 50_000
"""Lives, and producers, kept in memory at most."""

_INSERT_PUBLISH: Final = "INSERT INTO publish VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_LIFE: Final = (
    "INSERT INTO life (life, project, epoch, head, floor, covered, received, state, nodes, owner) "
    "VALUES (?, ?, ?, 0, 0, 0, ?, NULL, 0, ?)"
)
_INSERT_EVENT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?)"
_REPLACE_EVENT: Final = "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?)"
_UPDATE_LIFE: Final = (
    "UPDATE life SET head = ?, received = ?, state = ?, nodes = ?, about = ?, bytes = bytes + ? "
    "WHERE life = ?"
)
_REPLACE_PUBLISH: Final = "INSERT OR REPLACE INTO publish VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@define
class _Life:
    """A life as its row says, with what the open transaction adds."""

    life: int
    epoch: str
    head: int
    received: int
    state: str | None = None
    nodes: int = 0
    about: bytes = b""
    added: int = 0
    """Bytes that the open transaction adds."""


@define
class _Producer:
    producer: int
    last: int


@define
class _Rows:
    """What one transaction has gathered and not yet written."""

    replace: bool
    events: list[tuple[int, str, str | None, int, bytes]] = Factory(list)
    publishes: list[tuple[int, int, str, bytes, int, int, int, int]] = Factory(list)
    lives: dict[int, _Life] = Factory(dict)

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Publishes first: they may be refused."""
        if self.publishes:
            cursor.executemany(_REPLACE_PUBLISH if self.replace else _INSERT_PUBLISH, self.publishes)
        # What is behind the head of a damaged log is written over, so that the log can be ended.
        cursor.executemany(_REPLACE_EVENT if self.replace else _INSERT_EVENT, self.events)
        cursor.executemany(
            _UPDATE_LIFE,
            [
                (life.head, life.received, life.state, life.nodes, life.about, life.added, life.life)
                for life in self.lives.values()
            ],
        )
        for life in self.lives.values():
            life.added = 0
        self.publishes.clear()
        self.events.clear()
        self.lives.clear()


class Appender:
    """Turns batches into rows. Every method is to be called within a transaction of the caller's."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._producers: dict[tuple[str, str], _Producer] = {}

    def forget_producer(self, subject: str, producer_id: str) -> None:
        """Forget a producer whose row has been deleted."""
        self._producers.pop((subject, producer_id), None)

    def forget(self) -> None:
        """Forget all rows: a transaction failed, and only the database is true."""
        self._lives.clear()
        self._producers.clear()

    def append(self, cursor: sqlite3.Cursor, batch: Sequence[Append], *, look: bool) -> list[Outcome]:
        """Write all of `batch` but what is on record, which is looked up first if `look` says so.

        Raises:
            sqlite3.IntegrityError: without `look`: a publish is on record.
        """
        if len(self._lives) > _REMEMBERED or len(self._producers) > _REMEMBERED:
            self.forget()
        known = look_up(cursor, [entry.key for entry in batch if entry.key is not None]) if look else {}
        rows = _Rows(replace=look)
        outcomes: list[Outcome] = []
        for entry in batch:
            earlier = known.get(entry.key) if entry.key is not None else None
            if earlier is not None:
                outcomes.append(earlier[1] if earlier[0] == entry.digest else Conflict())
                continue
            outcomes.append(self._append(cursor, rows, entry, known))
        rows.write(cursor)
        return outcomes

    def _append(self, cursor: sqlite3.Cursor, rows: _Rows, entry: Append, known: Known) -> Appended:
        life = self._lives.get(entry.project_id) or self._find_life(cursor, entry)
        first, count = life.head + 1, len(entry.drafts)
        received = max(entry.received, life.received)
        key = event_key(life.life, first)
        if count == 1:
            draft = entry.drafts[0]
            rows.events.append((key, draft.type, draft.node_id, received, draft.body))
        else:
            rows.events.extend(
                (key + place, draft.type, draft.node_id, received, draft.body)
                for place, draft in enumerate(entry.drafts)
            )
        life.head += count
        life.added += sum(len(draft.body) for draft in entry.drafts)
        life.received, life.state, life.nodes = received, entry.state, entry.nodes
        life.about = entry.about
        rows.lives[life.life] = life
        if life.head > MAX_SEQ:
            raise StoreUnavailable(f"the log of {entry.project_id} is full: delete the project to begin anew")
        if entry.key is not None:
            self._record(cursor, rows, entry, entry.key, life.life, first)
            known[entry.key] = (entry.digest, Duplicate(entry.project_id, life.epoch, first, count))
        if entry.opens or entry.settles:
            interactions.write(cursor, entry)
        if entry.ends:
            rows.write(cursor)
            self._bury(cursor, entry, life)
        return Appended(life.epoch, first, received)

    def _record(
        self, cursor: sqlite3.Cursor, rows: _Rows, entry: Append, key: Key, life: int, first: int
    ) -> None:
        name = (key.subject, key.producer_id)
        producer = self._producers.get(name) or self._find_producer(cursor, name)
        producer.last += 1
        rows.publishes.append(
            (
                producer.producer,
                producer.last,
                key.id,
                entry.digest,
                life,
                first,
                len(entry.drafts),
                entry.received,
            )
        )

    def _find_life(self, cursor: sqlite3.Cursor, entry: Append) -> _Life:
        row = cursor.execute(
            "SELECT life, epoch, head, received FROM life WHERE project = ?", (entry.project_id,)
        ).fetchone()
        life = _Life(*row) if row else _new_life(cursor, entry)
        self._lives[entry.project_id] = life
        return life

    def _find_producer(self, cursor: sqlite3.Cursor, name: tuple[str, str]) -> _Producer:
        row = cursor.execute(
            "SELECT producer, (SELECT max(n) FROM publish p WHERE p.producer = producer.producer) "
            "FROM producer WHERE subject = ? AND name = ?",
            name,
        ).fetchone()
        if row is None:
            cursor.execute("INSERT INTO producer (subject, name) VALUES (?, ?)", name)
            row = (cursor.lastrowid, 0)
        producer = _Producer(row[0], row[1] or 0)
        self._producers[name] = producer
        return producer

    def _bury(self, cursor: sqlite3.Cursor, entry: Append, life: _Life) -> None:
        """End a life: its events cannot be read any more, and `trim` deletes them."""
        del self._lives[entry.project_id]
        last = entry.drafts[-1]
        cursor.execute(
            "INSERT INTO grave SELECT life, project, epoch, floor, head, ?, 0 FROM life WHERE life = ?",
            (life.received, life.life),
        )
        cursor.execute("DELETE FROM life WHERE life = ?", (life.life,))
        cursor.execute(
            "INSERT OR REPLACE INTO death VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.project_id, life.epoch, life.head, last.type, last.node_id, life.received, last.body),
        )


def _new_life(cursor: sqlite3.Cursor, entry: Append) -> _Life:
    """Numbers are not used twice: what is left of an ended life still goes by its own."""
    death = cursor.execute("SELECT received FROM death WHERE project = ?", (entry.project_id,)).fetchone()
    cursor.execute("UPDATE store SET lives = lives + 1")
    life = cursor.execute("SELECT lives FROM store").fetchone()[0]
    if life > MAX_LIFE:
        raise StoreUnavailable("the database has no numbers left for new projects: begin a new one")
    received = death[0] if death else 0
    cursor.execute(
        _INSERT_LIFE,
        (life, entry.project_id, entry.new_epoch, received, entry.owner),
    )
    return _Life(life, entry.new_epoch, 0, received)
