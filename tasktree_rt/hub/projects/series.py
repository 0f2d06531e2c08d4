"""Series: the runs of one job, newest first. A project names its series in its own fields.

The index begins with the first call that needs it: it reads the summaries in the store, and from then on
takes in each publish. It has a name and a time for each project of a series, so a hub that nobody asks for
series pays nothing. An overview of a run needs the whole run; the hub makes it once and keeps its encoding
until the run changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import trio
from attrs import frozen

from tasktree_rt.core.access import Scope
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import Refused
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.run_overview import overview
from tasktree_rt.hub.projects.store_errors import readable
from tasktree_rt.hub.projects.summary import line, series_of

ROWS: Final = 500
"""Summaries read from the store at once."""
KEPT: Final = 8 * 1024 * 1024
"""Bytes of overviews that are kept."""
_MENTION: Final = b'"series":'


@frozen
class _Run:
    """A project of a series; `received` is the time of its newest event in microseconds."""

    series: str
    received: int


class SeriesIndex:
    """See the module's docstring. `observe` registers a callback for every publish; `tidy` is called after
    projects were loaded that may not be needed again."""

    def __init__(
        self,
        cache: ProjectCache,
        *,
        observe: Callable[[Callable[[Project], None]], None],
        tidy: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._observe = observe
        self._tidy = tidy
        self._runs: dict[str, _Run] = {}
        self._series: dict[str, dict[str, None]] = {}
        self._changed: set[str] | None = None
        """Projects that changed while the index is read from the store; None at other times."""
        self._begun = False
        self._loaded = False
        self._loading = trio.Lock()
        self._reading = trio.Lock()
        self._made: OrderedDict[str, bytes] = OrderedDict()
        """Encoded runs that have not changed since."""
        self._made_bytes = 0

    # --- the index --------------------------------------------------------------------------------

    def changed(self, project: Project) -> None:
        """Take in that a project has new events, or was deleted."""
        name = project.project_id
        self._drop(name)
        if self._changed is not None:
            self._changed.add(name)
        series = series_of(project.tree.top["project"])["series"] if project.epoch else None
        self._put(name, None if series is None else _Run(series, project.received))

    def _put(self, name: str, run: _Run | None) -> None:
        before = self._runs.pop(name, None)
        if before is not None and (run is None or run.series != before.series):
            del self._series[before.series][name]
            if not self._series[before.series]:
                del self._series[before.series]
        if run is not None:
            self._runs[name] = run
            self._series.setdefault(run.series, {})[name] = None

    async def _load(self) -> None:
        """Read the store's summaries, once.

        Raises:
            Unavailable: the store cannot be read now; the next call begins anew.
        """
        async with self._loading:
            if self._loaded:
                return
            if not self._begun:
                self._begun = True
                self._observe(self.changed)
            self._changed = set()
            try:
                await self._read_summaries(self._changed)
            finally:
                self._changed = None
            self._loaded = True

    async def _read_summaries(self, changed: set[str]) -> None:
        after = ""
        while True:
            with readable():
                rows = await self._cache.page(after, ROWS)
            if not rows:
                return
            for row in rows:
                after = row.project_id
                if _MENTION in row.about and after not in changed:
                    series = series_of(decode_json(row.about, ours=True))["series"]
                    self._put(after, None if series is None else _Run(series, row.received))
                await yield_if_due()

    # --- answers ----------------------------------------------------------------------------------

    async def names(self, scope: Scope, after: str, most: int) -> tuple[list[Json], str | None]:
        """Return at most `most` series with runs in `scope`, by name after `after`, and the name to go on
        after; None at the end. Each is ``{series, runs, newest}``: the number of runs, and the id of the one
        with the newest event.

        Raises:
            Unavailable: the store cannot be read now.
        """
        await self._load()
        found: list[Json] = []
        for series in sorted(name for name in self._series if name > after):
            if len(found) == most:
                return found, found[-1]["series"]
            runs = self._newest(series, scope)
            if runs:
                found.append({"series": series, "runs": len(runs), "newest": runs[0]})
            await yield_if_due()
        return found, None

    def _newest(self, series: str, scope: Scope) -> list[str]:
        """The runs in `scope`, that with the newest event first."""
        names = [name for name in self._series.get(series, ()) if scope.covers(name)]
        return sorted(names, key=lambda name: (-self._runs[name].received, name))

    async def runs(self, series: str, scope: Scope, most: int) -> tuple[list[bytes], int]:
        """Return the `most` runs in `scope` with the newest events, encoded, and the number of all.

        Each is the project's summary with its ``overview``, which is null if the run cannot be read.

        Raises:
            Refused: ``not_found``: no such series, or none of its runs is in `scope`.
            Unavailable: the store cannot be read now.
        """
        await self._load()
        names = self._newest(series, scope)
        if not names:
            raise Refused(f"there is no series {series[:128]!r}", code="not_found", field="series")
        loaded = len(self._cache)
        async with self._reading:
            try:
                found = [await self._run(name) for name in names[:most]]
            finally:
                if len(self._cache) > loaded:
                    self._tidy()
        return [one for one in found if one is not None], len(names)

    async def _run(self, name: str) -> bytes | None:
        """Encode a run; None if it is gone."""
        known = self._made.get(name)
        if known is not None:
            self._made.move_to_end(name)
            return known
        project = await self._cache.hold(name)
        if not project.epoch:
            return None
        if project.damage is not None:
            return _joined(line(project.summary()), b"null")
        snapshot, summary = project.tree.snapshot(), line(project.summary())
        found = _joined(summary, encode_json(await overview(snapshot)))
        if (project.epoch, project.tree.head) == (snapshot.epoch, snapshot.seq):
            self._keep(name, found)
        return found

    def _keep(self, name: str, run: bytes) -> None:
        self._drop(name)
        self._made[name] = run
        self._made_bytes += len(run)
        while self._made_bytes > KEPT:
            self._drop(next(iter(self._made)))

    def _drop(self, name: str) -> None:
        self._made_bytes -= len(self._made.pop(name, b""))


def _joined(summary: bytes, found: bytes) -> bytes:
    return b'%b,"overview":%b}' % (summary[:-1], found)
