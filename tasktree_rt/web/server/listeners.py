"""Open listening sockets, accept from them, and count connections against the limits."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import trio
from attrs import frozen
from structlog import get_logger

from tasktree_rt.core.access import network_of
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.syscalls import Address, address_of

log = get_logger(__name__)

BACKLOG: Final = 2048
_BATCH: Final = 64
_PAUSE: Final = 0.1
"""Seconds without accepting after descriptors or memory ran out. New connections wait in the backlog."""

_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_NOT_HERE: Final = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
_EXPLAINED: Final = {
    errno.EADDRINUSE: "it is in use by another program",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine does not support that kind of address",
    errno.EACCES: "permission denied",
    errno.ENOENT: "there is no such folder",
}

# Accepted sockets inherit all of these on Linux (a test checks it). The kernel drops a peer that vanished
# without a FIN after 60 + 3 × 10 s of silence, or 30 s after unacknowledged data.
_INHERITED: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


@frozen
class FixedPath:
    """An address to listen on (`open_sockets`). `path` replaces the path of every request for a WebSocket;
    HTTP requests keep theirs.
    """

    bind: str
    path: str


@frozen
class Listener:
    """A listening socket. `path`, if set, replaces the path of requests for a WebSocket (`FixedPath`).

    `secure`: whether the server speaks TLS on it.
    """

    sock: socket.socket
    path: str | None = None
    secure: bool = False

    @property
    def url(self) -> str:
        """The address for clients: ``http://127.0.0.1:8000``, ``https://…`` or ``unix:/path``."""
        return url_of(self.sock, secure=self.secure)

    def close(self) -> None:
        """Stop listening and remove a Unix socket's file. Does nothing if it is closed already."""
        if self.sock.fileno() >= 0:
            close_listener(self.sock)


def open_all(settings: Settings, fixed: Iterable[FixedPath] = ()) -> list[Listener]:
    """Open ``settings.bind``, ``settings.otlp.bind`` and every address of `fixed`; after an error none stays
    open.

    Raises:
        SettingsError: as `open_sockets`.
    """
    secure = settings.tls.on
    found = [Listener(sock, secure=secure) for sock in open_sockets(settings.bind)]
    try:
        if settings.otlp.bind:
            found += [Listener(sock, secure=secure) for sock in open_sockets(settings.otlp.bind)]
        for one in fixed:
            found += [Listener(sock, one.path, secure) for sock in open_sockets(one.bind)]
    except BaseException:
        for listener in found:
            listener.close()
        raise
    return found


def open_sockets(bind: str) -> list[socket.socket]:
    """Open the listening sockets of ``host:port``, ``[::1]:port`` or ``unix:/path``; with port 0 the system
    chooses a free port.

    A name with several addresses is bound at each address that this machine has.

    Raises:
        SettingsError: `bind` is malformed, or the system refuses the address; names `bind` and the reason.
    """
    if bind.startswith("unix:"):
        return [_open_unix(bind, bind.removeprefix("unix:"))]
    host, port = _host_and_port(bind)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsError(f"bind {bind!r}: {error.strerror}") from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    return _open_all(bind, addresses)


def _host_and_port(bind: str) -> tuple[str, int]:
    host, colon, port = bind.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingsError(f"bind {bind!r}: write an IPv6 address in brackets, [::1]:8000")
    if not (colon and host):
        raise SettingsError(f"bind {bind!r}: expected HOST:PORT, [IPV6]:PORT or unix:/PATH")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise SettingsError(f"bind {bind!r}: {port!r} is not a port (0 to 65535)")
    return host, int(port)


def _open_all(bind: str, addresses: Sequence[tuple[socket.AddressFamily, Any]]) -> list[socket.socket]:
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                opened.append(_open_tcp(family, address, alone=len(addresses) == 1))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if not opened and missing is not None:
            raise missing
    except OSError as error:
        for sock in opened:
            sock.close()
        raise _refusal(bind, error) from error
    return opened


