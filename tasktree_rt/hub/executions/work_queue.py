"""The queue of executions: start, find, claim and change them. Each change is events of the execution's
project.

The hub checks a worker's request against the project after every publish accepted before, and accepts it in
the same step. So of several claims exactly one wins, and it is durable when the hub answers.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import trio

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import Event, Json, ProjectId, shown
from tasktree_rt.core.executions import (
    PENDING,
    PREFIX,
    RUNNING,
    TERMINAL,
    TRANSITIONS,
    execution_of,
    project_of,
    state_word,
)
from tasktree_rt.dialects.base import digest
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access.hooks import Decisions
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.executions.preconditions import (
    MAX_NAME,
    Changed,
    ExecutionFilter,
    check_changes,
    execution_json,
    is_pending,
    may_have_status,
    no_execution,
    require_pending,
    require_worker,
    staged_status,
    unchanged_since,
    worker_in,
)
from tasktree_rt.hub.executions.waiting_workers import UNKNOWN, WaitingWorkers
from tasktree_rt.hub.projects.activity import Activity
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.idle_projects import IdleProjects
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.publisher import Publisher
from tasktree_rt.hub.stopping import Stopping

ROWS: Final = 1_000
RESCAN: Final = 1.0
"""`rescan` where several hubs share the store."""


class WorkQueue:
    """See the module's docstring. A hub may have several."""

    def __init__(
        self,
        context: HubContext,
        publisher: Publisher,
        cache: ProjectCache,
        activity: Activity,
        idle: IdleProjects,
        stopping: Stopping,
        decisions: Decisions,
        rescan: float = math.inf,
    ) -> None:
        self._rescan = rescan
        """Seconds after which a waiting worker looks for executions that other hubs started."""
        self._decisions = decisions
        self._context = context
        self._publisher = publisher
        self._cache = cache
        self._activity = activity
        self._idle = idle
        self._stopping = stopping
        self._queue = WaitingWorkers()
        self._follows = False
        self._known = False

    # --- finding -----------------------------------------------------------------------------------

    async def find(self, execution: str, grants: Grants) -> Json:
        """Return one execution.

        Raises:
            PeerError: ``forbidden``, ``not_found``, ``invalid_project_id``.
        """
        name = project_of(execution)
        await self._require(grants, Verb.WATCH, name)
        return await execution_json(await self._loaded(name))

    async def page(self, wanted: ExecutionFilter, after: str) -> list[Json]:
        """Return the executions that match, by id, from the first one after `after`."""
        found: list[Json] = []
        async with aclosing(self._cache.summaries(PREFIX, after, ROWS)) as rows:
            async for row in rows:
                if wanted.scope.covers(row.project_id) and may_have_status(row, wanted.status):
                    project = await self._cache.find(row.project_id)
                    if project is not None and project.epoch and wanted.matches(project):
                        found.append(await execution_json(project))
                if len(found) == wanted.limit:
                    break
        self._idle.put_away()
        return found

    async def waiting(self, wanted: ExecutionFilter, patience: float) -> list[Json]:
        """Return the pending executions that match, the oldest first.

        Waits until there is one, for at most `patience` seconds, or until the hub stops.
        """
        end = trio.current_time() + patience
        await self._find_pending()
        with self._queue.waiting(wanted.scope, wanted.workflows) as worker:
            names = self._queue.names(wanted.workflows)
            while True:
                found = await self._pending(names, wanted)
                if found or self._stopping.begun or trio.current_time() >= end:
                    return found
                with trio.move_on_at(min(end, trio.current_time() + self._rescan)):
                    await _first(worker.woken, self._stopping.over.wait)
                names = worker.take()
                if not names and self._rescan < end - trio.current_time():
                    await self._find_pending()
                    names = self._queue.names(wanted.workflows)

    async def _pending(self, names: Iterable[str], wanted: ExecutionFilter) -> list[Json]:
        found: list[Json] = []
        for name in names:
            if len(found) == wanted.limit:
                break
            if wanted.scope.covers(name):
                project = await self._cache.find(name)
                if project is None:
                    self._queue.discard(name)
                    continue
                self._note(project)
                if is_pending(project) and wanted.matches(project):
                    found.append(await execution_json(project))
        return found

    async def _find_pending(self) -> None:
        """Read the pending executions from the store, once; `_changed` keeps the queue up to date from then
        on. Where other hubs start executions too, read them each time.
        """
        if self._known and self._rescan == math.inf:
            return
        if not self._follows:
            self._follows = True
            self._activity.observe(self._changed)
        async with aclosing(self._cache.summaries(PREFIX, at_once=ROWS)) as rows:
            async for row in rows:
                pending = row.state is not None and state_word(row.state) == PENDING
                if pending and row.project_id not in self._queue:
                    self._queue.add(row.project_id, UNKNOWN)
        self._known = True

    def _changed(self, project: Project) -> None:
        if execution_of(project.project_id) is not None:
            self._note(project)

    def _note(self, project: Project) -> None:
        """Enter the execution if it waits for a worker; take it out if it does not."""
        if is_pending(project):
            workflow = project.tree.top["project"].get("workflow_id")
            self._queue.add(project.project_id, workflow if isinstance(workflow, str) else "")
        else:
            self._queue.discard(project.project_id)

    async def _loaded(self, name: ProjectId) -> Project:
        project = await self._cache.load(name)
        if project.epoch == "" and not project.pending:
            raise no_execution(name)
        return project

    # --- starting and changing ----------------------------------------------------------------------

    async def start(self, given: Json, grants: Grants, key: Key | None) -> tuple[Json, bool]:
        """Start an execution; returns it, and whether it is new.

        With `key` a repeated request returns the execution of the first one.

        Raises:
            PeerError: refused.
        """
        workflow, data = given.get("workflow_id"), given.get("input_data", {})
        if not isinstance(workflow, str) or not 0 < len(workflow) <= MAX_NAME:
            raise InvalidInput(
                f"expected 1-{MAX_NAME} characters, got {shown(workflow)}", field="workflow_id"
            )
        if not isinstance(data, dict):
            raise InvalidInput(f"expected an object, got {shown(data)}", field="input_data")
        name = project_of(f"{self._context.wall():013x}{secrets.token_hex(4)}")
        await self._require(grants, Verb.PUSH, name)
        now = self._context.timestamp()
        changes = {"title": workflow, "workflow_id": workflow, "input_data": data, "created_at": now}
        events = [self._update(name, changes), self._transition(name, None, PENDING, {})]
        fingerprint = digest(["execution", given])
        published = await self._publisher.publish(
            events, key=key, fingerprint=fingerprint, owner=grants.owner
        )
        project = await self._loaded(ProjectId(published.project_id))
        return await execution_json(project), not published.duplicate

    async def claim(self, execution: str, given: Json, grants: Grants) -> Json:
        """Claim a pending execution for one worker. The same worker may repeat its claim.

        Raises:
            PeerError: refused; ``invalid_transition`` if it is not pending: the outcome names its worker.
        """
        name, worker = project_of(execution), worker_in(given)
        await self._require(grants, Verb.PUSH, name)
        project = await self._loaded(name)
        now = self._context.timestamp()
        took = {"worker_id": worker, "started_at": now, "ended_at": None, "error": None, "progress": None}
        events = [self._update(name, took), self._transition(name, PENDING, RUNNING, {"worker_id": worker})]
        try:
            await self._publisher.publish(events, precondition=require_pending)
        except Refused as error:
            if error.code != "invalid_transition" or worker is None:
                raise
            # This worker may repeat its own claim, whose answer was lost: another commit makes it durable.
            again = self._transition(name, RUNNING, RUNNING, {"worker_id": worker})
            await self._publisher.publish(again, precondition=partial(require_worker, worker, error))
        return await execution_json(project)

    async def change(self, execution: str, given: Json, grants: Grants) -> Json:
        """Set an execution's status, progress, message, result or error, as far as they are given.

        Raises:
            PeerError: refused.
        """
        name = project_of(execution)
        await self._require(grants, Verb.PUSH, name)
        check_changes(given)
        while True:
            project = await self._loaded(name)
            before = project.staged.top
            events = self._changes(name, given, staged_status(project), before["project"])
            precondition = unchanged_since(before, given.get("worker_id"))
            try:
                if events:
                    await self._publisher.publish(events, precondition=precondition)
                else:
                    precondition(project)
                return await execution_json(project)
            except Changed:
                continue

    def _changes(self, name: ProjectId, given: Json, was: str, fields: Json) -> list[Event]:
        now = self._context.timestamp()
        changes: Json = {
            one: given[one] for one in ("progress", "message", "result", "error") if one in given
        }
        status = given.get("status")
        if status is None or status == was:
            return [self._update(name, changes)] if changes else []
        if status not in TRANSITIONS[was]:
            raise Refused(
                f"the execution is {was}, which cannot become {status}",
                code="invalid_transition",
                field="status",
            )
        if status in TERMINAL:
            changes = {"ended_at": now, **changes}
        elif status == PENDING:
            nothing = ("worker_id", "started_at", "ended_at", "progress", "result", "error")
            changes = {**dict.fromkeys(nothing), **changes}
        elif "started_at" not in fields:
            changes = {"started_at": now, **changes}
        # One publish, the fields first: a watcher that sees the state has them already.
        return [self._update(name, changes), self._transition(name, was, status, {})]

    async def _require(self, grants: Grants, verb: Verb, name: ProjectId) -> None:
        await self._decisions.require(grants, verb, [name])

    def _update(self, name: ProjectId, changes: Json) -> Event:
        return Event("project_update", name, {"changes": changes}, self._context.timestamp())

    def _transition(self, name: ProjectId, was: str | None, to: str, context: Json) -> Event:
        context = {key: value for key, value in context.items() if value is not None}
        data: Json = {"from": was, "to": to, "context": context}
        return Event("state_transition", name, data, self._context.timestamp())


async def _first(*waits: Callable[[], Any]) -> None:
    """Wait until the first of several waits is over."""
    async with trio.open_nursery() as nursery:

        async def wait(one: Callable[[], Any]) -> None:
            await one()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)
