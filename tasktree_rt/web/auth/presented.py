"""Find the token that a request or a handshake carries."""

from __future__ import annotations

from typing import Final

from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import Headers

PREFIX: Final = "bearer."
"""What a subprotocol begins with whose rest is a token."""


def token_of(request: BaseRequestWebsocket) -> str | None:
    """Return the token of a request or handshake; None if it carries none.

    The order is the same everywhere, so that a proxy and the hub never verify different tokens: the header
    ``Authorization``, ``?token=``, the subprotocol ``bearer.<token>``.
    """
    found = bearer(request.headers) or request.args.get("token")
    return found or next((one.removeprefix(PREFIX) for one in bearers(request)), found)


def bearers(request: BaseRequestWebsocket) -> list[str]:
    """Return the subprotocols of a handshake that carry a token."""
    offered: list[str] = getattr(request, "requested_subprotocols", [])
    return [one for one in offered if one.startswith(PREFIX)]


def only_bearer(request: BaseRequestWebsocket) -> str | None:
    """Return the subprotocol with the token if a handshake offers no other.

    A browser ends the connection unless the hub selects one of those that its page offers.
    """
    found = bearers(request)
    return found[0] if found and len(found) == len(getattr(request, "requested_subprotocols", [])) else None


def bearer(headers: Headers) -> str | None:
    """Return the token of the header ``Authorization: Bearer``; None without it."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
