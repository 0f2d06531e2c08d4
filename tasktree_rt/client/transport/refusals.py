"""What a hub's refusal says about trying again: whether, and when."""

from __future__ import annotations

from typing import Final

from tasktree_rt.errors import HTTP_STATUS

_PASSING: Final = 429
_MOST_MILLISECONDS: Final = 10**12


def is_transient(code: object) -> bool:
    """Whether a refusal with `code` may be cured by sending the same again, later, under the same id."""
    status = HTTP_STATUS.get(code, 0) if isinstance(code, str) else 0
    return status >= 500 or status == _PASSING


def milliseconds(data: object, key: str) -> float | None:
    """The seconds of a field in milliseconds, if there is such a field; `Retry.delay` bounds them."""
    value = data.get(key) if isinstance(data, dict) else None
    return min(value, _MOST_MILLISECONDS) / 1000 if isinstance(value, (int, float)) and value >= 0 else None
