"""States of projects: checkpoints, from which the hub computes states, and named snapshots."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from tasktree_rt.core.log import Position


@frozen
class Checkpoint:
    """A project's state at a position, as opaque parts in order.

    The parts must not repeat the epoch: a store restored from a backup hands them out under a new one.
    """

    epoch: str
    seq: int
    parts: tuple[bytes, ...]


@frozen
class Snapshot:
    """A named copy of a state, kept until it or its project is deleted.

    `created` is in microseconds; `owner` is the subject that it counts for, opaque, "" is none.
    """

    snapshot_id: str
    project_id: str
    name: str
    epoch: str
    seq: int
    created: int
    owner: str = ""


class States(Protocol):
    """The store of checkpoints and snapshots."""

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, whole or not at all. Ignored if that life is over. Does not hold up appends.

        A second checkpoint at a position replaces the first.
        """

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """Return the newest checkpoint at or before `position` of that life."""

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot, in place of one with the same id of that project. Ignored if the life of
        its state is over.
        """

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """Return a project's snapshots, oldest first; for None those of all projects, in no order."""

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """Return a snapshot with its parts."""

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Delete a snapshot; False if there is none. `Broker.trim` frees its room."""
