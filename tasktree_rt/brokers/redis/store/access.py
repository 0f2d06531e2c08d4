"""API keys and revocations in Redis."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from attrs import astuple, evolve

from tasktree_rt.brokers.base import ApiKey, Revocation
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.link import Word
from tasktree_rt.brokers.redis.store.records import binary, pack
from tasktree_rt.brokers.redis.store.scripts import ACCESS, CALL

_read_key = msgspec.msgpack.Decoder(
    tuple[str, str, bytes, bytes, int, str, int | None, int | None, int | None]
).decode
_read_revocation = msgspec.msgpack.Decoder(tuple[str, str, int, int, int, str]).decode


class RedisAccess:
    """Implements `brokers.base.Access`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add_key(self, key: ApiKey) -> bool:
        """Store a new key."""
        return await self._write("add", key.id, pack(astuple(key)))

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        rows = await self._all("access:keys")
        used, revoked = await self._all("access:used"), await self._all("access:revoked")
        found = []
        for name, row in rows.items():
            key = ApiKey(*_read_key(row))
            if name in used:
                key = evolve(key, used=int(used[name]))
            if name in revoked:
                key = evolve(key, revoked=int(revoked[name]))
            found.append(key)
        return sorted(found, key=lambda key: (key.created, key.id))

    async def used_keys(self, used: Mapping[str, int]) -> None:
        """Note when keys were last used."""
        if used:
            await self._write("used", *(word for pair in used.items() for word in pair))

    async def revoke(
        self, revocations: Collection[Revocation] = (), keys: Collection[str] = (), *, at: int
    ) -> None:
        """Store revocations and revoke keys, in one script."""
        rows = [(_name(one), binary(pack(astuple(one)))) for one in revocations]
        await self._write("revoke", at, pack(rows), pack(list(keys)))

    async def revocations(self) -> list[Revocation]:
        """Return all revocations, the oldest first."""
        found = [
            Revocation(*_read_revocation(row)) for row in (await self._all("access:revocations")).values()
        ]
        return sorted(found, key=lambda one: (one.made, one.kind, one.name))

    async def forget_access(self, now: int, ended_before: int) -> None:
        """Delete expired revocations, and keys that ended long ago."""
        keys = [key.id for key in await self.keys() if key.ended_before(ended_before)]
        over = [_name(one) for one in await self.revocations() if one.expires <= now]
        if keys or over:
            await self._write("forget", pack(keys), pack(over))

    async def _write(self, verb: str, *words: Word) -> bool:
        _, done = await self._engine.write(ACCESS, verb, *words)
        return bool(done)

    async def _all(self, name: str) -> dict[bytes, bytes]:
        _, flat = await self._engine.run(CALL, "HGETALL", name)
        return dict(zip(flat[::2], flat[1::2], strict=True))


def _name(one: Revocation) -> str:
    return f"{one.kind}\0{one.name}"
