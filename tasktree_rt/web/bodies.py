"""Bodies of requests: gzip is taken, with a bound on what comes out of it.

A few bytes of gzip stand for a thousand times as many, so that the bound of a body
(`limits.max_message_size`) holds before inflating and, piece by piece, while inflating.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from quart import request
from quart_trio.wrappers import TrioRequest
from werkzeug.exceptions import UnsupportedMediaType

from tasktree_rt.core.events import Json, refuse_unknown
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.cooperative import yield_if_due

GZIP: Final = frozenset({"gzip", "x-gzip"})
PLAIN: Final = frozenset({"", "identity"})
PIECE: Final = 64 * 1024
"""Bytes that are inflated at once: a fifth of a millisecond."""
_GZIP_ONLY: Final = zlib.MAX_WBITS | 16


class UnknownCoding(UnsupportedMediaType):
    """A ``Content-Encoding`` that is not taken; the answer names the one that is (RFC 9110, 15.5.16)."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"the Content-Encoding {coding[:40]!a} is not taken, only gzip")

    def get_headers(self, *given: Any) -> list[tuple[str, str]]:
        """Add ``Accept-Encoding`` to the answer's headers."""
        return [*super().get_headers(*given), ("Accept-Encoding", "gzip")]


class HubRequest(TrioRequest):
    """A request whose body is given as it was before its ``Content-Encoding``."""

    async def get_data(  # type: ignore[override]
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> bytes | str:
        """See Quart's.

        Raises:
            UnknownCoding: it is none that is taken; nothing of the body was waited for.
            InvalidInput: it is not what it says, or too large.
        """
        coding = self.headers.get("Content-Encoding", "").strip().lower()
        if coding not in GZIP | PLAIN:
            raise UnknownCoding(coding)
        data: bytes = await super().get_data(cache, False, parse_form_data)
        if coding in GZIP:
            data = await inflated(data, self.max_content_length or 0)
        return data.decode() if as_text else data


async def read_body() -> bytes:
    """Read the whole body of the current request, inflated.

    Raises:
        UnknownCoding, InvalidInput: as `HubRequest.get_data`.
    """
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
    return body


async def read_object(*known: str, optional: bool = False) -> Json:
    """Read the JSON object that the current request carries. `known` are the only fields it may have, if any
    are given; an empty body is an empty object if it is `optional`.

    Raises:
        UnknownCoding: as `HubRequest.get_data`.
        InvalidInput: it is no JSON object, or has another field than `known`; names the field.
    """
    body = await read_body()
    given = {} if optional and not body else decode_object(body)
    if known:
        refuse_unknown(given, known)
    return given


async def inflated(data: bytes, most: int) -> bytes:
    """What a whole gzip `data` stands for, at most `most` bytes.

    Raises:
        InvalidInput: ``invalid_message``, if it is not one whole gzip; ``too_large``.
    """
    stream, out = zlib.decompressobj(_GZIP_ONLY), bytearray()
    try:
        while not stream.eof:
            piece = stream.decompress(data, PIECE)
            data = stream.unconsumed_tail
            out += piece
            if len(out) > most:
                raise InvalidInput(f"expected at most {most} bytes, inflated", code="too_large")
            if not (piece or data or stream.eof):
                raise InvalidInput("the gzip body ends before its end")
            await yield_if_due()
    except zlib.error as error:
        raise InvalidInput(f"the body is not gzip, as its Content-Encoding says: {error}") from None
    if stream.unused_data:
        raise InvalidInput("something follows the end of the gzip body")
    return bytes(out)
