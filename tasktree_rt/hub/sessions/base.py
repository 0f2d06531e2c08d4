"""The base of all sessions: the hub's side of one WebSocket connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import OVERLOADED, TOKEN_INVALID, TOO_FAST, Closing
from tasktree_rt.core.protocol import Policy, RequestId, TokenExpiring
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import PeerError, Refused
from tasktree_rt.hub.access.revocations import TOKEN_REVOKED
from tasktree_rt.hub.delivery.socket_subscriber import SocketSubscriber
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.peer_rates import PeerRates
from tasktree_rt.hub.transport import Transport

log: Final[BoundLogger] = get_logger("tasktree_rt.connections")
PING: Final = b"\x89\x00"
ABNORMAL: Final = 1006
LOOK: Final = 1.0
"""Seconds between two looks at whether a connection closes while the hub does not read from it."""


class ConnectionSession:
    """What all sessions have in common. Implements `transport.Session`; sends and understands no messages.

    `PeerRates` counts all that a peer sends: messages, where the session calls `admit`, their bytes (`pace`),
    and every frame that completes no message.
    """

    renewable: ClassVar[bool] = False
    """Whether the language has a warning before the token expires, and `Refresh`."""

    __slots__ = (
        "_attached",
        "_begun",
        "_peer",
        "_pinged_at",
        "_start",
        "_unacknowledged",
        "_warned",
        "hub",
        "last_received",
        "subscriber",
    )

    def __init__(self, hub: Hub, dialect: Dialect, *, grants: Grants, policy: Policy, address: str) -> None:
        self.hub = hub
        self.subscriber = SocketSubscriber(
            hub.connections.new_connection_id(),
            dialect,
            hub.subscriptions,
            policy=policy,
            delivery=hub.settings.delivery,
            meter=hub.meter,
            grants=grants,
            address=address,
        )
        self.last_received = trio.current_time()
        self._pinged_at: float | None = None
        self._unacknowledged = 0
        self._begun: trio.Event | None = None
        self._peer: PeerRates | None = None
        self._attached = False
        self._warned: float | None = None

    # --- what the transport calls -------------------------------------------------------------------

    def opened(self, transport: Transport, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """See `transport.Session`."""
        self._start = start
        self._attached = True
        if transport.deflate:
            self.subscriber.dialect = self.hub.compressor.of(self.subscriber.dialect)
        self.subscriber.open(transport, start, stall_timeout=self.hub.settings.delivery.stall_timeout)
        self.hub.sessions[self] = None
        log.info("opened", **self._described())
        try:
            self.hub.connections.attach(self.subscriber)
        except Refused as error:
            self.fail(error)
            self.close(OVERLOADED)
            return
        if self.hub.drained.is_set():
            self.close(self.subscriber.drain_closing)
        elif (reason := self.hub.administration.reason(self.subscriber.grants)) is not None:
            self.close(TOKEN_REVOKED, reason)  # revoked during the handshake
        else:
            self.begin()

    def begin(self) -> None:
        """Send the first messages."""

    async def message(self, message: str | bytes) -> None:
        """Ignore a message but for its rate."""
        await self.pace(message)
        self.allowed()

    def frames(self, count: int) -> None:
        """See `transport.Session`."""
        self.allowed(count)

    def control(self, data: bytes) -> None:
        """See `transport.Session`."""
        self.subscriber.control(data)

    def close(self, closing: Closing, reason: str = "") -> None:
        """See `transport.Session`."""
        self.subscriber.close(closing, reason)

    def ended(self, code: int | None, reason: str) -> None:
        """See `transport.Session`."""
        if not self._attached:
            return
        subscriber = self.subscriber
        subscriber.over()
        self.hub.connections.detach(subscriber)
        self.hub.sessions.pop(self, None)
        # Without a close frame of the peer there is nothing to echo: the frame layer ended the connection.
        sent = subscriber.close_code or (None if code else subscriber.frame_code)
        final = code or sent or ABNORMAL
        self.hub.meter.closed(subscriber.dialect.name, final)
        log.info(
            "closed",
            **self._described(),
            code=final,
            by="hub" if sent is not None or subscriber.abort_reason else "peer",
            **({"reason": subscriber.abort_reason} if subscriber.abort_reason else {}),
            seconds=round(trio.current_time() - subscriber.begun, 3),
            messages=subscriber.sent_messages,
            bytes=subscriber.sent_bytes,
            sheds=subscriber.sheds,
        )

    def _described(self) -> dict[str, str]:
        subscriber = self.subscriber
        described = {"connection": subscriber.id, "dialect": subscriber.dialect.name}
        if subscriber.address:
            described["address"] = subscriber.address
        if subscriber.grants.subject:
            described["subject"] = subscriber.grants.subject
        return described

    # --- what keepalive calls ----------------------------------------------------------------------

    def tend(self, now: float, wall: float) -> None:
        """See `keepalive.Lively`."""
        interval, timeout = self.patience
        self._look_at_peer(now)
        if self.subscriber.grants.void(wall):
            self.close(TOKEN_INVALID)
            return
        if self.renewable:
            self._warn(wall)
        if self.subscriber.grants.leases and self.hub.subscriptions.end_leases(self.subscriber, wall):
            self.lapsed()
        if now - self.last_received < interval:
            self._pinged_at = None
        elif self._pinged_at is None:
            # A socket that takes waiting bytes is alive; `stall_timeout` ends one that takes none.
            if self.subscriber.idle:
                self._pinged_at = now
                self.subscriber.control(PING)
                self._unacknowledged = self.subscriber.outlet.unacknowledged()
        elif self.last_received >= self._pinged_at:
            self._pinged_at = None
        elif now - self._pinged_at >= timeout:
            left = self.subscriber.outlet.unacknowledged()
            if not 0 < left < self._unacknowledged:
                self.hub.meter.stalled()
                self.subscriber.abort("no answer to a ping")
                return
            # The ping waits behind bytes that the peer's machine still takes.
            self._pinged_at, self._unacknowledged = now, left
        self.beat(now)

    def _look_at_peer(self, now: float) -> None:
        """Count a peer that the hub does not read from as alive; forget the rates of an idle one."""
        peer = self._peer
        if peer is not None and peer.paused:
            self.last_received = now
        elif peer is not None and peer.is_idle(now):
            self._peer = None

    def _warn(self, wall: float) -> None:
        expires = self.subscriber.grants.expires
        if expires is not None and expires != self._warned:
            left = expires - wall
            if left <= self.hub.settings.auth.expiry_warning:
                self._warned = expires
                self.subscriber.reply(TokenExpiring(max(0, round(left * 1_000))))

    @property
    def patience(self) -> tuple[float, float]:
        """Return the seconds of silence before a ping, and the seconds that the peer then has to answer."""
        delivery = self.hub.settings.delivery
        return delivery.ping_interval, delivery.ping_timeout

    def lapsed(self) -> None:
        """Close the connection: a lease of its is over, and the dialect has no message for that."""
        self.close(TOKEN_INVALID, "the permission to watch has expired")

    def beat(self, now: float) -> None:
        """Send a heartbeat if one is due and the dialect has heartbeats."""

    # --- for the sessions -------------------------------------------------------------------------

    @property
    def peer(self) -> PeerRates:
        """Return the rates of the peer."""
        if self._peer is None:
            subscriber, hub = self.subscriber, self.hub
            self._peer = PeerRates(hub.rates, hub.settings.limits, subscriber.grants, subscriber.address)
        return self._peer

    def allowed(self, count: int = 1) -> float:
        """Count messages or frames; return 0 if the rates allow them, else the seconds until they do. Closes
        a peer that goes on regardless with 4029.
        """
        wait = self.peer.count_messages(count)
        if wait and self.peer.refused > self.hub.settings.limits.message_burst:
            self.close(TOO_FAST)
        return wait

    def admit(self) -> None:
        """Count a request.

        Raises:
            Refused: ``rate_limited``: the peer sends too many.
        """
        wait = self.allowed()
        if wait:
            raise Refused("too many messages", code="rate_limited", retry_after=wait)

    async def pace(self, message: str | bytes) -> None:
        """Count a message's bytes; wait while its peer sends too many."""
        wait = self.peer.pace_bytes(message)
        if wait:
            await self.pause(wait)

    async def pause(self, seconds: float) -> None:
        """Do not read from the peer for so long, or until the connection closes."""
        self.hub.meter.slowed()
        self.peer.paused = True
        until = trio.current_time() + seconds
        # No event of the close: it would cost every connection memory.
        while (left := until - trio.current_time()) > 0 and not self.subscriber.closing:  # noqa: ASYNC110
            await trio.sleep(min(left, LOOK))
        self.peer.paused = False
        self.last_received = trio.current_time()

    def audit(self, error: PeerError) -> None:
        """Log a refusal of what the peer may not do; the authenticator has logged refused tokens."""
        if error.code == "forbidden":
            one = self.subscriber
            self.hub.administration.audit.refused(error, one.grants, one.address, one.dialect.name)

    def fail(self, error: PeerError, request: RequestId = None) -> None:
        """Send an error message to the peer."""
        self.audit(error)
        self.hub.meter.refused(error.code)
        self.subscriber.reply(failure(error, request))
