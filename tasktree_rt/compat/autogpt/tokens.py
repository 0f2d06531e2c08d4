"""Authenticates AutoGPT's users by the tokens that its platform signs.

Newer releases sign with a private key (ES256; also RS256, EdDSA), and the hub has the public key
(`web.auth.keys`); older releases sign HS256 with a secret that the hub shares (``auth.secret``). Keys and
settings decide which of both verifies a token: a public key never serves as a secret.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tasktree_rt.core.access import Grants
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import Authenticates
from tasktree_rt.web.auth.claims import ClaimReader
from tasktree_rt.web.auth.key_ring import KeyRing, autogpt_keys
from tasktree_rt.web.auth.keys import SYMMETRIC
from tasktree_rt.web.auth.tokens import NEEDED, TokenMissing, Tokens, header_of, token_rules

AUDIENCE: Final = "authenticated"
DEFAULT_USER: Final = "3e53486c-cf57-477e-ba2a-cb02dc828e1a"
"""AutoGPT's own user where authentication is off."""


class AutoGptTokens:
    """Authenticates tokens as the settings say."""

    def __init__(self, settings: Settings) -> None:
        """Read the configured keys.

        Raises:
            SettingsError: a key file cannot be read, or contains no usable key.
        """
        self._auth = settings.auth
        rules = evolve(token_rules(settings.auth), audience=AUDIENCE, issuer="")
        self._tokens = Tokens(autogpt_keys(settings.autogpt), ClaimReader(), rules)

    @property
    def ring(self) -> KeyRing:
        """The platform's public keys."""
        return self._tokens.ring

    @property
    def needed(self) -> bool:
        """Whether clients need a token."""
        return bool(self.ring) or self._auth.on

    async def authenticate(self, token: str | None, shared: Authenticates) -> Grants:
        """Return the grants of a token's user; without authentication those of AutoGPT's default user.

        `shared` verifies the tokens that are signed with a secret of the hub.

        Raises:
            TokenMissing, TokenWithoutSubject, TokenInvalid.
        """
        if not self.needed:
            return Grants(DEFAULT_USER)
        if not token:
            raise TokenMissing(NEEDED)
        if self._auth.on and (not self.ring or header_of(token)[0] == SYMMETRIC):
            return await shared.authenticate(token, audience=AUDIENCE)
        return await self._tokens.verify(token)
