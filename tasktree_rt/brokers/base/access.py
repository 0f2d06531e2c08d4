"""API keys and revocations: what a store keeps of access."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from attrs import frozen


@frozen
class ApiKey:
    """An API key, without its secret. All times are microseconds since the Unix epoch.

    Attributes:
        id: unique over all keys.
        name: for people; several keys may have the same.
        digest: verifies the secret, opaque.
        grants: opaque.
        created: when it was made.
        creator: the subject that made it; "" is the operator of the store.
        expires: when it ends; None is never.
        used: when it was last used; None is never.
        revoked: when it was revoked; None while it is not.
    """

    id: str
    name: str
    digest: bytes
    grants: bytes
    created: int
    creator: str = ""
    expires: int | None = None
    used: int | None = None
    revoked: int | None = None

    def ended_before(self, at: int) -> bool:
        """Return whether the key was revoked or expired before `at`."""
        return any(end is not None and end < at for end in (self.revoked, self.expires))


@frozen
class Revocation:
    """Tokens that are refused: one token, or a user's. All times are microseconds since the Unix epoch.

    Attributes:
        kind: ``token`` or ``user``.
        name: the token's id, or the user.
        before: tokens issued before it are refused.
        made: when it was made.
        expires: when the store may forget it, as every such token has expired by itself.
        creator: the subject that made it.
    """

    kind: str
    name: str
    before: int
    made: int
    expires: int
    creator: str = ""


class Access(Protocol):
    """The store of API keys and revocations. What a method has written survives as an append does."""

    async def add_key(self, key: ApiKey) -> bool:
        """Store a new key; returns False, and stores nothing, if its id is known."""

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first; those of the same time by id."""

    async def used_keys(self, used: Mapping[str, int]) -> None:
        """Note when keys were last used, by id. An earlier time than the known one, and an unknown id, change
        nothing.
        """

    async def revoke(
        self, revocations: Collection[Revocation] = (), keys: Collection[str] = (), *, at: int
    ) -> None:
        """Store revocations, and revoke keys by id, in one durable transaction.

        A revocation replaces the one of the same kind and name. A revoked key keeps the time of its first
        revocation; an unknown id changes nothing.
        """

    async def revocations(self) -> list[Revocation]:
        """Return all revocations, the oldest first; those of the same time by kind and name."""

    async def forget_access(self, now: int, ended_before: int) -> None:
        """Delete the revocations that expire by `now`, and the keys that were revoked or expired before
        `ended_before`.
        """
