"""Checks of addresses, certificates and proxies."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings, is_loopback, parse_bind
from tasktree_rt.settings.checks import UNIX, UNIX_PROXY
from tasktree_rt.web.server.listeners import open_sockets

_DAY: Final = 86_400
_EXPIRES_SOON: Final = 14 * _DAY
_PATIENCE: Final = 5.0
_ANY: Final = "0.0.0.0"  # noqa: S104 - compared, never listened on
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")


def check_addresses(settings: Settings) -> Iterator[Finding]:
    """Listen at each address for a moment. If a hub listens there already, that is fine."""
    binds = [settings.bind]
    if settings.otlp.bind:
        binds.append(settings.otlp.bind)
    if settings.aiecs.port:
        binds.append(f"{settings.aiecs.host}:{settings.aiecs.port}")
    for bind in binds:
        yield _check_address(bind)
    host, _ = parse_bind(settings.bind)
    if not is_loopback(host) and not settings.server_names:
        remedy = "set server_names to the names by which browsers reach the hub"
        yield Finding(HINT, "address", f"{settings.bind} is public, and server_names is empty", remedy)


def _check_address(bind: str) -> Finding:
    try:
        _try_out(bind)
    except SettingsError as error:
        if _hub_answers(bind):
            return Finding(OK, "address", f"{bind}: a hub listens there now")
        return Finding(
            PROBLEM, "address", str(error), "stop what uses it, or choose another with --bind HOST:PORT"
        )
    return Finding(OK, "address", f"{bind} is free")


def _try_out(bind: str) -> None:
    """Raise `SettingsError` if a hub cannot listen there now."""
    if not bind.startswith(UNIX):
        for sock in open_sockets(bind):
            sock.close()
        return
    path = Path(bind.removeprefix(UNIX))
    if path.exists() and _hub_answers(bind):
        raise SettingsError(f"bind {bind!r}: it is in use")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise SettingsError(f"bind {bind!r}: there is no such folder, or this user cannot write there")


def _hub_answers(bind: str) -> bool:
    """Ask for ``/healthz`` as HTTP/1.1 without TLS; a hub with TLS answers 400 with its reason."""
    try:
        with _connected(bind) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
    except OSError:
        return False
    return b'"status"' in answer or b"TLS" in answer


def _connected(bind: str) -> socket.socket:
    host, port = parse_bind(bind)
    if host == UNIX:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(_PATIENCE)
        sock.connect(bind.removeprefix(UNIX))
        return sock
    near = {_ANY: "127.0.0.1", "::": "::1"}.get(host, host)
    return socket.create_connection((near, port), timeout=_PATIENCE)


def check_tls(settings: Settings) -> Iterator[Finding]:
    """Load the certificate as a hub does, and look when it ends."""
    if not settings.tls.on:
        return
    # Imported late: cryptography takes a while, and most hubs here have no certificate.
    from tasktree_rt.web.server.tls.certificate_files import load

    now = time.time()
    try:
        certificate = load(settings.tls, now)
    except SettingsError as error:
        yield Finding(PROBLEM, "TLS", str(error), "correct the file or the setting")
        return
    left = certificate.expires - now
    text = f"{certificate.subject}, valid for {left / _DAY:.0f} days"
    if left < _EXPIRES_SOON:
        yield Finding(HINT, "TLS", text, "renew it; the hub reads the new files by itself")
    else:
        yield Finding(OK, "TLS", text)


def check_proxies(settings: Settings) -> Iterator[Finding]:
    """Check the proxies that clients would take, and those that the hub trusts."""
    found = sorted({name for name in os.environ if name.lower() in _PROXIES and os.environ[name]})
    spared = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if found and not {"*", "localhost", "127.0.0.1"} & {one.strip() for one in spared.split(",")}:
        text = (
            f"{', '.join(found)}: HTTP requests of commands and clients go through it, also to this machine"
        )
        yield Finding(HINT, "proxies", text, "set NO_PROXY=localhost,127.0.0.1,::1")
    for one in settings.trusted_proxies:
        if one != UNIX_PROXY and ip_network(one).prefixlen == 0:
            text = f"trusted_proxies has {one}: any client can pretend to have any address"
            yield Finding(PROBLEM, "proxies", text, "name your proxies only")
