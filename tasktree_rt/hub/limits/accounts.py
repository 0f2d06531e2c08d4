"""Keep token buckets for a bounded number of callers.

A caller whose buckets are all full again is as good as a new one, so forgetting it forgives nothing. When the
table is full, a new caller takes the place of such a one. Where there is none, new callers share one account
until there is, and take what was spent of it along: memory stays bounded, and no limit in force is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Final

from attrs import evolve

from tasktree_rt.hub.limits.token_bucket import TokenBucket

MOST: Final = 16_384
"""Callers that a table remembers."""
LOOKS: Final = 8
"""Callers that a new one looks at for a place. Those that stay go to the end, so that no look is repeated
before all others had their turn."""


class Kind(IntEnum):
    """What is limited by a rate."""

    MESSAGES = 0
    BYTES = 1
    EVENTS = 2
    COST = 3
    PROJECTS = 4


Account = list[TokenBucket | None]
"""The buckets of one caller by `Kind`, made when they are first used."""


class Accounts:
    """A table of accounts by a caller's key; see the module's docstring.

    `rates` are tokens a second by `Kind`, 0 for no limit; `burst` is the seconds of a rate that may come at
    once.
    """

    def __init__(self, rates: tuple[float, ...], burst: float, *, most: int = MOST) -> None:
        self._rates = rates
        self._burst = burst
        self._most = most
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._shared: Account = self._new()

    def __len__(self) -> int:
        return len(self._accounts)

    def limits(self, kind: Kind) -> bool:
        """Return whether there is a limit of this kind."""
        return self._rates[kind] > 0

    def bucket(self, key: str, kind: Kind, now: float) -> TokenBucket | None:
        """Return a caller's bucket; None if nothing limits this kind."""
        rate = self._rates[kind]
        if not rate:
            return None
        account = self._accounts.get(key)
        if account is None:
            account = self._begin(key, now)
        bucket = account[kind]
        if bucket is None:
            most = max(1.0, rate * self._burst)
            bucket = account[kind] = TokenBucket(rate, most, most, now)
        return bucket

    def _begin(self, key: str, now: float) -> Account:
        if len(self._accounts) >= self._most and not self._make_room(now):
            return self._shared
        account = self._accounts[key] = self._inherited(now)
        return account

    def _inherited(self, now: float) -> Account:
        """Make an account. Whatever its caller has spent of the shared one it has spent of its own."""
        return [None if one is None or one.is_full(now) else evolve(one) for one in self._shared]

    def _make_room(self, now: float) -> bool:
        for _ in range(LOOKS):
            key, account = next(iter(self._accounts.items()))
            if all(bucket is None or bucket.is_full(now) for bucket in account):
                del self._accounts[key]
                return True
            self._accounts.move_to_end(key)
        return False

    def _new(self) -> Account:
        return [None] * len(self._rates)
