"""What the hub counts. The web layer turns it into Prometheus metrics; by default nothing listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Meter(Protocol):
    """Called as things happen; must be fast and must not raise."""

    def published(self, types: Mapping[str, int], size: int, seconds: float) -> None:
        """A tick's events by type and their bytes; `seconds` from receipt of the oldest to the tick."""

    def refused(self, code: str) -> None:
        """A publish or another request was refused."""

    def committed(self, publishes: int, seconds: float) -> None:
        """One group commit."""

    def flushed(self, deliveries: int, size: int, seconds: float) -> None:
        """One tick went out: messages and bytes over all subscribers."""

    def shed(self, policy: str, missed: int) -> None:
        """A subscriber fell behind in a project by so many messages."""

    def caught_up(self, kind: str, missed: int) -> None:
        """A laggard was brought up by conflated, state or replay."""

    def queued(self, messages: int) -> None:
        """Depth of an outbox after something had to wait in it."""

    def stalled(self) -> None:
        """A peer took nothing for too long and was aborted."""

    def closed(self, dialect: str, code: int) -> None:
        """A connection ended with this close code (1006: without one)."""

    def opened(self, kind: str) -> None:
        """A prompt or a command was opened."""

    def settled(self, kind: str, how: str) -> None:
        """One was settled: answered, timeout, cancelled; done, refused."""

    def failed(self, where: str) -> None:
        """A fault of the hub's own."""


class Silence:
    """A meter that nobody reads."""

    def published(self, types: Mapping[str, int], size: int, seconds: float) -> None:
        """Nothing."""

    def refused(self, code: str) -> None:
        """Nothing."""

    def committed(self, publishes: int, seconds: float) -> None:
        """Nothing."""

    def flushed(self, deliveries: int, size: int, seconds: float) -> None:
        """Nothing."""

    def shed(self, policy: str, missed: int) -> None:
        """Nothing."""

    def caught_up(self, kind: str, missed: int) -> None:
        """Nothing."""

    def queued(self, messages: int) -> None:
        """Nothing."""

    def stalled(self) -> None:
        """Nothing."""

    def closed(self, dialect: str, code: int) -> None:
        """Nothing."""

    def opened(self, kind: str) -> None:
        """Nothing."""

    def settled(self, kind: str, how: str) -> None:
        """Nothing."""

    def failed(self, where: str) -> None:
        """Nothing."""
