"""The feed of one watched execution: its newest status, encoded once for all its watchers.

The hub sends a watcher, in this order: the status, if it has none yet; then, if the watcher asked for them,
the log lines and nodes that are new to it; then the status, if it changed. After the last status of an
execution the hub closes the connection.
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
from tasktree_rt.dialects.base import Dialect, decode_body, join
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.resume.feed import Finished

CHUNK: Final = 64 * 1024
"""Approximate bytes of nodes and log lines that are encoded at once."""
SHARED: Final = 8
"""Deltas that are kept for other watchers at the same position."""
EVERY: Final = 1 << 62
"""A limit above any number of nodes."""
SKIPPED: Final = "lines were skipped here: the reader was too slow"

_Entry = Record | tuple[str, Node | None]


class StatusDelta:
    """The log lines and nodes that are new after a position, frozen, in chunks encoded when needed."""

    __slots__ = ("_chunks", "_cuts", "_entries", "_feed", "head")

    def __init__(self, feed: StatusFeed, head: int, entries: list[_Entry]) -> None:
        self._feed = feed
        self._entries = entries
        self._cuts = _cut(entries)
        self._chunks: dict[int, Finished] = {}
        self.head = head
        """The position (seq) that a watcher has reached with the last chunk."""

    def __len__(self) -> int:
        return len(self._cuts)

    def chunk(self, index: int) -> Finished:
        """Return the chunk at `index`, from 0. Only the newest is kept for other watchers."""
        found = self._chunks.get(index)
        if found is None:
            begin = self._cuts[index - 1] if index else 0
            found = self._feed.finish(self._entries[begin : self._cuts[index]])
            self._chunks = {index: found}
        return found


def _cut(entries: Iterable[_Entry]) -> list[int]:
    """Return the indexes at which chunks end."""
    cuts: list[int] = []
    size = number = 0
    for number, one in enumerate(entries, 1):
        size += _weight(one)
        if size >= CHUNK:
            cuts.append(number)
            size = 0
    return [*cuts, number] if size else cuts


def _weight(one: _Entry) -> int:
    if isinstance(one, Record):
        return 64 + len(one.body)
    return 64 if one[1] is None else one[1].bound


class StatusFeed:
    """See the module's docstring. All watchers speak `dialect`.

    Attributes:
        encoded: the status, encoded for the wire; a new object whenever the status changes.
        over: the status is the execution's last one.
        flushed: when the status was offered to the watchers last (trio time).
        due: the status is to be offered again.
    """

    def __init__(self, project: Project, execution: str, dialect: Dialect, tally: Tally) -> None:
        self.name = project.project_id
        self.watchers: dict[StatusWatcher, None] = {}
        self.flushed = 0.0
        self.due = False
        self.encoded = b""
        self.over = False
        self._project = project
        self._execution = execution
        self._dialect = dialect
        self._epoch = project.epoch
        self._tally = tally
        self._deltas: dict[tuple[int | None, bool, bool], StatusDelta | None] = {}
        self.head = -1
        self.refresh()

    @property
    def gone(self) -> bool:
        """Return whether the execution was deleted."""
        return self._project.epoch != self._epoch

    def refresh(self) -> None:
        """Encode the present status of the project, if the project has changed."""
        project = self._project
        if self.gone or project.tree.head == self.head:
            return
        self.head = project.tree.head
        self._deltas.clear()
        status = status_of(self._execution, project.tree.top, self._counted, project.received)
        self.over = status.status in TERMINAL
        encoded = self._dialect.encode(status) or b""
        if encoded != self.encoded:
            self.encoded = encoded

    def _counted(self) -> Tally:
        self._tally.follow(self._project.tree)
        return self._tally

    def missing(self) -> Failure:
        """Return the error for a deleted execution."""
        return no_such(self._execution)

    def delta(self, since: int | None, *, nodes: bool, logs: bool) -> StatusDelta | None:
        """Return what is new after seq `since`; None if that is not known any more.

        For a new watcher (`since` is None) every node is new, and no log line.
        """
        key = (since, nodes, logs)
        if key not in self._deltas:
            if len(self._deltas) >= SHARED:
                self._deltas.pop(next(iter(self._deltas)))
            self._deltas[key] = self._find(since, nodes, logs)
        return self._deltas[key]

    def _find(self, since: int | None, nodes: bool, logs: bool) -> StatusDelta | None:
        tree = self._project.tree
        entries: list[_Entry] = []
        if since is None:
            entries += tree.nodes.items() if nodes else ()
            return StatusDelta(self, tree.head, entries)
        if logs:
            entries += self._lines(since)
        if nodes:
            difference = tree.since(since, EVERY)
            if difference is None:
                return None
            entries += ((one, None) for one in difference.removed)
            entries += difference.nodes
        return StatusDelta(self, tree.head, entries)

    def _lines(self, since: int) -> list[Record]:
        log = self._project.log
        found = log.since(Position(self._epoch, since))
        if not isinstance(found, Gap):
            return [one for one in found.records if one.type == "log"]
        kept = log.since(Position(self._epoch, log.floor))
        assert not isinstance(kept, Gap)
        lines = [one for one in kept.records if one.type == "log"]
        return [Record(log.floor, "", None, self._project.received, b""), *lines]

    def finish(self, entries: Iterable[_Entry]) -> Finished:
        """Encode nodes and log lines for the wire."""
        return Finished(join(self._dialect.encode(self._message(one)) or b"" for one in entries))

    def _message(self, one: _Entry) -> NodeStatus | LogLine:
        if not isinstance(one, Record):
            node = one[1]
            return NodeStatus(self._execution, one[0], None if node is None else node.fields)
        if not one.body:
            return LogLine(self._execution, "warning", SKIPPED, micros_to_time(one.received))
        event = decode_body(one.body)
        level, message, node_id, stream = map(event.data.get, ("level", "message", "node_id", "stream"))
        return LogLine(self._execution, level or "info", message or "", event.timestamp, node_id, stream)


class StatusWatcher:
    """One connection that watches an execution. Implements `resume.feed.TopicFeed`.

    The connection asks it for the next message when the socket takes bytes and nothing else waits.

    Attributes:
        plain: gets statuses only, no nodes and no log lines.
        encoded: the status that was handed to the socket last; b"" before the first one.
    """

    __slots__ = (
        "_chunk",
        "_delta",
        "_logs",
        "_nodes",
        "_seq",
        "encoded",
        "feed",
        "plain",
        "ready",
        "subscriber",
    )

    def __init__(self, subscriber: Subscriber, feed: StatusFeed, *, nodes: bool, logs: bool) -> None:
        self.subscriber = subscriber
        self.feed = feed
        self.ready = False
        self.plain = not (nodes or logs)
        self._nodes = nodes
        self._logs = logs
        self.encoded = b""
        self._seq: int | None = None
        self._delta: StatusDelta | None = None
        self._chunk = 0

    must_fetch = False

    @property
    def topic(self) -> str:
        """Return the name of the execution's project."""
        return self.feed.name

    async def fetch(self) -> None:
        """Do nothing: all is in memory."""

    def offer(self) -> None:
        """Send what is new as soon as the socket takes it."""
        if not self.subscriber.closing:
            self.ready = True
            self.subscriber.wake()

    def step(self) -> Finished | None:
        """Return the next message; None if there is none, or this closed the connection."""
        feed = self.feed
        if feed.gone:
            self.subscriber.reply(feed.missing())
            self.subscriber.close(NOT_FOUND)
            return None
        if not self.encoded:
            return self._status()
        if not self.plain and (self._delta is not None or self._behind):
            found = self._next_chunk()
            if found is not None or self.subscriber.closing:
                return found
        if self.encoded != feed.encoded:
            return self._status()
        self.ready = False
        if feed.over:
            self.subscriber.close(NORMAL)
        return None

    @property
    def _behind(self) -> bool:
        return self._seq is None or self._seq < self.feed.head

    def _status(self) -> Finished:
        self.encoded = self.feed.encoded
        return Finished(join((self.encoded,)))

    def _next_chunk(self) -> Finished | None:
        delta = self._delta
        if delta is None:
            self._chunk = 0
            delta = self._delta = self.feed.delta(self._seq, nodes=self._nodes, logs=self._logs)
        if delta is None:
            self.subscriber.close(SLOW_CONSUMER)
            return None
        found = delta.chunk(self._chunk) if len(delta) else None
        self._chunk += 1
        if self._chunk >= len(delta):
            self._seq, self._delta = delta.head, None
        return found


def no_such(execution: str) -> Failure:
    """Return the error for an unknown execution."""
    return Failure("not_found", f"there is no execution {shown(execution)}")
