"""JSON by the standard library alone: whatever a program hands over can be written, and has a size."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]
MAX_DEPTH: Final = 56
"""Levels of objects and arrays of a field's value; what is deeper becomes text."""
MAX_TEXT: Final = 192 * 1024
"""Characters of a text within a field; what is longer is cut."""


def now_text() -> str:
    """The present time as events have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def clean(text: str) -> str:
    """Without what cannot be written as UTF-8 (lone surrogates, as file names may have)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def text_of(value: object) -> str:
    """A value as text; its own fault in making it stays its own."""
    try:
        return clean(str(value))
    except Exception:
        return f"({type(value).__name__}: its text cannot be made)"


def cut(text: str, most: int) -> str:
    """`text` with at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def sound(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """`value` as JSON can have it, a copy; what is no JSON becomes text, NaN and infinity null."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(cut(str(value), MAX_TEXT))
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else cut(text_of(value), MAX_TEXT)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {clean(text_of(key)): sound(one, depth + 1) for key, one in value.copy().items()}
    if depth < MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        return [sound(one, depth + 1) for one in list(value)]
    return cut(text_of(value), MAX_TEXT)


def encode(value: object) -> bytes:
    """Compact JSON of a value that is sound."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def weight(value: object) -> int:
    """About how many characters a value takes as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))
