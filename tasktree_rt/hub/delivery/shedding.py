"""Queue a project's events while they fit into the outbox; else shed the project as its policy says."""

from __future__ import annotations

from typing import Protocol

import trio

from tasktree_rt.core.close_codes import SLOW_CONSUMER, Closing
from tasktree_rt.core.log import BEGINNING, Position
from tasktree_rt.core.protocol import Policy
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.outbox import Item, Outbox
from tasktree_rt.hub.resume.catchup import Catchup
from tasktree_rt.hub.resume.feed import Reader, Source


class SlowReader(Reader, Protocol):
    """A subscriber as far as shedding needs it.

    Attributes:
        sheds: how often one of its projects was shed.
    """

    dialect: Dialect
    outbox: Outbox
    sheds: int

    @property
    def source(self) -> Source:
        """Return the hub."""

    def close(self, closing: Closing, reason: str = "") -> None:
        """Close the connection."""


def enqueue(reader: SlowReader, batch: Batch) -> None:
    """Queue a project's events, or shed the project."""
    if batch.ends:
        _enqueue_end(reader, batch)
    else:
        enqueue_item(reader, Item(batch.encoding(reader.dialect), batch))


def enqueue_item(reader: SlowReader, item: Item) -> None:
    """Queue the messages of an item, or shed their project."""
    try:
        reader.outbox.put(item)
        reader.meter.queued(reader.outbox.waiting)
    except trio.WouldBlock:
        _shed(reader, item)


def shed(reader: SlowReader, batch: Batch) -> None:
    """Shed a project whose events are too much for messages."""
    if not reader.closing:
        has = BEGINNING if batch.opens else Position(batch.epoch, batch.after)
        _shed(reader, Item(Encoding(b"", ()), batch, has=has))


def _enqueue_end(reader: SlowReader, batch: Batch) -> None:
    """Queue `project_deleted`; it replaces the project's unsent events."""
    oldest = reader.outbox.drop(batch.project_id) or Item(batch.encoding(reader.dialect), batch)
    position, unannounced = oldest.before()
    # A watcher that does not know the epoch needs no message of its end.
    if not unannounced:
        enqueue_item(reader, Item(batch.only_last(reader.dialect), batch, has=position))


def _shed(reader: SlowReader, item: Item) -> None:
    """Shed the project of `item`, which does not fit: it catches up from the last message sent."""
    batch = item.batch
    assert batch is not None
    name = batch.project_id
    oldest = reader.outbox.drop(name) or item
    assert oldest.batch is not None
    position, unannounced = oldest.before()
    policy = reader.policy_for(name)
    reader.sheds += 1
    missed = batch.records[-1].seq - (position.seq if position.epoch == batch.epoch else 0)
    reader.meter.shed(policy.value, missed)
    if policy is Policy.DISCONNECT:
        reader.close(SLOW_CONSUMER, f"{SLOW_CONSUMER.reason} {position}")
        return
    project = reader.source.loaded(name)
    assert project is not None, "a tick only concerns loaded projects"
    subscribed = oldest.batch.subscribed if unannounced else None
    reader.catch_up(name, Catchup(reader.source, reader, project, position, policy, subscribed=subscribed))
