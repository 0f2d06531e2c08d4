"""Revoked tokens: which ones the hub refuses, kept in the store until they have expired by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from tasktree_rt.brokers.base import Revocation
from tasktree_rt.core.access import Grants, Maker
from tasktree_rt.core.close_codes import TOKEN_INVALID
from tasktree_rt.core.events import micros_to_time
from tasktree_rt.errors import Refused

TOKEN: Final = "token"  # noqa: S105 - a kind
USER: Final = "user"
TOKEN_REVOKED: Final = evolve(TOKEN_INVALID, reason="token revoked")
MAX_TOKEN_ID: Final = 256
"""Maximum characters of a token's id (``jti``)."""
MOST: Final = 100_000
"""Revocations in force at a time."""


class CredentialRevoked(Refused):
    """The token or API key was revoked."""

    default_code = "unauthorized"


class Revocations:
    """The revocations in force, by token id and by user."""

    def __init__(self) -> None:
        self._tokens: dict[str, Revocation] = {}
        self._users: dict[str, Revocation] = {}

    def __len__(self) -> int:
        return len(self._tokens) + len(self._users)

    def __iter__(self) -> Iterator[Revocation]:
        yield from self._tokens.values()
        yield from self._users.values()

    def add(self, one: Revocation) -> None:
        """Put a revocation in force. The one of a user never moves back in time."""
        self._of(one.kind)[one.name] = one

    def known(self, kind: str, name: str) -> Revocation | None:
        """Return the revocation of a token or a user; None if there is none."""
        return self._of(kind).get(name)

    def _of(self, kind: str) -> dict[str, Revocation]:
        return self._tokens if kind == TOKEN else self._users

    def has_room(self, kind: str, name: str) -> bool:
        """Return whether one more may be added."""
        return len(self) < MOST or name in self._of(kind)

    def forget(self, now: int) -> None:
        """Forget those that expire by `now` (microseconds)."""
        for found in (self._tokens, self._users):
            for name in [one.name for one in found.values() if one.expires <= now]:
                del found[name]

    def reason(self, grants: Grants) -> str | None:
        """Return why a token is refused; None if it is not revoked. With a caller's token all subscription
        tokens end that it made.
        """
        if (found := self._reason(grants)) is not None:
            return found
        if grants.maker is not None and self._reason(grants.maker) is not None:
            return "the token that made this one was revoked"
        for lease in grants.leases.values():
            if lease.token_id in self._tokens:
                return "a subscription token of this connection was revoked"
            if lease.maker is not None and self._reason(lease.maker) is not None:
                return "a subscription token of this connection was made with a token that was revoked"
        return None

    def _reason(self, one: Grants | Maker) -> str | None:
        """A token without a time of issue counts as issued before every time."""
        if one.token_id and one.token_id in self._tokens:
            return "the token was revoked"
        found = self._users.get(one.subject)
        if found is None or (one.issued is not None and round(one.issued * 1_000_000) >= found.before):
            return None
        return f"tokens of this user issued before {micros_to_time(found.before)} were revoked"
