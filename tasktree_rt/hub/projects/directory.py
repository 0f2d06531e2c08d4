"""The roster: the summaries of all projects, live, for those who watch which projects there are.

It notes only which projects changed, and only while somebody watches. At most every `PACE` seconds the
changed ones are summed up and encoded, once for everybody. A watcher first reads the list, page by page;
after that it stands at a revision, and asks what changed since: a slow one costs an integer. Whoever falls
behind further than is remembered reads the list anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

import trio
from attrs import define, evolve, frozen

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.access import Scope
from tasktree_rt.dialects.base import encode_json, raw_json
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.summary import line

PACE: Final = 0.25
"""Seconds between two looks at what changed."""
KEPT: Final = 16_384
"""Changed projects that are remembered, the newest."""
MOST: Final = 500
"""Summaries in one message."""
ROOM: Final = 512 * 1024
"""Bytes of one message, about."""
SLICE: Final = 100
"""Projects summed up between two yields to the loop: less than a millisecond."""
SHARED: Final = 8
"""Messages kept for the others who stand at the same revision."""
ROWS: Final = 1_000
"""Rows read at once where not every one of them is wanted."""


@frozen
class Page:
    """Lines by id, and the id to go on after; None at the end of the list."""

    lines: list[tuple[str, bytes]]
    after: str | None


@frozen
class _Entry:
    """A project that changed: its line; None if it is gone."""

    revision: int
    line: bytes | None


class ProjectDirectory:
    """See the module's docstring. `tidy` is called after projects were loaded that nobody may need again."""

    def __init__(
        self, shelf: ProjectCache, *, tidy: Callable[[], None], failed: Callable[[str, BaseException], None]
    ) -> None:
        self._shelf = shelf
        self._tidy = tidy
        self._failed = failed
        self._dirty: dict[str, Project] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._shared: dict[int, tuple[int, bytes | None]] = {}
        self._wake = trio.Event()
        self._news = trio.Event()
        self.watched = 0
        """How many watch."""
        self.revision = 0
        self.floor = 0
        """What changed before this revision is not remembered."""
        self.closed = False

    def changed(self, project: Project) -> None:
        """A project has new events. Called for every publish, but only while somebody watches."""
        self._dirty[project.project_id] = project
        self._wake.set()

    def close(self) -> None:
        """The hub stops: all streams end."""
        self.closed = True
        self._news.set()

    def open(self, scope: Scope) -> DirectoryStream:
        """Watch the projects of `scope`; call `Viewer.close` in the end."""
        self.watched += 1
        return DirectoryStream(self, scope)

    def left(self) -> None:
        """A viewer is gone; with the last of them all that is remembered."""
        self.watched -= 1
        if not self.watched:
            self._dirty.clear()
            self._entries.clear()
            self._shared.clear()
            self.floor = self.revision

    async def news(self, revision: int) -> None:
        """Wait until something changed after `revision`, or the hub stops."""
        while self.revision == revision and not self.closed:
            await self._news.wait()

    async def run(self) -> None:
        """The task that sums up."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self._sum_up()
            except Exception as error:
                self._failed("roster", error)
            await trio.sleep(PACE)

    async def _sum_up(self) -> None:
        dirty, self._dirty = self._dirty, {}
        lines: list[tuple[str, bytes | None]] = []
        for number, (name, project) in enumerate(dirty.items(), 1):
            lines.append((name, line(project.summary()) if project.epoch else None))
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
        if self.watched:
            self._remember(lines)

    def _remember(self, lines: list[tuple[str, bytes | None]]) -> None:
        for name, said in lines:
            self.revision += 1
            self._entries[name] = _Entry(self.revision, said)
            self._entries.move_to_end(name)
        while len(self._entries) > KEPT:
            self.floor = self._entries.popitem(last=False)[1].revision
        self._shared.clear()
        self._news.set()
        self._news = trio.Event()

    # --- what viewers ask -------------------------------------------------------------------------

    async def page(self, after: str, most: int, scope: Scope) -> Page:
        """At most `most` projects of `scope` behind `after`, fewer where they are large.

        Raises:
            Unavailable, StoreUnavailable: the store cannot be read now.
        """
        loaded = len(self._shelf)
        try:
            return await self._page(after, most, scope)
        finally:
            if len(self._shelf) > loaded:
                self._tidy()

    async def _page(self, after: str, most: int, scope: Scope) -> Page:
        lines: list[tuple[str, bytes]] = []
        size = 0
        while rows := await self._shelf.page(after, most if scope.everything else ROWS):
            for row in rows:
                after = row.project_id
                if scope.covers(after) and (said := await self._line(row)) is not None:
                    lines.append((after, said))
                    size += len(said)
                if len(lines) >= most or size >= ROOM:
                    return Page(lines, after)
        return Page(lines, None)

    async def _line(self, row: Summary) -> bytes | None:
        """A row's line. What the store was not told of it (by an older version) the project tells."""
        if row.about:
            return line(row)
        project = await self._shelf.find(row.project_id)
        if project is None:
            return line(evolve(row, damaged=True))
        return line(project.summary()) if project.epoch else None

    def changes(self, since: int, scope: Scope) -> tuple[int, bytes | None]:
        """One message of what changed in `scope` after revision `since`, and up to which revision it goes; no
        message if nothing did.
        """
        if not scope.everything:
            return self._changes(since, scope)
        found = self._shared.get(since)
        if found is None:
            found = self._changes(since, scope)
            if len(self._shared) < SHARED:
                self._shared[since] = found
        return found

    def _changes(self, since: int, scope: Scope) -> tuple[int, bytes | None]:
        lines: list[bytes] = []
        removed: list[str] = []
        size = 0
        for name, entry in self._after(since):
            if not scope.covers(name):
                continue
            if entry.line is None:
                removed.append(name)
            else:
                lines.append(entry.line)
            size += len(entry.line or name)
            if len(lines) + len(removed) >= MOST or size >= ROOM:
                return entry.revision, message(lines, removed, whole=False)
        return self.revision, message(lines, removed, whole=False) if lines or removed else None

    def _after(self, since: int) -> Iterator[tuple[str, _Entry]]:
        """The entries after a revision, the oldest first."""
        newer: list[str] = []
        for name in reversed(self._entries):
            if self._entries[name].revision <= since:
                break
            newer.append(name)
        return ((name, self._entries[name]) for name in reversed(newer))


