"""Serve an accepted socket from its first byte to its last: run a WebSocket, or hand HTTP to Hypercorn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from attrs import evolve, frozen
from hypercorn.typing import ConnectionState
from structlog import get_logger

from tasktree_rt.settings import Delivery
from tasktree_rt.web.server.handshake import Answered, Gone, Handshake, Other, Outcome, Upgraded
from tasktree_rt.web.server.http_connection import HubTCPServer, Replay
from tasktree_rt.web.server.syscalls import RECEIVED, AcceptedSocket, Address, Syscalls, half_close, replaying
from tasktree_rt.web.server.websocket_connection import LAST_BYTES, Connection

if TYPE_CHECKING:
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper

    from tasktree_rt.web.server.hypercorn_config import HubConfig

log = get_logger(__name__)


@frozen
class SocketHandler:
    """Serve sockets, each in one call of `serve`, with the system calls of `handshake`.

    Attributes:
        max_message_size: bytes of a WebSocket message.
        ended: called with the peer's address when its connection is over and its socket closed.
    """

    handshake: Handshake
    app: AppWrapper
    config: HubConfig
    context: WorkerContext
    max_message_size: int
    delivery: Delivery
    ended: Callable[[Address | None], None]

    async def serve(self, sock: AcceptedSocket, client: Address | None, path: str | None) -> None:
        """Serve one connection from its first byte to its last, and close `sock`.

        An idle WebSocket waits in this coroutine, so it keeps as few frames and locals as possible.
        """
        try:
            outcome = await self.handshake.run(sock, client, path)
            if isinstance(outcome, Other):
                outcome = await self._http(sock, client, path, outcome.received)
            if isinstance(outcome, Upgraded):
                received = outcome.received
                connection = Connection(
                    sock,
                    outcome.session,
                    max_message_size=self.max_message_size,
                    close_timeout=self.delivery.close_timeout,
                    deflate=outcome.deflate,
                    syscalls=self.handshake.syscalls,
                )
                del outcome
                await connection.run(received)
            elif not isinstance(outcome, Gone):
                await close_gently(sock, self.handshake.syscalls, self.delivery.close_timeout)
        except* Exception as group:
            log.error("connection failed", exc_info=group)
        finally:
            sock.close()
            self.ended(client)

    async def _http(
        self, sock: AcceptedSocket, client: Address | None, path: str | None, received: bytes
    ) -> Outcome:
        """Serve HTTP requests until the connection ends, or a request asks for a WebSocket."""
        handshake = self.handshake
        stream = Replay(
            sock,
            received,
            stall_timeout=self.delivery.stall_timeout,
            meter=handshake.meter,
            syscalls=handshake.syscalls,
        )
        state = ConnectionState(dict(handshake.state))
        secure, client_of = handshake.secure, handshake.client
        server = HubTCPServer(self.app, self.config, self.context, state, stream, client_of, secure=secure)
        await server.run()
        if stream.upgrade:
            again = evolve(handshake, syscalls=replaying(handshake.syscalls, stream.upgrade))
            return await again.run(sock, client, path)
        return Gone() if stream.aborted else Answered()


async def close_gently(sock: AcceptedSocket, syscalls: Syscalls, seconds: float) -> None:
    """Half-close `sock` and read until the peer closes, at most `seconds`.

    Closing a socket with unread bytes would send RST, and the peer could lose the end of the response.
    """
    fd, left = sock.fileno(), LAST_BYTES
    with trio.move_on_after(seconds):
        try:
            await half_close(sock, syscalls)
            while left > 0:
                await syscalls.wait_readable(fd)
                try:
                    size = syscalls.readv(fd, (RECEIVED,))
                except BlockingIOError:
                    continue
                if not size:
                    return
                left -= size
        except OSError:
            return
