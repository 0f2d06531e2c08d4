"""Send the statuses of executions to their watchers, at most once per interval.

A watched execution has a `StatusFeed`. When its project changes, the feed is due: at once, or when the
interval since the last status is over. Then the hub encodes the present status once and offers it to every
`StatusWatcher`. So watchers always get the newest status, and the last change is never lost.

A watcher whose socket takes no more bytes is only marked; when the socket takes bytes again, the watcher gets
the status that is the newest then. The hub stores for it the last status sent, and a position if it wants
nodes or log lines.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Final

import trio

from tasktree_rt.core.close_codes import INTERNAL
from tasktree_rt.core.executions import Tally, execution_of, needs_count
from tasktree_rt.dialects.deflate import plain_of
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.executions.status_feed import StatusFeed, StatusWatcher
from tasktree_rt.hub.projects.project import Project

AT_ONCE: Final = 2_000
"""Nodes that are counted without yielding to the loop: a few milliseconds."""
SLICE: Final = 200
"""Offers between two yields to the loop: about a millisecond."""


async def counted(project: Project) -> Tally:
    """Count the nodes that a project's status depends on; in slices if there are many."""
    tally = Tally()
    if len(project.tree) > AT_ONCE and needs_count(project.tree.top):
        for _ in tally.recount(project.tree):
            await trio.lowlevel.checkpoint()
    return tally


class StatusNotifier:
    """See the module's docstring. `interval` is in seconds; `failed` reports the hub's own faults."""

    def __init__(self, interval: float, failed: Callable[[str, BaseException], None]) -> None:
        self._interval = interval
        self._failed = failed
        self._feeds: dict[str, StatusFeed] = {}
        self._due: list[tuple[float, int, StatusFeed]] = []
        self._numbers = itertools.count()
        self._wake = trio.Event()

    def watched(self, project_id: str) -> bool:
        """Return whether an execution has watchers."""
        return project_id in self._feeds

    def join(
        self, project: Project, subscriber: Subscriber, tally: Tally, *, nodes: bool, logs: bool
    ) -> StatusWatcher:
        """Send `subscriber` the status of the execution `project`, now and after each change.

        The project must exist. The caller calls `leave` at the end. `tally` holds what is counted already.
        """
        name = project.project_id
        execution = execution_of(name)
        assert execution is not None
        feed = self._feeds.get(name)
        if feed is not None:
            feed.refresh()
        if feed is None or feed.gone:  # watchers of a deleted execution find that out themselves
            feed = self._feeds[name] = StatusFeed(project, execution, plain_of(subscriber.dialect), tally)
            feed.flushed = trio.current_time()
        watcher = StatusWatcher(subscriber, feed, nodes=nodes, logs=logs)
        feed.watchers[watcher] = None
        subscriber.feeds.topic = watcher
        watcher.offer()
        return watcher

    def leave(self, watcher: StatusWatcher) -> None:
        """Remove a watcher whose connection has ended."""
        feed = watcher.feed
        feed.watchers.pop(watcher, None)
        if not feed.watchers and self._feeds.get(feed.name) is feed:
            del self._feeds[feed.name]

    def changed(self, project: Project) -> None:
        """Note that a project has new events, or was deleted."""
        feed = self._feeds.get(project.project_id)
        if feed is not None and not feed.due:
            feed.due = True
            at = feed.flushed + self._interval
            heapq.heappush(self._due, (at, next(self._numbers), feed))
            if self._due[0][2] is feed:
                self._wake.set()

    async def run(self) -> None:
        """Offer statuses when they are due; runs until cancelled."""
        while True:
            while self._due and self._due[0][0] <= trio.current_time():
                feed = heapq.heappop(self._due)[2]
                feed.due = False
                await self._flush(feed)
            self._wake = trio.Event()
            with trio.move_on_at(self._due[0][0] if self._due else float("inf")):
                await self._wake.wait()

    async def _flush(self, feed: StatusFeed) -> None:
        feed.flushed = trio.current_time()
        try:
            feed.refresh()
        except Exception as error:
            self._failed("statuses", error)
            return
        watchers = tuple(feed.watchers)
        for start in range(0, len(watchers), SLICE):
            if start:
                await trio.lowlevel.checkpoint()
            self._offer(feed, watchers[start : start + SLICE])

    def _offer(self, feed: StatusFeed, watchers: Iterable[StatusWatcher]) -> None:
        """Offer the status to each watcher.

        Nearly always a watcher wants it and the socket takes all of it: that path is written out here, as in
        `delivery.fanout`.
        """
        encoded, size = feed.encoded, len(feed.encoded)
        quick = not (feed.over or feed.gone)
        for watcher in watchers:
            try:
                subscriber = watcher.subscriber
                send = subscriber.direct
                if send is None or not watcher.plain or not quick:
                    watcher.offer()
                    continue
                if watcher.encoded == encoded:
                    continue
                try:
                    taken = send(encoded)
                except OSError:
                    taken = 0
                if taken == size:
                    watcher.encoded = encoded
                    subscriber.sent_bytes += size
                    subscriber.sent_messages += 1
                elif taken:
                    watcher.encoded = encoded
                    subscriber.sent_one(encoded, taken)
                else:
                    watcher.offer()
            except Exception as error:
                self._failed("statuses", error)
                watcher.subscriber.close(INTERNAL)
