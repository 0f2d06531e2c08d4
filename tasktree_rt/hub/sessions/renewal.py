"""Renew the token of an open connection: for the same subject only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import evolve

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import Refused

Authenticate = Callable[[str], Awaitable[Grants]]


async def renewed(current: Grants, token: str, authenticate: Authenticate) -> Grants:
    """Return the grants of a new token for the connection that has `current`.

    Raises:
        PeerError: ``unauthorized``, the token is not valid; ``forbidden``, it is another subject's.
    """
    found = await authenticate(token)
    if found.subject != current.subject:
        raise Refused("the token is of another subject than the connection's", field="token")
    return evolve(found, address=current.address)
