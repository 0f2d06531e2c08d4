"""Everything that is not a WebSocket: Hypercorn's own connection, on a stream that cannot be stalled.

Hypercorn 0.18 shields `send_all` from cancellation while it holds its send lock, so that a peer which does
not read wedges the connection and the server's shutdown. Here no write is shielded, and each must make
headway within `stall_timeout` seconds; else the connection is reset.

A proxy may ask for a WebSocket on a connection that it has kept from an earlier request. Hypercorn is then
told that the connection is over, and its owner goes on with the request (`Replay.upgrade`). `web.http11` says
what else is read differently here.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Final, cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.logging import Logger
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.http11 import Http11
from tasktree_rt.web.server.request_head import MAX_HEAD
from tasktree_rt.web.server.syscalls import reset

if TYPE_CHECKING:
    from hypercorn.protocol import ProtocolWrapper
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper, LifespanState, ResponseSummary, WWWScope

log = get_logger("hypercorn")

_RECEIVE: Final = 64 * 1024


class Replay:
    """A stream that gives its head, which was read before, and then what its socket gives.

    `aclose` leaves the socket to its owner, who reads on until the peer has seen the answer; `abort` resets
    it. After either, every call raises `trio.ClosedResourceError`.

    Attributes:
        upgrade: a later request that asks for a WebSocket, with what came behind its head. Set by `Http11`:
            from then on this reads as the end, and the socket stays open in both directions.
    """

    def __init__(self, sock: socket.socket, head: bytes, *, stall_timeout: float, meter: Metrics) -> None:
        self.socket = trio.socket.from_stdlib_socket(sock)
        self.aborted = False
        self.upgrade = b""
        self._sock = sock
        self._head = head
        self._closed = False
        self._stall_timeout = stall_timeout
        self._meter = meter

    async def receive_some(self, max_bytes: int = _RECEIVE) -> bytes:
        """At most `max_bytes`; b"" at the end."""
        self._check()
        if self._head:
            await trio.lowlevel.checkpoint()
            data, self._head = self._head[:max_bytes], self._head[max_bytes:]
            return data
        if self.upgrade:
            await trio.lowlevel.checkpoint()
            return b""
        try:
            return await self.socket.recv(max_bytes)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def send_all(self, data: bytes) -> None:
        """Write everything.

        Cancelled half-way, or without headway for `stall_timeout` seconds, it resets the connection: nobody
        may go on after half a chunk.

        Raises:
            trio.BrokenResourceError: the peer is gone, or was reset for not reading.
        """
        self._check()
        view = memoryview(data)
        try:
            with trio.move_on_after(self._stall_timeout) as bound:
                while view:
                    view = view[await self.socket.send(view) :]
                    bound.deadline = trio.current_time() + self._stall_timeout
        except OSError as error:
            raise trio.BrokenResourceError from error
        finally:
            if view:
                self.abort()
        if view:
            self._meter.response_stalled()
            raise trio.BrokenResourceError("the peer does not read")

    async def send_eof(self) -> None:
        """Half-close the connection: nothing more is sent."""
        self._check()
        if self.upgrade:
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Use no more; whoever waits for the socket gets `trio.ClosedResourceError`."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._sock)
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Reset the connection when its owner closes it, which is at once."""
        self.aborted = self._closed = True
        reset(self._sock)
        trio.lowlevel.notify_closing(self._sock)

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class HubTCPServer(TCPServer):
    """Hypercorn's connection with its writes bounded and cancellable. `run` lets no exception of the app
    out."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        stream: Replay,
    ) -> None:
        super().__init__(app, config, context, state, cast("trio.SSLStream[trio.SocketStream]", stream))
        self._replay = stream
        self._request_in_hand = True

    async def run(self) -> None:
        """Serve requests until either side ends."""
        try:
            await self._serve()
        except* OSError:
            pass
        except* Exception as group:
            log.error("connection failed", exc_info=group)
        finally:
            await self._close()

    async def _serve(self) -> None:
        """As Hypercorn's `run`, of a stream without TLS; the protocol is `Http11` and never another."""
        sock = self._replay.socket
        client, server = (
            parse_socket_addr(sock.family, name) for name in (sock.getpeername(), sock.getsockname())
        )
        async with TaskGroup() as task_group:
            self._task_group = task_group
            protocol = Http11(
                self.app,
                self.config,
                self.context,
                task_group,
                ConnectionState(self.state),
                client,
                server,
                self.protocol_send,
                self._replay,
            )
            self.protocol = cast("ProtocolWrapper", protocol)
            await self.idle_task.restart(task_group, self._idle_timeout)
            await self._read_data()

    async def _read_data(self) -> None:
        """As Hypercorn's; but a connection whose peer has gone does not wait for its idle timeout to end."""
        await super()._read_data()
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        """As Hypercorn's; but a connection begins with its request in hand, and is not idle before that is
        answered, also while the hub stops: ``/readyz`` could not say so otherwise."""
        if self._request_in_hand:
            self._request_in_hand = False
            await trio.sleep(self.config.keep_alive_timeout)
            with trio.CancelScope(shield=True):
                await self._initiate_server_close()
        else:
            await super()._idle_timeout()

    async def protocol_send(self, event: Event) -> None:
        """As Hypercorn's, with the shield where it belongs."""
        if isinstance(event, Updated):
            # This comes from the app's task, which Quart-Trio cancels as its response ends: without the
            # shield the idle timeout would never be set again, and a kept connection stay for ever. It only
            # starts a task.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self.stream.send_all(event.data)
                return
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        await self.protocol.handle(Closed())


class HypercornLog(Logger):
    """Hypercorn's log, told to the hub's own. Access is logged by the app."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, request: WWWScope, response: ResponseSummary, request_time: float) -> None:
        """Log no requests."""

    async def critical(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.critical(message, *args)

    async def error(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.error(message, *args)

    async def warning(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.warning(message, *args)

    async def info(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.info(message, *args)

    async def debug(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.debug(message, *args)

    async def exception(self, message: str, *args: object, **kwargs: object) -> None:
        """A log line with the exception being handled."""
        log.error(message, *args, exc_info=sys.exception())

    async def log(self, level: int, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.log(level, message, *args)


def hypercorn_config(settings: Settings) -> Config:
    """Hypercorn's settings; what concerns sockets is not among them (`listeners`)."""
    config = Config()
    config.logger_class = HypercornLog
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEAD
    config.websocket_max_message_size = settings.limits.max_message_size
    config.keep_alive_timeout = 15
    return config
