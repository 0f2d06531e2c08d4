"""Where what live views show comes from, as far as a view has to wait for it."""

from __future__ import annotations

from typing import Protocol


class ViewSource(Protocol):
    """Asked by `hub.viewing` before a view is acknowledged."""

    async def prepare(self, kind: str, user: str, name: str, token: str) -> None:
        """Find out what must be known to hear of that view; `token` is the user's own.

        Raises:
            PeerError: there is no such thing.
        """

    async def stand(self, topic: str) -> None:
        """Wait until what is published for that live topic arrives.

        Raises:
            PeerError: it does not, for now. Whoever watches is told when it does again.
        """


class EverySource:
    """Everything arrives anyhow."""

    async def prepare(self, kind: str, user: str, name: str, token: str) -> None:
        """Nothing."""

    async def stand(self, topic: str) -> None:
        """Nothing."""
