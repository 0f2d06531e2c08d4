"""Parameters of an HTTP request: numbers of its query, and its idempotency key."""

from __future__ import annotations

from typing import Final

from quart import request

from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Key
from tasktree_rt.web.caller import grants

PAGE: Final = 100
"""Entries of a page where the query names no ``limit``."""
MOST: Final = 1_000
"""The highest ``limit``."""
MAX_KEY: Final = 128
"""Characters of an idempotency key and of a producer's id."""


def idempotency() -> Key | None:
    """Read the request's ``Idempotency-Key`` and ``Producer-Id``; None without the first.

    Raises:
        InvalidInput: naming the header.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    producer = request.headers.get("Producer-Id", "http")
    for field, value in (("Idempotency-Key", given), ("Producer-Id", producer)):
        if not 0 < len(value) <= MAX_KEY:
            raise InvalidInput(f"expected 1-{MAX_KEY} characters", field=field)
    return Key(grants().subject, producer, encode_json(given).decode())


def limit_asked() -> int:
    """Read the query's ``limit``: entries of a page, 1 to `MOST`."""
    return number("limit", request.args.get("limit", str(PAGE)), MOST, 1)


def number(field: str, text: str, most: int, least: int) -> int:
    """Read a whole number of the query, from `least` to `most`.

    Raises:
        InvalidInput: naming the field.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or not least <= int(text) <= most:
        raise InvalidInput(f"expected a number from {least} to {most}, got {text[:40]!a}", field=field)
    return int(text)
