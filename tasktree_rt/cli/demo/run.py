"""The demo's job: walk a folder, push every entry as a node, work on every file, push the progress.

It walks and pushes the whole folder first (files ``ready``, folders ``running`` at 0 %). Then a few
workers take the files in order. A new run of the same folder clears the tree of the run before with its
first publish, so that nodes of files gone since do not stay.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final, Protocol

import trio
from attrs import define, field

from tasktree_rt.cli.demo.feed import (
    Effect,
    Feed,
    Sink,
    Step,
    log_step,
    node_step,
    node_steps,
    now_text,
    state_step,
)
from tasktree_rt.cli.demo.files import CANCELLED, COMPLETED, FAILED, READY, RUNNING, VANISHED, Files
from tasktree_rt.cli.demo.ignored_files import left_out
from tasktree_rt.cli.demo.names import ROOT, node_id, title
from tasktree_rt.cli.demo.pause import Gate
from tasktree_rt.cli.demo.tree import Folders
from tasktree_rt.cli.demo.walk import Entry, Kind, walk
from tasktree_rt.cli.demo.work import Done, Outcome, Unreadable, Vanished, examine
from tasktree_rt.core.events import Event, Json, ProjectId

WORKERS: Final = max(2, min(4, os.cpu_count() or 1))
SLICE: Final = 256
"""Entries that a thread walks at a time."""
WALK_PACE: Final = 2_000.0
"""Events per second of the walk without ``--pace``."""
WATCHABLE: Final = 12.0
"""Seconds that the work takes without ``--pace`` …"""
SLOWEST: Final = 20.0
FASTEST: Final = 4_000.0
"""… within these bounds, in events per second."""


WORK: Final = "the SHA-256 of every file, and whether every .py compiles"
"""The messages of the folder's node, by phase."""


class Report(Protocol):
    """What a report of the job's progress provides."""

    def walked(self, folders: int, files: int) -> None:
        """Report that all entries of the folder are known."""

    def left_out(self, what: str) -> None:
        """Report that an entry is left out."""

    def worked(self, path: bytes, fault: str | None) -> None:
        """Report a finished file."""


@define
class Totals:
    """The totals of a run."""

    folders: int = 0
    files: int = 0
    failed: int = 0
    vanished: int = 0
    cancelled: int = 0


@define(eq=False)
class Job:
    """A run of the demo, and the retries after it.

    A run may end early: then every unfinished node, and the project, becomes ``cancelled``.

    Attributes:
        root: the folder.
        pace: events per second; None for a quick but watchable one.
        everything: leave nothing out, not even what git ignores.
        feed: takes the steps; None while no work is done.
        turn: held while a command changes the work, so that the feed does not end meanwhile.
        rest: set while no work is done.
        broken_off: whether work was left when the run ended early.
    """

    root: bytes
    project: ProjectId
    sink: Sink
    report: Report
    pace: float | None = None
    everything: bool = False
    folders: Folders = field(factory=Folders, init=False)
    files: Files = field(factory=Files, init=False)
    gate: Gate = field(factory=Gate, init=False)
    feed: Feed | None = field(default=None, init=False)
    turn: trio.Lock = field(factory=trio.Lock, init=False)
    rest: trio.Event = field(factory=trio.Event, init=False)
    walking: bool = field(default=True, init=False)
    broken_off: bool = field(default=False, init=False)
    _working: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _wanted: trio.Event = field(factory=trio.Event, init=False)

    def break_off(self) -> None:
        """Stop working; `run` tells the hub as fast as it can, and returns."""
        self.gate.break_off()
        self._working.cancel()

    async def run(self) -> Totals:
        """Run the job; return when all events are durable. Cancelling stops it without further events.

        Raises:
            PeerError, ClientError: the hub refuses an event.
        """
        await self.sink.publish(_opening(self.project, self.root))
        await self._round(self.pace or WALK_PACE, self._walk)
        return self.totals()

    async def go_on(self) -> None:
        """After `run`: retry the files that `try_again` queues, until cancelled."""
        while not self.broken_off:
            await self._wanted.wait()
            self._wanted = trio.Event()
            self.rest = trio.Event()
            await self._round(self.pace or SLOWEST, self._reopen)

    def try_again(self, paths: Iterable[bytes]) -> None:
        """Retry failed files."""
        self.files.again(paths)
        if self.feed is None:
            self._wanted.set()

    @staticmethod
    def cancelled(path: bytes) -> list[Step]:
        """Return the step of a cancelled file."""
        return _outcome_steps(path, None)

    def totals(self) -> Totals:
        """Return the totals so far."""
        count = self.files.count
        ends = count(FAILED), count(VANISHED), count(CANCELLED)
        return Totals(len(self.folders), len(list(self.files)), *ends)

    async def _round(self, pace: float, begin: Callable[[Feed], Awaitable[None]]) -> None:
        """Begin, work on every queued file, and push how the round ended."""
        feed = self.feed = Feed(self.sink, self.project, self.folders, pace, self.gate)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.run)
            with self._working:
                await begin(feed)
                while await self._more():
                    await self._work(feed)
            async with self.turn:
                self.feed = None
            self.broken_off = self._working.cancelled_caught and (self.walking or self.files.unfinished)
            if self.broken_off:
                await self.sink.publish([_state(self.project, "cancelled")])
                feed.break_off()
                self.files.give_up()
            else:
                feed.end()
        if not self.broken_off:
            await self.sink.publish([_state(self.project, self.folders[b""].status)])
            self._working = trio.CancelScope()
        await self.sink.settled()
        self.rest.set()

    async def _more(self) -> bool:
        """Return whether there is work; if not, this round accepts none any more."""
        async with self.turn:
            if not self.files.waiting:
                self.feed = None
            return self.files.waiting

    async def _walk(self, feed: Feed) -> None:
        """Publish a node for every entry of the folder."""
        leaving = await trio.to_thread.run_sync(partial(left_out, self.root, everything=self.everything))
        entries = walk(self.root, leaving)
        while chunk := await trio.to_thread.run_sync(_next_slice, entries):
            for entry in chunk:
                self._note(entry)
                steps = _first_steps(entry, self.root)
                await self.gate.passed()
                await feed.put(*steps)
        totals = self.totals()
        self.report.walked(totals.folders, totals.files)
        if what := str(leaving):
            self.report.left_out(what)
        await feed.tell_folders()
        feed.pace = self.pace or _work_pace(totals.files)
        self.walking = False
        if what:
            await feed.put(node_step(b"", {"message": f"{WORK}; {what}"}), log_step(b"", what))

    def _note(self, entry: Entry) -> None:
        if entry.kind is Kind.FOLDER:
            self.folders.add_folder(entry.path, broken=entry.fault is not None)
        elif entry.kind is Kind.FILE:
            self.folders.add_file(entry.parent)
            self.files.add(entry.path, failed=entry.fault is not None)
            if entry.fault is not None:
                self.folders.finish(entry.parent, failed=True)

    async def _reopen(self, feed: Feed) -> None:
        await feed.put(state_step("running"))
        await feed.tell_folders()

    async def _work(self, feed: Feed) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._worker, feed)

    async def _worker(self, feed: Feed) -> None:
        await self.gate.passed()
        while self.files.waiting:
            path, again, scope = self.files.take()
            outcome: Outcome | None = None
            # Outside the scope: a file whose work has not begun cannot end.
            await feed.put(*_begin_steps(path, again=again))
            with scope:
                outcome = await self._examine(path)
                await self.gate.passed()
            if scope.cancelled_caught:
                outcome = None
            await feed.put(*_outcome_steps(path, outcome))
            self.files.end(path, _status(outcome))
            self.report.worked(path, None if outcome is None else getattr(outcome, "fault", None))
            await self.gate.passed()

    async def _examine(self, path: bytes) -> Outcome:
        full = os.path.join(self.root, path)
        return await trio.to_thread.run_sync(examine, full, self.gate.hold, abandon_on_cancel=True)


