"""Turn a caller's credential into `Grants`: the one way in, for every route, stream and dialect.

The app has one `Authenticator`; routes reach it by `authenticator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from quart import current_app

from tasktree_rt.core.access import OPEN, Grants
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


class Authenticates(Protocol):
    """Turns credentials into grants: an `Authenticator`, or one that asks further."""

    @property
    def on(self) -> bool:
        """Whether callers need a credential."""

    async def authenticate(self, credential: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a credential; see `Authenticator.authenticate`."""


def put_authenticator(app: Quart, found: Authenticates) -> None:
    """Make `found` the authenticator of all routes of `app`."""
    app.extensions[EXTENSION] = found


def authenticator() -> Authenticates:
    """Return the authenticator of the app that handles the current request or handshake."""
    found: Authenticates = current_app.extensions[EXTENSION]
    return found
