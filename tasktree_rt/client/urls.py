"""From the one address a user gives to those of the hub's doors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit, urlunsplit

DEFAULT_HUB: Final = "http://127.0.0.1:8000"
"""Where a hub listens whose settings do not say otherwise."""
_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_DOORS: Final = ("/ws/orchestrator", "/ws/updates")
_HTTP_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(url: str, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """The address of a WebSocket door: ``http://host:8000`` and ``/ws/updates`` give ``ws://host:8000/ws/updates``.

    `url` may be http, https, ws or wss, may have a path before ``/ws/…`` (behind a proxy) and may
    already end with `path`; its own query is kept before `query`.

    Raises:
        ValueError: not such an address.
    """
    parts = _split(url)
    base = parts.path.rstrip("/")
    full = base if base.endswith(path) else base + path
    extra = urlencode(list(query))
    joined = "&".join(one for one in (parts.query, extra) if one)
    return urlunsplit((_SOCKET_SCHEMES[parts.scheme], parts.netloc, full, joined, ""))


def events_url(url: str, project_id: str) -> str:
    """Where a project's events are posted.

    Raises:
        ValueError: not an http, https, ws or wss address.
    """
    return api_url(url, f"/projects/{quote(project_id, safe='')}/events")


def api_url(url: str, path: str) -> str:
    """The address of ``/api/v1`` and `path`, which is quoted already; `url`'s own query is left out.

    Raises:
        ValueError: not an http, https, ws or wss address.
    """
    parts = _split(url)
    base = parts.path.rstrip("/")
    for door in _DOORS:
        base = base.removesuffix(door)
    return urlunsplit((_HTTP_SCHEMES[parts.scheme], parts.netloc, f"{base}/api/v1{path}", "", ""))


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _SOCKET_SCHEMES or not parts.hostname:
        shown = url.partition("?")[0]  # a query may have a token
        raise ValueError(f"expected an address like http://127.0.0.1:8000 (or https, ws, wss), got {shown!r}")
    return parts
