"""What the server counts; who counts it comes from elsewhere."""

from __future__ import annotations

from typing import Final, Protocol


class Meter(Protocol):
    """Told of what happens at the server's edge. Called often: must be quick, and must not raise."""

    def handshake(self, outcome: str) -> None:
        """A request for a WebSocket is over: ``accepted``, ``rejected`` (by the view), ``invalid``,
        ``timeout``, ``failed`` (the view raised) or ``lost`` (the peer went)."""

    def refused(self, reason: str) -> None:
        """A connection was refused before any work: ``max_connections`` or
        ``max_connections_per_address``."""

    def closed(self, code: int) -> None:
        """A WebSocket connection is over; 1006 if there was no close frame."""

    def write_stalled(self) -> None:
        """An HTTP response was aborted because the peer took no byte of it for `stall_timeout`."""


class _NoMeter:
    def handshake(self, outcome: str) -> None: ...

    def refused(self, reason: str) -> None: ...

    def closed(self, code: int) -> None: ...

    def write_stalled(self) -> None: ...


NO_METER: Final[Meter] = _NoMeter()
