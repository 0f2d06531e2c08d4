"""Executions as work to be done: made, found, claimed, changed. All of it is events of their projects.

What a worker asks is judged on the project as everything accepted before leaves it, and accepted in the
same breath: of several claims exactly one wins, and it is durable when it is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import trio

from tasktree_rt.brokers.base import Key, Summary
from tasktree_rt.core.access import Grants
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
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.executions.preconditions import (
    MAX_NAME,
    ExecutionFilter,
    MovedOn,
    as_it_was,
    check_changes,
    is_pending,
    is_with,
    may_be,
    missing,
    staged_word,
    told,
    waits,
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


class WorkQueue:
    """See the module's docstring. There may be several for one hub."""

    def __init__(
        self,
        context: HubContext,
        publisher: Publisher,
        cache: ProjectCache,
        activity: Activity,
        idle: IdleProjects,
        stopping: Stopping,
    ) -> None:
        self._context = context
        self._publisher = publisher
        self._cache = cache
        self._activity = activity
        self._idle = idle
        self._stopping = stopping
        self._queue = WaitingWorkers()
        self._follows = False
        self._known = False

    # --- asking -----------------------------------------------------------------------------------

    async def find(self, execution: str, grants: Grants) -> Json:
        """One execution.

        Raises:
            PeerError: ``forbidden``, ``not_found``, ``invalid_project_id``.
        """
        name = project_of(execution)
        if not grants.watch.covers(name):
            raise Refused(f"you may not watch {name!r}")
        return await told(await self._loaded(name))

    async def page(self, wish: ExecutionFilter, after: str) -> list[Json]:
        """The executions behind `after`, by id."""
        found: list[Json] = []
        async with aclosing(self._rows(after)) as rows:
            async for row in rows:
                if wish.scope.covers(row.project_id) and may_be(row, wish.status):
                    project = await self._cache.find(row.project_id)
                    if project is not None and project.epoch and wish.met(project):
                        found.append(await told(project))
                if len(found) == wish.limit:
                    break
        self._idle.put_away()
        return found

    async def waiting(self, wish: ExecutionFilter, patience: float) -> list[Json]:
        """The executions that wait to be claimed, the oldest first; as soon as there is one, at the latest
        after `patience` seconds, or when the hub stops.
        """
        end = trio.current_time() + patience
        await self._look_for_pending()
        with self._queue.waiting(wish.scope, wish.workflows) as worker:
            names = self._queue.names(wish.workflows)
            while True:
                found = await self._pending(names, wish)
                if found or self._stopping.begun or trio.current_time() >= end:
                    return found
                with trio.move_on_at(end):
                    await _first(worker.woken, self._stopping.over.wait)
                names = worker.take()

    async def _pending(self, names: Iterable[str], wish: ExecutionFilter) -> list[Json]:
        found: list[Json] = []
        for name in names:
            if len(found) == wish.limit:
                break
            if wish.scope.covers(name):
                project = await self._cache.find(name)
                if project is None:
                    self._queue.discard(name)
                    continue
                self._note(project)
                if is_pending(project) and wish.met(project):
                    found.append(await told(project))
        return found

    async def _look_for_pending(self) -> None:
        """Find the pending executions of the store, once; `_changed` keeps the queue from now on."""
        if self._known:
            return
        if not self._follows:
            self._follows = True
            self._activity.observe(self._changed)
        async with aclosing(self._rows("")) as rows:
            async for row in rows:
                if row.state is not None and state_word(row.state) == PENDING:
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

    async def _rows(self, after: str) -> AsyncGenerator[Summary]:
        place = PREFIX + after
        while page := await self._cache.page(place, ROWS):
            for row in page:
                place = row.project_id
                if not place.startswith(PREFIX):
                    return
                yield row

    async def _loaded(self, name: ProjectId) -> Project:
        project = await self._cache.load(name)
        if project.epoch == "" and not project.pending:
            raise missing(name)
        return project

    # --- making and changing ----------------------------------------------------------------------

    async def start(self, given: Json, grants: Grants, key: Key | None) -> tuple[Json, bool]:
        """Make an execution that waits for a worker; it, and whether it is new: with `key` the same request
        again is answered with the first.

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
        self._may_push(name, grants)
        now = self._context.timestamp()
        changes = {"title": workflow, "workflow_id": workflow, "input_data": data, "created_at": now}
        events = [self._update(name, changes), self._transition(name, None, PENDING, {})]
        fingerprint = digest(["execution", given])
        published = await self._publisher.publish(
            events, key=key, fingerprint=fingerprint, owner=grants.owner
        )
        return await told(await self._loaded(ProjectId(published.project_id))), not published.duplicate

    async def claim(self, execution: str, given: Json, grants: Grants) -> Json:
        """Take an execution that waits: one worker gets it. The same worker may say so again.

        Raises:
            PeerError: refused; ``invalid_transition`` if it does not wait, with who has it as the outcome.
        """
        name, worker = project_of(execution), worker_in(given)
        self._may_push(name, grants)
        project = await self._loaded(name)
        now = self._context.timestamp()
        took = {"worker_id": worker, "started_at": now, "ended_at": None, "error": None, "progress": None}
        events = [self._update(name, took), self._transition(name, PENDING, RUNNING, {"worker_id": worker})]
        try:
            await self._publisher.publish(events, still=waits)
        except Refused as error:
            if error.code != "invalid_transition" or worker is None:
                raise
            # It may be this worker's own claim, whose answer was lost: said once more, it is durable.
            again = self._transition(name, RUNNING, RUNNING, {"worker_id": worker})
            await self._publisher.publish(again, still=partial(is_with, worker, error))
        return await told(project)

    async def change(self, execution: str, given: Json, grants: Grants) -> Json:
        """Set an execution's status, progress, message, result or error, as far as they are given.

        Raises:
            PeerError: refused.
        """
        name = project_of(execution)
        self._may_push(name, grants)
        check_changes(given)
        while True:
            project = await self._loaded(name)
            before = project.staged.top
            events = self._changes(name, given, staged_word(project), before["project"])
            still = as_it_was(before, given.get("worker_id"))
            try:
                if events:
                    await self._publisher.publish(events, still=still)
                else:
                    still(project)
                return await told(project)
            except MovedOn:
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
                f"the execution is {was}, not to become {status}", code="invalid_transition", field="status"
            )
        if status in TERMINAL:
            changes = {"ended_at": now, **changes}
        elif status == PENDING:
            nothing = ("worker_id", "started_at", "ended_at", "progress", "result", "error")
            changes = {**dict.fromkeys(nothing), **changes}
        elif "started_at" not in fields:
            changes = {"started_at": now, **changes}
        # In one publish, the fields first: whoever sees the state sees them.
        return [self._update(name, changes), self._transition(name, was, status, {})]

    @staticmethod
    def _may_push(name: ProjectId, grants: Grants) -> None:
        if not grants.push.covers(name):
            raise Refused(f"you may not push to {name!r}")

    def _update(self, name: ProjectId, changes: Json) -> Event:
        return Event("project_update", name, {"changes": changes}, self._context.timestamp())

    def _transition(self, name: ProjectId, was: str | None, to: str, context: Json) -> Event:
        context = {key: value for key, value in context.items() if value is not None}
        data: Json = {"from": was, "to": to, "context": context}
        return Event("state_transition", name, data, self._context.timestamp())


async def _first(*waits: Callable[[], Any]) -> None:
    """Until one of them is over."""
    async with trio.open_nursery() as nursery:

        async def wait(one: Callable[[], Any]) -> None:
            await one()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)
