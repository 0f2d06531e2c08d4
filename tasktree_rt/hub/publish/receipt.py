"""What a publish comes to: `Accepted` while it is on its way, `PublishReceipt` when it is kept."""

from __future__ import annotations

import trio

from tasktree_rt.brokers.base import Appended, Duplicate
from tasktree_rt.core.log import Position
from tasktree_rt.core.value_class import fixed
from tasktree_rt.hub.publish.pending_publish import PendingPublish


@fixed
class Accepted:
    """A publish is on its way; `repeat` if it is a copy of one that was under way already."""

    ticket: PendingPublish
    repeat: bool


@fixed
class PublishReceipt:
    """A publish is durable, applied and handed to every watcher's outbox."""

    project_id: str
    epoch: str
    first: int
    last: int
    duplicate: bool

    @property
    def positions(self) -> list[Position]:
        """One for each event, in order."""
        return [Position(self.epoch, seq) for seq in range(self.first, self.last + 1)]


def known(found: Duplicate) -> PublishReceipt:
    """The answer to a publish that the store has already."""
    return PublishReceipt(found.project_id, found.epoch, found.first, found.first + found.count - 1, True)


async def through(ticket: PendingPublish) -> None:
    """Wait until a publish is durable and handed on.

    Raises:
        PeerError: it was refused after all.
    """
    await ended(ticket)
    if ticket.error is not None:
        raise ticket.error


async def ended(ticket: PendingPublish) -> None:
    """Wait until a publish is durable and handed on, or refused after all (its `error`)."""
    over = trio.Event()
    ticket.settled.append(lambda _: over.set())
    await over.wait()


def result(ticket: PendingPublish, *, duplicate: bool = False) -> PublishReceipt:
    """What became of a ticket that is over.

    Raises:
        PeerError: it was refused after all.
    """
    if ticket.error is not None:
        raise ticket.error
    outcome = ticket.outcome
    if isinstance(outcome, Appended):
        last = outcome.first + len(ticket.append.drafts) - 1
        return PublishReceipt(ticket.append.project_id, outcome.epoch, outcome.first, last, duplicate)
    assert isinstance(outcome, Duplicate)
    return known(outcome)
