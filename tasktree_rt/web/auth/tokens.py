"""Verify JSON Web Tokens (RFC 7519) and read the grants in them.

A token has ``sub`` and ``exp``, and ``iss`` and ``aud`` where the settings name them. `keys` says which keys
verify it, `claims` what it grants.
"""

from __future__ import annotations

import time
from typing import Any, Final

import jwt
from attrs import evolve, frozen

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.claims import ClaimReader, claim_reader, token_id
from tasktree_rt.web.auth.key_ring import KeyRing, hub_keys
from tasktree_rt.web.auth.keys import MAX_KEY_ID, VerificationKey

NEEDED: Final = "a token is needed: Authorization: Bearer … or ?token=…"
MAX_TOKEN: Final = 8_192
"""Maximum characters of a token."""


class TokenMissing(Refused):
    """The request carries no token."""

    default_code = "unauthorized"


class TokenWithoutSubject(Refused):
    """The token is valid but has no ``sub``."""

    default_code = "unauthorized"


class TokenInvalid(Refused):
    """The token is not valid for this hub, or has expired."""

    default_code = "unauthorized"

    def __init__(self, reason: object) -> None:
        super().__init__(f"the token is not valid: {str(reason)[:300]}")


@frozen
class TokenRules:
    """What a token must have beside a signature. Times in seconds.

    Attributes:
        audience, issuer: the values of ``aud`` and ``iss``; "" accepts any.
        leeway: by which clocks may differ.
        max_lifetime: from ``iat``, and from now, to ``exp``.
    """

    audience: str = ""
    issuer: str = ""
    leeway: float = 0.0
    max_lifetime: float = 2_592_000.0


class Tokens:
    """Verifies tokens of one kind by a ring of keys."""

    def __init__(self, ring: KeyRing, reader: ClaimReader, rules: TokenRules) -> None:
        self.ring = ring
        self._reader = reader
        self._rules = rules

    async def verify(self, token: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a token.

        `audience` replaces the rules' audience and issuer, for tokens of a foreign system: without the claim
        such a token has no grants.

        Raises:
            TokenMissing, TokenWithoutSubject, TokenInvalid.
        """
        if not token:
            raise TokenMissing(NEEDED)
        if audience is None:
            return read_claims(*await self._claims(token, self._rules), self._reader)
        rules = evolve(self._rules, audience=audience, issuer="")
        return read_claims(*await self._claims(token, rules), self._reader.own())

    async def _claims(self, token: str, rules: TokenRules) -> tuple[dict[str, Any], VerificationKey]:
        algorithm, name = header_of(token)
        keys = await self.ring.find(name, algorithm)
        try:
            return _verified(token, keys, algorithm, rules)
        except BadSignature:
            await self.ring.look(algorithm)
            return _verified(token, await self.ring.find(name, algorithm), algorithm, rules)


class BadSignature(TokenInvalid):
    """No known key verifies the token."""


def header_of(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the key's name (``kid``) that a token claims; both only choose the key.

    Raises:
        TokenInvalid: it is no token, or too long.
    """
    if len(token) > MAX_TOKEN:
        raise TokenInvalid(f"expected at most {MAX_TOKEN} characters")
    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError, ValueError) as error:
        raise TokenInvalid(error) from None
    name = header.get("kid")
    if name is not None and (not isinstance(name, str) or len(name) > MAX_KEY_ID):
        raise TokenInvalid(f"kid: expected at most {MAX_KEY_ID} characters")
    return str(header.get("alg"))[:32], name


def _verified(
    token: str, keys: list[VerificationKey], algorithm: str, rules: TokenRules
) -> tuple[dict[str, Any], VerificationKey]:
    """Return a token's claims and the key of `keys` that signed it.

    Raises:
        BadSignature: none of the keys did.
        TokenInvalid: its claims break the rules.
    """
    for key in keys:
        try:
            return _decoded(token, key, rules), key
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise TokenInvalid(error) from None
    known = "the signature does not fit" if keys else f"no key for {algorithm!a} is known under its kid"
    raise BadSignature(known)


def _decoded(token: str, key: VerificationKey, rules: TokenRules) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm],
        audience=rules.audience or None,
        issuer=rules.issuer or None,
        leeway=rules.leeway,
        options={"require": ["exp"], "verify_aud": bool(rules.audience), "verify_iss": bool(rules.issuer)},
    )
    for name in claims.keys() & {"exp", "iat"}:
        claims[name] = float(claims[name])
    now, longest = time.time(), rules.max_lifetime
    if claims["exp"] - min(claims.get("iat", now), now) > longest + rules.leeway:
        raise jwt.InvalidTokenError(f"it lasts longer than {longest:.0f} s (auth.max_lifetime)")
    claims["exp"] += rules.leeway
    return claims


def read_claims(claims: dict[str, Any], key: VerificationKey, reader: ClaimReader) -> Grants:
    """Return the grants in verified claims.

    Raises:
        TokenWithoutSubject: the claims have no ``sub``.
        TokenInvalid: a claim is malformed.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenWithoutSubject("the token has no sub")
    try:
        return evolve(
            reader.grants(claims),
            subject=subject,
            expires=claims["exp"],
            token_id=token_id(claims),
            issued=claims.get("iat"),
            key=key.state,
        )
    except InvalidInput as error:
        raise TokenInvalid(error) from None


def hub_tokens(auth: Auth) -> Tokens:
    """Make what verifies the hub's own tokens.

    Raises:
        SettingsError: a file of keys cannot be read, or has no usable key.
    """
    return Tokens(hub_keys(auth), claim_reader(auth), token_rules(auth))


def token_rules(auth: Auth) -> TokenRules:
    """Return the rules that the section ``auth`` names."""
    return TokenRules(auth.audience, auth.issuer, auth.leeway, auth.max_lifetime)
