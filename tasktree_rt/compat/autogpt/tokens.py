"""Authenticates AutoGPT's users by the tokens that its platform signs.

Newer releases sign with a private key (ES256; also RS256, EdDSA), and the hub has the public key
(`web.auth.keys`); older releases sign HS256 with a secret that the hub shares (``auth.secret``). Keys and
settings decide which of both verifies a token: a public key never serves as a secret.
"""

from __future__ import annotations

from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import Authenticates
from tasktree_rt.web.auth.keys import SCHEMES, KeySource, PublicKey, jwks_source, pem_source
from tasktree_rt.web.auth.tokens import TokenInvalid, TokenMissing, claims_of, grants_of

AUDIENCE: Final = "authenticated"
DEFAULT_USER: Final = "3e53486c-cf57-477e-ba2a-cb02dc828e1a"
"""AutoGPT's own user where authentication is off."""
SYMMETRIC: Final = "HS256"


class AutoGptTokens:
    """Authenticates tokens as the settings say."""

    def __init__(self, settings: Settings) -> None:
        """Read the configured keys.

        Raises:
            SettingsError: a key file cannot be read, or contains no usable key.
        """
        self._auth = settings.auth
        self._sources: list[KeySource] = []
        jwks, pem = settings.autogpt.jwks, settings.autogpt.public_key
        if jwks:
            self._sources.append(_tried("autogpt.jwks", jwks_source(jwks)))
        if pem:
            self._sources.append(_tried("autogpt.public_key", pem_source(pem)))

    async def authenticate(self, token: str | None, shared: Authenticates) -> Grants:
        """Return the grants of a token's user; without authentication those of AutoGPT's default user.

        `shared` verifies the tokens that are signed with a secret of the hub.

        Raises:
            TokenMissing, TokenWithoutSubject, TokenInvalid.
        """
        if not self._sources and not self._auth.on:
            return Grants(DEFAULT_USER)
        if not token:
            raise TokenMissing("a token is needed: ?token=… or Authorization: Bearer …")
        algorithm, name = _header(token)
        if algorithm == SYMMETRIC and self._auth.on:
            return await shared.authenticate(token, audience=AUDIENCE)
        key = await self._find(name, algorithm)
        if key is None:
            raise TokenInvalid(f"the token is not valid: no key for {algorithm!r} is known under its kid")
        return grants_of(claims_of(token, key.key, key.algorithm, AUDIENCE))

    async def _find(self, name: str | None, algorithm: str) -> PublicKey | None:
        for source in self._sources:
            if (found := await source.find(name, algorithm)) is not None:
                return found
        return None


def _tried(setting: str, source: KeySource) -> KeySource:
    """Return the source; read a file once, so that its faults show at the start."""
    if not source.where.startswith(SCHEMES):
        try:
            source.load()
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"{setting}: {source.where}: {error}") from None
    return source


def _header(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the key's name that a token claims; both only choose the key."""
    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise TokenInvalid(f"the token is not valid: {error}") from None
    name = header.get("kid")
    return str(header.get("alg"))[:32], name if isinstance(name, str) else None
