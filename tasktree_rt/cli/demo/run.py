"""The demo's job: walk a folder, push every entry as a node, work on every file, tell how far it is.

First the whole folder is walked and shown (files ``ready``, folders ``running`` at 0 %), then a few
workers take the files in order. A new run of the same folder clears the tree of the run before with its
first publish, so that nodes of files gone since do not stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

import trio
from attrs import define, frozen

from tasktree_rt.cli.demo.feed import Effect, Feed, Sink, Step, node_step, node_steps, now_text
from tasktree_rt.cli.demo.names import ROOT, node_id, title
from tasktree_rt.cli.demo.tree import Folders
from tasktree_rt.cli.demo.walk import Entry, Kind, walk
from tasktree_rt.cli.demo.work import Done, Outcome, Vanished, examine
from tasktree_rt.core.events import Event, Json, ProjectId

WORKERS: Final = max(2, min(4, os.cpu_count() or 1))
SLICE: Final = 256
"""Entries walked at a time, in a thread."""
WALK_PACE: Final = 2_000.0
"""Events per second of the walk, unless a pace was asked for."""
WATCHABLE: Final = 12.0
"""Seconds that the work is spread over, unless a pace was asked for …"""
SLOWEST: Final = 20.0
FASTEST: Final = 4_000.0
"""… within these bounds, in events per second."""


class Report(Protocol):
    """Who is told how it goes."""

    def walked(self, folders: int, files: int) -> None:
        """All entries are known."""

    def worked(self, path: bytes, fault: str | None) -> None:
        """One file is done."""


@define
class Totals:
    """What a run came to."""

    folders: int = 0
    files: int = 0
    failed: int = 0
    vanished: int = 0


@frozen
class Job:
    """One run of the demo.

    Attributes:
        root: the folder.
        pace: events per second; None for a quick but watchable one.
    """

    root: bytes
    project: ProjectId
    sink: Sink
    report: Report
    pace: float | None = None

    async def run(self) -> Totals:
        """Do it all; returns when everything pushed is durable. Cancelling stops where it is.

        Raises:
            PeerError, ClientError: the hub refuses what is pushed.
        """
        folders, totals = Folders(), Totals()
        feed = Feed(self.sink, self.project, folders, self.pace or WALK_PACE)
        await self.sink.publish(_opening(self.project, self.root))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.run)
            files = await self._walk(feed, folders, totals)
            self.report.walked(totals.folders, totals.files)
            await feed.tell_folders()
            feed.pace = self.pace or _work_pace(len(files))
            await self._work(feed, files, totals)
            feed.end()
        await self.sink.publish([_state(self.project, "failed" if folders[b""].failed else "completed")])
        await self.sink.settled()
        return totals

    async def give_up(self) -> None:
        """Say that the run was broken off."""
        root = {"node_id": ROOT, "changes": {"status": "cancelled", "ended_at": now_text()}}
        events = [Event("node_update", self.project, root, now_text()), _state(self.project, "cancelled")]
        await self.sink.publish(events)
        await self.sink.settled()

    async def _walk(self, feed: Feed, folders: Folders, totals: Totals) -> list[bytes]:
        """Push every entry; returns the files to work on, in order."""
        entries = walk(self.root)
        files: list[bytes] = []
        while chunk := await trio.to_thread.run_sync(_next_slice, entries):
            for entry in chunk:
                _count(entry, folders, totals)
                if entry.kind is Kind.FILE and entry.fault is None:
                    files.append(entry.path)
                await feed.put(node_step(entry.path, _first_changes(entry, self.root)))
        return files

    async def _work(self, feed: Feed, files: list[bytes], totals: Totals) -> None:
        waiting, work = trio.open_memory_channel[bytes](0)
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._worker, feed, work.clone(), totals)
            work.close()
            async with waiting:
                for path in files:
                    await waiting.send(path)

    async def _worker(self, feed: Feed, work: trio.MemoryReceiveChannel[bytes], totals: Totals) -> None:
        async with work:
            async for path in work:
                await feed.put(node_step(path, {"status": "running", "started_at": now_text()}))
                outcome = await self._examine(path)
                for step in _outcome_steps(path, outcome):
                    totals.failed += step.effect is Effect.FAILED
                    totals.vanished += step.effect is Effect.VANISHED
                    await feed.put(step)
                self.report.worked(path, None if isinstance(outcome, Vanished) else outcome.fault)

    async def _examine(self, path: bytes) -> Outcome:
        full = os.path.join(self.root, path)
        checkpoint = trio.from_thread.check_cancelled
        return await trio.to_thread.run_sync(examine, full, checkpoint, abandon_on_cancel=True)


def _next_slice(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, SLICE))


def _work_pace(files: int) -> float:
    return min(FASTEST, max(SLOWEST, 3 * files / WATCHABLE))


def _count(entry: Entry, folders: Folders, totals: Totals) -> None:
    if entry.kind is Kind.FOLDER:
        folders.add_folder(entry.path, broken=entry.fault is not None)
        totals.folders += 1
    elif entry.kind is Kind.FILE:
        folders.add_file(entry.parent)
        totals.files += 1
        if entry.fault is not None:
            folders.finish(entry.parent, failed=True)
            totals.failed += 1


def _first_changes(entry: Entry, root: bytes) -> Json:
    """How an entry first appears."""
    changes: Json = {"title": title(entry.path or root) or "/", "kind": entry.kind.value}
    if entry.path:
        changes["parent_id"] = node_id(entry.parent)
    said = entry.fault or entry.note
    if said is not None:
        changes["message"] = said
    if entry.kind is Kind.FOLDER:
        changes |= {"status": "running", "progress": 0, "started_at": now_text()}
    elif entry.fault is not None:
        changes |= {"status": "failed", "ended_at": now_text()}
    else:
        changes["status"] = "ready" if entry.kind is Kind.FILE else "completed"
    return changes


def _outcome_steps(path: bytes, outcome: Outcome) -> list[Step]:
    if isinstance(outcome, Vanished):
        return [node_step(path, {"deleted": True}, Effect.VANISHED)]
    changes: Json = {"ended_at": now_text()}
    if isinstance(outcome, Done):
        changes |= {"size": outcome.size, "sha256": outcome.sha256}
    if outcome.fault is not None:
        changes |= {"status": "failed", "message": outcome.fault}
        return [node_step(path, changes, Effect.FAILED)]
    return node_steps(path, {**changes, "status": "completed", "progress": 100}, Effect.FINISHED)


def _opening(project: ProjectId, root: bytes) -> list[Event]:
    """Clears what an earlier run left, and names the project; one publish, so that nobody sees half of it."""
    clear = {"node_id": ROOT, "changes": {"deleted": True}}
    name = {"changes": {"title": title(root) or "/", "group": "demo"}}
    return [
        Event("node_update", project, clear, now_text()),
        Event("project_update", project, name, now_text()),
        _state(project, "running"),
    ]


def _state(project: ProjectId, to: str) -> Event:
    return Event("state_transition", project, {"from": None, "to": to, "context": {}}, now_text())
