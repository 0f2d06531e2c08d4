"""Tokens: what a JSON Web Token allows its bearer (`Grants`).

A token is an HS256 JWT (RFC 7519) with ``sub`` and ``exp``. What it allows stands in a claim of its own::

    "tasktree": {"watch": ["*"], "push": ["build-*"], "answer": ["*"], "command": [], "admin": false}

A missing claim allows watching everything and nothing else. ``name*`` means every id with that prefix.
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
    """A good token that does not say whose it is."""

    default_code = "unauthorized"


class TokenInvalid(Refused):
    """Not a token of ours, or expired."""

    default_code = "unauthorized"


def authenticate(auth: Auth, token: str | None, *, audience: str | None = None) -> Grants:
    """The grants of a token; everything where authentication is off. Of a foreign language's token
    `audience` takes the place of the setting.

    Raises:
        TokenMissing, TokenWithoutSubject, TokenInvalid.
    """
    if not auth.on:
        return OPEN
    if not token:
        raise TokenMissing("a token is needed: ?token=… or Authorization: Bearer …")
    expected = auth.audience if audience is None else audience
    return grants_of(claims_of(token, auth.secret, "HS256", expected))


def claims_of(token: str, key: Any, algorithm: str, audience: str) -> dict[str, Any]:  # noqa: ANN401 - PyJWT's
    """What a token says, verified by that key and algorithm; without an `audience` any is good.

    Raises:
        TokenInvalid: it is not of that key, not for that audience, or expired.
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
    except (jwt.InvalidTokenError, OverflowError) as error:  # the other: of times beyond all numbers
        raise TokenInvalid(f"the token is not valid: {error}") from None
    return claims


def grants_of(claims: dict[str, Any]) -> Grants:
    """What verified claims allow.

    Raises:
        TokenWithoutSubject: they do not say whose they are.
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
    """The token that a request or a handshake shows: the header's; only without one, that of ``?token=``.

    One order for both: where a proxy looks at the header and a hub at the query, each would believe another.
    """
    return bearer(request.headers) or request.args.get("token")


def bearer(headers: Headers) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
