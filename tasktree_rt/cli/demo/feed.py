"""Send the demo's steps to a hub: joined into publishes, paced, with updates of folders in between."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

import trio
from attrs import field, frozen

from tasktree_rt.cli.demo.names import ROOT, node_id
from tasktree_rt.cli.demo.pause import Gate
from tasktree_rt.cli.demo.tree import RUNNING, Folder, Folders, News
from tasktree_rt.core.events import Event, Json, ProjectId, format_time

MOST_EVENTS: Final = 100
"""Events per publish. With ids of 512 characters they stay far below the limit of a message."""
FLUSH: Final = 0.05
"""Approximate seconds between publishes."""
SHORTEST: Final = 0.005
"""Minimum seconds between publishes, so that steps gather at any pace."""
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
FOLDER_NEWS: Final = 0.2
"""Minimum seconds between two updates of folders."""


class Sink(Protocol):
    """The destination of events: a hub in this process or a remote one."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events of one project: all or none, once, in order. Waits while much is unacked."""

    async def settled(self) -> None:
        """Wait until all published events are durable."""


class Effect(Enum):
    """The effect of a step on the folder of its file."""

    NONE = "none"
    FINISHED = "finished"
    FAILED = "failed"
    VANISHED = "vanished"
    CANCELLED = "cancelled"
    REOPENED = "reopened"


@frozen
class Step:
    """One event to send, and its effect on `folder` once it is sent."""

    type: str
    data: Json
    folder: bytes = b""
    effect: Effect = Effect.NONE


@frozen
class Mark:
    """A place between steps. `tells`: updates of folders are sent from here on."""

    tells: bool = False
    reached: trio.Event = field(factory=trio.Event)


def node_step(path: bytes, changes: Json, effect: Effect = Effect.NONE) -> Step:
    """Make a ``node_update`` for the entry at `path`."""
    data = {"node_id": node_id(path), "changes": changes}
    return Step("node_update", data, path.rpartition(b"/")[0], effect)


def node_steps(path: bytes, changes: Json, effect: Effect = Effect.NONE) -> list[Step]:
    """Make the updates of a running entry: the lifecycle leads to ``completed`` only through ``review``."""
    step = node_step(path, changes, effect)
    if changes.get("status") != "completed":
        return [step]
    return [node_step(path, {"status": "review"}), step]


def log_step(path: bytes, message: str, level: str = "info") -> Step:
    """Make a ``log`` line of the entry at `path`."""
    return Step("log", {"node_id": node_id(path), "level": level, "message": message})


def state_step(to: str) -> Step:
    """Make the `state_transition` of the project itself, to that state."""
    return Step("state_transition", {"from": None, "to": to, "context": {}})


