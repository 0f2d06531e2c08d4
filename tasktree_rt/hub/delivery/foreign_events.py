"""Apply what other hubs append, in the order of the log, beside this hub's own publishes.

A hub hears of other hubs' records in three ways: with the answer to its own publish, by hints, and by reading
the log. Each record is applied once, when it joins the applied head. One that does not join yet waits for
this hub's own publish before it; if none is pending, something was missed, and the log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Appended, Foreign
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreDamaged
from tasktree_rt.hub.delivery.encoded_batch import Run, Runs
from tasktree_rt.hub.projects.checkpoints import change
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
Touched = Callable[[Project, int, float], None]
MOST: Final = 2_000
"""Pieces that may wait for a tick before the hub reads no more hints."""
MOST_OF_ONE: Final = 200
"""Pieces of one log that may wait for an own publish; with more the log is read."""


class ForeignEvents:
    """See the module's docstring.

    Args:
        behind: called with a log of which something was missed.
        reloaded: called with a project that was read anew and the position where it stood before.
        woken: called when a tick has to run.
    """

    def __init__(
        self,
        large: LargeValues,
        *,
        behind: Callable[[str], None],
        reloaded: Callable[[Project, Position], None],
        woken: Callable[[], None],
    ) -> None:
        self._large = large
        self._behind = behind
        self._reloaded = reloaded
        self._woken = woken
        self._new: list[tuple[Project, Foreign]] = []
        self._waiting: dict[str, list[tuple[Project, Foreign]]] = {}
        self._fresh: list[tuple[Project, Project]] = []
        self._taken = trio.Event()
        self.events = 0
        """Count of other hubs' events applied since the hub began."""

    # --- what comes in --------------------------------------------------------------------------------

    def put(self, project: Project, found: Foreign) -> None:
        """Queue records for the next tick."""
        self._new.append((project, found))
        self._woken()

    def put_fresh(self, project: Project, fresh: Project) -> None:
        """Let `project` go on as `fresh`, which was just read, in the next tick."""
        self._fresh.append((project, fresh))
        self._woken()

    async def room(self) -> None:
        """Wait until a tick has taken what waits, if that is much."""
        while len(self._new) > MOST:
            await self._taken.wait()

    async def taken(self) -> None:
        """Wait until a tick has taken all that waits."""
        while self._new or self._fresh:
            await self._taken.wait()

    # --- what a tick calls ----------------------------------------------------------------------------

    def reload(self, touched: Touched, now: float) -> None:
        """Let the projects that were read anew go on as they are in the store."""
        fresh, self._fresh = self._fresh, []
        for project, found in fresh:
            before = project.position
            if found.epoch == project.epoch and found.tree.head <= before.seq:
                continue
            project.become(found)
            touched(project, (project.epoch != "") - (before.epoch != ""), now)
            self._reloaded(project, before)

    def apply_missed(self, publish: PendingPublish, runs: Runs) -> None:
        """Apply what other hubs appended before a publish of this hub."""
        missed = publish.missed
        if missed is not None and not self._take(publish.project, missed, runs):
            self._behind(missed.topic)

    def joins(self, publish: PendingPublish, outcome: Appended) -> bool:
        """Return whether a stored publish is the next in the log. If not, it was read already, or the log is
        read.
        """
        project = publish.project
        head = project.tree.head
        begins = project.epoch == "" and outcome.first == 1
        if begins or (outcome.epoch == project.epoch and outcome.first == head + 1):
            return True
        last = outcome.first + len(publish.append.drafts) - 1
        if outcome.epoch != project.epoch or last > head:
            self._behind(project.project_id)
        return False

    def apply(self, runs: Runs, touched: Touched, now: float) -> None:
        """Apply what came by itself, as far as it joins."""
        new, self._new = self._new, []
        self._taken.set()
        self._taken = trio.Event()
        kept: dict[str, list[tuple[Project, Foreign]]] = {}
        for pieces in (*self._waiting.values(), new):
            for project, found in pieces:
                before = project.position
                if not self._take(project, found, runs):
                    kept.setdefault(found.topic, []).append((project, found))
                if project.position != before:
                    touched(project, (project.epoch != "") - (before.epoch != ""), now)
        self._waiting = {}
        for topic, pieces in kept.items():
            project = pieces[0][0]
            if project.pending and len(pieces) <= MOST_OF_ONE:
                self._waiting[topic] = pieces
            else:
                self._behind(topic)

    def _take(self, project: Project, found: Foreign, runs: Runs) -> bool:
        """Apply the records that join the head; return False if one does not."""
        if found.epoch != project.epoch:
            if project.epoch != "" or found.records[0].seq != 1:
                return False
            head = 0
        else:
            head = project.tree.head
        records = [one for one in found.records if one.seq > head]
        if not records:
            return True
        if records[0].seq != head + 1:
            return False
        return self._apply(project, found, records, runs)

    def _apply(self, project: Project, found: Foreign, records: Sequence[Record], runs: Runs) -> bool:
        """Apply records of which the first one joins; return False if a later one does not."""
        project.unstage()
        run = runs.of(project, found.epoch, found.owner)
        try:
            for record in records:
                if record.seq != project.tree.head + 1:
                    return False
                self._apply_one(project, record, run)
        except StoreDamaged as damage:
            log.error("record damaged", project=damage.topic, reason=damage.reason)
            return False
        finally:
            project.stage_again()
        return True

    def _apply_one(self, project: Project, record: Record, run: Run) -> None:
        shown, step = change(project.project_id, project.tree, record, self._large)
        project.staged.apply(step)
        project.apply(shown, step, len(record.body))
        project.stored_bytes += len(record.body)
        run.records.append(shown)
        self.events += 1
        if record.type == "project_deleted":
            project.end_epoch(shown)
