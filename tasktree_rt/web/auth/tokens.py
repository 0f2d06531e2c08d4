"""Verify JSON Web Tokens and read the grants in them (`Grants`).

A token is an HS256 JWT (RFC 7519) with ``sub`` and ``exp``. The claim ``tasktree`` names the grants
(`core.grant_claim`). A token without the claim has those of the setting ``auth.default_grants``, by default
none; a token with a malformed one is refused.
"""

from __future__ import annotations

from typing import Any, Final

import jwt
from attrs import evolve
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import Headers

from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.grant_claim import NO_GRANTS, read_grants
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.settings import Auth

CLAIM: Final = "tasktree"
MAX_TOKEN_ID: Final = 256
"""Maximum characters of a token's ``jti``."""


class TokenMissing(Refused):
    """The request carries no token."""

    default_code = "unauthorized"


class TokenWithoutSubject(Refused):
    """The token is valid but has no ``sub``."""

    default_code = "unauthorized"


class TokenInvalid(Refused):
    """The token is not valid for this hub, or has expired."""

    default_code = "unauthorized"


def authenticate(auth: Auth, token: str | None, *, audience: str | None = None) -> Grants:
    """Return the grants of a token; all grants if authentication is off.

    `audience` replaces the setting, for tokens of a foreign system: without the claim such a token has no
    grants, whatever the setting says.

    Raises:
        TokenMissing, TokenWithoutSubject, TokenInvalid.
    """
    if not auth.on:
        return OPEN
    if not token:
        raise TokenMissing("a token is needed: ?token=… or Authorization: Bearer …")
    if not auth.secret:
        raise TokenInvalid("the token is not valid: the hub has no key")
    expected = auth.audience if audience is None else audience
    default = NO_GRANTS if audience is not None else read_grants(auth.default_grants)
    return grants_of(claims_of(token, auth.secret, "HS256", expected), default)


def claims_of(token: str, key: Any, algorithm: str, audience: str) -> dict[str, Any]:  # noqa: ANN401 - PyJWT's
    """Verify a token by `key` and `algorithm` and return its claims. An empty `audience` accepts any.

    Raises:
        TokenInvalid: the token has another signature or audience, or has expired.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience or None,
            options={"require": ["exp"], "verify_aud": bool(audience)},
        )
        for name in claims.keys() & {"exp", "iat"}:
            claims[name] = float(claims[name])
    except (jwt.InvalidTokenError, OverflowError, TypeError, ValueError) as error:  # a time beyond all floats
        raise TokenInvalid(f"the token is not valid: {error}") from None
    return claims


def grants_of(claims: dict[str, Any], default: Grants = NO_GRANTS) -> Grants:
    """Read the grants in verified claims. `default`: those of a token without the claim.

    Raises:
        TokenWithoutSubject: the claims have no ``sub``.
        TokenInvalid: the claim ``tasktree``, ``jti`` or ``iat`` is malformed.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenWithoutSubject("the token has no sub")
    try:
        found = read_grants(claims[CLAIM], CLAIM) if CLAIM in claims else default
    except InvalidInput as error:
        raise TokenInvalid(f"the token is not valid: {error}") from None
    return evolve(
        found,
        subject=subject,
        expires=claims["exp"],
        token_id=_token_id(claims.get("jti", "")),
        issued=claims.get("iat"),
    )


def _token_id(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TOKEN_ID:
        raise TokenInvalid(f"the token is not valid: jti: expected at most {MAX_TOKEN_ID} characters")
    return value


def token_of(request: BaseRequestWebsocket) -> str | None:
    """Return the token of a request or handshake: of the header or, without one there, of ``?token=``.

    The order is the same for both kinds, so that a proxy and the hub never verify different tokens.
    """
    return bearer(request.headers) or request.args.get("token")


def bearer(headers: Headers) -> str | None:
    """Return the token of the header ``Authorization: Bearer``; None without it."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
