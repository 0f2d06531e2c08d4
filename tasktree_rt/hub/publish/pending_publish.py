"""A publish from its acceptance to its receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import trio
from attrs import define, field

from tasktree_rt.brokers.base import Append, Appended, Duplicate, Foreign, Moved
from tasktree_rt.core.log import Position
from tasktree_rt.core.value_class import fixed
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.projects.project import Project

COST_BYTES: Final = 256
"""Bytes that cost as much as one event does."""


@define(eq=False)
class PendingPublish:
    """An accepted publish, until it is stored and every outbox has its events, or until it has failed.

    Attributes:
        size: bytes of its encoded events.
        begun: when the hub accepted it, in Trio's time.
        shown: bodies for watchers of the events that have large values, by index.
        callbacks: called once each, with the publish, when it is done.
        outcome, error: the commit sets one of them, before the callbacks run.
        moved: other hubs were first; the store refused it. `error` is set too.
        whole: the publish that ends when this one, or one after it for the same events, does.
        lost: the store failed. This publish and all publishes behind it are not stored.
        done: the hub has called the callbacks.
        repeat: the same publish was pending already. The receipt says `duplicate`.
    """

    project: Project
    append: Append
    size: int
    begun: float
    shown: Mapping[int, bytes] = field(factory=dict)
    callbacks: list[Callable[[PendingPublish], None]] = field(factory=list)
    outcome: Appended | Duplicate | None = None
    error: PeerError | None = None
    moved: Moved | None = None
    whole: PendingPublish | None = None
    lost: bool = False
    done: bool = False
    repeat: bool = False

    @property
    def missed(self) -> Foreign | None:
        """What other hubs appended before it, as far as the store told."""
        if isinstance(self.outcome, Appended):
            return self.outcome.missed
        return None if self.moved is None else self.moved.missed

    async def ended(self) -> None:
        """Wait until the publish is done; its `error` says whether it failed."""
        done = trio.Event()
        self.callbacks.append(lambda _: done.set())
        await done.wait()

    async def wait(self) -> None:
        """Wait until the publish is stored and every outbox has its events.

        Raises:
            PeerError: the publish failed; nothing of it is stored.
        """
        await self.ended()
        if self.error is not None:
            raise self.error

    def repeated(self) -> PendingPublish:
        """Return a pending publish for a copy of this one; it ends when this one does."""
        copy = PendingPublish(self.project, self.append, self.size, self.begun, self.shown, repeat=True)
        (self.whole or self).callbacks.append(partial(end_like, copy))
        return copy


def end_like(copy: PendingPublish, first: PendingPublish) -> None:
    """End a publish as `first` ended, and call its callbacks."""
    copy.outcome, copy.error, copy.lost, copy.done = first.outcome, first.error, first.lost, True
    for callback in copy.callbacks:
        callback(copy)
    copy.callbacks.clear()


@fixed
class PublishReceipt:
    """The answer to a publish that is stored, applied and handed to every watcher's outbox.

    Attributes:
        first, last: seqs of its first and its last event, in `epoch`.
        duplicate: the hub had this publish already, and stored nothing now.
    """

    project_id: str
    epoch: str
    first: int
    last: int
    duplicate: bool

    @property
    def positions(self) -> list[Position]:
        """The position of each event, in order."""
        return [Position(self.epoch, seq) for seq in range(self.first, self.last + 1)]


def duplicate_receipt(found: Duplicate) -> PublishReceipt:
    """Return the receipt of a publish that the store had already."""
    return PublishReceipt(found.project_id, found.epoch, found.first, found.first + found.count - 1, True)


def result(pending: PendingPublish) -> PublishReceipt:
    """Return the receipt of a publish that is done.

    Raises:
        PeerError: the publish failed; nothing of it is stored.
    """
    if pending.error is not None:
        raise pending.error
    outcome = pending.outcome
    if isinstance(outcome, Appended):
        append, first = pending.append, outcome.first
        last = first + len(append.drafts) - 1
        return PublishReceipt(append.project_id, outcome.epoch, first, last, pending.repeat)
    assert isinstance(outcome, Duplicate)
    return duplicate_receipt(outcome)


Unit = list[PendingPublish]
"""Publishes that the hub commits together: a project's, and the copies of its events in users' logs."""


def cost_of(publishes: Sequence[PendingPublish]) -> int:
    """Return what publishes cost the store, counted in events."""
    cost = 0
    for one in publishes:  # nearly always one: a generator would cost more than it
        cost += len(one.append.drafts) + one.size // COST_BYTES
    return cost
