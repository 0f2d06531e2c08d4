"""Which Host names and Origins are the hub's own: which web pages may talk to it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from tasktree_rt.settings import Settings

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
"""A Host: no user, no path, no query, no fragment, which a URL's host may be dressed up with."""


class OriginPolicy:
    """Which Host names and Origins are ours, so that no other web page can read or write the hub.

    A page elsewhere can make a browser send a request here, and a name that it controls can be made
    to point to 127.0.0.1 (DNS rebinding). So a Host must be a name of ours, and an Origin must be
    the same as the Host, or be listed in ``cors_origins``.
    """

    def __init__(self, settings: Settings) -> None:
        host = _host(settings.bind.rpartition(":")[0] or settings.bind)
        self._local = host in LOOPBACK or settings.bind.startswith("unix:")
        self._names = {name.lower() for name in settings.server_names} | LOOPBACK | {host}
        self._any_name = not self._local and not settings.server_names
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)

    def knows_host(self, value: str | None) -> bool:
        """Whether a Host header names this hub."""
        if value is None or _HOST.fullmatch(value) is None:
            return False
        return self._any_name or _host(value) in self._names

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of `origin` (None: not a page) may talk to `host`."""
        if origin is None or self.lists(origin):
            return True
        try:
            parts = urlsplit(origin.lower())
        except ValueError:  # brackets around what is no address
            return False
        ours = host is not None and parts.netloc == _with_port(host, parts.scheme)
        return ours and bool(parts.scheme and parts.netloc)

    def lists(self, origin: str) -> bool:
        """Whether `origin` is one of ``cors_origins``."""
        return origin.lower() in self._origins


def _host(value: str) -> str:
    """The host of ``host:port`` or ``[v6]:port``, without brackets."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _with_port(host: str, scheme: str) -> str:
    """`host` as a browser writes it in an Origin: without the scheme's usual port."""
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return host.lower().removesuffix(usual) if usual else host.lower()
