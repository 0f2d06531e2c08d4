"""Decide which Host names and Origins the hub accepts, and so which web pages may use it.

A browser names the page behind a request in two headers. ``Origin`` comes with every WebSocket, every write
and every read that the page may look into. ``Sec-Fetch-Site`` comes with all others too (images, scripts,
links), but only to a hub at an HTTPS or loopback address. Other programs send neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from tasktree_rt.settings import Settings

Header = Callable[[str], str | None]
"""Returns the first value of a request's header, by its name in lower case; None without it."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
OWN_SITES: Final = frozenset({"none", "same-origin"})
"""Values of ``Sec-Fetch-Site`` if no other page sent the request. ``same-site`` is another page: of another
port of this machine, or of a neighbouring domain name."""

_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
"""A Host header: a name or address and a port; no user, path, query or fragment."""


class OriginPolicy:
    """Accept only known Host names and Origins, so that no foreign web page can read or write the hub.

    A foreign page can make a browser send a request to the hub, and its owner can point a domain name to
    127.0.0.1 (DNS rebinding). So a Host must be in ``server_names`` or the address of ``bind``, and an Origin
    must equal the Host or be in ``cors_origins``. If the hub itself speaks TLS, the Origin must be https.
    """

    def __init__(self, settings: Settings) -> None:
        host = _host(settings.bind.rpartition(":")[0] or settings.bind)
        self._local = host in LOOPBACK or settings.bind.startswith("unix:")
        self._names = {name.lower() for name in settings.server_names} | LOOPBACK | {host}
        self._secure = settings.tls.on
        self._any_name = not self._local and not settings.server_names
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)

    def knows_host(self, value: str | None) -> bool:
        """Return whether a Host header names this hub."""
        if value is None or _HOST.fullmatch(value) is None:
            return False
        return self._any_name or _host(value) in self._names

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Return whether a page of `origin` may use `host`. Without an `origin` no page sent the request."""
        if origin is None or self.lists(origin):
            return True
        try:
            parts = urlsplit(origin.lower())
        except ValueError:  # the brackets contain no IPv6 address
            return False
        if self._secure and parts.scheme != "https":
            return False  # an attacker between browser and hub could have made that page
        ours = host is not None and parts.netloc == _with_port(host, parts.scheme)
        return ours and bool(parts.scheme and parts.netloc)

    def is_foreign(self, header: Header) -> bool:
        """Return whether a page that may not use the hub sent the request with these headers."""
        origin = header("origin")
        if origin is not None:
            return not self.admits(origin, header("host"))
        site = header("sec-fetch-site")
        return site is not None and site.lower() not in OWN_SITES

    def lists(self, origin: str) -> bool:
        """Return whether ``cors_origins`` contains `origin`."""
        return origin.lower() in self._origins


@lru_cache(256)
def _host(value: str) -> str:
    """Return the host of ``host:port`` or ``[v6]:port``, without brackets."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _with_port(host: str, scheme: str) -> str:
    """Format `host` as a browser does in an Origin: without the scheme's default port."""
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return host.lower().removesuffix(usual) if usual else host.lower()
