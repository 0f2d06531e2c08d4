"""Name the callers whose requests count together."""

from __future__ import annotations

from attrs import frozen

from tasktree_rt.core.access import Grants, network_of


@frozen
class Caller:
    """The address and the subject of a request, for the limits; where one is "", no limit holds.

    Attributes:
        address: one IPv4 address, or a /64 of IPv6.
        subject: `Grants.owner`: the token's subject, or without a token the address again.
    """

    address: str
    subject: str


def caller_of(grants: Grants, address: str | None = None) -> Caller:
    """Return the caller with these grants, at `address` if the grants do not tell it."""
    return Caller(network_of(grants.address if address is None else address), grants.owner)