@define(eq=False)
class DirectoryStream:
    """One that watches; reads the list first, then what changes. Not to be used by two tasks at once."""

    _roster: ProjectDirectory
    _scope: Scope
    _after: str | None = ""
    _begun: bool = False
    _seen: int = 0
    _open: bool = True

    def close(self) -> None:
        """Watch no more. May be called twice."""
        if self._open:
            self._open = False
            self._roster.left()

    async def next(self, patience: float) -> bytes | None:
        """The next message: a JSON object; b"" after `patience` seconds without one, None when the hub stops.

        Raises:
            Unavailable, StoreUnavailable: the list cannot be read now; asking again goes on where it was.
        """
        await trio.lowlevel.checkpoint()
        roster = self._roster
        while not roster.closed:
            said = await self._list() if self._after is not None else self._changes()
            if said is not None:
                return said
            if self._after is None and self._seen == roster.revision:
                with trio.move_on_after(patience) as silence:
                    await roster.news(self._seen)
                if silence.cancelled_caught:
                    return b""
        return None

    async def _list(self) -> bytes | None:
        roster, begins = self._roster, not self._begun
        assert self._after is not None
        if begins:
            self._seen = roster.revision
        page = await roster.page(self._after, MOST, self._scope)
        self._after, self._begun = page.after, True
        lines = [said for _, said in page.lines]
        return message(lines, [], whole=begins) if lines or begins else None

    def _changes(self) -> bytes | None:
        if self._seen < self._roster.floor:
            self._after, self._begun = "", False
            return None
        self._seen, said = self._roster.changes(self._seen, self._scope)
        return said


def message(lines: list[bytes], removed: list[str], *, whole: bool) -> bytes:
    """What a watcher of the roster is told; `whole` begins a list anew."""
    return encode_json({"projects": [raw_json(one) for one in lines], "removed": removed, "whole": whole})
