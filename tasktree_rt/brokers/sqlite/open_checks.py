"""Refusing what cannot be opened: no database, one of another program or a newer version, a damaged one.

Every function raises `StoreUnusable` to refuse.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from tasktree_rt.brokers.sqlite import schema
from tasktree_rt.brokers.sqlite.database_file import DatabaseFile
from tasktree_rt.errors import StoreUnusable

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_SIZE: Final = 100
_SMALL: Final = 8 << 20
"""Bytes up to which a database is checked page by page at open."""


def inspect(path: str, hold: DatabaseFile) -> os.stat_result | None:
    """Refuse a file whose first bytes show that it is no database of this program; None if it is empty."""
    header, status = hold.read(_HEADER_SIZE), hold.status
    if not header:
        return None
    if not header.startswith(_MAGIC):
        raise StoreUnusable(f"{path} is not a SQLite database")
    if not any(os.path.exists(path + suffix) for suffix in ("-wal", "-journal")):
        _inspect_header(path, header, status.st_size)
    return status


def _inspect_header(path: str, header: bytes, size: int) -> None:
    """Refuse by a header that no write-ahead log or journal can still change (format:
    sqlite.org/fileformat2).
    """
    number = [int.from_bytes(header[at : at + 4], "big") for at in range(0, _HEADER_SIZE, 4)]
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65_536 if page_size == 1 else page_size
    _judge(path, number[68 // 4], number[60 // 4])
    # The number of pages counts only if the program that changed the file last also wrote it.
    if number[24 // 4] == number[92 // 4] and number[28 // 4] * page_size > size:
        raise StoreUnusable(f"{path} is damaged: the file is shorter than it says")


def _judge(path: str, application_id: int, version: int) -> None:
    if application_id != schema.APPLICATION_ID:
        raise StoreUnusable(f"{path} is a database of another program")
    if version > schema.VERSION:
        known = f"schema {version}, known is {schema.VERSION}"
        raise StoreUnusable(
            f"{path} was written by a newer version of this program ({known}): "
            "run that version, or restore a backup made before the upgrade"
        )


def is_fresh(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether a database is empty; refuse one of another program, now as SQLite reads it."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application_id == 0 and tables == 0:
        return True
    _judge(path, application_id, version)
    return False


def check_pages(connection: sqlite3.Connection, path: str) -> None:
    """Check every page of a small database; damage of a large one is found when its pages are read."""
    if os.stat(path).st_size > _SMALL:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreUnusable(f"{path} is damaged: {' '.join(str(verdict).split())}")
