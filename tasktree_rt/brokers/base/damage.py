"""What a store can read of a damaged project, and how the project goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from tasktree_rt.brokers.base.interactions import Settled
from tasktree_rt.brokers.base.log import Life
from tasktree_rt.brokers.base.projects import Summary
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position


@frozen
class Outline:
    """What is known of a project without reading its log.

    Attributes:
        life: without checkpoint and tail.
        summary: its row in the list of projects, if it has a log.
        newest: seq of its newest event; the head, unless the head is what is damaged.
    """

    life: Life
    summary: Summary | None
    newest: int


@frozen
class Salvaged:
    """What is left of a stretch of a log: records in order, up to `reached`. Events that are missing are
    lost.
    """

    records: tuple[Record, ...]
    reached: int


class Damage(Protocol):
    """Reading and mending a project that `Log.load` refuses."""

    async def outline(self, project_id: str) -> Outline:
        """Return what is known of a project, whatever of its log can be read."""

    async def checkpoints(self, project_id: str) -> list[int]:
        """Return the seqs of a project's checkpoints, the newest first."""

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Return the readable events after seq `after`, at most `limit`, up to `Outline.newest`.

        The log ends there once `reached` is the newest, or 0 without a log.
        """

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Let a damaged life go on under `new_epoch`, from the checkpoint at `at` (seq 0: from nothing).

        The events up to it and all other checkpoints are deleted; the events after it stay, up to the newest.
        `settles` are those of its prompts and commands that cannot be read. Returns False if that life is
        over.
        """
