"""The projects in memory: read from the store at their first use, checkpointed, put away when idle.

A checkpoint's parts are JSON, opaque to the broker: the first holds the top-level fields, the others
nodes as ``[[id, fields], ...]``, about 32 KiB each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from tasktree_rt.brokers.base import Broker, Checkpoint, Life, Summary
from tasktree_rt.core.events import Record, is_project_id
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.nodes import Change, Node, Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.topics import user_of
from tasktree_rt.core.tree import Snapshot, Tree
from tasktree_rt.dialects.base import decode_body, decode_json, encode_json, measure
from tasktree_rt.errors import StoreUnavailable
from tasktree_rt.hub.health import unavailable
from tasktree_rt.hub.pace import breathe
from tasktree_rt.hub.project import PART_BYTES, Project

LOADED: Final = 4_096
"""Projects kept in memory at most, if the rest are idle."""
OLDER: Final = 1_024
READ: Final = 512
SLICE: Final = 16
"""Nodes or events between two yields to the loop, about a quarter of a millisecond."""
LAST_ID: Final = "\U0010ffff"
"""Behind every project id."""


@contextmanager
def readable() -> Iterator[None]:
    """Inside, a store that cannot be read is what a peer is told.

    Raises:
        Unavailable: for every `StoreUnavailable`.
    """
    try:
        yield
    except StoreUnavailable as error:
        raise unavailable(error, "the store cannot be read") from error


class Shelf:
    """See the module's docstring."""

    def __init__(self, broker: Broker, *, now: Callable[[], float] = trio.current_time) -> None:
        self._broker = broker
        self._now = now
        self._projects: dict[str, Project] = {}
        self._loading: dict[str, trio.Event] = {}

    def __len__(self) -> int:
        return len(self._projects)

    def __iter__(self) -> Iterator[Project]:
        return iter(list(self._projects.values()))

    def get(self, project_id: str) -> Project | None:
        """The project, if it is in memory."""
        return self._projects.get(project_id)

    async def load(self, project_id: str) -> Project:
        """The project, read from the store if need be; only one reads, the others wait.

        Raises:
            Unavailable: the store cannot be read now.
        """
        while (project := self._projects.get(project_id)) is None:
            if (loading := self._loading.get(project_id)) is not None:
                await loading.wait()
                continue
            self._loading[project_id] = done = trio.Event()
            try:
                with readable():
                    project = self._projects[project_id] = await self._read(project_id)
            finally:
                del self._loading[project_id]
                done.set()
        project.last_used = self._now()
        return project

    def put_away(self, needed: Callable[[str], bool]) -> None:
        """Forget the projects idle for longest, if there are too many and nobody needs them."""
        if len(self._projects) <= LOADED:
            return
        idle = sorted(self, key=lambda project: project.last_used)
        for project in idle[: len(idle) - LOADED]:
            if not project.pending and not needed(project.project_id):
                del self._projects[project.project_id]

    async def page(self, after: str, limit: int = 200) -> list[Summary]:
        """Projects with a log, by id, about `limit` of them; those in memory as they are applied.

        Empty only if there are no more.
        """
        stored = await self._broker.projects(after, limit)
        page = {summary.project_id: self._current(summary) for summary in stored}
        # The store runs ahead: a project that is deleted there may still be shown to watchers.
        last = stored[-1].project_id if stored else LAST_ID
        for project in self._projects.values():
            name = project.project_id
            unseen = project.epoch and user_of(name) is None and after < name <= last
            if project.pending and unseen and name not in page:
                page[name] = project.summary()
        return sorted(page.values(), key=lambda summary: summary.project_id)

    def _current(self, stored: Summary) -> Summary:
        project = self._projects.get(stored.project_id)
        if project is None or project.epoch != stored.epoch:
            return stored
        return project.summary()

    async def read(self, project_id: str, since: Position, limit: int) -> Recovered | Gap:
        """Events from the store."""
        return await self._broker.read(project_id, since, limit=limit)

    # --- loading --------------------------------------------------------------------------------

    async def _read(self, project_id: str) -> Project:
        project = Project(project_id)
        if not is_project_id(project_id) and user_of(project_id) is None:
            return project
        life = await self._broker.load(project_id)
        project.load(life, await self._older(project_id, life))
        if life.checkpoint is not None:
            await _fill(life.checkpoint, project.tree, project.staged)
        await _advance(project, life)
        project.trimmed(life.floor)
        return project

    async def _older(self, project_id: str, life: Life) -> tuple[Any, ...]:
        if life.checkpoint is None:
            return ()
        start = max(life.floor, life.checkpoint.seq - OLDER)
        if start == life.checkpoint.seq:
            return ()
        found = await self._broker.read(project_id, Position(life.epoch, start), limit=OLDER)
        if isinstance(found, Gap):
            return ()
        records = [one for one in found.records if one.seq <= life.checkpoint.seq]
        complete = bool(records) and records[-1].seq == life.checkpoint.seq
        return tuple(records) if complete else ()

    # --- checkpoints ----------------------------------------------------------------------------

    async def checkpoint(self, project: Project) -> None:
        """Write the present state to the store, encoded in slices."""
        snapshot, size = project.tree.snapshot(), project.bytes_since_checkpoint
        parts = await encode_parts(snapshot)
        await self._broker.save_checkpoint(
            project.project_id, Checkpoint(snapshot.epoch, snapshot.seq, parts)
        )
        if project.epoch == snapshot.epoch:
            project.checkpointed = snapshot.seq
            project.bytes_since_checkpoint -= size

    async def state_at(self, project_id: str, position: Position) -> Snapshot | None:
        """The state as it was at `position`; None if the store does not reach back to it."""
        checkpoint = await self._broker.checkpoint_at(project_id, position)
        tree = Tree(position.epoch, checkpoint.seq if checkpoint else 0)
        if checkpoint is not None:
            await _fill(checkpoint, tree)
        while tree.head < position.seq:
            found = await self._broker.read(project_id, Position(position.epoch, tree.head), limit=READ)
            if isinstance(found, Gap) or not found.records:
                return None
            for record in found.records[: position.seq - tree.head]:
                tree.advance(_change(tree, record))
                if tree.head % SLICE == 0:
                    await breathe()
        return tree.snapshot()


