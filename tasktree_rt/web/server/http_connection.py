"""Serve an HTTP connection with Hypercorn, on a stream that a peer cannot stall.

Hypercorn 0.18 shields `send_all` from cancellation while it holds its send lock. A peer that does not read
then blocks the connection and the server's shutdown. In this module no write is shielded, and a write without
progress for `stall_timeout` seconds resets the connection.

A proxy may ask for a WebSocket on a connection that served HTTP before. Hypercorn then sees the end of the
connection, and the owner goes on with the request (`Replay.upgrade`). `web.server.http11` lists the other
differences to Hypercorn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr
from structlog import get_logger

from tasktree_rt.hub.transport import while_acknowledging
from tasktree_rt.metrics import Metrics
from tasktree_rt.web.server.http11 import Http11
from tasktree_rt.web.server.syscalls import (
    REAL,
    RECEIVED,
    AcceptedSocket,
    ClientOf,
    Syscalls,
    half_close,
    peer_itself,
    reset,
)

if TYPE_CHECKING:
    from hypercorn.protocol import ProtocolWrapper
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper, LifespanState

    from tasktree_rt.web.server.hypercorn_config import HubConfig

log = get_logger("hypercorn")

_RECEIVE: Final = 64 * 1024


class Replay:
    """A stream that returns `head`, which was read before, and then the socket's bytes.

    `aclose` leaves the socket open for its owner, which reads on until the peer has read the response;
    `abort` resets it. After either, every call raises `trio.ClosedResourceError`.

    Attributes:
        upgrade: a later request that asks for a WebSocket, with the bytes after its head. `Http11` sets it.
            From then on reads return the end, and the socket stays open in both directions.
    """

    def __init__(
        self,
        sock: AcceptedSocket,
        head: bytes,
        *,
        stall_timeout: float,
        meter: Metrics,
        syscalls: Syscalls = REAL,
    ) -> None:
        self.sock = sock
        self.aborted = False
        self.upgrade = b""
        self._fd = sock.fileno()
        self._syscalls = syscalls
        self._head = head
        self._closed = False
        self._stall_timeout = stall_timeout
        self._meter = meter

    async def receive_some(self, max_bytes: int = _RECEIVE) -> bytes:
        """Read at most `max_bytes`; return b"" at the end."""
        self._check()
        await trio.lowlevel.checkpoint()
        if self._head:
            data, self._head = self._head[:max_bytes], self._head[max_bytes:]
            return data
        if self.upgrade:
            return b""
        into = RECEIVED if max_bytes >= len(RECEIVED) else bytearray(max_bytes)
        while True:
            self._check()
            try:
                return bytes(memoryview(into)[: self._syscalls.readv(self._fd, (into,))])
            except BlockingIOError:
                await self._syscalls.wait_readable(self._fd)
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def send_all(self, data: bytes) -> None:
        """Write all of `data`.

        A cancellation half-way, or `stall_timeout` seconds without progress, resets the connection: nothing
        may follow half a chunk.

        Raises:
            trio.BrokenResourceError: the peer is gone, or did not read in time.
        """
        self._check()
        view = memoryview(data)
        try:
            while view:
                view = view[await self._send_some(view) :]
        except trio.TooSlowError as error:
            self._meter.response_stalled()
            raise trio.BrokenResourceError("the peer does not read") from error
        except OSError as error:
            raise trio.BrokenResourceError from error
        finally:
            if view:
                self.abort()

    async def _send_some(self, view: memoryview) -> int:
        """Write what the socket takes and return how much that is; 0 after waiting for room.

        Raises:
            trio.TooSlowError: the peer acknowledged nothing for `stall_timeout`.
        """
        await trio.lowlevel.checkpoint()
        self._check()
        syscalls, fd = self._syscalls, self._fd
        try:
            return syscalls.write(fd, view)
        except BlockingIOError:
            wait, count = partial(syscalls.wait_writable, fd), partial(syscalls.unacknowledged, fd)
            await while_acknowledging(wait, count, self._stall_timeout)
            return 0

    async def send_eof(self) -> None:
        """Half-close the connection: nothing more is sent."""
        self._check()
        if self.upgrade:
            return
        try:
            await half_close(self.sock, self._syscalls)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close the stream, not the socket; a task that waits for it gets `trio.ClosedResourceError`."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._fd)
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Reset the connection: the owner closes the socket at once, with RST."""
        self.aborted = self._closed = True
        reset(self.sock)
        trio.lowlevel.notify_closing(self._fd)

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class HubTCPServer(TCPServer):
    """Hypercorn's connection with bounded, cancellable writes. `run` logs the app's exceptions and raises
    none.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: HubConfig,
        context: WorkerContext,
        state: LifespanState,
        stream: Replay,
        client_of: ClientOf = peer_itself,
        *,
        secure: bool = False,
    ) -> None:
        super().__init__(app, config, context, state, cast("trio.SSLStream[trio.SocketStream]", stream))
        self._replay = stream
        self._body_limit = config.body_limit
        self._client_of = client_of
        self._secure = secure
        self._first_request = True

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
        """Serve as Hypercorn's `run` does, but always with `Http11`."""
        sock = self._replay.sock
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
                self._client_of,
                body_limit=self._body_limit,
                secure=self._secure,
            )
            self.protocol = cast("ProtocolWrapper", protocol)
            await self.idle_task.restart(task_group, self._idle_timeout)
            await self._read_data()

    async def _read_data(self) -> None:
        """Read as Hypercorn does, but end at once when the peer closes, without the idle timeout."""
        await super()._read_data()
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        """Close an idle connection as Hypercorn does.

        But a connection starts with a request that is read already, so it is not idle before the first
        response, even while the hub stops: only so ``/readyz`` can answer ``draining``.
        """
        if self._first_request:
            self._first_request = False
            await trio.sleep(self.config.keep_alive_timeout)
            with trio.CancelScope(shield=True):
                await self._initiate_server_close()
        else:
            await super()._idle_timeout()

    async def protocol_send(self, event: Event) -> None:
        """Send as Hypercorn does, but shield only `Updated` from cancellation."""
        if isinstance(event, Updated):
            # The app's task sends this, and Quart-Trio cancels it at the response's end. Without the shield
            # the idle timeout would not start again, and an idle connection would stay open forever. The call
            # only starts a task.
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
