"""Inflate deflate data from a peer: bounded while it inflates, in slices between which others run."""

from __future__ import annotations

import zlib
from typing import Final

from tasktree_rt.hub.cooperative import yield_if_due

CHUNK: Final = 64 * 1024
"""Maximum bytes that one call inflates: a fifth of a millisecond."""
RAW: Final = -zlib.MAX_WBITS
GZIP: Final = zlib.MAX_WBITS | 16
ZLIB: Final = zlib.MAX_WBITS


class Oversized(Exception):
    """The data inflate to more than the limit."""


class Damaged(Exception):
    """The data are not one whole stream; the text says why."""


async def inflate(data: bytes, most: int, form: int) -> tuple[bytearray, bytes]:
    """Inflate one stream; return at most `most` bytes, and what follows the stream. `form`: `RAW`,
    `ZLIB` or `GZIP`.

    Raises:
        Oversized, Damaged: see there. At most `CHUNK` bytes more than `most` were inflated.
    """
    stream, out = zlib.decompressobj(form), bytearray()
    while not stream.eof:
        try:
            chunk = stream.decompress(data, CHUNK)
        except zlib.error as error:
            raise Damaged(str(error)) from None
        data = stream.unconsumed_tail
        out += chunk
        if len(out) > most:
            raise Oversized
        if not (chunk or data or stream.eof):
            raise Damaged("the data end too early")
        await yield_if_due()
    return out, stream.unused_data
