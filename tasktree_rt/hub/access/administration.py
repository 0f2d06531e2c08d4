"""What administrators see and change of access: API keys, revocations, waiting requests, the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from tasktree_rt.brokers.base import Access, Revocation
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import micros_to_time
from tasktree_rt.core.topics import user_id
from tasktree_rt.errors import InvalidInput, Refused, StoreUnavailable
from tasktree_rt.hub.access.api_keys import KEPT_ENDED, USED_EVERY, ApiKeys, NewKey, shown_grants
from tasktree_rt.hub.access.audit import Audit
from tasktree_rt.hub.access.open_requests import OpenRequests
from tasktree_rt.hub.access.revocations import (
    MAX_TOKEN_ID,
    MOST,
    TOKEN,
    USER,
    CredentialRevoked,
    Revocations,
)
from tasktree_rt.hub.context import HubContext

FORGOTTEN_EVERY: Final = 60.0
"""Seconds between two looks for what has expired."""


class Administration:
    """See the module's docstring.

    `end` ends the connections and requests of every caller for which the function that it gets returns a
    reason; it returns how many it ended.
    """

    def __init__(
        self,
        context: HubContext,
        store: Access,
        end: Callable[[Callable[[Grants], str | None]], Awaitable[int]],
    ) -> None:
        self._context = context
        self._store = store
        self._end = end
        self.keys = ApiKeys(store, context.wall)
        self.revocations = Revocations()
        self.requests = OpenRequests()
        self.audit = Audit()

    async def load(self) -> None:
        """Read keys and revocations from the store.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        await self.keys.load()
        for one in await self._store.revocations():
            self.revocations.add(one)

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what has to run for as long as the hub does."""
        return [self._write_used, self._forget]

    # --- callers ----------------------------------------------------------------------------------

    def reason(self, grants: Grants) -> str | None:
        """Return why a caller's token or API key is refused now; None if it is not revoked."""
        if self.keys.is_revoked(grants.token_id):
            return "the API key was revoked"
        makers = (grants.maker, *(one.maker for one in grants.leases.values()))
        if any(maker is not None and self.keys.is_revoked(maker.token_id) for maker in makers):
            return "the API key that made this one was revoked"
        return self.revocations.reason(grants) if self.revocations else None

    def refuse_revoked(self, grants: Grants) -> None:
        """Refuse a caller whose token or API key is revoked.

        Raises:
            CredentialRevoked: with the reason.
        """
        reason = self.reason(grants)
        if reason is not None:
            raise CredentialRevoked(reason)

    @contextmanager
    def waiting(self, grants: Grants) -> Iterator[None]:
        """Let an HTTP request wait in this block, until the hub ends it.

        Raises:
            CredentialRevoked: the caller's token or API key was revoked.
            PeerError: an administrator ended it.
        """
        self.refuse_revoked(grants)
        with self.requests.waiting(grants):
            yield

    # --- administration ---------------------------------------------------------------------------

    async def create_key(
        self, caller: Grants, name: object, grants: object, *, lifetime: float | None = None
    ) -> NewKey:
        """Make an API key for an administrator; errors as `ApiKeys.create`."""
        made = await self.keys.create(name, grants, lifetime=lifetime, creator=caller.subject)
        given = shown_grants(made.key)
        self.audit.did("key created", caller, key=made.key.id, name=made.key.name, grants=given)
        return made

    async def revoke_key(self, caller: Grants, key_id: str) -> int:
        """Revoke an API key; returns how many connections ended.

        Raises:
            Refused: ``not_found``.
            StoreUnavailable: it is in force, and not stored.
        """
        key = self.keys.get(key_id)
        if key is None:
            raise Refused("there is no API key with this id", code="not_found", field="key")
        at = self._context.wall()
        self.keys.revoked([key_id], at)
        ended, stored = await self._enforce([], [key_id], at)
        self.audit.did("key revoked", caller, key=key_id, name=key.name, ended=ended, stored=stored is None)
        return _stored(ended, stored)

    async def revoke_token(self, caller: Grants, token_id: object) -> int:
        """Revoke the token with an id (``jti``); returns how many connections ended.

        Raises:
            InvalidInput: it is no token's id.
            Refused: ``subject_full``: too many revocations are in force.
            StoreUnavailable: it is in force, and not stored.
        """
        if not isinstance(token_id, str) or not 0 < len(token_id) <= MAX_TOKEN_ID:
            raise InvalidInput(f"expected 1-{MAX_TOKEN_ID} characters", field="token_id")
        if self.keys.get(token_id) is not None:
            raise InvalidInput("this is the id of an API key: give it as key", field="token_id")
        now = self._context.wall()
        return await self._revoke(caller, TOKEN, token_id, now, [])

    async def revoke_user(self, caller: Grants, user: object, before: int | None = None) -> int:
        """Revoke the tokens of a user that were issued before a time (microseconds; None: now), and the
        user's API keys; returns how many connections ended.

        Raises:
            InvalidInput: it is no user, or the time is to come.
            Refused: ``subject_full``: too many revocations are in force.
            StoreUnavailable: it is in force, and not stored.
        """
        name, now = user_id(user, "user"), self._context.wall()
        if before is not None and before > now:
            raise InvalidInput("expected a time that is not in the future", field="before")
        known = self.revocations.known(USER, name)
        until = max(now if before is None else before, 0 if known is None else known.before)
        keys = [key.id for key in self.keys.of_subject(name) if key.created < until]
        return await self._revoke(caller, USER, name, until, keys)

    async def _revoke(self, caller: Grants, kind: str, name: str, before: int, keys: list[str]) -> int:
        if not self.revocations.has_room(kind, name):
            raise Refused(f"at most {MOST} revocations", code="subject_full")
        now, auth = self._context.wall(), self._context.settings.auth
        kept = round(max(auth.max_lifetime + auth.leeway, auth.max_subscription_lifetime) * 1_000_000)
        one = Revocation(kind, name, before, now, now + kept, caller.subject)
        self.revocations.add(one)
        self.keys.revoked(keys, now)
        ended, stored = await self._enforce([one], keys, now)
        told = {f"revoked_{kind}": name, "before": micros_to_time(before), "keys": keys}
        self.audit.did("revoked", caller, **told, ended=ended, stored=stored is None)
        return _stored(ended, stored)

    async def _enforce(
        self, made: list[Revocation], keys: list[str], at: int
    ) -> tuple[int, StoreUnavailable | None]:
        """Store what is in force already, and end what it revokes, also if the caller has left or the store
        fails. Returns how many ended, and why it is not stored.
        """
        failed: StoreUnavailable | None = None
        with trio.CancelScope(shield=True):
            try:
                await self._store.revoke(made, keys, at=at)
            except StoreUnavailable as error:
                failed = error
            ended = await self._end(self.reason)
        return ended, failed

    # --- upkeep -----------------------------------------------------------------------------------

    async def _write_used(self) -> None:
        while True:
            try:
                await self.keys.write_used()
            except StoreUnavailable:
                pass  # tried again in a minute; the store's own log lines tell of it
            except Exception as error:
                self._context.report_fault("api keys", error)
            await trio.sleep(USED_EVERY)

    async def _forget(self) -> None:
        while True:
            await trio.sleep(FORGOTTEN_EVERY)
            now = self._context.wall()
            try:
                await self._store.forget_access(now, now - KEPT_ENDED)
            except StoreUnavailable:
                continue
            except Exception as error:
                self._context.report_fault("revocations", error)
                continue
            self.revocations.forget(now)
            self.keys.forget(now - KEPT_ENDED)


def _stored(ended: int, failed: StoreUnavailable | None) -> int:
    if failed is not None:
        raise StoreUnavailable(f"in force until the hub stops, and not stored: {failed}") from failed
    return ended
