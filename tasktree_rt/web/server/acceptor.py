"""Start a task for each accepted socket; answer 503 at a limit."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import evolve
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.proxies import TrustedProxies
from tasktree_rt.web.server.handshake import Handshake
from tasktree_rt.web.server.listeners import ConnectionLimits
from tasktree_rt.web.server.raw_response import answer
from tasktree_rt.web.server.socket_handler import SocketHandler, close_gently
from tasktree_rt.web.server.syscalls import Address, Syscalls
from tasktree_rt.web.server.tls.acceptor import TlsAcceptor
from tasktree_rt.web.server.tls.certificates import Certificates
from tasktree_rt.web.server.tls.encrypted_socket import EncryptedSocket

if TYPE_CHECKING:
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper
    from quart_trio import QuartTrio

    from tasktree_rt.web.server.hypercorn_config import HubConfig

log = get_logger(__name__)

_MOST_REFUSALS: Final = 128
"""Maximum number of refused connections that wait for the peer to read their 503. The server closes further
ones at once."""
_REFUSAL_TIMEOUT: Final = 1.0
"""Maximum seconds of that wait."""


class Acceptor:
    """Count each accepted socket against the limits, and start its task."""

    def __init__(
        self,
        app: QuartTrio,
        wrapped: AppWrapper,
        settings: Settings,
        config: HubConfig,
        context: WorkerContext,
        state: dict[str, Any],
        meter: Metrics,
        syscalls: Syscalls,
        certificates: Certificates | None,
    ) -> None:
        self._meter = meter
        self._syscalls = syscalls
        proxies = TrustedProxies(settings)
        limits = settings.limits
        self._connections = ConnectionLimits(
            limits.max_connections, limits.max_connections_per_address, proxies.trusts
        )
        self._refusals = 0
        self._nursery: trio.Nursery
        handshake = Handshake(
            app,
            state,
            limits.handshake_timeout,
            syscalls,
            meter,
            proxies.client,
            deflate=settings.compression.websocket,
        )
        self._handler = SocketHandler(
            handshake,
            wrapped,
            config,
            context,
            limits.max_message_size,
            settings.delivery,
            self._connections.remove,
        )
        self._tls: TlsAcceptor | None = None
        if certificates is not None:
            self._tls = TlsAcceptor(certificates, limits.handshake_timeout, meter, syscalls)

    def open(self, nursery: trio.Nursery) -> None:
        """Start the connections' tasks in `nursery` from now on."""
        self._nursery = nursery

    def arrived(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        """Start the task of an accepted socket, or refuse it if a limit is reached."""
        refusal = self._connections.add(client)
        if refusal is None:
            serve = self._handler.serve if self._tls is None else self._serve_encrypted
            self._nursery.start_soon(serve, sock, client, path)
            return
        self._meter.connection_refused(refusal)
        # With TLS the 503 would take a handshake, which costs more than what the limit is there to refuse.
        if self._refusals >= _MOST_REFUSALS or self._tls is not None:
            sock.close()
            return
        self._refusals += 1
        self._nursery.start_soon(self._refuse, sock)

    async def _serve_encrypted(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        assert self._tls is not None
        encrypted: EncryptedSocket | None = None
        try:
            encrypted = await self._tls.accept(sock)
        except Exception:
            log.exception("connection failed")
        finally:
            if encrypted is None:
                self._connections.remove(client)
        if encrypted is not None:
            shared = self._handler.handshake
            handshake = evolve(shared, syscalls=encrypted.syscalls(), secure=True)
            await evolve(self._handler, handshake=handshake).serve(encrypted, client, path)

    async def _refuse(self, sock: socket.socket) -> None:
        try:
            self._syscalls.write(sock.fileno(), answer(503))
            await close_gently(sock, self._syscalls, _REFUSAL_TIMEOUT)
        except OSError:
            pass
        finally:
            self._refusals -= 1
            sock.close()
