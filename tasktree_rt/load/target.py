"""Where a load test goes: address, TLS, token; and the source addresses that its connections come from."""

from __future__ import annotations

import socket
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from tasktree_rt.errors import ClientError

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
LOOPBACK_SOURCES: Final = 8
"""Addresses of 127/8 that connections to the loopback come from, whatever their number."""


@frozen
class Target:
    """One server.

    Attributes:
        url: as given.
        path, query: of it, for servers whose address is all that is known.
        family, address: resolved once, so that every connection goes to the same machine.
        context: TLS; None without.
        tokens: shown in turn; empty: none.
    """

    url: str
    host: str
    path: str
    query: str
    family: socket.AddressFamily
    address: tuple[str, int]
    context: ssl.SSLContext | None
    tokens: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The value of the header ``Host``."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, at an address of 127/8."""
        return self.family is socket.AF_INET and self.address[0].startswith("127.")

    def token(self, index: int) -> str | None:
        """Return the token of watcher `index`."""
        return self.tokens[index % len(self.tokens)] if self.tokens else None

    def headers(self, index: int) -> list[tuple[str, str]]:
        """Return the headers with which watcher `index` shows its token."""
        token = self.token(index)
        return [("Authorization", f"Bearer {token}")] if token else []

    def source(self, index: int) -> str:
        """Return the source address of connection `index`: "" leaves it to the kernel."""
        return f"127.0.0.{2 + index % LOOPBACK_SOURCES}" if self.loopback else ""


def resolve(url: str, *, context: ssl.SSLContext | None = None, tokens: tuple[str, ...] = ()) -> Target:
    """Find out where `url` leads.

    Raises:
        ClientError: it is no address, or its name has no address.
    """
    parts = split(url)
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ClientError(f"{parts.hostname}: no address: {error.strerror or error}") from None
    family, _, _, _, address = min(found, key=lambda one: one[0] is not socket.AF_INET)
    assert parts.hostname
    return Target(
        url,
        parts.hostname,
        parts.path.rstrip("/"),
        parts.query,
        family,
        (str(address[0]), port),
        context,
        tokens,
    )


def split(url: str, field: str = "URL") -> SplitResult:
    """Split an address.

    Raises:
        ClientError: it is none; the message begins with `field`.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
        parts = urlsplit("")
    if not fits:
        raise ClientError(
            f"{field}: expected an address like http://127.0.0.1:8000 (or ws, https, wss), got {url!r}"
        )
    return parts
