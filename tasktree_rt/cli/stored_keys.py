"""The API keys of a store that no hub has open, for ``tasktree-rt key --store``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tasktree_rt.brokers.base import Access, Broker
from tasktree_rt.core.events import Json
from tasktree_rt.errors import Refused
from tasktree_rt.hub.access.api_keys import ApiKeys
from tasktree_rt.hub.context import system_clock
from tasktree_rt.web.admin import key_json


class StoredKeys:
    """Make, list and revoke keys in a store, as `client.interactions.administration` does at a hub."""

    def __init__(self, store: Access, keys: ApiKeys) -> None:
        self._store = store
        self._keys = keys

    async def create_key(self, name: str, grants: Json, *, expires_in: int | None = None) -> Json:
        """Make a key; ``key`` in its description is the key itself."""
        made = await self._keys.create(name, grants, lifetime=expires_in)
        return {"key": made.credential, **key_json(made.key)}

    async def keys(self) -> Sequence[Json]:
        """Return the descriptions of all keys, the oldest first."""
        return [key_json(key) for key in self._keys]

    async def revoke_key(self, key_id: str) -> int:
        """Revoke a key; returns 0, as there are no connections."""
        if self._keys.get(key_id) is None:
            raise Refused("there is no API key with this id", code="not_found", field="key")
        await self._store.revoke(keys=[key_id], at=system_clock())
        return 0


@asynccontextmanager
async def open_stored_keys(broker: Broker) -> AsyncIterator[StoredKeys]:
    """Open a store, made if it is not there, and read its keys.

    Raises:
        StoreUnusable: a hub has it open, or it is no store.
    """
    await broker.open()
    try:
        keys = ApiKeys(broker.access, system_clock)
        await keys.load()
        yield StoredKeys(broker.access, keys)
    finally:
        await broker.aclose()
