"""The session of a rejected connection: accepts, and closes at once with a code that a browser can see."""

from __future__ import annotations

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import Closing
from tasktree_rt.core.protocol import Policy
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.base import ConnectionSession


class RejectedSession(ConnectionSession):
    """Closes as soon as it is open. (A browser cannot see the status of a refused handshake.)"""

    __slots__ = ("_closing",)

    def __init__(self, hub: Hub, dialect: Dialect, closing: Closing, address: str = "") -> None:
        super().__init__(hub, dialect, grants=Grants(""), policy=Policy.DISCONNECT, address=address)
        self._closing = closing

    def begin(self) -> None:
        """Close the connection."""
        self.close(self._closing)
