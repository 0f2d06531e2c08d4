"""A database that is only read, beside the hub that has it open or without one; damaged or not.

Nothing is locked and nothing is written: a copy, and the file of a hub that does not start any more, can be
read as well.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from tasktree_rt.brokers.base import Checkpoint, Outline, Salvaged
from tasktree_rt.brokers.sqlite import damage, schema, states
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreDamaged, StoreUnusable

_PATIENCE: Final = 5.0
"""Seconds to wait for another program that has the file for itself."""


class Archive:
    """A connection that only reads. All methods block."""

    def __init__(self, path: str) -> None:
        """Open a database.

        Raises:
            StoreUnusable: there is none, it is another program's, or of another version.
        """
        self._path = path
        if not os.path.isfile(path):
            raise StoreUnusable(f"{path} is no file")
        # Without a write-ahead log no program writes to the file, and SQLite would have to make one to look
        # for it.
        how = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
        with self._readable():
            self._connection = sqlite3.connect(
                f"file:{quote(path)}?{how}", uri=True, isolation_level=None, timeout=_PATIENCE
            )
        with self._readable():
            self._check()

    def close(self) -> None:
        """Close the connection to the database."""
        self._connection.close()

    def outline(self, project_id: str) -> Outline:
        """Read what is known of a project beside its log."""
        with self._readable():
            return damage.outline(self._connection, project_id)

    def checkpoints(self, project_id: str) -> list[int]:
        """Read the seqs of a project's checkpoints, the newest first; empty where they cannot be read."""
        try:
            return damage.checkpoints(self._connection, project_id)
        except sqlite3.DatabaseError:
            return []

    def checkpoint(self, project_id: str, position: Position) -> Checkpoint | None:
        """Read the checkpoint at a position; None if it cannot be read."""
        try:
            found = states.checkpoint_at(self._connection, project_id, position)
        except (sqlite3.DatabaseError, StoreDamaged):
            return None
        return found if found is not None and found.seq == position.seq else None

    def salvage(self, project_id: str, after: int, limit: int) -> Salvaged:
        """Read the events after a seq that can be read, at most `limit`."""
        with self._readable():
            return damage.salvage(self._connection, project_id, after, limit)

    def _check(self) -> None:
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application_id != schema.APPLICATION_ID:
            raise StoreUnusable(f"{self._path} is a database of another program")
        if version != schema.VERSION:
            known = f"schema {version}, this program's is {schema.VERSION}"
            raise StoreUnusable(f"{self._path} was written by another version of this program ({known})")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnusable(f"{self._path}: {schema.reason(error)}") from error
