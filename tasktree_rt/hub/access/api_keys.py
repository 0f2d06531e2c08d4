"""API keys: made, verified, listed and revoked. The store has their digests; a secret is shown once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import trio
from attrs import evolve, frozen

from tasktree_rt.brokers.base import Access, ApiKey
from tasktree_rt.core.access import Grants, network_of
from tasktree_rt.core.events import Json, shown
from tasktree_rt.core.grant_claim import NAMES, read_grants
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access.credentials import digest, new_credential, parse
from tasktree_rt.hub.access.key_checks import KeyChecks
from tasktree_rt.hub.access.revocations import CredentialRevoked

MOST: Final = 1_000
"""Keys that are neither revoked nor expired."""
MAX_LIFETIME: Final = 10 * 366 * 86_400
"""Seconds."""
KEPT_ENDED: Final = 30 * 86_400_000_000
"""Microseconds for which an ended key is listed."""
USED_EVERY: Final = 60.0
"""Minimum seconds between two writes of the last uses."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class KeyInvalid(Refused):
    """The API key is unknown, wrong or expired."""

    default_code = "unauthorized"


@frozen
class NewKey:
    """A new key, with the credential that only its maker sees."""

    key: ApiKey
    credential: str


class ApiKeys:
    """See the module's docstring. All keys are in memory too; `load` reads them."""

    def __init__(self, store: Access, wall: Callable[[], int]) -> None:
        self._store = store
        self._wall = wall
        self._keys: dict[str, ApiKey] = {}
        self._used: dict[str, int] = {}
        self._any_used = trio.Event()
        self._making = trio.Lock()
        self.checks = KeyChecks()

    async def load(self) -> None:
        """Read all keys from the store."""
        self._keys = {key.id: key for key in await self._store.keys()}

    # --- verifying --------------------------------------------------------------------------------

    async def verify(self, credential: str, address: str) -> Grants:
        """Return the grants of a credential that comes from an address.

        Raises:
            KeyInvalid, CredentialRevoked: the hub does not accept it.
            Refused: ``rate_limited``: too many wrong ones come from this network.
            Unavailable: ``overloaded``: too many are being checked.
        """
        place, found = network_of(address), parse(credential)
        key = None if found is None else self._keys.get(found[0])
        if found is None or key is None:
            self.checks.refuse_many(place)
            self.checks.wrong(place)
            raise KeyInvalid("the API key is not valid")
        if not await self.checks.check(key.id, found[1], key.digest, place):
            self.checks.wrong(place)
            raise KeyInvalid("the API key is not valid")
        self._refuse_ended(key.id)
        self._note_use(key.id)
        return self._grants(key).at(address)

    def _refuse_ended(self, key_id: str) -> None:
        key = self._keys.get(key_id)  # it may have ended while it was checked
        if key is None or key.revoked is not None:
            raise CredentialRevoked("the API key was revoked")
        if key.expires is not None and key.expires <= self._wall():
            raise KeyInvalid("the API key has expired")

    @staticmethod
    def _grants(key: ApiKey) -> Grants:
        expires = None if key.expires is None else key.expires / 1_000_000
        issued = key.created / 1_000_000
        found = read_grants(shown_grants(key))
        return evolve(found, subject=subject_of(key), expires=expires, token_id=key.id, issued=issued)

    def is_revoked(self, key_id: str) -> bool:
        """Return whether an id is that of a revoked key."""
        key = self._keys.get(key_id)
        return key is not None and key.revoked is not None

    # --- administration ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(self._keys.values())

    def get(self, key_id: str) -> ApiKey | None:
        """Return a key by its id; None if there is none."""
        return self._keys.get(key_id)

    def of_subject(self, subject: str) -> list[ApiKey]:
        """Return a subject's keys that are not revoked."""
        return [key for key in self if key.revoked is None and subject_of(key) == subject]

    async def create(
        self, name: object, grants: object, *, lifetime: float | None = None, creator: str = ""
    ) -> NewKey:
        """Make a key that is valid for `lifetime` seconds, or until it is revoked.

        Raises:
            InvalidInput: names the field.
            Refused: ``subject_full``: there are too many keys.
            StoreUnavailable: it is not stored.
        """
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise InvalidInput(f"expected 1-64 letters, digits, . _ -, got {shown(name)}", field="name")
        stored = _stored(grants)
        key_id, credential = new_credential()
        secret = credential.rpartition("_")[2]
        async with self._making:
            self._refuse_more()
            hashed = await trio.to_thread.run_sync(digest, secret)
            now = self._wall()
            expires = None if lifetime is None else now + round(lifetime * 1_000_000)
            key = ApiKey(key_id, name, hashed, stored, now, creator, expires)
            await self._store.add_key(key)
            self._keys[key.id] = key
        return NewKey(key, credential)

    def _refuse_more(self) -> None:
        now = self._wall()
        valid = sum(1 for key in self if key.revoked is None and (key.expires is None or key.expires > now))
        if valid >= MOST:
            raise Refused(f"at most {MOST} API keys: revoke some", code="subject_full")

    def revoked(self, key_ids: list[str], at: int) -> None:
        """Note that keys are revoked: the hub accepts them no more."""
        for key_id in key_ids:
            key = self._keys.get(key_id)
            if key is not None and key.revoked is None:
                self._keys[key_id] = evolve(key, revoked=at)
                self.checks.forget(key_id)

    def forget(self, ended_before: int) -> None:
        """Forget the keys that were revoked or expired before a time (microseconds)."""
        for key in list(self):
            if any(at is not None and at < ended_before for at in (key.revoked, key.expires)):
                del self._keys[key.id]
                self.checks.forget(key.id)

    # --- the last use -----------------------------------------------------------------------------

    def _note_use(self, key_id: str) -> None:
        now, key = self._wall(), self._keys[key_id]
        if key.used is None or key.used < now:
            self._keys[key_id] = evolve(key, used=now)
            self._used[key_id] = now
            self._any_used.set()

    async def write_used(self) -> None:
        """Wait until a key is used, and write the last uses to the store."""
        await self._any_used.wait()
        self._any_used = trio.Event()
        used, self._used = self._used, {}
        try:
            await self._store.used_keys(used)
        except BaseException:
            self._used = {**used, **self._used}
            self._any_used.set()
            raise


def subject_of(key: ApiKey) -> str:
    """Return the subject of a key's caller. Keys of the same name have the same subject."""
    return f"key:{key.name}"


def shown_grants(key: ApiKey) -> Json:
    """Return a key's grants, as a table like the claim of a token."""
    found: Json = decode_json(key.grants, ours=True)
    return found


def _stored(grants: object) -> bytes:
    """Check a table of grants, and encode it for the store.

    Raises:
        InvalidInput: it is malformed, or grants nothing.
    """
    read_grants(grants, "grants")
    if not isinstance(grants, dict) or not any(grants.values()):
        raise InvalidInput(f"expected at least one of {', '.join(NAMES)}", field="grants")
    return encode_json(grants)
