"""The source of the events that a view shows, as far as a view has to wait for it."""

from __future__ import annotations

from typing import Protocol


class ViewSource(Protocol):
    """Prepares a view's events before the hub acknowledges the view."""

    async def prepare(self, kind: str, user: str, name: str, token: str) -> None:
        """Look up what the source needs to receive that view's events; `token` is the user's.

        Raises:
            PeerError: there is no such view.
        """

    async def stand(self, topic: str) -> None:
        """Wait until events published to that ephemeral topic arrive.

        Raises:
            PeerError: they do not arrive now. Watchers get a message when they do again.
        """


class EverySource:
    """A source that needs no preparation: all events arrive."""

    async def prepare(self, kind: str, user: str, name: str, token: str) -> None:
        """Do nothing."""

    async def stand(self, topic: str) -> None:
        """Do nothing."""
