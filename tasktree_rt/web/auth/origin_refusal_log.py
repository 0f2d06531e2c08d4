"""Log refused Origins and Hosts: one line a minute for each, with the setting that would allow it.

A browser hides a refusal from the page (a WebSocket closes with 1006), so an operator looks into the hub's
log. Memory and log lines are bounded (`hub.access.line_limit`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio
from structlog import get_logger

from tasktree_rt.hub.access.line_limit import LineLimit
from tasktree_rt.settings import Settings, is_origin, is_server_name
from tasktree_rt.web.auth.origins import Header

if TYPE_CHECKING:
    from quart import Quart

log = get_logger(__name__)

EXTENSION: Final = "tasktree_rt.refusals"
UNKNOWN_HOST: Final = "this hub does not accept that Host (see server_names)"
FOREIGN_ORIGIN: Final = "this Origin may not use this hub (see cors_origins)"


class Refusals:
    """Log refused origins and hosts; see the module's docstring."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = trio.current_time) -> None:
        self._settings = settings
        self._limit = LineLimit(_others, clock)

    def origin(self, origin: str, host: str | None, path: str) -> None:
        """Log a page of `origin` whose request is refused, or which may not read the response."""
        name = origin.lower()[:300]
        times = self._limit.due(("cors_origins", name))
        if times:
            remedy = self._remedy("cors_origins", name, self._settings.cors_origins, is_origin(name))
            log.warning("origin refused", origin=name, host=host, path=path[:200], times=times, remedy=remedy)

    def page(self, header: Header, path: str) -> None:
        """Log a page whose request is refused: by its ``Origin``, or as ``cross-site`` if it sent none."""
        named = header("origin") or header("sec-fetch-site") or ""
        self.origin(named, header("host"), path)

    def host(self, host: str | None, path: str) -> None:
        """Log a refused request for an unknown host."""
        name = (host or "").lower()[:300]
        times = self._limit.due(("server_names", name))
        if times:
            remedy = self._remedy("server_names", name, self._settings.server_names, is_server_name(name))
            log.warning("host refused", host=name, path=path[:200], times=times, remedy=remedy)

    @staticmethod
    def _remedy(setting: str, name: str, named: tuple[str, ...], can_be: bool) -> str:
        if not can_be:
            return f"none: it is no valid entry of {setting}"
        wanted = ", ".join(f'"{one}"' for one in (*named, name))
        return f"to allow it set {setting} = [{wanted}]"


def _others(times: int) -> None:
    log.warning("many different origins or hosts refused", times=times)


def refusals_of(app: Quart, settings: Settings) -> Refusals:
    """Return the `Refusals` that all routes of `app` share."""
    found: Refusals = app.extensions.setdefault(EXTENSION, Refusals(settings))
    return found
