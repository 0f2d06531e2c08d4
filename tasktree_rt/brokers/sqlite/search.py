"""Search in a SQLite store: with the index while it works, else by reading the logs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base.search import Bounds, Found, Place, Where
from tasktree_rt.brokers.sqlite import search_file, search_query
from tasktree_rt.brokers.sqlite.connections import Run
from tasktree_rt.brokers.sqlite.search_file import SearchFile
from tasktree_rt.brokers.sqlite.search_index import IndexWriter
from tasktree_rt.core.search import Query
from tasktree_rt.core.topics import user_topic

T = TypeVar("T")
log: Final[BoundLogger] = get_logger("tasktree_rt.search")
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 600.0
"""Seconds until a faulty index is made anew: the first time, and at most."""


class SearchIndex:
    """The index of a database, opened when it is first needed. A fault of it disturbs nothing else.

    One thread at a time fills it, another one asks it.
    """

    def __init__(self, path: str, run: Run) -> None:
        self._file = SearchFile(path)
        self._run = run
        self._write_turn = trio.CapacityLimiter(1)
        self._read_turn = trio.CapacityLimiter(1)
        self._writer: IndexWriter | None = None
        self._reader: sqlite3.Connection | None = None
        self._works: Final = search_file.works()
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    async def aclose(self) -> None:
        """Close the connections."""
        with trio.CancelScope(shield=True):
            await self._run(self._close_reader, limiter=self._read_turn)
            await self._run(self._close_writer, limiter=self._write_turn)

    async def step(self) -> bool:
        """Do some of the index's work; False if nothing is left to do, or it cannot be done now."""
        return bool(await self._guarded(self._step, self._write_turn))

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None) -> Found | None:
        """Ask the index; None if it cannot be asked now."""
        ask = partial(
            search_query.search, query=query, where=where, bounds=bounds, after=after, users=user_topic("")
        )
        if self._writer is None:
            return None
        return await self._guarded(lambda: ask(self._asked()), self._read_turn)

    async def _guarded(self, call: Callable[[], T], turn: trio.CapacityLimiter) -> T | None:
        if not self._works or time.monotonic() < self._not_before:
            return None
        try:
            return await self._run(call, limiter=turn)
        except (sqlite3.Error, OSError) as error:
            await self._broken(error)
            return None

    def _step(self) -> bool:
        if self._writer is not None and not self._file.there:
            raise FileNotFoundError(f"{self._file.path} is gone")
        if self._writer is None:
            self._writer = IndexWriter(self._file.writer())
        more = self._writer.step()
        self._pause = _FIRST_PAUSE
        return more

    def _asked(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = self._file.reader()
        return self._reader

    async def _broken(self, error: Exception) -> None:
        """Make the index anew after a while: what it had is in the database."""
        if not isinstance(error, sqlite3.OperationalError) or self._pause > _FIRST_PAUSE:
            await self.aclose()
            await self._run(self._file.delete, limiter=self._write_turn)
        log.warning("search index fails", file=self._file.path, reason=str(error), again_in=self._pause)
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _close_reader(self) -> None:
        connection, self._reader = self._reader, None
        if connection is not None:
            connection.close()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
