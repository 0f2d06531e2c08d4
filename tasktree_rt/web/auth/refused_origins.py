"""Web pages and hosts that are refused: one log line a minute for each, with the setting that lets it in.

A browser shows a page nothing of a refusal (a WebSocket closes with 1006), so the hub's log is where an
operator looks. What is remembered is bounded, and so are the lines: names beyond `REMEMBERED` in one minute
share a line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio
from attrs import define
from structlog import get_logger

from tasktree_rt.settings import Settings, is_origin, is_server_name

if TYPE_CHECKING:
    from quart import Quart

log = get_logger(__name__)

EVERY: Final = 60.0
"""Seconds between two lines about the same origin or host."""
REMEMBERED: Final = 256
"""Origins and hosts that have lines of their own."""
EXTENSION: Final = "tasktree_rt.refusals"

Named = tuple[str, str]
"""The setting that names it, and its name."""


@define
class _Refused:
    logged: float
    times: int = 0
    """Since then."""


class Refusals:
    """Logs what is refused at the door; see the module's docstring."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = trio.current_time) -> None:
        self._settings = settings
        self._clock = clock
        self._known: dict[Named, _Refused] = {}
        self._others: _Refused | None = None

    def origin(self, origin: str, host: str | None, path: str) -> None:
        """A page of `origin` was refused, or may not read the answer."""
        name = origin.lower()[:300]
        times = self._due(("cors_origins", name))
        if times:
            remedy = self._remedy("cors_origins", name, self._settings.cors_origins, is_origin(name))
            log.warning("origin refused", origin=name, host=host, path=path[:200], times=times, remedy=remedy)

    def host(self, host: str | None, path: str) -> None:
        """A request for a host that is not the hub's was refused."""
        name = (host or "").lower()[:300]
        times = self._due(("server_names", name))
        if times:
            remedy = self._remedy("server_names", name, self._settings.server_names, is_server_name(name))
            log.warning("host refused", host=name, path=path[:200], times=times, remedy=remedy)

    @staticmethod
    def _remedy(setting: str, name: str, named: tuple[str, ...], can_be: bool) -> str:
        if not can_be:
            return f"none: {setting} cannot name it"
        wanted = ", ".join(f'"{one}"' for one in (*named, name))
        return f"to let it in set {setting} = [{wanted}]"

    def _due(self, named: Named) -> int:
        """How often it was refused since its last line; 0 if no line is due."""
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
            self._known[named] = self._known.pop(named)  # in the order of their lines
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
    """What all routes of `app` share."""
    found: Refusals = app.extensions.setdefault(EXTENSION, Refusals(settings))
    return found