async def encode_parts(snapshot: Snapshot) -> tuple[bytes, ...]:
    """A state as a checkpoint's parts; yields to the loop between them."""
    parts = [encode_json(snapshot.top)]
    part: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for node_id, node in snapshot:
        part.append((node_id, node.fields))
        size += node.bound
        if size >= PART_BYTES:
            parts.append(encode_json(part))
            part, size = [], 0
            await breathe()
    if part:
        parts.append(encode_json(part))
    return tuple(parts)


async def _fill(checkpoint: Checkpoint, *trees: Nodes) -> None:
    """Load a checkpoint into empty trees, yielding to the loop all the time."""
    for index, part in enumerate(checkpoint.parts):
        value = decode_json(part, ours=True)
        await breathe()
        if index == 0:
            for tree in trees:
                tree.load((), value)
            continue
        for start in range(0, len(value), SLICE):
            nodes = [(one, _node(one, fields)) for one, fields in value[start : start + SLICE]]
            for tree in trees:
                tree.load(nodes, {})
            await breathe()


def _node(node_id: str, fields: dict[str, Any]) -> Node:
    size = measure(fields) + len(node_id) + 32
    return Node(fields, size, size)


def _change(tree: Tree, record: Record) -> Change:
    return reduce(tree, decode_body(record.body), len(record.body), measure)


async def _advance(project: Project, life: Life) -> None:
    """Reduce the events behind the checkpoint."""
    for index, record in enumerate(life.tail):
        change = _change(project.tree, record)
        project.apply(record, change)
        project.staged.apply(change)
        if index % SLICE == SLICE - 1:
            await breathe()
