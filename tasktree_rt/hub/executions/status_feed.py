"""One execution that is watched: its newest status, encoded once, and everybody who is to have it.

A spectator is told, in this order: the status, if it has none yet; then, if it asked for them, the lines and
the nodes that are new to it; then the status, if it is another. After the last status of an execution its
connection is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tasktree_rt.core.close_codes import NORMAL, NOT_FOUND, SLOW_CONSUMER
from tasktree_rt.core.events import Record, micros_to_time, shown
from tasktree_rt.core.executions import TERMINAL, LogLine, NodeStatus, Tally, status_of
from tasktree_rt.core.log import Gap, Position
from tasktree_rt.core.nodes import Node
from tasktree_rt.core.protocol import Failure
from tasktree_rt.dialects.base import Dialect, decode_body
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.recovery.feed import Finished

CHUNK: Final = 64 * 1024
"""Bytes of nodes and lines that are encoded at once, about."""
SHARED: Final = 8
"""Stretches of nodes and lines that are kept for others who stand at the same position."""
EVERY: Final = 1 << 62
"""More nodes than there are."""
SKIPPED: Final = "lines were skipped here: the reader was too slow"

_Told = Record | tuple[str, Node | None]


class StatusDelta:
    """The lines and nodes that are new after a position, frozen, in chunks that are encoded when needed."""

    __slots__ = ("_board", "_chunks", "_cuts", "_told", "head")

    def __init__(self, board: StatusFeed, head: int, told: list[_Told]) -> None:
        self._board = board
        self._told = told
        self._cuts = _cut(told)
        self._chunks: dict[int, Finished] = {}
        self.head = head
        """Whoever has it all stands at this position."""

    def __len__(self) -> int:
        return len(self._cuts)

    def chunk(self, index: int) -> Finished:
        """The one at `index`, from 0. Only the newest is kept for the others."""
        found = self._chunks.get(index)
        if found is None:
            begin = self._cuts[index - 1] if index else 0
            found = self._board.finish(self._told[begin : self._cuts[index]])
            self._chunks = {index: found}
        return found


def _cut(told: Iterable[_Told]) -> list[int]:
    """Where chunks end."""
    cuts: list[int] = []
    size = number = 0
    for number, one in enumerate(told, 1):
        size += _weight(one)
        if size >= CHUNK:
            cuts.append(number)
            size = 0
    return [*cuts, number] if size else cuts


def _weight(one: _Told) -> int:
    if isinstance(one, Record):
        return 64 + len(one.body)
    return 64 if one[1] is None else one[1].bound


class StatusFeed:
    """See the module's docstring. `dialect` is that of all spectators.

    Attributes:
        said: the status, finished for the wire; another object whenever it is another status.
        over: nothing comes after this status.
        flushed, due: when the spectators were told last (trio time), and whether they are to be told again.
    """

    def __init__(self, project: Project, execution: str, dialect: Dialect, tally: Tally) -> None:
        self.name = project.project_id
        self.spectators: dict[StatusWatcher, None] = {}
        self.flushed = 0.0
        self.due = False
        self.said = b""
        self.over = False
        self._project = project
        self._execution = execution
        self._dialect = dialect
        self._epoch = project.epoch
        self._tally = tally
        self._news: dict[tuple[int | None, bool, bool], StatusDelta | None] = {}
        self.head = -1
        self.look()

    @property
    def gone(self) -> bool:
        """Whether the execution was deleted: nothing can be said of it any more."""
        return self._project.epoch != self._epoch

    def look(self) -> None:
        """Take in how the project stands now."""
        project = self._project
        if self.gone or project.tree.head == self.head:
            return
        self.head = project.tree.head
        self._news.clear()
        status = status_of(self._execution, project.tree.top, self._counted, project.received)
        self.over = status.status in TERMINAL
        said = self._dialect.encode(status) or b""
        if said != self.said:
            self.said = said

    def _counted(self) -> Tally:
        self._tally.follow(self._project.tree)
        return self._tally

    def missing(self) -> Failure:
        """What is said where there is no such execution."""
        return no_such(self._execution)

    def news(self, since: int | None, *, nodes: bool, logs: bool) -> StatusDelta | None:
        """What is new after `since`; None if that is not known any more. For a newcomer (None) every node is
        new and no line."""
        key = (since, nodes, logs)
        if key not in self._news:
            if len(self._news) >= SHARED:
                self._news.pop(next(iter(self._news)))
            self._news[key] = self._find(since, nodes, logs)
        return self._news[key]

    def _find(self, since: int | None, nodes: bool, logs: bool) -> StatusDelta | None:
        tree = self._project.tree
        told: list[_Told] = []
        if since is None:
            told += tree.nodes.items() if nodes else ()
            return StatusDelta(self, tree.head, told)
        if logs:
            told += self._lines(since)
        if nodes:
            difference = tree.since(since, EVERY)
            if difference is None:
                return None
            told += ((one, None) for one in difference.removed)
            told += difference.nodes
        return StatusDelta(self, tree.head, told)

    def _lines(self, since: int) -> list[Record]:
        log = self._project.log
        found = log.since(Position(self._epoch, since))
        if not isinstance(found, Gap):
            return [one for one in found.records if one.type == "log"]
        kept = log.since(Position(self._epoch, log.floor))
        assert not isinstance(kept, Gap)
        lines = [one for one in kept.records if one.type == "log"]
        return [Record(log.floor, "", None, self._project.received, b""), *lines]

    def finish(self, told: Iterable[_Told]) -> Finished:
        """Nodes and lines, finished for the wire."""
        pieces = [self._dialect.encode(self._message(one)) or b"" for one in told]
        return Finished(b"".join(pieces), len(pieces))

    def _message(self, one: _Told) -> NodeStatus | LogLine:
        if not isinstance(one, Record):
            node = one[1]
            return NodeStatus(self._execution, one[0], None if node is None else node.fields)
        if not one.body:
            return LogLine(self._execution, "warning", SKIPPED, micros_to_time(one.received))
        event = decode_body(one.body)
        level, message, node_id, stream = map(event.data.get, ("level", "message", "node_id", "stream"))
        return LogLine(self._execution, level or "info", message or "", event.timestamp, node_id, stream)


class StatusWatcher:
    """One connection that watches an execution: a `subscriber.Feed`, asked for its next words when the socket
    takes bytes and nothing else waits.

    Attributes:
        plain: wants statuses and nothing else.
        said: the status that was given to the socket last, or is about to be; b"" if none was.
    """

    __slots__ = (
        "_chunk",
        "_logs",
        "_news",
        "_nodes",
        "_seq",
        "board",
        "plain",
        "ready",
        "said",
        "subscriber",
    )

    def __init__(self, subscriber: Subscriber, board: StatusFeed, *, nodes: bool, logs: bool) -> None:
        self.subscriber = subscriber
        self.board = board
        self.ready = False
        self.plain = not (nodes or logs)
        self._nodes = nodes
        self._logs = logs
        self.said = b""
        self._seq: int | None = None
        self._news: StatusDelta | None = None
        self._chunk = 0

    must_fetch = False

    @property
    def topic(self) -> str:
        """The execution's project."""
        return self.board.name

    async def fetch(self) -> None:
        """Never needed."""

    def offer(self) -> None:
        """There may be something newer: say it as soon as the socket takes it."""
        if not self.subscriber.closing:
            self.ready = True
            self.subscriber.wake()

    def step(self) -> Finished | None:
        """The next words; None if there are none, or the connection was closed."""
        board = self.board
        if board.gone:
            self.subscriber.reply(board.missing())
            self.subscriber.close(NOT_FOUND)
            return None
        if not self.said:
            return self._status()
        if not self.plain and (self._news is not None or self._behind):
            found = self._next_news()
            if found is not None or self.subscriber.closing:
                return found
        if self.said != board.said:
            return self._status()
        self.ready = False
        if board.over:
            self.subscriber.close(NORMAL)
        return None

    @property
    def _behind(self) -> bool:
        return self._seq is None or self._seq < self.board.head

    def _status(self) -> Finished:
        self.said = self.board.said
        return Finished(self.said, 1)

    def _next_news(self) -> Finished | None:
        news = self._news
        if news is None:
            self._chunk = 0
            news = self._news = self.board.news(self._seq, nodes=self._nodes, logs=self._logs)
        if news is None:
            self.subscriber.close(SLOW_CONSUMER)
            return None
        found = news.chunk(self._chunk) if len(news) else None
        self._chunk += 1
        if self._chunk >= len(news):
            self._seq, self._news = news.head, None
        return found


def no_such(execution: str) -> Failure:
    """What is said where there is no such execution."""
    return Failure("not_found", f"there is no execution {shown(execution)}")
