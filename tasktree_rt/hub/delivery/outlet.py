"""What stands on both sides of a subscriber: what the fan-out touches, and where the messages go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.dialects.base import Dialect


class Outlet(Protocol):
    """Moves a subscriber's messages on."""

    def wake(self) -> None:
        """Send what waits, as far as that can be now."""

    def wake_later(self) -> None:
        """Send what waits as soon as that can be: it cannot now."""

    def close(self, closing: Closing, reason: str) -> None:
        """End the connection behind what is begun and the replies that wait."""


class Front:
    """What the fan-out touches of a subscriber for each delivery.

    Kept together at the head of the object: when a subscriber's turn comes nothing of it is in the
    processor's cache, and each line fetched from memory counts beside one system call.
    """

    __slots__ = ("dialect", "direct", "picky", "sent_bytes", "sent_messages")

    dialect: Dialect
    direct: Callable[[bytes], int] | None
    picky: bool
    sent_bytes: int
    sent_messages: int
