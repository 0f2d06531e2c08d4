"""Recover a damaged log with what can still be read of it, when an operator asks for it.

Its state is made of the newest checkpoint that is good and the events after it, as far as they can be read;
what is lost is left out, and told. The log begins anew behind the last event that is lost, under a new epoch:
a position of the old one names nothing any more, and watchers get the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Checkpoint, Life, Settled
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import NO_CHANGE
from tasktree_rt.core.tree import Tree
from tasktree_rt.errors import StoreDamaged
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.checkpoints import SLICE, change, encode_parts, fill

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
READ: Final = 1_000
MOST: Final = 1_000
"""Maximum number of lost stretches to list."""


@frozen
class Lost:
    """A stretch of events that could not be read: the seqs of the first and the last, and why."""

    first: int
    last: int
    why: str


@frozen
class Recovered:
    """What a project continues with.

    Attributes:
        position: its position now.
        checkpoint: the seq of the stored state that it was made from; 0: from nothing.
        lost: what could not be read, the oldest first, at most `MOST` stretches.
    """

    position: Position
    checkpoint: int
    lost: tuple[Lost, ...]


@define
class _Losses:
    """The lost events found so far."""

    found: list[Lost] = field(factory=list)
    last: int = 0

    def add(self, first: int, last: int, why: str) -> None:
        if first > last:
            return
        self.last = last
        before = self.found[-1] if self.found else None
        if before is not None and before.last + 1 == first and (before.why == why or len(self.found) >= MOST):
            self.found[-1] = Lost(before.first, last, before.why)
        elif len(self.found) < MOST:
            self.found.append(Lost(first, last, why))


class Repair:
    """See the module's docstring. Not to be used twice at a time for one log."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._losses = _Losses()

    async def recover(self, new_epoch: str, settles: Sequence[Settled]) -> Recovered | None:
        """Continue the log as `new_epoch`; return None if its epoch has ended.

        `settles` end its unreadable prompts and commands.

        Raises:
            StoreUnavailable: not now; it is as damaged as before, and this can be done again.
            StoreDamaged: not even its outline can be read.
        """
        outline = await self._broker.outline(self._topic)
        life, newest = outline.life, outline.newest
        tree, base = await self._begin(life)
        await self._replay(tree, newest)
        lost = tuple(self._losses.found)
        at = max(self._losses.last, base or 0)
        if at != base:
            await self._save(await self._state_at(life, tree, at))
        if not await self._broker.recover(self._topic, Position(life.epoch, at), new_epoch, settles):
            return None
        log.warning("project recovered", project=self._topic, epoch=new_epoch, seq=newest, lost=len(lost))
        return Recovered(Position(new_epoch, newest), base or 0, lost)

    async def _begin(self, life: Life) -> tuple[Tree, int | None]:
        """The newest stored state that is good, and its seq: 0 for the beginning of the log, None if there is
        nothing to begin with."""
        for seq in await self._broker.checkpoints(self._topic):
            if seq >= life.floor and (tree := await self._stored(life, seq)) is not None:
                return tree, seq
        if life.floor:
            self._losses.add(1, life.floor, "no stored state can be read")
        return Tree(life.epoch, life.floor), None if life.floor else 0

    async def _stored(self, life: Life, seq: int) -> Tree | None:
        tree = Tree(life.epoch, seq)
        try:
            found = await self._broker.checkpoint_at(self._topic, Position(life.epoch, seq))
            if found is None or found.seq != seq:
                return None
            await fill(self._topic, found.parts, tree)
        except StoreDamaged:
            return None
        return tree

    async def _replay(self, tree: Tree, upto: int) -> None:
        """Reduce what can be read of the events up to a seq, and note the rest."""
        while tree.head < upto:
            before = tree.head
            found = await self._broker.salvage(self._topic, before, limit=READ)
            for record in found.records:
                if record.seq <= upto:
                    self._reduce(tree, record)
                if record.seq % SLICE == 0:
                    await yield_if_due()
            self._skip(tree, upto if found.reached <= before else min(found.reached, upto))

    def _reduce(self, tree: Tree, record: Record) -> None:
        self._skip(tree, record.seq - 1)
        try:
            _, step = change(self._topic, tree, record)
        except StoreDamaged as damage:
            self._losses.add(record.seq, record.seq, damage.reason)
            step = NO_CHANGE
        tree.advance(step)

    def _skip(self, tree: Tree, seq: int) -> None:
        self._losses.add(tree.head + 1, seq, "missing")
        tree.head = max(tree.head, seq)

    async def _state_at(self, life: Life, newest: Tree, seq: int) -> Tree:
        """The state after what was lost last; what comes behind it stays in the log."""
        if newest.head == seq:
            return newest
        tree, _ = await self._begin(life)
        await self._replay(tree, seq)
        return tree

    async def _save(self, tree: Tree) -> None:
        snapshot = tree.snapshot()
        parts = await encode_parts(snapshot)
        await self._broker.save_checkpoint(self._topic, Checkpoint(snapshot.epoch, snapshot.seq, parts))
