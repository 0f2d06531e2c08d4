"""Shake hands with each client, within the time for handshakes."""

from __future__ import annotations

import ssl
from typing import Final

import trio
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.web.server.raw_response import answer
from tasktree_rt.web.server.socket_handler import close_gently
from tasktree_rt.web.server.syscalls import AcceptedSocket, Syscalls
from tasktree_rt.web.server.tls.certificates import Certificates
from tasktree_rt.web.server.tls.encrypted_socket import EncryptedSocket

log = get_logger(__name__)

PLAIN: Final = answer(400, "This port speaks TLS: use https:// or wss://.\n")
"""The answer to a request without TLS."""
_LAST_WORDS: Final = 1.0
"""Maximum seconds in which a refused peer can read the reason."""


class TlsAcceptor:
    """Make an encrypted socket of each accepted one.

    Args:
        timeout: seconds for one handshake.
    """

    def __init__(
        self, certificates: Certificates, timeout: float, meter: Metrics, syscalls: Syscalls
    ) -> None:
        self._certificates = certificates
        self._timeout = timeout
        self._meter = meter
        self._syscalls = syscalls

    async def accept(self, sock: AcceptedSocket) -> EncryptedSocket | None:
        """Shake hands; return None if that fails. Then, and if it is cancelled, `sock` is closed."""
        encrypted: EncryptedSocket | None = None
        try:
            outcome = "timeout"
            with trio.move_on_after(self._timeout):
                encrypted = EncryptedSocket(sock, self._certificates.context, self._syscalls)
                outcome = await self._shake_hands(encrypted)
            self._meter.tls_handshake(outcome)
            if outcome == "completed":
                self._count_client(encrypted)
                return encrypted
            if outcome in ("plain", "failed"):
                await self._refuse(sock, outcome)
        except BaseException:
            sock.close()
            raise
        sock.close()
        return None

    async def _shake_hands(self, encrypted: EncryptedSocket) -> str:
        """Shake hands; return the outcome (`Metrics.tls_handshake`)."""
        begun = False
        try:
            while True:
                first = await encrypted.receive()
                if first < 0:
                    return "lost"
                if not begun and encrypted.greets_in_plain(first):
                    return "plain"
                begun = True
                if await encrypted.shake_hands():
                    return "completed"
        except ssl.SSLError as error:
            log.debug("TLS handshake failed", reason=error.reason)
            return "failed"
        except OSError:
            return "lost"

    def _count_client(self, encrypted: EncryptedSocket | None) -> None:
        if encrypted is not None and self._certificates.asks_clients:
            self._meter.tls_client("yes" if encrypted.has_certificate else "no")

    async def _refuse(self, sock: AcceptedSocket, outcome: str) -> None:
        try:
            if outcome == "plain":
                self._syscalls.write(sock.fileno(), PLAIN)
            await close_gently(sock, self._syscalls, _LAST_WORDS)
        except OSError:
            pass
