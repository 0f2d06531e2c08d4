"""Statuses: how executions stand, told to those who watch them, at most every so often.

An execution that somebody watches has a `StatusFeed`. When its project changes, the board is due at once, or
when the interval since the last time is over; then it looks at the project as it is *then*, encodes the
status once for everybody, and offers it to every `StatusWatcher`. So what is told is always the newest, and
the last change is always told.

A spectator whose socket takes no more is only marked: when it takes bytes again, it gets what is the newest
then. It costs the status that it was told last, and a position if it wants nodes or lines.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Final

import trio

from tasktree_rt.core.close_codes import INTERNAL
from tasktree_rt.core.executions import Tally, execution_of, needs_count
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.executions.status_feed import StatusFeed, StatusWatcher
from tasktree_rt.hub.projects.project import Project

AT_ONCE: Final = 2_000
"""So many nodes are counted without yielding to the loop: a few milliseconds."""
SLICE: Final = 200
"""Offers between two yields to the loop: about a millisecond."""


async def counted(project: Project) -> Tally:
    """The nodes of a project, as far as they matter for its status; counted in slices if there are many."""
    tally = Tally()
    if len(project.tree) > AT_ONCE and needs_count(project.tree.top):
        for _ in tally.recount(project.tree):
            await trio.lowlevel.checkpoint()
    return tally


class StatusNotifier:
    """See the module's docstring. `interval` in seconds; `failed` is told of every fault of the hub's own."""

    def __init__(self, interval: float, failed: Callable[[str, BaseException], None]) -> None:
        self._interval = interval
        self._failed = failed
        self._boards: dict[str, StatusFeed] = {}
        self._due: list[tuple[float, int, StatusFeed]] = []
        self._numbers = itertools.count()
        self._wake = trio.Event()

    def watched(self, project_id: str) -> bool:
        """Whether somebody watches how an execution stands."""
        return project_id in self._boards

    def join(
        self, project: Project, subscriber: Subscriber, tally: Tally, *, nodes: bool, logs: bool
    ) -> StatusWatcher:
        """Tell `subscriber` how the execution that `project` is stands, now and from now on; it must be
        there. Call `leave` in the end. `tally` may have counted already what need not be counted now.
        """
        name = project.project_id
        execution = execution_of(name)
        assert execution is not None
        board = self._boards.get(name)
        if board is not None:
            board.look()
        if board is None or board.gone:  # those who watch a life that is over are told so by themselves
            board = self._boards[name] = StatusFeed(project, execution, subscriber.dialect, tally)
            board.flushed = trio.current_time()
        spectator = StatusWatcher(subscriber, board, nodes=nodes, logs=logs)
        board.spectators[spectator] = None
        subscriber.feeds.topic = spectator
        spectator.offer()
        return spectator

    def leave(self, spectator: StatusWatcher) -> None:
        """A spectator is gone."""
        board = spectator.board
        board.spectators.pop(spectator, None)
        if not board.spectators and self._boards.get(board.name) is board:
            del self._boards[board.name]

    def changed(self, project: Project) -> None:
        """A project has new events, or none any more."""
        board = self._boards.get(project.project_id)
        if board is not None and not board.due:
            board.due = True
            at = board.flushed + self._interval
            heapq.heappush(self._due, (at, next(self._numbers), board))
            if self._due[0][2] is board:
                self._wake.set()

    async def run(self) -> None:
        """The task that tells."""
        while True:
            while self._due and self._due[0][0] <= trio.current_time():
                board = heapq.heappop(self._due)[2]
                board.due = False
                await self._tell(board)
            self._wake = trio.Event()
            with trio.move_on_at(self._due[0][0] if self._due else float("inf")):
                await self._wake.wait()

    async def _tell(self, board: StatusFeed) -> None:
        board.flushed = trio.current_time()
        try:
            board.look()
        except Exception as error:
            self._failed("statuses", error)
            return
        everybody = tuple(board.spectators)
        for start in range(0, len(everybody), SLICE):
            if start:
                await trio.lowlevel.checkpoint()
            self._offer(board, everybody[start : start + SLICE])

    def _offer(self, board: StatusFeed, spectators: Iterable[StatusWatcher]) -> None:
        """Nearly always a status is wanted and the socket takes it all: that way is written out here, as in
        `fanout`."""
        said, size = board.said, len(board.said)
        quick = not (board.over or board.gone)
        for spectator in spectators:
            try:
                subscriber = spectator.subscriber
                send = subscriber.direct
                if send is None or not spectator.plain or not quick:
                    spectator.offer()
                    continue
                if spectator.said == said:
                    continue
                try:
                    taken = send(said)
                except OSError:
                    taken = 0
                if taken == size:
                    spectator.said = said
                    subscriber.sent_bytes += size
                    subscriber.sent_messages += 1
                elif taken:
                    spectator.said = said
                    subscriber.sent_one(said, taken)
                else:
                    spectator.offer()
            except Exception as error:
                self._failed("statuses", error)
                spectator.subscriber.close(INTERNAL)
