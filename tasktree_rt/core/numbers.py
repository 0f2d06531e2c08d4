"""Numbers that no double can hold: refused wherever JSON comes in, and where in it they are.

A browser reads such a number as Infinity, and can write it in no JSON any more. The codec refuses those with
a fraction or an exponent; integers it reads however long they are. Integers within the range of a double
stay exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

DIGITS: Final = 309
"""An integer beyond a double's range has so many digits at least."""
_HALF: Final = (DIGITS + 1) // 2
_NAME: Final = re.compile(r"[A-Za-z0-9_$@~-]{1,64}")
MAX_PLACE: Final = 150
"""Characters of a place in an error message."""


def may_be_beyond(text: str | bytes) -> bool:
    """Return True if `text` may contain an integer beyond a double's range; False is certain.

    Of so many digits in a row one is at a place that `DIGITS` divides, with half of them on one side of it.
    """
    for index, char in enumerate(text[::DIGITS]):
        if char in _DIGITS:
            place = index * DIGITS
            before = text[max(0, place + 1 - _HALF) : place + 1]
            if text[place : place + _HALF].isdigit() or before.isdigit():
                return True
    return False


_DIGITS: Final = frozenset("0123456789") | frozenset(b"0123456789")


def beyond(value: object) -> str | None:
    """The place of the first number in `value` that no double can hold, as in ``events[0].data.n``."""
    waiting: list[tuple[object, str]] = [(value, "")]
    while waiting:
        found, place = waiting.pop()
        if isinstance(found, (int, float)) and _is_beyond(found):
            return place
        waiting.extend(reversed(list(_inner(found, place))))
    return None


def told(place: str) -> str:
    """Return a place in the form for an error message."""
    return place if len(place) <= MAX_PLACE else f"{place[: MAX_PLACE - 41]}…{place[-40:]}"


def _is_beyond(number: float) -> bool:
    try:
        return not math.isfinite(float(number))
    except OverflowError:
        return True


def _inner(value: object, place: str) -> Iterator[tuple[object, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield item, f"{place}[{index}]"
    elif isinstance(value, dict):
        for key, item in value.items():
            name = key if _NAME.fullmatch(key) else "…"
            yield item, f"{place}.{name}" if place else name
