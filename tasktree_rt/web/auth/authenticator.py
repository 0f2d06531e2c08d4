"""Turn a caller's credential into `Grants`: the one way in, for every route, stream and dialect.

The app has one `Admission`; routes reach it by `authenticator`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Protocol

from quart import current_app, has_request_context, request

from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.access.administration import Administration
from tasktree_rt.hub.access.credentials import is_api_key
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.key_ring import KeyRing
from tasktree_rt.web.auth.tokens import hub_tokens

if TYPE_CHECKING:
    from quart import Quart

EXTENSION: Final = "tasktree_rt.authenticator"


class Authenticator:
    """Verifies credentials as the settings say."""

    def __init__(self, auth: Auth) -> None:
        """Read the keys in files.

        Raises:
            SettingsError: a file cannot be read, or has no usable key.
        """
        self._auth = auth
        self._tokens = hub_tokens(auth)

    @property
    def on(self) -> bool:
        """Whether callers need a credential."""
        return self._auth.on

    @property
    def ring(self) -> KeyRing:
        """The keys of the hub's own tokens."""
        return self._tokens.ring

    async def authenticate(self, credential: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a credential; all grants if authentication is off.

        `audience` replaces the setting, for tokens of a foreign system.

        Raises:
            TokenMissing, TokenWithoutSubject, TokenInvalid.
        """
        if not self.on:
            return OPEN
        return await self._tokens.verify(credential, audience=audience)


@lru_cache(4_096)
def open_at(address: str) -> Grants:
    """Return the grants of every caller at `address` while authentication is off: one object for all."""
    return OPEN.at(address)


class Authenticates(Protocol):
    """Turns credentials into grants: an `Authenticator`, or one that asks further."""

    @property
    def on(self) -> bool:
        """Whether callers need a credential."""

    async def authenticate(self, credential: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a credential; see `Authenticator.authenticate`."""


class Admission:
    """Admits verified callers: API keys beside tokens, revocations, the audit log. Stands before every other
    authenticator.

    Attributes:
        own: verifies every credential that is no API key.
        on: whether callers need a credential.
    """

    def __init__(self, own: Authenticates, administration: Administration) -> None:
        self.own = own
        self._administration = administration
        self.on = own.on

    async def authenticate(
        self,
        credential: str | None,
        *,
        audience: str | None = None,
        address: str | None = None,
        path: str = "",
    ) -> Grants:
        """Return the grants of a credential; all grants if authentication is off.

        `audience` is that of a foreign system's tokens. `address` and `path` are by default those of the
        current request; within a connection there is no path.

        Raises:
            PeerError: ``unauthorized`` and others, as `Authenticator.authenticate`.
            KeyInvalid, CredentialRevoked: an API key is not valid; a token or a key was revoked.
            PeerError: ``rate_limited``, ``overloaded``: an API key cannot be checked now.
        """
        place = _address() if address is None else address
        if not self.on:
            return open_at(place)
        if credential and is_api_key(credential):
            return await self.admit(self._administration.keys.verify(credential, place), place, path)
        return await self.admit(self.own.authenticate(credential, audience=audience), place, path)

    def at(self, address: str) -> Callable[[str | None], Awaitable[Grants]]:
        """Return `authenticate` for a caller at an address, to be called within its connection."""
        return partial(self.authenticate, address=address)

    async def admit(self, verified: Awaitable[Grants], address: str | None = None, path: str = "") -> Grants:
        """Return the grants of a verified credential, unless it was revoked. Logs a refusal.

        Raises:
            PeerError: what `verified` raises.
            CredentialRevoked: with the reason.
        """
        place = _address() if address is None else address
        try:
            found = (await verified).at(place)
            self._administration.refuse_revoked(found)
        except PeerError as error:
            self.audit_refusal(error, None, place, path)
            raise
        return found

    def refuse_revoked(self, grants: Grants) -> None:
        """Refuse a caller of HTTP whose token or API key was revoked since it was verified.

        Raises:
            CredentialRevoked: with the reason.
        """
        if self.on:
            self._administration.refuse_revoked(grants)

    def audit_refusal(self, error: PeerError, caller: Grants | None, address: str, path: str = "") -> None:
        """Log a refusal at `path`, by default that of the current request; else within a connection."""
        where = path or (request.path if has_request_context() else "refresh")
        self._administration.audit.refused(error, caller, address, where)


def put_authenticator(app: Quart, found: Admission) -> None:
    """Make `found` the authenticator of all routes of `app`."""
    app.extensions[EXTENSION] = found


def authenticator() -> Admission:
    """Return the authenticator of the app that handles the current request."""
    return authenticator_of(current_app)


def authenticator_of(app: Quart) -> Admission:
    """Return the authenticator of the routes of `app`."""
    found: Admission = app.extensions[EXTENSION]
    return found


def _address() -> str:
    return request.headers.get("Remote-Addr", "") if has_request_context() else ""
