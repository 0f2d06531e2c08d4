"""Limit the rates of callers: by address, by subject and by project.

A caller is at an address (one of IPv4, a /64 of IPv6) and has a subject: its token's, or without a token the
address again (`Grants.owner`). Both limits hold. What this process itself does has neither, and no limit.

Where the protocol can make a caller wait, the hub does not read from it for `wait` seconds (`RateLimits.pace`
computes them). Where it cannot, it refuses (`RateLimits.admit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        self._limited = frozenset(
            kind for kind in Kind if any(table.limits(kind) for table in (self._by_address, self._by_subject))
        )

    def _accounts(self, names: dict[Kind, str]) -> Accounts:
        rates = tuple(getattr(self._rates, names[kind]) if kind in names else 0.0 for kind in Kind)
        return Accounts(rates, self._rates.burst)

    @property
    def remembered(self) -> int:
        """How many addresses, subjects and projects are in memory."""
        return len(self._by_address) + len(self._by_subject) + len(self._by_project)

    def admit(self, kind: Kind, caller: Caller, cost: float = 1.0, *, project: str | None = None) -> None:
        """Count `cost` for a caller and a project, or refuse.

        Raises:
            Refused: ``rate_limited``, with the seconds to wait; nothing is counted.
        """
        now = self.clock()
        for bucket, setting in self._buckets(kind, caller, project, now):
            wait = bucket.wait(now)
            if wait:
                raise self._refusal(kind, setting, wait)
        self.charge(kind, caller, cost, project=project)

    def wait(self, kind: Kind, caller: Caller, *, project: str | None = None) -> float:
        """Return the seconds until the caller may go on; 0 if it may now."""
        now = self.clock()
        return max((one.wait(now) for one, _ in self._buckets(kind, caller, project, now)), default=0.0)

    def pace(self, kind: Kind, caller: Caller, cost: float = 1.0, *, project: str | None = None) -> float:
        """Count `cost`, and return the seconds for which the caller has to wait before the hub goes on.

        Those who wait at the same time wait one after the other, so that together they keep the rate.
        """
        if kind not in self._limited and project is None:
            return 0.0
        wait = self.wait(kind, caller, project=project)
        self.charge(kind, caller, cost, project=project)
        return wait

    def charge(self, kind: Kind, caller: Caller, cost: float, *, project: str | None = None) -> None:
        """Count `cost`, which the caller has caused already."""
        now = self.clock()
        for bucket, _ in self._buckets(kind, caller, project, now):
            bucket.charge(now, cost)

    def _buckets(
        self, kind: Kind, caller: Caller, project: str | None, now: float
    ) -> Iterator[tuple[TokenBucket, str]]:
        if caller.address:
            bucket = self._by_address.bucket(caller.address, kind, now)
            if bucket is not None:
                yield bucket, _ADDRESS[kind]
        if caller.subject:
            bucket = self._by_subject.bucket(caller.subject, kind, now)
            if bucket is not None:
                yield bucket, _SUBJECT[kind]
        if project is not None:
            bucket = self._by_project.bucket(project, kind, now)
            if bucket is not None:
                yield bucket, _PROJECT[kind]

    def _refusal(self, kind: Kind, setting: str, wait: float) -> Refused:
        whose = {"address": "this address", "subject": "you", "project": "this project"}
        holder = whose[setting.rpartition("_")[2]]
        most = getattr(self._rates, setting)
        message = f"{holder} may have {most:g} {_THINGS[kind]} a second (rates.{setting})"
        return Refused(message, code="rate_limited", retry_after=wait)