def _next_slice(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, SLICE))


def _work_pace(files: int) -> float:
    return min(FASTEST, max(SLOWEST, 6 * files / WATCHABLE))


def _first_steps(entry: Entry, root: bytes) -> list[Step]:
    steps = [node_step(entry.path, _first_changes(entry, root))]
    if entry.fault is not None:
        steps.append(log_step(entry.path, entry.fault, "error"))
    return steps


def _first_changes(entry: Entry, root: bytes) -> Json:
    """Return the first node of an entry."""
    changes: Json = {
        "title": title(entry.path or root) or "/",
        "kind": entry.kind.value,
        "order": entry.order,
    }
    if entry.path:
        changes["parent_id"] = node_id(entry.parent)
    said = entry.fault or entry.note or ("" if entry.path else WORK)
    if said:
        changes["message"] = said
    if entry.kind is Kind.FOLDER:
        changes |= {"status": "running", "progress": 0, "started_at": now_text()}
    elif entry.fault is not None:
        changes |= {"status": "failed", "ended_at": now_text()}
    else:
        changes["status"] = "ready" if entry.kind is Kind.FILE else "completed"
    return changes


def _begin_steps(path: bytes, *, again: bool) -> list[Step]:
    running: Json = {"status": RUNNING, "started_at": now_text()}
    if not again:
        return [node_step(path, running), log_step(path, "reading")]
    clear = {"status": READY, "message": None, "ended_at": None, "size": None, "sha256": None}
    reopened = node_step(path, clear, Effect.REOPENED)
    return [reopened, node_step(path, running), log_step(path, "reading it again")]


def _outcome_steps(path: bytes, outcome: Outcome | None) -> list[Step]:
    changes: Json = {"ended_at": now_text()}
    match outcome:
        case None:
            cancelled = node_step(path, {**changes, "status": CANCELLED}, Effect.CANCELLED)
            return [log_step(path, "cancelled", "warning"), cancelled]
        case Vanished():
            return [node_step(path, {"deleted": True}, Effect.VANISHED)]
        case Unreadable(fault):
            failed = node_step(path, {**changes, "status": FAILED, "message": fault}, Effect.FAILED)
            return [log_step(path, fault, "error"), failed]
        case Done(size, sha256, fault, trace):
            read = log_step(path, f"{size} bytes, SHA-256 {sha256}")
            changes |= {"size": size, "sha256": sha256}
            if fault is None:
                done: Json = {**changes, "status": COMPLETED, "progress": 100}
                return [read, *node_steps(path, done, Effect.FINISHED)]
            failed = node_step(path, {**changes, "status": FAILED, "message": fault}, Effect.FAILED)
            return [read, log_step(path, trace or fault, "error"), failed]


def _status(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return CANCELLED
        case Vanished():
            return VANISHED
        case Done(fault=None):
            return COMPLETED
        case _:
            return FAILED


def _opening(project: ProjectId, root: bytes) -> list[Event]:
    """Clear the tree of an earlier run and name the project, in one publish."""
    clear = {"node_id": ROOT, "changes": {"deleted": True}}
    name = {"changes": {"title": title(root) or "/", "group": "demo"}}
    return [
        Event("node_update", project, clear, now_text()),
        Event("project_update", project, name, now_text()),
        _state(project, "running"),
    ]


def _state(project: ProjectId, to: str) -> Event:
    return Event("state_transition", project, {"from": None, "to": to, "context": {}}, now_text())
