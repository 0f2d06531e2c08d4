"""API keys and revocations in SQLite: rows of the tables ``api_key`` and ``revocation``."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

from attrs import astuple

from tasktree_rt.brokers.base import ApiKey, Revocation
from tasktree_rt.brokers.sqlite.connections import Connections

_ADD: Final = (
    "INSERT OR IGNORE INTO api_key (id, name, digest, grants, created, creator, expires, used, revoked) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEYS: Final = (
    "SELECT id, name, digest, grants, created, creator, expires, used, revoked FROM api_key "
    "ORDER BY created, id"
)
_USED: Final = "UPDATE api_key SET used = ?1 WHERE id = ?2 AND (used IS NULL OR used < ?1)"
_REVOKE: Final = (
    "INSERT OR REPLACE INTO revocation (kind, name, before, made, expires, creator) VALUES (?, ?, ?, ?, ?, ?)"
)
_REVOCATIONS: Final = (
    "SELECT kind, name, before, made, expires, creator FROM revocation ORDER BY made, kind, name"
)
_OLD: Final = (
    "SELECT EXISTS (SELECT 1 FROM revocation WHERE expires <= ?1) "
    "OR EXISTS (SELECT 1 FROM api_key WHERE revoked < ?2 OR expires < ?2)"
)


class SqliteAccess:
    """Implements `brokers.base.Access`; each method that writes is one transaction."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add_key(self, key: ApiKey) -> bool:
        """Write a new key."""

        def write(cursor: sqlite3.Cursor) -> bool:
            cursor.execute(_ADD, astuple(key))
            return cursor.rowcount == 1

        return await self._connections.transact(write)

    async def keys(self) -> list[ApiKey]:
        """Read all keys."""
        return await self._connections.read(lambda found: [ApiKey(*row) for row in found.execute(_KEYS)])

    async def used_keys(self, used: Mapping[str, int]) -> None:
        """Write when keys were last used."""
        rows = [(at, key_id) for key_id, at in used.items()]
        await self._connections.transact(lambda cursor: cursor.executemany(_USED, rows))

    async def revoke(
        self, revocations: Collection[Revocation] = (), keys: Collection[str] = (), *, at: int
    ) -> None:
        """Write revocations and revoke keys, all or nothing."""

        def write(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(_REVOKE, [astuple(one) for one in revocations])
            cursor.executemany(
                "UPDATE api_key SET revoked = ? WHERE id = ? AND revoked IS NULL", [(at, one) for one in keys]
            )

        await self._connections.transact(write)

    async def revocations(self) -> list[Revocation]:
        """Read all revocations."""
        return await self._connections.read(
            lambda found: [Revocation(*row) for row in found.execute(_REVOCATIONS)]
        )

    async def forget_access(self, now: int, ended_before: int) -> None:
        """Delete expired revocations, and keys that ended long ago; writes nothing if there are none."""
        times = (now, ended_before)
        if not await self._connections.read(lambda found: found.execute(_OLD, times).fetchone()[0]):
            return

        def delete(cursor: sqlite3.Cursor) -> None:
            cursor.execute("DELETE FROM revocation WHERE expires <= ?", (now,))
            cursor.execute("DELETE FROM api_key WHERE revoked < ?1 OR expires < ?1", (ended_before,))

        await self._connections.transact(delete)
