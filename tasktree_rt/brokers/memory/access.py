"""API keys and revocations in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import trio
from attrs import evolve

from tasktree_rt.brokers.base import ApiKey, Revocation


class MemoryAccess:
    """Implements `brokers.base.Access`."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._revocations: dict[tuple[str, str], Revocation] = {}

    async def add_key(self, key: ApiKey) -> bool:
        """Store a new key."""
        await trio.lowlevel.checkpoint()
        return self._keys.setdefault(key.id, key) is key

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        await trio.lowlevel.checkpoint()
        return sorted(self._keys.values(), key=lambda key: (key.created, key.id))

    async def used_keys(self, used: Mapping[str, int]) -> None:
        """Note when keys were last used."""
        await trio.lowlevel.checkpoint()
        for key_id, at in used.items():
            key = self._keys.get(key_id)
            if key is not None and (key.used is None or key.used < at):
                self._keys[key_id] = evolve(key, used=at)

    async def revoke(
        self, revocations: Collection[Revocation] = (), keys: Collection[str] = (), *, at: int
    ) -> None:
        """Store revocations and revoke keys, at once."""
        await trio.lowlevel.checkpoint()
        for one in revocations:
            self._revocations[one.kind, one.name] = one
        for key_id in keys:
            key = self._keys.get(key_id)
            if key is not None and key.revoked is None:
                self._keys[key_id] = evolve(key, revoked=at)

    async def revocations(self) -> list[Revocation]:
        """Return all revocations, the oldest first."""
        await trio.lowlevel.checkpoint()
        return sorted(self._revocations.values(), key=lambda one: (one.made, one.kind, one.name))

    async def forget_access(self, now: int, ended_before: int) -> None:
        """Delete expired revocations, and keys that ended long ago."""
        await trio.lowlevel.checkpoint()
        self._revocations = {name: one for name, one in self._revocations.items() if one.expires > now}
        self._keys = {key.id: key for key in self._keys.values() if not key.ended_before(ended_before)}
