"""What becomes of an accepted socket: a limit's 503, a carried WebSocket, or Hypercorn."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import evolve
from hypercorn.typing import ConnectionState
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.handshake import Answered, Gone, Handshake, Other, Outcome, Upgraded
from tasktree_rt.web.server.http_connection import HubTCPServer, Replay
from tasktree_rt.web.server.listeners import ConnectionLimits
from tasktree_rt.web.server.raw_response import answer
from tasktree_rt.web.server.syscalls import RECEIVED, Address, Syscalls, giving_back
from tasktree_rt.web.server.websocket_connection import LAST_BYTES, Connection

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper
    from quart_trio import QuartTrio

log = get_logger(__name__)

_MOST_REFUSALS: Final = 128
"""Refused connections that are closed politely at a time; beyond it they are just closed."""
_POLITENESS: Final = 1.0


class Acceptor:
    """Takes each accepted socket to where it belongs, in one task, and closes it at the end."""

    def __init__(
        self,
        app: QuartTrio,
        wrapped: AppWrapper,
        settings: Settings,
        config: Config,
        context: WorkerContext,
        state: dict[str, Any],
        meter: Metrics,
        io: Syscalls,
    ) -> None:
        self._wrapped = wrapped
        self._limits = settings.limits
        self._delivery = settings.delivery
        self._config = config
        self._context = context
        self._state = state
        self._meter = meter
        self._io = io
        self._gate = ConnectionLimits(self._limits.max_connections, self._limits.max_connections_per_address)
        self._refusals = 0
        self._nursery: trio.Nursery
        self._handshake = Handshake(app, state, self._limits.handshake_timeout, io, meter)

    def open(self, nursery: trio.Nursery) -> None:
        """From now on connections live in `nursery`."""
        self._nursery = nursery

    def arrived(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        """A socket was accepted: start its task, or refuse it before any work."""
        refusal = self._gate.enter(client)
        if refusal is None:
            self._nursery.start_soon(self._carry, sock, client, path)
            return
        self._meter.connection_refused(refusal)
        if self._refusals >= _MOST_REFUSALS:
            sock.close()
            return
        self._refusals += 1
        self._nursery.start_soon(self._refuse, sock)

    async def _carry(self, sock: socket.socket, client: Address | None, path: str | None) -> None:
        """One connection from its first byte to its last. An idle WebSocket waits in here: no more frames,
        and no more locals, than it needs."""
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
                    io=self._io,
                )
                del outcome
                await connection.run(received)
            elif not isinstance(outcome, Gone):
                await self._farewell(sock, self._delivery.close_timeout)
        except* Exception as group:
            log.error("connection failed", exc_info=group)
        finally:
            sock.close()
            self._gate.leave(client)

    async def _http(
        self, sock: socket.socket, client: Address | None, path: str | None, received: bytes
    ) -> Outcome:
        """Serve requests until the connection ends, or one of them asks for a WebSocket."""
        stall_timeout = self._delivery.stall_timeout
        stream = Replay(sock, received, stall_timeout=stall_timeout, meter=self._meter)
        state = ConnectionState(dict(self._state))
        await HubTCPServer(self._wrapped, self._config, self._context, state, stream).run()
        if stream.upgrade:
            handshake = evolve(self._handshake, io=giving_back(self._io, stream.upgrade))
            return await handshake.run(sock, client, path)
        return Gone() if stream.aborted else Answered()

    async def _refuse(self, sock: socket.socket) -> None:
        try:
            self._io.write(sock.fileno(), answer(503))
            await self._farewell(sock, _POLITENESS)
        except OSError:
            pass
        finally:
            self._refusals -= 1
            sock.close()

    async def _farewell(self, sock: socket.socket, patience: float) -> None:
        """Half-close and read on until the peer is done, though not for ever: closing with something unread
        would send RST, which takes away from the peer what it has not read yet."""
        fd, left = sock.fileno(), LAST_BYTES
        with trio.move_on_after(patience):
            try:
                sock.shutdown(socket.SHUT_WR)
                while left > 0:
                    await self._io.wait_readable(fd)
                    size = self._io.readv(fd, (RECEIVED,))
                    if not size:
                        return
                    left -= size
            except OSError:
                return
