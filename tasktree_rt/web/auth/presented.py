"""Find the token that a request or a handshake carries."""

from __future__ import annotations

from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import Headers


def token_of(request: BaseRequestWebsocket) -> str | None:
    """Return the token of a request or handshake: of the header or, without one there, of ``?token=``.

    The order is the same for both kinds, so that a proxy and the hub never verify different tokens.
    """
    return bearer(request.headers) or request.args.get("token")


def bearer(headers: Headers) -> str | None:
    """Return the token of the header ``Authorization: Bearer``; None without it."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
