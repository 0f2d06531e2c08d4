"""Compression: the header that offers it, and a compressed message."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Final

import trio

from tasktree_rt.core.close_codes import INVALID_DATA, TOO_LARGE
from tasktree_rt.web.server.extension_offers import MalformedOffer, negotiated
from tasktree_rt.web.server.frames import TEXT, InvalidMessage, Messages, Packed
from tasktree_rt.web.server.inflated_message import inflated

LIMIT: Final = 3_000
OFFER_WORDS: Final = (
    b"permessage-deflate",
    b"server_no_context_takeover",
    b"client_no_context_takeover",
    b"server_max_window_bits=12",
    b"client_max_window_bits",
    *(b"; ", b", ", b"=", b'"15"', b"\\", b" ", b"\t", b"x", b"8", b"16", b"\xff", b"\n"),
)
DEFLATE_WORDS: Final = (
    *(b"\x00", b"\x03\x00", b"\x00\x00\xff\xff", b"\x01\x00\x00\xff\xff", b"\x05", b"\x4b\x4c\x4a\x06\x00"),
    *(
        b"\x62\x04\x00",
        b"\xaa\x56\x2a\xa9\x2c",
        b"\xec\xc0\x01\x01",
        b"\xff" * 4,
        b"\x78\x9c",
        b"\x1f\x8b\x08",
    ),
)
_TAIL: Final = b"\x00\x00\xff\xff\x03\x00"
"""What was cut off, and an empty last block: the end of a whole message."""


def run_offers(data: bytes) -> None:
    """One of three answers, or the header is malformed; each element of a list may be a header of its own."""
    with suppress(MalformedOffer):
        answer = negotiated([data])
        assert answer is None or answer.startswith(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        )
        assert negotiated([b"x-other", data]) == answer


def run_inflated(data: bytes) -> None:
    """A message, or 1007 or 1009: as zlib alone says of the whole."""
    found, closing = "", None
    try:
        found = str(trio.run(inflated, Packed(data, TEXT), Messages(LIMIT)))
    except InvalidMessage as error:
        closing = error.closing
    whole = zlib.decompressobj(-15)
    if closing is None:
        assert whole.decompress(data + _TAIL) == found.encode()
        assert whole.eof
        assert len(found.encode()) <= LIMIT
    elif closing is TOO_LARGE:
        assert len(whole.decompress(data + _TAIL, LIMIT + 1)) > LIMIT
    else:
        assert closing is INVALID_DATA
