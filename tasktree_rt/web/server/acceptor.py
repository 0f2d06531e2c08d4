"""Serve each accepted socket: answer 503 at a limit, run a WebSocket, or hand HTTP to Hypercorn."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import evolve
from hypercorn.typing import ConnectionState
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.proxies import TrustedProxies
from tasktree_rt.web.server.handshake import Answered, Gone, Handshake, Other, Outcome, Upgraded
from tasktree_rt.web.server.http_connection import HubTCPServer, Replay
from tasktree_rt.web.server.listeners import ConnectionLimits
from tasktree_rt.web.server.raw_response import answer
from tasktree_rt.web.server.syscalls import RECEIVED, Address, Syscalls, replaying
from tasktree_rt.web.server.websocket_connection import LAST_BYTES, Connection

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper
    from quart_trio import QuartTrio

log = get_logger(__name__)

_MOST_REFUSALS: Final = 128
"""Maximum number of refused connections that wait for the peer to read their 503. The server closes further
ones at once."""
_REFUSAL_TIMEOUT: Final = 1.0
"""Maximum seconds of that wait."""


class Acceptor:
    """Serve each accepted socket in one task, and close it at the end."""

    def __init__(
        self,
        app: QuartTrio,
        wrapped: AppWrapper,
        settings: Settings,
        config: Config,
        context: WorkerContext,
        state: dict[str, Any],
        meter: Metrics,
        syscalls: Syscalls,
    ) -> None:
        self._wrapped = wrapped
        self._limits = settings.limits
        self._delivery = settings.delivery
        self._config = config
        self._context = context
        self._state = state
        self._meter = meter
        self._syscalls = syscalls
        self._proxies = TrustedProxies(settings)
        limits = self._limits
        self._connections = ConnectionLimits(
            limits.max_connections, limits.max_connections_per_address, self._proxies.trusts
        )
        self._refusals = 0
        self._nursery: trio.Nursery
        timeout = self._limits.handshake_timeout
        self._handshake = Handshake(app, state, timeout, syscalls, meter, self._proxies.client)

    def open(self, nursery: trio.Nursery) -> None:
        """Start the connections' tasks in `nursery` from now on."""
        self._nursery = nursery

    def arrived(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        """Start the task of an accepted socket, or refuse it if a limit is reached."""
        refusal = self._connections.add(client)
        if refusal is None:
            self._nursery.start_soon(self._serve, sock, client, path)
            return
        self._meter.connection_refused(refusal)
        if self._refusals >= _MOST_REFUSALS:
            sock.close()
            return
        self._refusals += 1
        self._nursery.start_soon(self._refuse, sock)

    async def _serve(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        """Serve one connection from its first byte to its last.

        An idle WebSocket waits in this coroutine, so it keeps as few frames and locals as possible.
        """
        try:
            outcome = await self._handshake.run(sock, client, path)
            if isinstance(outcome, Other):
                outcome = await self._http(sock, client, path, outcome.received)
            if isinstance(outcome, Upgraded):
                received = outcome.received
                connection = Connection(
                    sock,
                    outcome.session,
                    max_message_size=self._limits.max_message_size,
                    close_timeout=self._delivery.close_timeout,
                    syscalls=self._syscalls,
                )
                del outcome
                await connection.run(received)
            elif not isinstance(outcome, Gone):
                await self._close_gently(sock, self._delivery.close_timeout)
        except* Exception as group:
            log.error("connection failed", exc_info=group)
        finally:
            sock.close()
            self._connections.remove(client)

    async def _http(
        self, sock: socket.socket, client: Address | None, path: str | None, received: bytes
    ) -> Outcome:
        """Serve HTTP requests until the connection ends, or a request asks for a WebSocket."""
        stall_timeout = self._delivery.stall_timeout
        stream = Replay(sock, received, stall_timeout=stall_timeout, meter=self._meter)
        state = ConnectionState(dict(self._state))
        client_of = self._proxies.client
        await HubTCPServer(self._wrapped, self._config, self._context, state, stream, client_of).run()
        if stream.upgrade:
            handshake = evolve(self._handshake, syscalls=replaying(self._syscalls, stream.upgrade))
            return await handshake.run(sock, client, path)
        return Gone() if stream.aborted else Answered()

    async def _refuse(self, sock: socket.socket) -> None:
        try:
            self._syscalls.write(sock.fileno(), answer(503))
            await self._close_gently(sock, _REFUSAL_TIMEOUT)
        except OSError:
            pass
        finally:
            self._refusals -= 1
            sock.close()

    async def _close_gently(self, sock: socket.socket, seconds: float) -> None:
        """Half-close `sock` and read until the peer closes, at most `seconds`.

        Closing a socket with unread bytes would send RST, and the peer could lose the end of the response.
        """
        fd, left = sock.fileno(), LAST_BYTES
        with trio.move_on_after(seconds):
            try:
                sock.shutdown(socket.SHUT_WR)
                while left > 0:
                    await self._syscalls.wait_readable(fd)
                    size = self._syscalls.readv(fd, (RECEIVED,))
                    if not size:
                        return
                    left -= size
            except OSError:
                return
