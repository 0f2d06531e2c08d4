"""Attempts of a node that ended before the present one: what the reducer keeps of them.

`frontend/src/core/attempts.ts` is the same rule for the browser; both pass the cases in ``reducer.json``.
docs/protocol.md, "Attempts", has it in words.
"""

from __future__ import annotations

from typing import Any, Final

from tasktree_rt.core.events import Json
from tasktree_rt.core.statuses import begins_again, is_ended
from tasktree_rt.core.usage import ENDED_USAGE, cleaned, end_usage

ENDED_ATTEMPTS: Final = "ended_attempts"
"""The field that holds them. No event sets it."""
MOST: Final = 8
"""How many are kept, the newest."""
LONGEST: Final = 200
"""Code points of a message that are kept."""
SHORT: Final = 64
"""Code points of a time or a status; a longer one is left out."""
KEPT: Final = (ENDED_ATTEMPTS, ENDED_USAGE)
"""Fields of a node that only the reducer sets."""
TOUCHED: Final = frozenset({"status", "attempt", "started_at", *KEPT})
"""Fields of a change without which no attempt ends, and none is set: the reducer asks no further."""


def keep_attempts(before: Json, fields: Json, changes: Json) -> bool:
    """Update the ended attempts in `fields`, which are `before` with `changes`.

    Returns True if the change ended an attempt.
    """
    for name in KEPT:
        if name in changes:
            fields.pop(name, None)
            if name in before:
                fields[name] = before[name]
    ended = is_ended(before.get("status"))
    if not ended and "attempt" not in changes:
        return False
    known = before.get(ENDED_ATTEMPTS)
    if type(known) is not list:
        known = []
    last = known[-1] if known and type(known[-1]) is dict else {}
    judge = _begins_another if ended else _was_broken_off
    if not judge(before, fields, last):
        return False
    fields[ENDED_ATTEMPTS] = [*known, _entry(before)][-MOST:]
    end_usage(before, fields, changes)
    return True


def _begins_another(before: Json, after: Json, last: Json) -> bool:
    """Return True if `after` is another attempt than `before`, which ended and is not the `last` kept."""
    started, following = _short(before, "started_at"), _short(after, "started_at")
    moved = started is not None and following is not None and started != following
    numbered = _number(before) != _number(after)
    if not numbered and not moved and not begins_again(after.get("status")):
        return False
    times = (started, _short(before, "ended_at"))
    return times == (None, None) or times != (last.get("started_at"), last.get("ended_at"))


def _was_broken_off(before: Json, after: Json, last: Json) -> bool:
    """Return True if `after` is another attempt than `before`, which ended without an event."""
    started = _short(before, "started_at")
    return _number(before) != _number(after) and started is not None and last.get("started_at") != started


def _number(fields: Json) -> float:
    """Return the number of the attempt; 1 if the fields name none."""
    value = fields.get("attempt")
    return value if type(value) is int or type(value) is float else 1


def _short(fields: Json, name: str) -> str | None:
    value = fields.get(name)
    return value if type(value) is str and len(value) <= SHORT else None


def _entry(fields: Json) -> Json:
    found: dict[str, Any] = {}
    attempt = fields.get("attempt")
    if type(attempt) is int or type(attempt) is float:
        found["attempt"] = attempt
    for name in ("started_at", "ended_at", "status"):
        value = _short(fields, name)
        if value is not None:
            found[name] = value
    message = fields.get("message")
    if type(message) is str:
        found["message"] = message[:LONGEST]
    return {**found, **cleaned(fields)}
