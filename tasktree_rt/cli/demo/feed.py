"""From the demo's work to a hub: steps are joined into publishes, paced, with folders' news between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

import trio
from attrs import frozen

from tasktree_rt.cli.demo.names import node_id
from tasktree_rt.cli.demo.tree import Folders
from tasktree_rt.core.events import Event, Json, ProjectId, format_time

MOST_EVENTS: Final = 100
"""Events per publish: with ids of 512 characters still far below the limit of a message."""
FLUSH: Final = 0.05
"""Seconds between publishes, about."""
SHORTEST: Final = 0.005
"""… and never less, so that steps gather into publishes whatever the pace."""
FOLDER_NEWS: Final = 0.2
"""Seconds between two updates of folders, at least."""


class Sink(Protocol):
    """Where events go: a hub in this process or one elsewhere."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Hand over events of one project: kept all or none, once, in order. Waits while much is unacked."""

    async def settled(self) -> None:
        """Wait until all that was handed over is durable."""


class Effect(Enum):
    """What a step means for the folder of its file."""

    NONE = "none"
    FINISHED = "finished"
    FAILED = "failed"
    VANISHED = "vanished"


@frozen
class Step:
    """One event to be sent, and its effect on `folder` once it is on its way."""

    type: str
    data: Json
    folder: bytes = b""
    effect: Effect = Effect.NONE


def node_step(path: bytes, changes: Json, effect: Effect = Effect.NONE) -> Step:
    """A ``node_update`` for what is at `path`."""
    data = {"node_id": node_id(path), "changes": changes}
    return Step("node_update", data, path.rpartition(b"/")[0], effect)


def node_steps(path: bytes, changes: Json, effect: Effect = Effect.NONE) -> list[Step]:
    """The same for what was running: the lifecycle leads to ``completed`` through ``review`` only."""
    step = node_step(path, changes, effect)
    if changes.get("status") != "completed":
        return [step]
    return [node_step(path, {"status": "review"}), step]


class Feed:
    """Takes steps from any task (`put`), publishes them in order (`run`, in a task of its own).

    `pace` is in events per second and may be changed while running.
    """

    def __init__(self, sink: Sink, project: ProjectId, folders: Folders, pace: float) -> None:
        self.pace = pace
        self.sent = 0
        self._sink = sink
        self._project = project
        self._folders = folders
        self._tell_folders = False
        self._told = -FOLDER_NEWS
        self._due = 0.0
        self._steps, self._waiting = trio.open_memory_channel[Step | None](2 * MOST_EVENTS)

    async def put(self, step: Step) -> None:
        """Send `step` in its turn; waits while the feed is behind."""
        await self._steps.send(step)

    async def tell_folders(self) -> None:
        """All files are known: once the steps before this one are sent, folders' news goes between them."""
        await self._steps.send(None)

    def end(self) -> None:
        """No more steps come: `run` returns when everything is durable."""
        self._steps.close()

    async def run(self) -> None:
        """Publish until `end`. Cancelling drops what was not handed over."""
        async for first in self._waiting:
            events = self._batch(first)
            if events:
                await self._publish(events)
            if self._tell_folders and trio.current_time() - self._told >= FOLDER_NEWS:
                self._told = trio.current_time()
                await self._publish_news()
        await self._publish_news()
        await self._sink.settled()

    def _batch(self, first: Step | None) -> list[Event]:
        most = max(1, min(MOST_EVENTS, int(self.pace * FLUSH)))
        events: list[Event] = []
        step = first
        while step is not None:
            events.append(self._event(step))
            if len(events) == most:
                return events
            try:
                step = self._waiting.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return events
        self._tell_folders = True
        return events

    async def _publish(self, events: list[Event]) -> None:
        await self._sink.publish(events)
        self.sent += len(events)
        self._due = max(self._due, trio.current_time() - FLUSH) + max(SHORTEST, len(events) / self.pace)
        await trio.sleep_until(self._due)

    async def _publish_news(self) -> None:
        news = self._news()
        for start in range(0, len(news), MOST_EVENTS):
            await self._publish(news[start : start + MOST_EVENTS])

    def _news(self) -> list[Event]:
        return [
            self._event(step)
            for path, progress, status in self._folders.changed()
            for step in node_steps(path, _folder_changes(progress, status))
        ]

    def _event(self, step: Step) -> Event:
        if step.effect is Effect.VANISHED:
            self._folders.vanish(step.folder)
        elif step.effect is not Effect.NONE:
            self._folders.finish(step.folder, failed=step.effect is Effect.FAILED)
        return Event(step.type, self._project, step.data, now_text())


def _folder_changes(progress: int, status: str) -> Json:
    changes: Json = {"progress": progress, "status": status}
    if status != "running":
        changes["ended_at"] = now_text()
    return changes


def now_text() -> str:
    """The time now, as events carry it."""
    return format_time(datetime.now(UTC))