def _open_tcp(family: socket.AddressFamily, address: Any, *, alone: bool) -> socket.socket:  # noqa: ANN401
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in _INHERITED:
            sock.setsockopt(level, option, value)
        if family == socket.AF_INET6 and not alone:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        return _listening(sock)
    except BaseException:
        sock.close()
        raise


def _open_unix(bind: str, path: str) -> socket.socket:
    if not path:
        raise SettingsError(f"bind {bind!r}: expected unix:/PATH")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(bind, path)
        sock.bind(path)
        return _listening(sock)
    except OSError as error:
        sock.close()
        raise _refusal(bind, error) from error
    except BaseException:
        sock.close()
        raise


def _remove_stale(bind: str, path: str) -> None:
    """Remove the Unix socket of a hub that was killed. Never remove one with a listener, or another file."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise SettingsError(f"bind {bind!r}: this file exists and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _listening(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    sock.listen(BACKLOG)
    return sock


def _refusal(bind: str, error: OSError) -> SettingsError:
    reason = _EXPLAINED.get(error.errno or 0) or error.strerror or str(error)
    return SettingsError(f"bind {bind!r}: {reason}")


def url_of(sock: socket.socket, *, secure: bool = False) -> str:
    """Return a listening socket's address for clients: ``http://127.0.0.1:8000``, with `secure`
    ``https://…``, or ``unix:/path``.
    """
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"{'https' if secure else 'http'}://{host}:{name[1]}"


def close_listener(sock: socket.socket) -> None:
    """Stop listening and remove a Unix socket's file."""
    path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
    trio.lowlevel.notify_closing(sock)
    sock.close()
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _none_is(_: Address) -> bool:
    return False


class ConnectionLimits:
    """Count connections, in all and per address, against two limits. A /64 of IPv6 counts as one address.

    `exempt` returns whether an address has no limit of its own: a trusted proxy's, whose clients the hub
    counts by their own addresses (`tasktree_rt.hub.limits`).

    Attributes:
        count: the present number of connections.
    """

    def __init__(
        self, most: int, most_per_address: int, exempt: Callable[[Address], bool] = _none_is
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._exempt = exempt
        self._by_address: Counter[str] = Counter()
        self.count = 0

    def add(self, client: Address | None) -> str | None:
        """Count a new connection; return the limit that refuses it, None if none does. Peers of a Unix socket
        have no address and no limit per address.
        """
        if self.count >= self._most:
            return "max_connections"
        if client is not None and not self._exempt(client):
            network = network_of(client[0])
            if self._by_address[network] >= self._most_per_address:
                return "max_connections_per_address"
            self._by_address[network] += 1
        self.count += 1
        return None

    def remove(self, client: Address | None) -> None:
        """Uncount a connection that has ended."""
        self.count -= 1
        if client is not None and not self._exempt(client):
            network = network_of(client[0])
            self._by_address[network] -= 1
            if not self._by_address[network]:
                del self._by_address[network]


Arrived = Callable[[socket.socket, Address | None, str | None], None]
"""A callback that gets each accepted socket, the peer's address, and the listener's path."""


async def accept_from(listener: Listener, arrived: Arrived) -> None:
    """Accept connections in batches and pass each socket, made non-blocking, to `arrived`.

    Only a cancellation ends it. When descriptors run out, it logs one error and pauses between attempts until
    one is free.
    """
    exhausted, accepting = False, listener.sock
    while True:
        await trio.lowlevel.wait_readable(accepting)
        for _ in range(_BATCH):
            try:
                sock, address = accepting.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    if not exhausted:
                        log.error("cannot accept connections", reason=error.strerror)
                    exhausted = True
                    await trio.sleep(_PAUSE)
                    break
                continue  # the peer closed this connection before it was accepted
            exhausted = False
            sock.setblocking(False)
            arrived(sock, address_of(address), listener.path)
