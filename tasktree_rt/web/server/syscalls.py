"""What a connection asks of the kernel: the system calls, so that a simulation can take their place."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, Final, Protocol

import trio
from attrs import evolve, frozen

Address = tuple[str, int]

_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)

RECEIVED: Final = bytearray(64 * 1024)
"""Where every read of every connection goes. Copy what is wanted before the next `await`."""


@frozen
class Syscalls:
    """The system calls of a connection, so that a simulation can put others in their place.

    `sender` gives a socket's own ``send``, which fails for good once the socket is closed, whoever has its
    number then; without one `write` is called.
    """

    readv: Callable[[int, tuple[bytearray]], int] = os.readv
    write: Callable[[int, bytes | memoryview], int] = os.write
    wait_readable: Callable[[int], Awaitable[None]] = trio.lowlevel.wait_readable
    wait_writable: Callable[[int], Awaitable[None]] = trio.lowlevel.wait_writable
    sender: Callable[[Socket], Callable[[bytes], int]] | None = None


KERNEL: Final = Syscalls(sender=attrgetter("send"))


def giving_back(io: Syscalls, data: bytes) -> Syscalls:
    """`io`, but its first reads give `data`, which somebody has read before."""
    rest = memoryview(data)

    def readv(fd: int, into: tuple[bytearray]) -> int:
        nonlocal rest
        if not rest:
            return io.readv(fd, into)
        size = min(len(rest), len(into[0]))
        into[0][:size], rest = rest[:size], rest[size:]
        return size

    return evolve(io, readv=readv)


class Socket(Protocol):
    """What a connection needs of its socket beside the calls in `Syscalls`."""

    def fileno(self) -> int:
        """The descriptor; the connection reads and writes it directly."""

    def shutdown(self, how: int, /) -> None:
        """Half-close the socket."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set a socket option; only SO_LINGER is ever set."""

    def close(self) -> None:
        """Close the descriptor."""


def reset(sock: Socket) -> None:
    """Make closing `sock` send RST and drop what is unsent, rather than linger."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)


def address_of(family: int, address: Any) -> Address | None:  # noqa: ANN401 - as the socket module has it
    """An address as an ASGI scope has it; None for a Unix socket."""
    if family in (socket.AF_INET, socket.AF_INET6):
        return str(address[0]), int(address[1])
    return None
