"""Opening a watcher's connection in steps, none of which waits: TCP, TLS, request, answer."""

from __future__ import annotations

import errno
import select
import socket
import ssl
from typing import Final

from tasktree_rt.load import frames
from tasktree_rt.load.languages.base import Seat
from tasktree_rt.load.target import Target
from tasktree_rt.load.watcher import Kind, Stage, Watcher

SMALL_BUFFER: Final = 4_096
"""Bytes of the receive buffer of a reader that is slow on purpose, so that the server notices it soon. A
slow reader has at least what it reads in a fifth of a second."""
WRITE: Final = select.EPOLLOUT
READ: Final = select.EPOLLIN


class Failed(Exception):
    """A connection failed; the message is its kind."""


class Dialer:
    """Opens connections to one target.

    Attributes:
        policy: of the watchers, for slow readers.
        slow_rate: bytes a second that a slow reader reads.
    """

    def __init__(self, target: Target, policy: str, slow_rate: float) -> None:
        self._target = target
        self._policy = policy
        self._room = {Kind.STALLED: SMALL_BUFFER, Kind.SLOW: max(SMALL_BUFFER, round(slow_rate / 5))}

    def begin(self, watcher: Watcher) -> int:
        """Begin to connect; return what to wait for.

        Raises:
            Failed: there is no descriptor or port left, or the server refuses.
        """
        target = self._target
        try:
            sock = socket.socket(target.family, socket.SOCK_STREAM)
        except OSError as error:
            raise Failed(f"no socket: {error.strerror}") from None
        sock.setblocking(False)
        watcher.sock, watcher.stage = sock, Stage.CONNECTING
        try:
            if room := self._room.get(watcher.kind):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            if watcher.address:
                sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
                sock.bind((watcher.address, 0))
            result = sock.connect_ex(target.address)
        except OSError as error:
            raise Failed(f"connect: {error.strerror}") from None
        if result not in (0, errno.EINPROGRESS):
            raise Failed(f"connect: {errno.errorcode.get(result, str(result))}")
        return WRITE

    def proceed(self, watcher: Watcher) -> int:
        """Go on when the socket is ready; return what to wait for.

        Raises:
            Failed: the connection cannot be made.
        """
        sock = watcher.sock
        assert sock is not None
        if watcher.stage is Stage.CONNECTING:
            if result := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise Failed(f"connect: {errno.errorcode.get(result, str(result))}")
            if self._target.context is None:
                return self._ask(watcher)
            watcher.sock = self._target.context.wrap_socket(
                sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            watcher.stage = Stage.SECURING
        return self._secure(watcher)

    def _secure(self, watcher: Watcher) -> int:
        assert isinstance(watcher.sock, ssl.SSLSocket)
        try:
            watcher.sock.do_handshake()
        except ssl.SSLWantReadError:
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        except ssl.SSLCertVerificationError as error:
            raise Failed(f"TLS: {error.verify_message}") from None
        except OSError as error:
            raise Failed(f"TLS: {error.strerror or error}") from None
        return self._ask(watcher)

    def _ask(self, watcher: Watcher) -> int:
        language, seat = watcher.topic.language, self.seat(watcher)
        opening = language.opening(seat)
        headers = [*opening.headers, *self._target.headers(watcher.index)]
        if not language.traits.streams:
            watcher.key = frames.new_key()
            headers += frames.upgrade(watcher.key, opening.subprotocol)
        send(watcher, frames.request(opening.path, self._target.authority, headers))
        watcher.stage = Stage.ASKED
        return READ

    def seat(self, watcher: Watcher) -> Seat:
        """Return what the watcher asks for."""
        return Seat(watcher.topic.name, watcher.since, self._policy)

    def answered(self, watcher: Watcher) -> frames.Head | None:
        """Take the head of the answer out of the watcher's `rest`; None while it is incomplete.

        Raises:
            Failed: the server refuses.
        """
        try:
            head = frames.head_of(watcher.rest)
        except ValueError as error:
            raise Failed(str(error)) from None
        if head is None:
            return None
        streams = watcher.topic.language.traits.streams
        if head.status != (200 if streams else 101):
            raise Failed(f"HTTP {head.status}")
        if not streams and head.headers.get("sec-websocket-accept") != frames.accept_of(watcher.key):
            raise Failed("the server's Sec-WebSocket-Accept does not answer the key")
        del watcher.rest[: head.size]
        if hello := watcher.topic.language.hello(self.seat(watcher)):
            send(watcher, frames.client_frame(hello))
        return head


def send(watcher: Watcher, data: bytes) -> None:
    """Send a short message: a new connection's buffer always has room for it.

    Raises:
        Failed: the connection broke, or its buffer is full.
    """
    assert watcher.sock is not None
    try:
        if watcher.sock.send(data) == len(data):
            return
    except OSError as error:
        raise Failed(f"send: {error.strerror or error}") from None
    raise Failed("send: the server does not read")
