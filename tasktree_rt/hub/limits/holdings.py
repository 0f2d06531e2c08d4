"""Count what callers hold open, by address and by subject: connections, subscriptions."""

from __future__ import annotations

from typing import Final

from tasktree_rt.errors import Refused
from tasktree_rt.hub.limits.caller import Caller

RETRY_AFTER: Final = 5.0
"""Seconds until a refused caller may try again: nobody knows when the caller itself ends something."""


class Holdings:
    """Count one kind of thing. `name` is its plural; `setting` begins the names of both limits."""

    def __init__(self, name: str, setting: str, *, per_address: int, per_subject: int) -> None:
        self._name = name
        self._setting = setting
        self._per_address = per_address
        self._per_subject = per_subject
        self._addresses: dict[str, int] = {}
        self._subjects: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._addresses) + len(self._subjects)

    def check(self, caller: Caller, *, code: str = "rate_limited", field: str | None = None) -> None:
        """Refuse one more for which the caller has no room.

        Raises:
            Refused: `code`, with the name of the setting.
        """
        if caller.address and self._addresses.get(caller.address, 0) >= self._per_address:
            raise self._refusal("this address has", self._per_address, "per_address", code, field)
        if caller.subject and self._subjects.get(caller.subject, 0) >= self._per_subject:
            raise self._refusal("you have", self._per_subject, "per_subject", code, field)

    def add(self, caller: Caller, count: int = 1) -> None:
        """Count `count` more; a negative one takes back."""
        _add(self._addresses, caller.address, count)
        _add(self._subjects, caller.subject, count)

    def _refusal(self, whose: str, most: int, which: str, code: str, field: str | None) -> Refused:
        message = f"{whose} {most} {self._name} (limits.{self._setting}_{which})"
        return Refused(message, code=code, retry_after=RETRY_AFTER, field=field)


def _add(counts: dict[str, int], key: str, count: int) -> None:
    if key:
        left = counts.get(key, 0) + count
        if left > 0:
            counts[key] = left
        else:
            counts.pop(key, None)
