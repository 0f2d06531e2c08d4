"""Limit what callers ask over HTTP: requests by cost, the bytes of their bodies, and what is in progress.

Costs are in units; one is about half a millisecond of the hub's time:

- a request, and a handshake for a WebSocket: 1
- a refused credential: 4 more, for its signature has to be checked
- a large response: 1 for each 64 KiB that it is generated from

A caller pays the cost of a response when that is known, and may be in debt until later; until then the hub
refuses further requests. ``/healthz`` and ``/readyz`` cost nothing: a refusal would cost as much as the
answer, and a supervisor would take it for a failure.
"""

from __future__ import annotations

from typing import Final

from quart import Quart, current_app, g

from tasktree_rt.core.access import Grants, network_of
from tasktree_rt.hub.limits.accounts import Kind
from tasktree_rt.hub.limits.caller import Caller, caller_of
from tasktree_rt.hub.limits.holdings import Holdings
from tasktree_rt.hub.limits.rates import RateLimits
from tasktree_rt.settings import Limits

EXTENSION: Final = "tasktree_rt.request_rates"
FREE: Final = frozenset({"/healthz", "/readyz"})
BAD_CREDENTIAL: Final = 4
_NOBODY: Final = Caller("", "")
_NO_LIMIT: Final = 1 << 53


class RequestRates:
    """See the module's docstring. The app has one; routes reach it by `request_rates`."""

    def __init__(self, rates: RateLimits, limits: Limits) -> None:
        self._rates = rates
        self._in_progress = Holdings(
            "requests in progress",
            "max_connections",
            per_address=limits.max_connections_per_address,
            per_subject=_NO_LIMIT,
        )

    def admit_address(self, address: str) -> None:
        """Count a request or a handshake for its address.

        Raises:
            Refused: ``rate_limited``.
        """
        if self._rates.limits(Kind.COST):
            self._rates.admit(Kind.COST, Caller(network_of(address), ""))

    def begin(self, address: str) -> None:
        """Count a request for its address, and as in progress until `end`.

        Raises:
            Refused: ``rate_limited``.
        """
        self.admit_address(address)
        caller = Caller(network_of(address), "")
        self._in_progress.check(caller)
        self._in_progress.add(caller)
        g.in_progress = caller

    def end(self) -> None:
        """Count the current request as over; does nothing if it was not counted."""
        caller = g.pop("in_progress", None)
        if caller is not None:
            self._in_progress.add(caller, -1)

    def bad_credential(self, address: str) -> None:
        """Count a credential that the hub refused."""
        self._rates.charge(Kind.COST, Caller(network_of(address), ""), BAD_CREDENTIAL)

    def admit(self, grants: Grants, *, has_body: bool) -> None:
        """Count the current request for its subject.

        Raises:
            Refused: ``rate_limited``: too many requests, or too many bytes in the bodies of earlier ones.
        """
        g.caller = caller = caller_of(grants)
        if has_body:
            self._rates.admit(Kind.BYTES, caller, 0)
        self._rates.admit(Kind.COST, Caller("", caller.subject))

    def charge(self, cost: float) -> None:
        """Count a cost of the current request's response."""
        self._rates.charge(Kind.COST, g.get("caller", _NOBODY), cost)

    def charge_body(self, size: int) -> None:
        """Count the bytes of the current request's body."""
        self._rates.charge(Kind.BYTES, g.get("caller", _NOBODY), size)

    def admit_events(self, project: str, count: int) -> None:
        """Count the events of a publish.

        Raises:
            Refused: ``rate_limited``.
        """
        self._rates.admit(Kind.EVENTS, g.caller, count, project=project)


def put_request_rates(app: Quart, found: RequestRates) -> None:
    """Make `found` the rates of all routes of `app`."""
    app.extensions[EXTENSION] = found


def request_rates() -> RequestRates:
    """Return the rates of the app that handles the current request."""
    return rates_of(current_app)


def rates_of(app: Quart) -> RequestRates:
    """Return the rates of the routes of `app`."""
    found: RequestRates = app.extensions[EXTENSION]
    return found
