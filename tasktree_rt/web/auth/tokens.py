"""Verify JSON Web Tokens and read the grants in them (`Grants`).

A token is an HS256 JWT (RFC 7519) with ``sub`` and ``exp``. The claim ``tasktree`` names the grants::

    "tasktree": {"watch": ["*"], "push": ["build-*"], "answer": ["*"], "command": [], "admin": false}

Without the claim a token grants watching all projects, and nothing else. ``name*`` matches every id with that
prefix.
"""

from __future__ import annotations

from typing import Any, Final

import jwt
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import Headers

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope
from tasktree_rt.errors import Refused
from tasktree_rt.settings import Auth

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
CLAIM: Final = "tasktree"


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

    `audience` replaces the setting, for tokens of a foreign system.

    Raises:
        TokenMissing, TokenWithoutSubject, TokenInvalid.
    """
    if not auth.secret:
        return OPEN
    if not token:
        raise TokenMissing("a token is needed: ?token=… or Authorization: Bearer …")
    expected = auth.audience if audience is None else audience
    return grants_of(claims_of(token, auth.secret, "HS256", expected))


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
        claims["exp"] = float(claims["exp"])
    except (jwt.InvalidTokenError, OverflowError) as error:  # OverflowError: a time beyond all floats
        raise TokenInvalid(f"the token is not valid: {error}") from None
    return claims


def grants_of(claims: dict[str, Any]) -> Grants:
    """Read the grants in verified claims.

    Raises:
        TokenWithoutSubject: the claims have no ``sub``.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenWithoutSubject("the token has no sub")
    return _grants(subject, claims, claims["exp"])


def _grants(subject: str, claims: dict[str, Any], expires: float) -> Grants:
    allowed = claims.get(CLAIM)
    if not isinstance(allowed, dict):
        return Grants(subject, EVERYTHING, NOTHING, expires=expires)
    return Grants(
        subject,
        watch=_scope(allowed.get("watch")),
        push=_scope(allowed.get("push")),
        answer=_scope(allowed.get("answer")),
        command=_scope(allowed.get("command")),
        admin=allowed.get("admin") is True,
        expires=expires,
    )


def _scope(value: object) -> Scope:
    if not isinstance(value, list):
        return NOTHING
    return Scope(tuple(one for one in value if isinstance(one, str)))


def token_of(request: BaseRequestWebsocket) -> str | None:
    """Return the token of a request or handshake: of the header or, without one there, of ``?token=``.

    The order is the same for both kinds, so that a proxy and the hub never verify different tokens.
    """
    return bearer(request.headers) or request.args.get("token")


def bearer(headers: Headers) -> str | None:
    """Return the token of the header ``Authorization: Bearer``; None without it."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
