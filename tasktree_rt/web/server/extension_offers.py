"""Negotiate permessage-deflate (RFC 7692) from a client's ``Sec-WebSocket-Extensions``.

The hub compresses each message by itself and once for all readers, with a window of `WINDOW_BITS`, so its
answer always has ``server_no_context_takeover``, and ``server_max_window_bits`` where the client set a bound.
It always asks for ``client_no_context_takeover``: so it keeps no inflater between two messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_extension

from tasktree_rt.dialects.deflate import WINDOW_BITS

MALFORMED: Final = (400, "Sec-WebSocket-Extensions is malformed: expected extensions as in RFC 6455, 9.1.")
"""The answer to a header that is not in the grammar (RFC 6455, 9.1: the server must refuse it)."""
_NAME: Final = "permessage-deflate"
_AGREED: Final = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_FLAGS: Final = frozenset(("server_no_context_takeover", "client_no_context_takeover"))


class MalformedOffer(Exception):
    """The header is not in the grammar."""


def negotiated(values: Sequence[bytes]) -> str | None:
    """Return the answer to the first offer that the hub can meet; None if there is none.

    `values`: of all headers of that name, in order.

    Raises:
        MalformedOffer: see there.
    """
    return _answer(b", ".join(values)) if values else None


@lru_cache(64)
def _answer(header: bytes) -> str | None:
    # Most clients are of few kinds: a look-up is a tenth of the cost of parsing.
    try:
        offers = parse_extension(header.decode("latin-1"))
    except InvalidHeader:
        raise MalformedOffer from None
    for name, parameters in offers:
        if name == _NAME and (bound := _server_bits(parameters)) is not None:
            return f"{_AGREED}; server_max_window_bits={WINDOW_BITS}" if bound else _AGREED
    return None


def _server_bits(parameters: Sequence[tuple[str, str | None]]) -> int | None:
    """Return the bound on the hub's window, 0 without one; None if the hub declines the offer."""
    given = dict(parameters)
    if len(given) < len(parameters):
        return None
    bound = 0
    for name, value in given.items():
        if name in _FLAGS:
            good = value is None
        elif name == "client_max_window_bits":
            good = value is None or value in _BITS
        elif name == "server_max_window_bits":
            bound = _BITS.get(value or "", 0)
            good = bound >= WINDOW_BITS
        else:
            good = False
        if not good:
            return None
    return bound
