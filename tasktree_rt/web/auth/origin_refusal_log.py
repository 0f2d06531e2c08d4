"""Log refused Origins and Hosts: one line a minute for each, with the setting that would allow it.

A browser hides a refusal from the page (a WebSocket closes with 1006), so an operator looks into the hub's
log. Memory and log lines are bounded: all names beyond `REMEMBERED` in one minute share a line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio
from attrs import define
from structlog import get_logger
from werkzeug.datastructures import Headers

from tasktree_rt.settings import Settings, is_origin, is_server_name

if TYPE_CHECKING:
    from quart import Quart

log = get_logger(__name__)

EVERY: Final = 60.0
"""Minimum seconds between two lines about the same origin or host."""
REMEMBERED: Final = 256
"""Maximum number of origins and hosts that get their own lines."""
EXTENSION: Final = "tasktree_rt.refusals"
UNKNOWN_HOST: Final = "this hub does not accept that Host (see server_names)"
FOREIGN_ORIGIN: Final = "this Origin may not use this hub (see cors_origins)"

Named = tuple[str, str]
"""The setting that would allow it (``cors_origins``, ``server_names``), and the origin or host."""


@define
class _Refused:
    logged: float
    times: int = 0
    """Refusals since the line at `logged`."""


class Refusals:
    """Log refused origins and hosts; see the module's docstring."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = trio.current_time) -> None:
        self._settings = settings
        self._clock = clock
        self._known: dict[Named, _Refused] = {}
        self._others: _Refused | None = None

    def origin(self, origin: str, host: str | None, path: str) -> None:
        """Log a page of `origin` whose request is refused, or which may not read the response."""
        name = origin.lower()[:300]
        times = self._due(("cors_origins", name))
        if times:
            remedy = self._remedy("cors_origins", name, self._settings.cors_origins, is_origin(name))
            log.warning("origin refused", origin=name, host=host, path=path[:200], times=times, remedy=remedy)

    def page(self, headers: Headers, path: str) -> None:
        """Log a page whose request is refused: by its ``Origin``, or as ``cross-site`` if it sent none."""
        named = headers.get("Origin") or headers.get("Sec-Fetch-Site", "")
        self.origin(named, headers.get("Host"), path)

    def host(self, host: str | None, path: str) -> None:
        """Log a refused request for an unknown host."""
        name = (host or "").lower()[:300]
        times = self._due(("server_names", name))
        if times:
            remedy = self._remedy("server_names", name, self._settings.server_names, is_server_name(name))
            log.warning("host refused", host=name, path=path[:200], times=times, remedy=remedy)

    @staticmethod
    def _remedy(setting: str, name: str, named: tuple[str, ...], can_be: bool) -> str:
        if not can_be:
            return f"none: it is no valid entry of {setting}"
        wanted = ", ".join(f'"{one}"' for one in (*named, name))
        return f"to allow it set {setting} = [{wanted}]"

    def _due(self, named: Named) -> int:
        """Count a refusal; return the number since the last line, 0 if no line is due."""
        now = self._clock()
        known = self._known.get(named)
        if known is None:
            if not self._has_room(now):
                self._other(now)
                return 0
            known = self._known[named] = _Refused(now - EVERY)
        known.times += 1
        times = _counted(known, now)
        if times:
            self._known[named] = self._known.pop(named)  # keeps the order of the last lines
        return times

    def _has_room(self, now: float) -> bool:
        if len(self._known) < REMEMBERED:
            return True
        oldest = next(iter(self._known))
        if now - self._known[oldest].logged < EVERY:
            return False
        del self._known[oldest]
        return True

    def _other(self, now: float) -> None:
        others = self._others = self._others or _Refused(now - EVERY)
        others.times += 1
        times = _counted(others, now)
        if times:
            log.warning("many different origins or hosts refused", times=times)


def _counted(one: _Refused, now: float) -> int:
    if now - one.logged < EVERY:
        return 0
    times, one.times, one.logged = one.times, 0, now
    return times


def refusals_of(app: Quart, settings: Settings) -> Refusals:
    """Return the `Refusals` that all routes of `app` share."""
    found: Refusals = app.extensions.setdefault(EXTENSION, Refusals(settings))
    return found
