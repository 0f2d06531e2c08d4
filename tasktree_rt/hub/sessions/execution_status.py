"""The session of a watcher of one execution's status."""

from __future__ import annotations

import trio

from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.close_codes import MAX_REASON, NOT_FOUND, OVERLOADED, TOKEN_INVALID
from tasktree_rt.core.events import is_project_id, shown
from tasktree_rt.core.executions import PREFIX, Tally
from tasktree_rt.core.protocol import Ping, Policy, Pong
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import PeerError, Refused, Unavailable
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.executions.status_feed import StatusWatcher, no_such
from tasktree_rt.hub.executions.status_notifier import AT_ONCE, counted
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.sessions.base import ConnectionSession


class ExecutionSession(ConnectionSession):
    """Sends the status of one execution until it is over; with `nodes` and `logs`, its nodes and log lines
    too.
    """

    __slots__ = ("_execution", "_logs", "_nodes", "_watcher")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        execution: str,
        *,
        nodes: bool,
        logs: bool,
        grants: Grants,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=Policy.NEWEST, address=address)
        self._execution = execution
        self._nodes = nodes
        self._logs = logs
        self._watcher: StatusWatcher | None = None

    def begin(self) -> None:
        """Watch the execution: at once if its project is in memory, else in a task."""
        name = f"{PREFIX}{self._execution}"
        if not self._may_watch(name) and Verb.WATCH not in self.hub.access.asked:
            self._refuse()
        elif not is_project_id(name):
            self._unknown()
        elif (project := self._present(name)) is not None:
            self._join(project, Tally())
        else:
            self._begun = trio.Event()
            self._start(self._load)

    def _may_watch(self, name: str) -> bool:
        return access.may(self.subscriber.grants, Verb.WATCH, name)

    def _refuse(self) -> None:
        self.fail(Refused(f"you may not watch the execution {shown(self._execution)}"))
        self.close(TOKEN_INVALID)

    def _present(self, name: str) -> Project | None:
        """Return the project if the caller may watch it and it needs no task."""
        project = self.hub.cache.get(name) if self._may_watch(name) else None
        return project if project is not None and self._is_quick(project) else None

    async def _load(self) -> None:
        assert self._begun is not None
        try:
            name = f"{PREFIX}{self._execution}"
            if not self._may_watch(name):
                grants = self.subscriber.grants
                self.subscriber.grants = await self.hub.access.extended(grants, Verb.WATCH, name)
            if not self._may_watch(name):
                self._refuse()
                return
            while True:
                project = await self.hub.cache.load(name)
                tally = await counted(project)
                if self.hub.cache.get(name) is project:  # still the one in memory
                    break
            self._join(project, tally)
        except PeerError as error:
            self.fail(error)
            self.close(
                OVERLOADED if isinstance(error, Unavailable) else NOT_FOUND, error.message[:MAX_REASON]
            )
        except Exception as error:
            self.hub.report_fault("subscribe", error)
            self.subscriber.abort("fault")
        finally:
            self._begun.set()
            self._begun = None

    def _is_quick(self, project: Project) -> bool:
        """Return whether the nodes can be counted without yielding."""
        return len(project.tree) <= AT_ONCE or self.hub.status_notifier.watched(project.project_id)

    def _join(self, project: Project, tally: Tally) -> None:
        if project.epoch == "":
            self._unknown()
        elif not self.subscriber.closing:
            self._watcher = self.hub.status_notifier.join(
                project, self.subscriber, tally, nodes=self._nodes, logs=self._logs
            )

    def _unknown(self) -> None:
        self.subscriber.reply(no_such(self._execution))
        self.close(NOT_FOUND)

    async def message(self, message: str | bytes) -> None:
        """Answer a ping; refuse anything else."""
        if self._begun is not None:
            await self._begun.wait()
        await self.pace(message)
        try:
            self.admit()
            if isinstance(self.subscriber.dialect.decode(message), Ping):
                self.subscriber.reply(Pong(None))
        except PeerError as error:
            self.fail(error)
        if self.subscriber.outbox.crowded:
            await self.subscriber.outbox.room()

    def ended(self, code: int | None, reason: str) -> None:
        """See `transport.Session`."""
        if self._watcher is not None:
            self.hub.status_notifier.leave(self._watcher)
            self.hub.cache.left(self._watcher.feed.name)
        super().ended(code, reason)
