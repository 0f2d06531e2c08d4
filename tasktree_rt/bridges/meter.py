"""What the bridges count. The web layer turns it into Prometheus metrics; by default nothing listens."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Called as things happen; must be fast and must not raise."""

    def up(self, name: str, up: bool) -> None:
        """A system is listened to, or not any more."""

    def message(self, name: str, kind: str) -> None:
        """Something came from there: ``event``, ``notification``, ``malformed`` or ``too_large``; or one of
        the notifications was not stored: ``not_kept``."""


class Silence:
    """A meter that nobody reads."""

    def up(self, name: str, up: bool) -> None:
        """Nothing."""

    def message(self, name: str, kind: str) -> None:
        """Nothing."""
