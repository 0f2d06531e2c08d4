"""Read a project's states and events, now and in the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.branch import Branch
from tasktree_rt.core.events import Record, project_id
from tasktree_rt.core.log import Gap, Position
from tasktree_rt.core.topics import branch_topic
from tasktree_rt.core.tree import Snapshot, Tree
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.checkpoints import Checkpoints, check_events
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.past_states import PastStates
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.projects.store_errors import readable

SLICE: Final = 500
"""Nodes that are looked at before others may run."""


class History:
    """Read states and events of projects and of users' logs."""

    def __init__(
        self,
        broker: Broker,
        cache: ProjectCache,
        checkpoints: Checkpoints,
        past: PastStates,
        large: LargeValues,
    ) -> None:
        self._broker = broker
        self._cache = cache
        self._checkpoints = checkpoints
        self._past = past
        self._large = large

    async def state(self, name: str, seq: int | None = None) -> Snapshot:
        """Return a project's state now, or its state after event `seq` of its current epoch.

        Raises:
            Refused: ``not_found``, or ``gone`` before the oldest stored position.
        """
        project = await self.existing(name)
        if seq is None or seq == project.tree.head:
            return project.tree.snapshot()
        return (await self.past_state(project, seq)).snapshot

    async def log(self, topic: str) -> Project:
        """Return a project or a user's log, also one that does not exist yet.

        Raises:
            Unavailable: the store cannot be read now.
            ProjectDamaged: its log cannot be read.
        """
        return await self._cache.load(topic)

    async def existing(self, name: str) -> Project:
        """Return a project that has a log.

        Raises:
            Refused: ``not_found``.
        """
        project = await self._cache.load(project_id(name))
        if project.epoch == "":
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        return project

    async def past_state(self, project: Project, seq: int) -> SharedSnapshot:
        """Return a project's state after event `seq`; concurrent callers share it.

        Raises:
            InvalidInput: there is no such event.
            Refused: ``gone``: it is before the oldest stored position.
        """
        name, position = project.project_id, Position(project.epoch, seq)
        if not 0 <= seq <= project.tree.head:
            message = f"expected a number from 0 to {project.tree.head}"
            raise InvalidInput(message, code="invalid_position", field="at")

        async def read() -> SharedSnapshot | None:
            with readable():
                found = await self._checkpoints.state_at(name, position)
            return None if found is None else SharedSnapshot(name, found)

        found = await self._past.get((name, position), read)
        if found is None:
            raise Refused(f"the oldest position is {_oldest(project)}", code="gone", field="at")
        return found

    async def past_branch(self, project: Project, seq: int, root: str) -> SharedSnapshot:
        """Return a branch of a project as it was after event `seq`; errors as `past_state`."""
        whole = (await self.past_state(project, seq)).snapshot
        tree = Tree(whole.epoch, whole.seq)
        for nodes in whole.slices(SLICE):
            tree.load(nodes, whole.top)
            await yield_if_due()
        branch, ids = Branch(root, Tree(whole.epoch, whole.seq)), tree.subtrees((root,))
        inside = {root, *ids}.__contains__
        for start in range(0, len(ids) or 1, SLICE):
            found = ((one, tree.nodes[one]) for one in ids[start : start + SLICE])
            branch.load(found, whole.top, inside)
            await yield_if_due()
        return SharedSnapshot(branch_topic(project.project_id, root), branch.tree.snapshot())

    async def events(
        self,
        project: Project,
        place: Position,
        *,
        back: bool,
        limit: int,
        max_bytes: int,
        type: str | None,
        node_id: str | None,
    ) -> Sequence[Record]:
        """Read events of a log, the oldest first: those after `place`, or with `back` the newest before it.

        At most `limit`, and no more once they have `max_bytes`; of one `type` and of one node, if given.

        Raises:
            Refused: ``gone``: the store no longer has the events after `place`.
            Unavailable: the store cannot be read now.
            ProjectDamaged: its log cannot be read.
        """
        read = self._broker.read_back if back else self._broker.read
        name = project.project_id
        with readable():
            found = await read(name, place, limit=limit, max_bytes=max_bytes, type=type, node_id=node_id)
            if isinstance(found, Gap):
                field = "before" if back else "since"
                raise Refused(f"the oldest position is {_oldest(project)}", code="gone", field=field)
            await check_events(name, found.records)
        return [self._large.shown(record) for record in found.records]


def _oldest(project: Project) -> Position:
    return Position(project.epoch, project.floor)
