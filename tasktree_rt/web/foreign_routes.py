"""What a foreign system hands to the web app: routes, and addresses of its own.

A foreign system is a program whose clients the hub serves in their own language: AIECS, AutoGPT. The web
knows none of them. The composition root hands them to `web.app.create_app` (``compat``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from quart import Blueprint

from tasktree_rt.hub.hub import Hub
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.listeners import FixedPath


class ForeignSystem(Protocol):
    """A foreign system; one instance serves any number of hubs."""

    def addresses(self, settings: Settings) -> Sequence[FixedPath]:
        """The addresses that the hub opens for this system beside ``settings.bind``."""

    def routes(self, hub: Hub, settings: Settings) -> Sequence[Blueprint]:
        """The system's routes, WebSockets (`web.sockets.socket_routes`) and HTTP, each blueprint with its
        URL prefix. A route that takes a WebSocket accepts it and leaves a session (`web.sockets.leave`).

        Raises:
            SettingsError: a setting of this system cannot be used.
        """


def addresses_of(compat: Iterable[ForeignSystem], settings: Settings) -> list[FixedPath]:
    """The addresses of all of `compat`, for `web.listeners.open_all`."""
    return [address for system in compat for address in system.addresses(settings)]
