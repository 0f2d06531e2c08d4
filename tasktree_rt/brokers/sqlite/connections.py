"""The two connections of an open database: blocking calls take turns on each.

One thread at a time writes, through one connection; another one reads, so that a read never waits for a
commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from traceback import clear_frames
from typing import Protocol, TypeVar

import trio

from tasktree_rt.brokers.sqlite.files import Files, refusals
from tasktree_rt.brokers.sqlite.schema import is_damage, primary_code, translated
from tasktree_rt.brokers.sqlite.worker import Worker
from tasktree_rt.brokers.sqlite.writer import Writer
from tasktree_rt.errors import StoreDamaged, StoreUnavailable

T = TypeVar("T")


class Run(Protocol):
    """Calls something that blocks, at most one at a time for each limiter, as `in_thread` does."""

    def __call__(self, call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> Awaitable[T]:
        """Return what `call` returns. Waits for a call that has begun, cancelled or not."""


async def in_thread(call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> T:
    """Make the call in a worker thread of Trio's."""
    return await trio.to_thread.run_sync(call, limiter=limiter)


class Connections:
    """The writing and the reading connection to the database of `files`.

    Args:
        files: the database, not open yet.
        run: how to call what blocks. By default a thread of its own writes, and Trio's threads read.
    """

    def __init__(self, files: Files, run: Run | None = None) -> None:
        self._files = files
        self._worker = Worker("tasktree-rt store")
        self._run: Run = run or in_thread
        self._run_writer: Run = run or self._worker
        self._write_turn = trio.CapacityLimiter(1)
        self._read_turn = trio.CapacityLimiter(1)
        self._writer: Writer | None = None
        self._reader: sqlite3.Connection | None = None
        self._broken: str | None = None
        """Why nothing is written any more: only opening the database anew finds out how things stand."""

    async def open(self, clean_up: Callable[[Writer], None]) -> None:
        """Lock, check and open the database; `clean_up` may write before anything else does.

        Raises:
            StoreUnusable, StoreUnavailable: nothing is left open or locked.
        """
        with trio.CancelScope(shield=True):
            await self._run_writer(lambda: self._open(clean_up), limiter=self._write_turn)

    def _open(self, clean_up: Callable[[Writer], None]) -> None:
        self._files.open()
        try:
            with refusals(self._files.path):
                self._writer = Writer(
                    self._files.writer,
                    self._files.committed,
                    before=self._files.before_commit,
                    after=self._files.after_commit,
                )
                self._reader = self._files.reader()
                clean_up(self._writer)
                self._files.opened()
        except BaseException:
            self._close()
            raise

    async def aclose(self) -> None:
        """Wait for what is being written, close, and unlock."""
        with trio.CancelScope(shield=True):
            await self._run(self._close_reader, limiter=self._read_turn)
            await self._run_writer(self._close, limiter=self._write_turn)
            self._worker.close()

    def _close_reader(self) -> None:
        connection, self._reader = self._reader, None
        if connection is not None:
            connection.close()

    def _close(self) -> None:
        self._close_reader()
        writer, self._writer = self._writer, None
        try:
            with translated():
                if writer is not None:
                    writer.close()
        finally:
            self._files.close()

    async def write(self, work: Callable[[Writer], T]) -> T:
        """Do `work` with the writer, in its turn."""

        def call() -> T:
            if self._writer is None:
                raise StoreUnavailable("the store is not open")
            self._check_broken()
            try:
                return work(self._writer)
            except (sqlite3.Error, StoreUnavailable) as error:
                with self._lasting():  # entered only here: a commit that is well pays nothing for it
                    raise error

        return await self._run_writer(call, limiter=self._write_turn)

    async def transact(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Do `work` in a transaction of its own, in its turn; all of it or nothing."""
        return await self.write(lambda writer: writer.transact(work))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` with the reading connection, in its turn."""

        def call() -> T:
            if self._reader is None:
                raise StoreUnavailable("the store is not open")
            with self._lasting():
                try:
                    return work(self._reader)
                except Exception as error:
                    # A cursor that was broken off would keep its view of the database as long as the error.
                    clear_frames(error.__traceback__)
                    raise

        return await self._run(call, limiter=self._read_turn)

    async def read_project(self, project_id: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """`read` something of one project: what cannot be read is that project's damage.

        Raises:
            StoreDamaged: something of it cannot be read.
            StoreUnavailable: a fault of the store's.
        """
        try:
            return await self.read(work)
        except StoreUnavailable as error:
            if is_damage(error.__cause__):
                raise StoreDamaged(project_id, str(error)) from error
            raise

    async def verify(self) -> None:
        """Look for the files; writes nothing.

        Raises:
            StoreUnavailable: they are not where they were, or the store is broken.
        """

        def look() -> None:
            with self._lasting():
                self._check_broken()
                self._files.check()

        await self._run(look, limiter=self._read_turn)

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Translate SQLite's errors, and remember one that does not pass.

        Raises:
            StoreUnavailable: what went wrong, or that the files are not where they were, which explains it.
        """
        try:
            with translated():
                yield
        except StoreUnavailable as error:
            if error.lasting and self._broken is None:
                self._broken = str(error)
            self._explain(error)
            raise

    def _explain(self, error: StoreUnavailable) -> None:
        """Raise that the files are not where they were, or the disk is full, if that is why."""
        try:
            self._files.check()
        except StoreUnavailable as lost:
            self._broken = str(lost)
            raise lost from error
        cause = error.__cause__
        failed = isinstance(cause, sqlite3.Error) and primary_code(cause) == sqlite3.SQLITE_IOERR
        if failed and self._files.full:
            raise StoreUnavailable(f"the disk is full ({cause})") from cause

    def _check_broken(self) -> None:
        if self._broken is not None:
            raise StoreUnavailable(self._broken, lasting=True)
