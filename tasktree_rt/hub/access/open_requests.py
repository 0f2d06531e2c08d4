"""HTTP requests that wait: long polls and streams without a subscriber. An administrator can end them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from attrs import define, field

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import PeerError


@define(eq=False)
class OpenRequest:
    """One request that waits. `ended` says why the hub ended it; None while it did not."""

    grants: Grants
    address: str
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: PeerError | None = None

    def tend(self, now: float, wall: float) -> None:
        """End the wait, as if its time were over, once the caller's token has expired or lost its key. Times
        in seconds; `wall` is Unix time.
        """
        if self.grants.void(wall):
            self._scope.cancel()

    def end(self, why: PeerError) -> None:
        """End the wait."""
        self.ended = why
        self._scope.cancel()


class OpenRequests:
    """All HTTP requests that wait now."""

    def __init__(self) -> None:
        self._open: dict[OpenRequest, None] = {}

    def __iter__(self) -> Iterator[OpenRequest]:
        return iter(list(self._open))

    def __contains__(self, one: object) -> bool:
        return one in self._open

    @contextmanager
    def waiting(self, grants: Grants) -> Iterator[None]:
        """Let the hub end what waits in this block. The block also ends with the caller's token.

        Raises:
            PeerError: the hub ended it, for this reason.
        """
        one = OpenRequest(grants, grants.address)
        self._open[one] = None
        try:
            with one._scope:
                yield
        finally:
            del self._open[one]
        if one.ended is not None:
            raise one.ended
