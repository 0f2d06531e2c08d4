"""Durations, sizes and shares as people write them: ``500ms``, ``2m``, ``4KB``, ``5%``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+) *([a-zµ%]*)", re.IGNORECASE)
_SECONDS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_BYTES: Final = {"b": 1, "kb": 1_000, "mb": 1_000_000, "kib": 1 << 10, "mib": 1 << 20, "": 1}
_SHARE: Final = {"%": 0.01, "": 1.0}


def read_duration(value: object) -> float:
    """Read seconds: a number, or text with ``us``, ``ms``, ``s``, ``m`` or ``h``.

    Raises:
        ValueError: it is neither; the message says what was expected.
    """
    return _scaled(value, _SECONDS, 'a duration like "500ms", "30s", "5m" or "1h"')


def read_size(value: object) -> int:
    """Read bytes: a number, or text with ``B``, ``KB``, ``MB``, ``KiB`` or ``MiB``.

    Raises:
        ValueError: it is neither.
    """
    return round(_scaled(value, _BYTES, 'a size like 256, "4KB" or "1MiB"'))


def read_share(value: object) -> float:
    """Read a share from 0 to 1: a number, or a percentage like ``5%``.

    Raises:
        ValueError: it is neither.
    """
    expected = 'a share like 0.05 or "5%", at most 1'
    found = _scaled(value, _SHARE, expected)
    if found > 1:
        raise ValueError(f"expected {expected}, got {value!r}")
    return found


def _scaled(value: object, units: Mapping[str, float], expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"expected {expected}, got {value!r}")
    if isinstance(value, str):
        hit = _NUMBER.fullmatch(value.strip())
        if hit is None or hit[2].lower() not in units:
            raise ValueError(f"expected {expected}, got {value!r}")
        return float(hit[1]) * units[hit[2].lower()]
    if not 0 <= value < math.inf:
        raise ValueError(f"expected {expected}, got {value!r}")
    return float(value)
