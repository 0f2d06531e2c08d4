"""The two sides of a subscriber: the attributes that the fan-out reads, and the outlet of its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.dialects.base import Dialect


class Outlet(Protocol):
    """Sends a subscriber's messages."""

    def wake(self) -> None:
        """Send what waits, as far as the socket takes it now."""

    def wake_later(self) -> None:
        """Send what waits once the socket takes bytes again: now it does not."""

    def close(self, closing: Closing, reason: str) -> None:
        """Close the connection after the message that is begun and the waiting replies."""


class Front:
    """The attributes of a subscriber that the fan-out reads and writes for each delivery.

    They are the first slots of the object: when a subscriber's turn comes, nothing of it is in the
    processor's cache, and each cache line fetched from memory counts beside one system call.
    """

    __slots__ = ("dialect", "direct", "picky", "sent_bytes", "sent_messages")

    dialect: Dialect
    direct: Callable[[bytes], int] | None
    picky: bool
    sent_bytes: int
    sent_messages: int