class Feed:
    """Take steps from any task (`put`) and publish them in order (`run`, in a task of its own).

    `pace` is in events per second and may change while running; while `gate` hurries there is no pace.
    """

    def __init__(self, sink: Sink, project: ProjectId, folders: Folders, pace: float, gate: Gate) -> None:
        self.pace = pace
        self.sent = 0
        self._sink = sink
        self._project = project
        self._folders = folders
        self._tell_folders = False
        self._told = -FOLDER_NEWS
        self._due = 0.0
        self._open: dict[str, None] = {}
        self._gate = gate
        self._broken_off = False
        self._next = deque[Step]()
        self._mark: Mark | None = None
        self._turn = trio.Lock()
        """Held while waiting for room, so that callers are served in order."""
        self._room = trio.Event()
        self._ahead = 0
        self._items, self._waiting = trio.open_memory_channel[tuple[Step, ...] | Mark](math.inf)

    async def put(self, *steps: Step) -> None:
        """Send `steps` in order, nothing between them. Waits while the feed is behind by two publishes:
        the work must not run ahead of what watchers see."""
        async with self._turn:
            while self._ahead >= 2 * self._most:
                self._room = trio.Event()
                await self._room.wait()
            self._ahead += len(steps)
            self._items.send_nowait(steps)

    @property
    def _most(self) -> int:
        """Return the maximum number of events of one publish."""
        return MOST_EVENTS if self._gate.hurried else max(1, min(MOST_EVENTS, int(self.pace * FLUSH)))

    async def tell_folders(self) -> None:
        """Note that all files are known: updates of folders follow the steps before this one."""
        async with self._turn:
            self._items.send_nowait(Mark(tells=True))

    async def flushed(self) -> None:
        """Wait until all steps put before, and the updates of their folders, are published."""
        mark = Mark()
        async with self._turn:
            self._items.send_nowait(mark)
        await mark.reached.wait()

    def end(self) -> None:
        """End the feed: no more steps come, and `run` returns when everything is durable."""
        self._items.close()

    def break_off(self) -> None:
        """End the feed early: `run` marks every unfinished node as cancelled, the newest
        first."""
        self._broken_off = True
        self._items.close()

    async def run(self) -> None:
        """Publish until `end` or `break_off`. Cancelling drops the unpublished steps."""
        async for item in self._waiting:
            self._take(item)
            while self._next or self._mark is not None:
                events = self._batch()
                if events:
                    await self._publish(events)
                mark = self._reached()
                if self._tell_folders and (
                    mark is not None or trio.current_time() - self._told >= FOLDER_NEWS
                ):
                    self._told = trio.current_time()
                    await self._publish_all(self._news())
                if mark is not None:
                    mark.reached.set()
        await self._publish_all(self._cancellations() if self._broken_off else self._news())
        await self._sink.settled()

    def _take(self, item: tuple[Step, ...] | Mark) -> None:
        if isinstance(item, Mark):
            self._mark = item
        else:
            self._next.extend(item)

    def _batch(self) -> list[Event]:
        """Return the steps of the next publish, at most up to the next mark."""
        most = self._most
        while len(self._next) < most and self._mark is None:
            try:
                self._take(self._waiting.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        events = [self._event(self._next.popleft()) for _ in range(min(most, len(self._next)))]
        self._ahead -= len(events)
        self._room.set()
        return events

    def _reached(self) -> Mark | None:
        """Return the mark if all steps before it are sent."""
        if self._next:
            return None
        mark, self._mark = self._mark, None
        self._tell_folders |= mark is not None and mark.tells
        return mark

    async def _publish(self, events: list[Event]) -> None:
        await self._sink.publish(events)
        self.sent += len(events)
        self._due = max(self._due, trio.current_time() - FLUSH) + max(SHORTEST, len(events) / self.pace)
        with trio.move_on_at(self._due):
            await self._gate.hurry()

    async def _publish_all(self, events: list[Event]) -> None:
        for start in range(0, len(events), MOST_EVENTS):
            await self._publish(events[start : start + MOST_EVENTS])

    def _news(self) -> list[Event]:
        return [self._event(step) for news in self._folders.changed() for step in self._news_steps(news)]

    def _news_steps(self, news: News) -> list[Step]:
        steps: list[Step] = []
        if news.again:
            steps = [node_step(news.path, {"status": one, "ended_at": None}) for one in ("ready", RUNNING)]
        if news.status != RUNNING:
            steps.append(_folder_line(news, self._folders[news.path]))
        return [*steps, *node_steps(news.path, _folder_changes(news.progress, news.status))]

    def _cancellations(self) -> list[Event]:
        changes = {"status": "cancelled", "ended_at": now_text()}
        nodes = dict.fromkeys((ROOT, *reversed(self._open))) if self._open else ()
        return [self._event(Step("node_update", {"node_id": one, "changes": changes})) for one in list(nodes)]

    def _event(self, step: Step) -> Event:
        if step.type == "node_update":
            self._note(step.data["node_id"], step.data["changes"])
        folders, folder = self._folders, step.folder
        match step.effect:
            case Effect.FINISHED | Effect.FAILED:
                folders.finish(folder, failed=step.effect is Effect.FAILED)
            case Effect.VANISHED:
                folders.vanish(folder)
            case Effect.CANCELLED:
                folders.cancel(folder)
            case Effect.REOPENED:
                folders.reopen(folder)
        return Event(step.type, self._project, step.data, now_text())

    def _note(self, node: str, changes: Json) -> None:
        """Remember the unfinished nodes, the last changed one at the end."""
        if "status" in changes or "deleted" in changes:
            self._open.pop(node, None)
            if changes.get("status", "cancelled") not in ENDED:
                self._open[node] = None


def _folder_line(news: News, folder: Folder) -> Step:
    """Return the log line of a finished folder."""
    parts = [f"{folder.total} files", f"{folder.failed} failed" if folder.failed else ""]
    parts.append(f"{folder.cancelled} cancelled" if folder.cancelled else "")
    text = f"done, {news.status}: " + ", ".join(part for part in parts if part)
    return log_step(news.path, text, "error" if news.status == "failed" else "info")


def _folder_changes(progress: int, status: str) -> Json:
    changes: Json = {"progress": progress, "status": status}
    if status != "running":
        changes["ended_at"] = now_text()
    return changes


def now_text() -> str:
    """Return the current time in the format of events."""
    return format_time(datetime.now(UTC))
