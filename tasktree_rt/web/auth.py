"""Who may come in: JSON Web Tokens to `Grants`, and which web pages may talk to the hub.

A token is an HS256 JWT (RFC 7519) with ``sub`` and ``exp``. What it allows stands in a claim of its own::

    "tasktree": {"watch": ["*"], "push": ["build-*"], "answer": ["*"], "command": [], "admin": false}

A missing claim allows watching everything and nothing else. ``name*`` means every id with that prefix.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import Headers

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope
from tasktree_rt.errors import Refused
from tasktree_rt.settings import Auth, Settings

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
CLAIM: Final = "tasktree"
_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
"""A Host: no user, no path, no query, no fragment, which a URL's host may be dressed up with."""


class TokenMissing(Refused):
    """There is no token."""

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


# --- pages ----------------------------------------------------------------------------------------


class Doorman:
    """Which Host names and Origins are ours, so that no other web page can read or write the hub.

    A page elsewhere can make a browser send a request here, and a name that it controls can be made
    to point to 127.0.0.1 (DNS rebinding). So a Host must be a name of ours, and an Origin must be
    the same as the Host, or be listed in ``cors_origins``.
    """

    def __init__(self, settings: Settings) -> None:
        host = _host(settings.bind.rpartition(":")[0] or settings.bind)
        self._local = host in LOOPBACK or settings.bind.startswith("unix:")
        self._names = {name.lower() for name in settings.server_names} | LOOPBACK | {host}
        self._any_name = not self._local and not settings.server_names
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)

    def knows_host(self, value: str | None) -> bool:
        """Whether a Host header names this hub."""
        if value is None or _HOST.fullmatch(value) is None:
            return False
        return self._any_name or _host(value) in self._names

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of `origin` (None: not a page) may talk to `host`."""
        if origin is None or self.lists(origin):
            return True
        try:
            parts = urlsplit(origin.lower())
        except ValueError:  # brackets around what is no address
            return False
        ours = host is not None and parts.netloc == _with_port(host, parts.scheme)
        return ours and bool(parts.scheme and parts.netloc)

    def lists(self, origin: str) -> bool:
        """Whether `origin` is one of ``cors_origins``."""
        return origin.lower() in self._origins


def _host(value: str) -> str:
    """The host of ``host:port`` or ``[v6]:port``, without brackets."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _with_port(host: str, scheme: str) -> str:
    """`host` as a browser writes it in an Origin: without the scheme's usual port."""
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return host.lower().removesuffix(usual) if usual else host.lower()
