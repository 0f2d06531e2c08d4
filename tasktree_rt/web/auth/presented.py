"""Find the token that a request or a handshake carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quart import Request

PREFIX: Final = "bearer."
"""What a subprotocol begins with whose rest is a token."""


def token_of(request: Request) -> str | None:
    """Return the token of a request; None if it carries none."""
    return chosen_token(request.headers.get("Authorization"), request.args.get("token"), ())


def chosen_token(authorization: str | None, parameter: str | None, offered: Sequence[str]) -> str | None:
    """Return the token of a request or handshake; None if it carries none.

    The order is the same everywhere, so that a proxy and the hub never verify different tokens: the header
    ``Authorization``, ``?token=``, the subprotocol ``bearer.<token>``.

    Args:
        authorization: the header.
        parameter: ``token`` in the query.
        offered: the subprotocols of a handshake.
    """
    found = (bearer(authorization) if authorization else None) or parameter
    if found or not offered:
        return found
    return next((one.removeprefix(PREFIX) for one in offered if one.startswith(PREFIX)), found)


def bearer(authorization: str) -> str | None:
    """Return the token of a header ``Authorization: Bearer``; None if it is of another kind."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
