"""Limit the rates of callers: by address, by subject and by project.

A caller is at an address (one of IPv4, a /64 of IPv6) and has a subject: its token's, or without a token the
address again (`Grants.owner`). Both limits hold. What this process itself does has neither, and no limit.

Where the protocol can make a caller wait, the hub does not read from it for `wait` seconds (`RateLimits.pace`
computes them). Where it cannot, it refuses (`RateLimits.admit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio

from tasktree_rt.errors import Refused
from tasktree_rt.hub.limits.accounts import Accounts, Kind
from tasktree_rt.hub.limits.caller import Caller
from tasktree_rt.hub.limits.token_bucket import TokenBucket
from tasktree_rt.settings import Rates

_ADDRESS: Final = {
    Kind.MESSAGES: "messages_per_address",
    Kind.BYTES: "bytes_per_address",
    Kind.EVENTS: "events_per_address",
    Kind.COST: "http_cost_per_address",
}
_SUBJECT: Final = {
    Kind.MESSAGES: "messages_per_subject",
    Kind.BYTES: "bytes_per_subject",
    Kind.EVENTS: "events_per_subject",
    Kind.COST: "http_cost_per_subject",
    Kind.PROJECTS: "projects_per_subject",
}
_PROJECT: Final = {Kind.EVENTS: "events_per_project"}
_THINGS: Final = {
    Kind.MESSAGES: "messages",
    Kind.BYTES: "bytes",
    Kind.EVENTS: "events",
    Kind.COST: "units of HTTP requests",
    Kind.PROJECTS: "new projects",
}


class RateLimits:
    """See the module's docstring.

    Attributes:
        clock: gives the time in seconds.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = trio.current_time) -> None:
        self.clock = clock
        self._rates = rates
        self._by_address = self._accounts(_ADDRESS)
        self._by_subject = self._accounts(_SUBJECT)
        self._by_project = self._accounts(_PROJECT)
        tables = (self._by_address, self._by_subject, self._by_project)
        self._limited = [any(table.limits(kind) for table in tables) for kind in Kind]

    def _accounts(self, names: dict[Kind, str]) -> Accounts:
        rates = tuple(getattr(self._rates, names[kind]) if kind in names else 0.0 for kind in Kind)
        return Accounts(rates, self._rates.burst)

    @property
    def remembered(self) -> int:
        """How many addresses, subjects and projects are in memory."""
        return len(self._by_address) + len(self._by_subject) + len(self._by_project)

    def limits(self, kind: Kind) -> bool:
        """Return whether any caller or project has a limit of this kind."""
        return self._limited[kind]

    def most_at_once(self, kind: Kind) -> float:
        """Return the smallest burst of this kind that one caller has; infinity without a limit."""
        rates = [getattr(self._rates, names[kind]) for names in (_ADDRESS, _SUBJECT) if kind in names]
        return min((rate * self._rates.burst for rate in rates if rate), default=math.inf)

    def admit(self, kind: Kind, caller: Caller, cost: float = 1.0, *, project: str | None = None) -> None:
        """Count `cost` for a caller and a project, or refuse.

        Raises:
            Refused: ``rate_limited``, with the seconds to wait; nothing is counted.
        """
        now = self.clock()
        found = self._buckets(kind, caller, project, now)
        for bucket, names in found:
            wait = bucket.wait(now)
            if wait:
                raise self._refusal(kind, names[kind], wait)
        for bucket, _ in found:
            bucket.charge(now, cost)

    def wait(self, kind: Kind, caller: Caller, *, project: str | None = None) -> float:
        """Return the seconds until the caller may go on; 0 if it may now."""
        now = self.clock()
        return max((one.wait(now) for one, _ in self._buckets(kind, caller, project, now)), default=0.0)

    def pace(self, kind: Kind, caller: Caller, cost: float = 1.0, *, project: str | None = None) -> float:
        """Count `cost`, and return the seconds for which the caller has to wait before the hub goes on.

        Those who wait at the same time wait one after the other, so that together they keep the rate.
        """
        if not self._limited[kind]:
            return 0.0
        now, wait = self.clock(), 0.0
        for bucket, _ in self._buckets(kind, caller, project, now):
            wait = max(wait, bucket.pay(now, cost))
        return wait

    def charge(self, kind: Kind, caller: Caller, cost: float) -> None:
        """Count `cost`, which the caller has caused already."""
        now = self.clock()
        for bucket, _ in self._buckets(kind, caller, None, now):
            bucket.charge(now, cost)

    def _buckets(
        self, kind: Kind, caller: Caller, project: str | None, now: float
    ) -> list[tuple[TokenBucket, dict[Kind, str]]]:
        """Return the buckets that limit a caller, each with the names of its settings."""
        found: list[tuple[TokenBucket, dict[Kind, str]]] = []
        if not self._limited[kind]:
            return found
        if caller.address and (bucket := self._by_address.bucket(caller.address, kind, now)) is not None:
            found.append((bucket, _ADDRESS))
        if caller.subject and (bucket := self._by_subject.bucket(caller.subject, kind, now)) is not None:
            found.append((bucket, _SUBJECT))
        if project and (bucket := self._by_project.bucket(project, kind, now)) is not None:
            found.append((bucket, _PROJECT))
        return found

    def _refusal(self, kind: Kind, setting: str, wait: float) -> Refused:
        whose = {"address": "this address", "subject": "you", "project": "this project"}
        holder = whose[setting.rpartition("_")[2]]
        most = getattr(self._rates, setting)
        message = f"{holder} may have {most:g} {_THINGS[kind]} a second (rates.{setting})"
        return Refused(message, code="rate_limited", retry_after=wait)
