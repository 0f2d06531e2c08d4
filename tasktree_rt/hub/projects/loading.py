"""Load a project from the store: its newest checkpoint, then the events behind it, in slices.

The hub reduces each event once, into the applied tree; the staged tree is a copy. What was read is let go
slice by slice too: to free the events of a long log all at once would stop the loop for milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from attrs import evolve

from tasktree_rt.brokers.base import Broker, Life
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.checkpoints import change, fill
from tasktree_rt.hub.projects.footprint import Footprint
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.project import Project

T = TypeVar("T")
Read = Callable[[str, Position, int], Awaitable[Recovered | Gap]]
OLDER: Final = 1_024
"""Newest events that a resuming watcher finds in memory, if the log has them."""
SLICE: Final = 32
"""Events between two yields to the loop, about a quarter of a millisecond."""


async def load_project(broker: Broker, read: Read, project_id: str, large: LargeValues) -> Footprint:
    """Read a project; return it with the estimate of its memory. `read` reads events of its log.

    Raises:
        StoreDamaged: it cannot be read.
    """
    project = Project(project_id)
    life = await broker.load(project_id)
    project.load(life, await _older(read, project_id, life))
    footprint = Footprint(project)
    tail = deque(life.tail)
    parts = deque(life.checkpoint.parts if life.checkpoint else ())
    filled = life.checkpoint is not None
    life = evolve(life, checkpoint=None, tail=())
    if filled:
        await fill(project_id, footprint.counting(_taken(parts)), project.tree, large=large)
    await _advance(project, tail, large)
    for _ in project.staged.copying(project.tree):
        await yield_if_due()
    project.trimmed(life.floor)
    await footprint.learn()
    return footprint


def _taken(waiting: deque[T]) -> Iterator[T]:
    """Take each out before it is used, so that it is freed once it was."""
    while waiting:
        yield waiting.popleft()


async def _advance(project: Project, tail: deque[Record], large: LargeValues) -> None:
    """Reduce the events behind the checkpoint."""
    for index, record in enumerate(_taken(tail), 1):
        shown, found = change(project.project_id, project.tree, record, large)
        project.apply(shown, found, len(record.body))
        if index % SLICE == 0:
            await yield_if_due()


async def _older(read: Read, project_id: str, life: Life) -> tuple[Record, ...]:
    """The events up to the checkpoint that `OLDER` wants beside those behind it."""
    if life.checkpoint is None:
        return ()
    wanted = OLDER - len(life.tail)
    start = max(life.floor, life.checkpoint.seq - wanted)
    if start >= life.checkpoint.seq:
        return ()
    found = await read(project_id, Position(life.epoch, start), life.checkpoint.seq - start)
    if isinstance(found, Gap):
        return ()
    records = tuple(one for one in found.records if one.seq <= life.checkpoint.seq)
    return records if records and records[-1].seq == life.checkpoint.seq else ()
