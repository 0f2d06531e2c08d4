"""The system calls of a connection, as values that a simulation can replace."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, Final, Protocol

import trio
from attrs import evolve, frozen

Address = tuple[str, int]
ClientOf = Callable[[Address | None, list[tuple[bytes, bytes]]], Address | None]
"""Returns the client of a request, from its connection's peer (None at a Unix socket) and its headers."""

_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)

RECEIVED: Final = bytearray(64 * 1024)
"""The buffer that all connections read into. Copy the bytes before the next `await`."""


def unacknowledged(fd: int) -> int:
    """Return how many bytes the peer of a socket has not acknowledged (SIOCOUTQ, tcp(7)); 0 if it is gone.

    A socket counts as writable only once a third of its buffer is free: a slow peer may empty some megabytes
    for a long time before that, and every byte of them shows here.
    """
    count = bytearray(4)
    try:
        fcntl.ioctl(fd, termios.TIOCOUTQ, count)
    except OSError:
        return 0
    return int.from_bytes(count, sys.byteorder)


@frozen
class Syscalls:
    """The system calls of a connection, as values that a simulation can replace.

    `sender` returns a socket's own ``send``. On a closed socket it fails, even if the kernel has given the
    descriptor's number to another socket. Without `sender` a connection calls `write`.
    """

    readv: Callable[[int, tuple[bytearray]], int] = os.readv
    write: Callable[[int, bytes | memoryview], int] = os.write
    wait_readable: Callable[[int], Awaitable[None]] = trio.lowlevel.wait_readable
    wait_writable: Callable[[int], Awaitable[None]] = trio.lowlevel.wait_writable
    sender: Callable[[Socket], Callable[[bytes], int]] | None = None
    unacknowledged: Callable[[int], int] = unacknowledged


REAL: Final = Syscalls(sender=attrgetter("send"))


def replaying(syscalls: Syscalls, data: bytes) -> Syscalls:
    """Return `syscalls` whose first reads return `data`, bytes that the server has read already."""
    rest = memoryview(data)

    def readv(fd: int, into: tuple[bytearray]) -> int:
        nonlocal rest
        if not rest:
            return syscalls.readv(fd, into)
        size = min(len(rest), len(into[0]))
        into[0][:size], rest = rest[:size], rest[size:]
        return size

    return evolve(syscalls, readv=readv)


class Socket(Protocol):
    """The methods of a socket that a connection calls, beside those in `Syscalls`."""

    def fileno(self) -> int:
        """Return the descriptor; the connection reads and writes it directly."""

    def shutdown(self, how: int, /) -> None:
        """Half-close the socket. With TLS it raises BlockingIOError while there is no room for the end of
        the stream; call it again then.
        """

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set a socket option; a connection sets only SO_LINGER."""

    def close(self) -> None:
        """Close the descriptor."""


class AcceptedSocket(Socket, Protocol):
    """A connection's socket, with the addresses of both ends."""

    @property
    def family(self) -> int:
        """Return the address family."""

    def getpeername(self) -> Any:  # noqa: ANN401 - as the socket module has it
        """Return the peer's address."""

    def getsockname(self) -> Any:  # noqa: ANN401 - as the socket module has it
        """Return the socket's own address."""


def reset(sock: Socket) -> None:
    """Let `sock.close()` send RST and drop the unsent bytes."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)


def peer_itself(peer: Address | None, _: list[tuple[bytes, bytes]]) -> Address | None:
    """Return `peer`: the `ClientOf` of a server without proxies."""
    return peer


async def half_close(sock: Socket, syscalls: Syscalls) -> None:
    """Half-close `sock`, once there is room for the end of the stream.

    Raises:
        OSError: the peer is gone.
    """
    while True:
        try:
            sock.shutdown(socket.SHUT_WR)
            return
        except BlockingIOError:
            await syscalls.wait_writable(sock.fileno())


def address_of(address: Any) -> Address | None:  # noqa: ANN401 - as the socket module has it
    """Convert a socket's address to an ASGI scope's: host and port; None for a Unix socket's, which is a
    name.
    """
    return address[:2] if type(address) is tuple else None
