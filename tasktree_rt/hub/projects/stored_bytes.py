"""Count the bytes that the store has of each project's events and of each subject's, and limit them.

The store counts them itself, so that a restart changes nothing (`Broker.stored_bytes`, `Life.bytes`); the hub
adds what it commits and takes away what retention deletes. A log counts for the subject that began it. What
waits for the store is not counted yet, so a limit may be exceeded by that (`limits.max_waiting_bytes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tasktree_rt.brokers.base import Broker, Trimmed
from tasktree_rt.errors import Refused
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.settings import Limits


class StoredBytes:
    """See the module's docstring. `loaded` returns a project that is in memory, or None."""

    def __init__(self, limits: Limits, loaded: Callable[[str], Project | None]) -> None:
        self._per_project = limits.max_project_bytes
        self._per_subject = limits.max_bytes_per_subject
        self._loaded = loaded
        self._of: Counter[str] = Counter()

    async def load(self, broker: Broker) -> None:
        """Take what the store has.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        self._of = Counter(await broker.stored_bytes())

    def of(self, owner: str) -> int:
        """Return the bytes of all logs of a subject."""
        return self._of[owner]

    def check(self, owner: str, project: Project) -> None:
        """Refuse a publish to a project that is full, or whose subject is.

        Raises:
            Refused: ``project_full`` or ``subject_full``.
        """
        if project.stored_bytes >= self._per_project:
            message = f"the project's events have {project.stored_bytes} bytes in the store"
            raise Refused(f"{message} (limits.max_project_bytes)", code="project_full", field="project_id")
        owner = project.owner if project.epoch else owner
        if owner and self._of.get(owner, 0) >= self._per_subject:
            whose = "the events of the subject that began this project"
            message = f"{whose} have {self._of[owner]} bytes in the store (limits.max_bytes_per_subject)"
            raise Refused(message, code="subject_full", field="project_id")

    def touched(self, project: Project) -> None:
        """Count what a commit added to a log, or took away with its end."""
        self._add(project.owner, project.stored_bytes - project.counted_bytes)
        project.counted_bytes = project.stored_bytes

    def trimmed(self, gone: Trimmed) -> None:
        """Take away what retention has deleted."""
        self._add(gone.owner, -gone.bytes)
        project = self._loaded(gone.project_id)
        if project is not None and project.epoch == gone.epoch:
            project.stored_bytes -= gone.bytes
            project.counted_bytes -= gone.bytes

    def _add(self, owner: str, count: int) -> None:
        if count:
            left = self._of[owner] + count
            if left > 0:
                self._of[owner] = left
            else:
                del self._of[owner]
