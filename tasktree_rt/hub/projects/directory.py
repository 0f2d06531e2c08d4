"""Stream the summaries of all projects to watchers of the project list.

The directory only notes which projects changed, and only while it has watchers. At most every `PACE` seconds
it encodes the changed summaries, once for all watchers. A watcher first reads the list, page by page. Then it
has a revision, and asks what changed since: for a slow watcher the hub stores one integer. A watcher that
falls behind `KEPT` changes reads the list anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
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
"""Seconds between two rounds of encoding."""
KEPT: Final = 16_384
"""Changed projects that are remembered, the newest."""
MOST: Final = 500
"""Summaries in one message."""
ROOM: Final = 512 * 1024
"""Bytes of one message, about."""
SLICE: Final = 100
"""Summaries encoded between two yields to the loop: less than a millisecond."""
SHARED: Final = 8
"""Messages kept for other watchers at the same revision."""
ROWS: Final = 1_000
"""Rows to read at once if a filter leaves some out."""


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
    """See the module's docstring. It calls `tidy` after it loaded projects that may not be needed again."""

    def __init__(
        self, cache: ProjectCache, *, tidy: Callable[[], None], failed: Callable[[str, BaseException], None]
    ) -> None:
        self._cache = cache
        self._tidy = tidy
        self._failed = failed
        self._dirty: dict[str, Project] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._shared: dict[int, tuple[int, bytes | None]] = {}
        self._wake = trio.Event()
        self._news = trio.Event()
        self.watched = 0
        """Count of watchers."""
        self.revision = 0
        self.floor = 0
        """The oldest revision after which all changes are remembered."""
        self.closed = False

    def changed(self, project: Project) -> None:
        """Note that a project has new events. Called for every publish while there are watchers."""
        self._dirty[project.project_id] = project
        self._wake.set()

    def close(self) -> None:
        """End all streams, since the hub stops."""
        self.closed = True
        self._news.set()

    def open(self, scope: Scope) -> DirectoryStream:
        """Watch the projects of `scope`; the caller calls `DirectoryStream.close` in the end."""
        self.watched += 1
        return DirectoryStream(self, scope)

    def left(self) -> None:
        """Note that a stream has closed; after the last one, forget all changes."""
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
        """Run the task that encodes changed summaries."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self._encode_changed()
            except Exception as error:
                self._failed("roster", error)
            await trio.sleep(PACE)

    async def _encode_changed(self) -> None:
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

    # --- reading ----------------------------------------------------------------------------------

    async def page(self, after: str, most: int, scope: Scope) -> Page:
        """Return at most `most` projects of `scope` after `after`, fewer if they are large.

        Raises:
            Unavailable, StoreUnavailable: the store cannot be read now.
        """
        loaded = len(self._cache)
        try:
            return await self._page(after, most, scope)
        finally:
            if len(self._cache) > loaded:
                self._tidy()

    def summaries(self, prefix: str) -> AsyncIterator[Summary]:
        """Yield the summaries of the projects whose ids begin with `prefix`.

        Raises:
            Unavailable, StoreUnavailable: the store cannot be read now.
        """
        return self._cache.summaries(prefix)

    async def _page(self, after: str, most: int, scope: Scope) -> Page:
        lines: list[tuple[str, bytes]] = []
        size = 0
        while rows := await self._cache.page(after, most if scope.everything else ROWS):
            for row in rows:
                after = row.project_id
                if scope.covers(after) and (said := await self._line(row)) is not None:
                    lines.append((after, said))
                    size += len(said)
                if len(lines) >= most or size >= ROOM:
                    return Page(lines, after)
        return Page(lines, None)

    async def _line(self, row: Summary) -> bytes | None:
        """Encode a row; load the project if an older version stored the row without a summary."""
        if row.about:
            return line(row)
        project = await self._cache.find(row.project_id)
        if project is None:
            return line(evolve(row, damaged=True))
        return line(project.summary()) if project.epoch else None

    def changes(self, since: int, scope: Scope) -> tuple[int, bytes | None]:
        """Return a revision, and a message with the changes in `scope` from `since` to it.

        The message is None if nothing changed.
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
        """Return the entries after a revision, the oldest first."""
        newer: list[str] = []
        for name in reversed(self._entries):
            if self._entries[name].revision <= since:
                break
            newer.append(name)
        return ((name, self._entries[name]) for name in reversed(newer))


@define(eq=False)
class DirectoryStream:
    """A watcher's stream: first the list, then the changes. Only one task may use it at a time."""

    _directory: ProjectDirectory
    _scope: Scope
    _after: str | None = ""
    _begun: bool = False
    _seen: int = 0
    _open: bool = True

    def close(self) -> None:
        """Close the stream. A second call does nothing."""
        if self._open:
            self._open = False
            self._directory.left()

    async def next(self, patience: float) -> bytes | None:
        """Return the next message, a JSON object; b"" after `patience` seconds, None when the hub stops.

        Raises:
            Unavailable, StoreUnavailable: the list cannot be read now; asking again goes on where it was.
        """
        await trio.lowlevel.checkpoint()
        directory = self._directory
        while not directory.closed:
            said = await self._list() if self._after is not None else self._changes()
            if said is not None:
                return said
            if self._after is None and self._seen == directory.revision:
                with trio.move_on_after(patience) as silence:
                    await directory.news(self._seen)
                if silence.cancelled_caught:
                    return b""
        return None

    async def _list(self) -> bytes | None:
        directory, begins = self._directory, not self._begun
        assert self._after is not None
        if begins:
            self._seen = directory.revision
        page = await directory.page(self._after, MOST, self._scope)
        self._after, self._begun = page.after, True
        lines = [said for _, said in page.lines]
        return message(lines, [], whole=begins) if lines or begins else None

    def _changes(self) -> bytes | None:
        if self._seen < self._directory.floor:
            self._after, self._begun = "", False
            return None
        self._seen, said = self._directory.changes(self._seen, self._scope)
        return said


def message(lines: list[bytes], removed: list[str], *, whole: bool) -> bytes:
    """Encode a message to a watcher of the directory; `whole` begins a list anew."""
    return encode_json({"projects": [raw_json(one) for one in lines], "removed": removed, "whole": whole})
