"""The interface of a foreign system to the web app: its routes and its own addresses.

A foreign system is a program whose clients the hub serves in their own protocol: AIECS, AutoGPT. The web app
knows none of them. The composition root passes them to `web.app.create_app` (``compat``).
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
        """Return the addresses that the hub opens for this system, beside ``settings.bind``."""

    def routes(self, hub: Hub, settings: Settings) -> Sequence[Blueprint]:
        """Make the system's routes for WebSockets (`web.socket_blueprint`) and HTTP, each blueprint with
        its URL prefix. A WebSocket route hands its session to the server (`web.sockets.accept_session`).

        Raises:
            SettingsError: a setting of this system is invalid.
        """


def addresses_of(compat: Iterable[ForeignSystem], settings: Settings) -> list[FixedPath]:
    """Return the addresses of all foreign systems, for `web.server.listeners.open_all`."""
    return [address for system in compat for address in system.addresses(settings)]
