"""Asking the search index. Every function takes a reading connection and blocks, no longer than it may.

A search whose task is cancelled stops too: it asks Trio in the thread that it occupies.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio
from attrs import Factory, define

from tasktree_rt.brokers.base.search import Bounds, Found, Hit, Place, Where
from tasktree_rt.brokers.sqlite.schema import MAX_SEQ, SEQ_BITS, event_key, one_view
from tasktree_rt.core.log import Position
from tasktree_rt.core.search import Excerpt, Query, Term

_COUNTED: Final = 10_000
"""Matches that are counted."""
_STEPS: Final = 2_000
"""Steps of SQLite's machine between two looks at the clock."""
_WORDS: Final = 24
"""Words of an excerpt."""
_LIVES: Final = """
    SELECT l.life, l.project, l.epoch, l.floor, l.head, coalesce(p.upto, l.floor)
    FROM store.life l LEFT JOIN progress p ON p.life = l.life
    WHERE (?1 IS NULL OR l.project = ?1) AND substr(l.project, 1, ?2) <> ?3 ORDER BY l.life DESC"""
_FOUND: Final = """
    FROM entry JOIN store.event e ON e.key = entry.rowid
    WHERE entry MATCH ? AND entry.rowid > ? AND entry.rowid <= ?"""
_HITS: Final = f"""
    SELECT e.key, snippet(entry, 0, ?, ?, '…', {_WORDS}), e.type, e.node, e.received,
        CASE e.type WHEN 'log' THEN json_extract(CAST(e.body AS TEXT), '$.data.level') END
    {_FOUND} ORDER BY entry.rowid DESC LIMIT ?"""
_COUNT: Final = f"SELECT count(*) FROM (SELECT 1 {_FOUND} LIMIT {_COUNTED})"  # noqa: S608 - of constants


@define
class _Life:
    """A life to look through: events above `floor`, up to `upto`."""

    life: int
    project: str
    epoch: str
    floor: int
    head: int
    upto: int


@define
class _Answer:
    """What was found so far."""

    hits: list[Hit] = Factory(list)
    count: int = 0
    exact: bool = True
    next: Place | None = None


def search(
    connection: sqlite3.Connection,
    query: Query,
    where: Where,
    bounds: Bounds,
    after: Place | None,
    users: str,
) -> Found:
    """Answer a search; see `Search.search`. `users` is how the logs begin that are not searched.

    Raises:
        sqlite3.Error: the index, or the database, cannot be read.
    """
    answer, match = _Answer(), _match(query)
    with one_view(connection):
        lives = _lives(connection, where, after, users)
        behind = sum(max(0, one.head - one.upto) for one in lives)
        try:
            with _at_most(connection, bounds.seconds):
                _find(connection, match, lives, bounds.limit, answer)
                _count(connection, match, lives, answer)
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            _break_off(answer)
    only = lives[0] if where.project_id is not None and lives else None
    searched = (only.floor, max(only.floor, only.upto)) if only is not None else (0, 0)
    exact = answer.exact and not behind
    return Found(tuple(answer.hits), answer.count, exact, answer.next, *searched, behind, index=True)


def _lives(connection: sqlite3.Connection, where: Where, after: Place | None, users: str) -> list[_Life]:
    """Read the lives to look through, the newest first, from where the search stopped."""
    rows = connection.execute(_LIVES, (where.project_id, len(users), users))
    lives = [_Life(*row) for row in rows if where.project_id is not None or where.allowed(row[1])]
    if after is None:
        return lives
    wanted = (after.project_id, after.position.epoch)
    while lives and (lives[0].project, lives[0].epoch) != wanted:
        del lives[0]
    if lives:
        first = lives[0]
        first.upto = min(first.upto, max(after.position.seq - 1, first.floor))
        first.head = min(first.head, first.upto)
    return lives


def _ranges(lives: list[_Life]) -> Iterator[tuple[int, int]]:
    """Yield ranges of keys, the newest first: lives with numbers in a row are one range."""
    end: int | None = None
    for at, one in enumerate(lives):
        end = event_key(one.life, one.upto) if end is None else end
        if at + 1 == len(lives) or lives[at + 1].life != one.life - 1:
            yield event_key(one.life, one.floor), end
            end = None


def _find(
    connection: sqlite3.Connection, match: str, lives: list[_Life], limit: int, answer: _Answer
) -> None:
    by_number = {one.life: one for one in lives}
    first_mark, last_mark = (f"\x02{secrets.token_hex(4)}{end}" for end in "<>")
    for after, last in _ranges(lives):
        missing = limit + 1 - len(answer.hits)
        rows = connection.execute(_HITS, (first_mark, last_mark, match, after, last, missing))
        for key, excerpt, *rest in rows:
            life = by_number[key >> SEQ_BITS]
            answer.hits.append(_hit(life, key & MAX_SEQ, _excerpt(excerpt, first_mark, last_mark), *rest))
        if len(answer.hits) > limit:
            answer.hits.pop()
            answer.next = _place(answer.hits[-1])
            return


def _count(connection: sqlite3.Connection, match: str, lives: list[_Life], answer: _Answer) -> None:
    answer.count = len(answer.hits)
    if answer.next is None:
        return
    count = 0
    for after, last in _ranges(lives):
        count += connection.execute(_COUNT, (match, after, last)).fetchone()[0]
        if count >= _COUNTED:
            answer.exact = False
            break
    answer.count = max(answer.count, min(count, _COUNTED))


def _break_off(answer: _Answer) -> None:
    """The time is over: there may be more than was found."""
    answer.exact, answer.count = False, max(answer.count, len(answer.hits))
    if answer.next is None and answer.hits:
        answer.next = _place(answer.hits[-1])


def _hit(
    life: _Life, seq: int, excerpt: Excerpt, type: str, node_id: str | None, received: int, level: str | None
) -> Hit:
    position = Position(life.epoch, seq)
    return Hit(life.project, position, type, node_id, level, received, excerpt)


def _place(hit: Hit) -> Place:
    return Place(hit.project_id, hit.position)


def _excerpt(text: str, first_mark: str, last_mark: str) -> Excerpt:
    """Turn the marks in a text into places."""
    head, *rest = text.split(first_mark)
    plain, marks = head, []
    for piece in rest:
        marked, _, after = piece.partition(last_mark)
        marks.append((len(plain), len(plain) + len(marked)))
        plain += marked + after
    return Excerpt(plain, tuple(marks))


def _match(query: Query) -> str:
    """Write a query in the index's own language. Words have letters and digits only."""
    text = " AND ".join(map(_phrase, query.terms))
    tags = []
    if query.kind is not None:
        tags.append(f'"k{query.kind}"')
    if query.node_id is not None:
        tags.append(f'"n{query.node_id.encode().hex()}"')
    if query.levels:
        tags.append("(" + " OR ".join(f'"l{one.encode().hex()}"' for one in query.levels) + ")")
    return f"text : ({text})" + "".join(f" AND tags : ({one})" for one in tags)


def _phrase(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'


@contextmanager
def _at_most(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt what takes longer, or what no task waits for any more."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until or _abandoned(), _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _abandoned() -> bool:
    """Return whether the task that waits for this thread is cancelled; False outside of Trio's threads."""
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return True
    except RuntimeError:
        return False
    return False
