"""Converts any Python value to JSON: models, dataclasses, enumerations, times, and all others as text.

No value raises, and no result is endless: a value that contains itself, is too deep or has too many parts is
cut with ``…``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, time
from enum import Enum
from itertools import takewhile
from typing import Any, Final, TypeVar

T = TypeVar("T")

MAX_DEPTH: Final = 32
"""Levels of objects and arrays."""
MAX_PARTS: Final = 100_000
CUT: Final = "…"


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Convert a value to JSON objects, arrays, strings, numbers, true, false and null."""
    return _Plain().of(value, 0)


def read(holder: object, name: str, default: object = None) -> Any:  # noqa: ANN401 - whatever it holds
    """Read a field of a mapping, or of any other object."""
    found = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    return default if found is None else found


class _Plain:
    """One conversion: the parts still allowed, and the containers being converted."""

    def __init__(self) -> None:
        self._room = MAX_PARTS
        self._within: set[int] = set()

    def of(self, value: object, depth: int) -> Any:  # noqa: ANN401
        self._room -= 1
        if isinstance(value, Enum):
            value = value.value
        if value is None or type(value) in (bool, int):
            return value
        if isinstance(value, str):
            return text(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if depth > MAX_DEPTH or self._room < 0 or id(value) in self._within:
            return CUT
        self._within.add(id(value))
        try:
            return self._whole(value, depth + 1)
        except Exception:  # of the value's own methods
            return type(value).__name__
        finally:
            self._within.discard(id(value))

    def _whole(self, value: object, depth: int) -> Any:  # noqa: ANN401
        if isinstance(value, (bytes, bytearray)):
            return text(value.decode(errors="replace"))
        if isinstance(value, (date, time)):
            return value.isoformat()
        fields = fields_of(value)
        if fields is not None:
            return {self._key(name): self.of(one, depth) for name, one in self._first(fields.items())}
        if isinstance(value, Iterable):
            return [self.of(one, depth) for one in self._first(value)]
        return text(str(value))

    def _first(self, several: Iterable[T]) -> Iterable[T]:
        return takewhile(lambda _: self._room > 0, several)

    def _key(self, name: object) -> str:
        return text(str(name.value if isinstance(name, Enum) else name))


def fields_of(value: object) -> Mapping[Any, Any] | None:
    """Return the fields of a mapping, a pydantic model or a dataclass; None for any other value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    for method in ("model_dump", "dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            found = dump()
            return found if isinstance(found, Mapping) else None
    return None


def text(value: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates become ``?``."""
    return value.encode(errors="replace").decode()
