"""Opening SQLite brokers in the tests, and connections and threads that fail when told to."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from tasktree_rt.brokers.sqlite import SqliteBroker

T = TypeVar("T")


@asynccontextmanager
async def opened(path: Path | str, **options: Any) -> AsyncIterator[SqliteBroker]:
    broker = SqliteBroker(str(path), **options)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.aclose()


class Faulty(sqlite3.Connection):
    """Fails as `fails` says at every statement that begins with one of its keys."""

    fails: dict[str, int]
    """Statement to SQLite result code."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        fail(self.fails, sql)
        return super().execute(sql, *parameters)

    def cursor(self, *arguments: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(FaultyCursor)


class FaultyCursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
        assert isinstance(self.connection, Faulty)
        fail(self.connection.fails, sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
        assert isinstance(self.connection, Faulty)
        fail(self.connection.fails, sql)
        return super().executemany(sql, *parameters)


def fail(fails: dict[str, int], sql: str) -> None:
    for start, code in fails.items():
        if sql.startswith(start):
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = code
            error.sqlite_errorname = "INJECTED"
            raise error


def faulty_connect(fails: dict[str, int]) -> Callable[[str], sqlite3.Connection]:
    """A `connect` for `SqliteBroker` whose connections fail as `fails` says at the time."""

    def connect(path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Faulty)
        connection.fails = fails
        return connection

    return connect


class Crash(BaseException):
    """The process is thought to end here."""


class Inline:
    """A `run` without threads. After `crash_after` calls it raises `Crash`: what was called for is done, and
    nobody hears of it."""

    def __init__(self) -> None:
        self.crash_after: int | None = None
        self.calls = 0

    async def __call__(self, call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> T:
        async with limiter:
            self.calls += 1
            result = call()
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after <= 0:
                raise Crash
        return result
