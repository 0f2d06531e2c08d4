"""Makes what a program says fit what a hub takes: a wrong field is mended or left out, never the node lost.

Every function returns the mended value; `Faults` collects what was wrong, to be told once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from tasktree_rt.client.joining.outcome import MAX_MESSAGE
from tasktree_rt.client.joining.plain_json import Json, clean, cut, sound, text_of
from tasktree_rt.core.ids import PROJECT_ID, is_node_id

MAX_ID: Final = 512
MAX_PROJECT: Final = 128
MAX_NAME: Final = 128
"""Characters of the name of a field, a series, a model."""
MAX_FIELDS: Final = 200
OWN: Final = frozenset({"status", "deleted", "parent_id", "started_at", "ended_at", "attempt"})
"""Fields that a node tells itself."""
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_PROJECT: Final = re.compile(r"[^A-Za-z0-9._:@~-]")
_MAX_COUNT: Final = 2**53 - 1
_MAX_COST: Final = 1e12

Faults = list[str]
_Mend = Callable[[object], Any]


def fit_node_id(given: object) -> str:
    """An id that a node may have: control characters become spaces; a long one is cut and ends in a hash."""
    if is_node_id(given):
        return given
    text = _NO_NAME.sub(" ", clean(text_of(given))) or "(no id)"
    return text if len(text) <= MAX_ID else _hashed(text, MAX_ID)


def fit_project(given: object) -> str:
    """An id that a project may have: other characters become ``-``; a long one is cut and ends in a hash."""
    text = text_of(given)
    if PROJECT_ID.fullmatch(text):
        return text
    fit = _NO_PROJECT.sub("-", text)
    if not fit[:1].isalnum():
        fit = f"p{fit}"
    return fit if len(fit) <= MAX_PROJECT else _hashed(fit, MAX_PROJECT, text)


def _hashed(fit: str, most: int, text: str = "") -> str:
    mark = hashlib.sha256((text or fit).encode("utf-8", "replace")).hexdigest()[:10]
    return f"{fit[: most - len(mark) - 1]}~{mark}"


def node_fields(given: Json, faults: Faults) -> Json:
    """Fields of a node; those that the node tells itself are left out."""
    return _mended(given, _NODE, OWN, faults)


def project_fields(given: Json, faults: Faults) -> Json:
    """Fields of a project."""
    return _mended(given, _PROJECT, frozenset(), faults)


def _mended(given: Json, mends: dict[str, _Mend], own: frozenset[str], faults: Faults) -> Json:
    kept: Json = {}
    for key, value in list(given.items())[:MAX_FIELDS]:
        name = cut(clean(text_of(key)), MAX_NAME)
        if name in own:
            faults.append(f"{name}: the node tells that itself")
            continue
        try:
            mended = mends.get(name, sound)(value)
            if value is not None and mended is None:
                faults.append(f"{name}: {cut(text_of(value), 80)!r} cannot be sent")
                continue
            if not _same(mended, value):
                faults.append(f"{name}: {cut(text_of(value), 80)!r} was mended")
            kept[name] = mended
        except Exception as error:  # a value's own method failed: it costs the field, not the program
            faults.append(f"{name}: {type(error).__name__}")
    if len(given) > MAX_FIELDS:
        faults.append(f"{len(given) - MAX_FIELDS} fields beyond {MAX_FIELDS}")
    return kept


def _same(mended: object, given: object) -> bool:
    if isinstance(given, tuple):
        given = list(given)
    return bool(mended == given)


# --- single fields ---------------------------------------------------------------------------------------


def _text(value: object) -> str | None:
    return None if value is None else cut(clean(text_of(value)), MAX_MESSAGE)


def _name(value: object) -> str | None:
    text = None if value is None else _NO_NAME.sub(" ", clean(text_of(value)))
    return cut(text, MAX_NAME) if text else None


def _number(value: object) -> float | int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return int(value) if abs(value) <= _MAX_COUNT else None
    number = float(value)  # type: ignore[arg-type] # what cannot be one costs the field
    return number if number - number == 0 else None


def percent(value: object) -> float | int | None:
    """A number from 0 to 100; what is beyond counts as that."""
    try:
        number = float(value)  # type: ignore[arg-type] # what cannot be one is none
    except (TypeError, ValueError, OverflowError):
        return None
    if number != number:
        return None
    number = min(100.0, max(0.0, number))
    return int(number) if number.is_integer() else number


def _nodes(value: object) -> list[str] | None:
    if value is None:
        return None
    several = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    return [fit_node_id(getattr(one, "id", one)) for one in several]


def _cost(value: object) -> float | int | None:
    number = _number(value)
    return None if number is None else min(_MAX_COST, max(0, number))


def _usage(value: object) -> Json | None:
    if not isinstance(value, dict):
        return None
    return {cut(text_of(name), MAX_NAME): _tokens(one) for name, one in value.items()}


def _tokens(value: object) -> Any:  # noqa: ANN401 - any JSON
    return value if value is None or not isinstance(value, (int, float)) else int(max(0, value))


def _run(value: object) -> Any:  # noqa: ANN401 - a number or a text
    return _number(value) if isinstance(value, (int, float)) else cut(_name(value) or "?", 64)


_NODE: Final[dict[str, _Mend]] = {
    "title": _text,
    "kind": _text,
    "message": _text,
    "model": _name,
    "progress": percent,
    "order": _number,
    "depends_on": _nodes,
    "usage": _usage,
    "cost_usd": _cost,
}
_PROJECT: Final[dict[str, _Mend]] = {
    "title": _text,
    "group": _text,
    "url": _text,
    "series": _name,
    "run": _run,
}
