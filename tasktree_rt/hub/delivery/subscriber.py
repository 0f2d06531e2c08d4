"""One connection's subscriptions: what the hub sends, sheds and catches up.

A message takes one of three ways. The hub offers a *live* project's events as they come: directly to the
socket if nothing waits, else to the bounded outbox; if they do not fit, it sheds the project (`shedding`).
*Replies* wait in the same outbox and are never shed. A project that is not live has a `Catchup`, which makes
its next message only when nothing else waits: for a slow reader the hub stores its position, not a backlog.

A subscriber's *outlet* sends the messages: `SocketSubscriber` has a socket's writer, `PullSubscriber` a
reader that asks (server-sent events, `Hub.subscribe`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import GAP, RESTART, SLOW_CONSUMER, Closing
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Conflated, Message, Policy, StatePart
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.feed_encoding import encoded
from tasktree_rt.hub.delivery.last_value_queue import Key
from tasktree_rt.hub.delivery.outbox import Item, Outbox
from tasktree_rt.hub.delivery.outlet import Front, Outlet
from tasktree_rt.hub.delivery.shedding import enqueue, enqueue_item
from tasktree_rt.hub.delivery.subscriber_feeds import Feeds
from tasktree_rt.hub.resume.feed import (
    GUARD,
    Events,
    Finished,
    Guard,
    ProjectFeed,
    ResumePoint,
    Source,
    Watched,
)
from tasktree_rt.hub.resume.wildcard import WildcardSubscription
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery


class SubscriberSource(Source, Protocol):
    """The hub, as far as a subscriber and its feeds need it."""

    def report_fault(self, where: str, error: BaseException) -> None:
        """Report a fault of the hub's own."""

    def replace(self, subscriber: Subscriber, project: Watched) -> ResumePoint | None:
        """End a subscription that another one replaces; returns what it had sent, if there was one."""

    def went_live(self, subscriber: Subscriber, project_id: str) -> None:
        """Note that the subscriber has everything up to the applied head."""


class Subscriber(Front):
    """See the module's docstring. Not thread-safe; belongs to the hub's Trio task tree.

    Attributes:
        outbox: the messages that wait.
        outlet: sends the messages; set before the first one.
        feeds: make the messages of projects that are not live.
        excluded: projects excluded from ``*``.
        drain_closing: the close code and reason when the hub drains.
        picky: the fan-out has to call `admits` before it offers a batch.
        direct: while nothing waits, the socket's own send (`Transport.send`), for the fan-out.
    """

    __slots__ = (
        "acked",
        "address",
        "begun",
        "closing",
        "drain_closing",
        "excluded",
        "feeds",
        "grants",
        "id",
        "meter",
        "now",
        "outbox",
        "outlet",
        "policies",
        "policy",
        "sheds",
        "source",
    )

    outlet: Outlet

    def __init__(
        self,
        id: str,
        dialect: Dialect,
        source: SubscriberSource,
        *,
        policy: Policy,
        delivery: Delivery,
        meter: Metrics,
        grants: Grants,
        address: str = "",
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.dialect = dialect
        self.direct = None
        self.picky = not access.watches_all(grants)
        self.sent_messages = 0
        self.sent_bytes = 0
        self.outbox = Outbox(delivery)
        self.closing = False
        self.meter = meter
        self.id = id
        self.source = source
        self.policy = policy
        self.grants = grants
        self.address = address
        self.drain_closing = RESTART
        self.policies: dict[str, Policy] | None = None
        self.feeds = Feeds()
        self.excluded: set[str] | None = None
        self.acked: dict[str, int] | None = None
        self.sheds = 0
        self.now = now
        self.begun = now()

    def wake(self) -> None:
        """Send what can be sent now."""
        self.outlet.wake()

    def close(self, closing: Closing, reason: str = "") -> None:
        """Close the connection behind the begun message and the replies; drop all else."""
        if not self.closing:
            self.end(replies=True)
            self.outlet.close(closing, reason or closing.reason)

    def cut(self, closing: Closing, reason: str = "") -> None:
        """Close the connection within a second, also if its reader is slow."""
        self.close(closing, reason)

    def over(self) -> None:
        """Drop all messages: the connection has ended."""
        self.end(replies=False)

    def end(self, *, replies: bool) -> None:
        """Accept no more messages, and drop those that wait; with `replies` the replies stay."""
        self.closing = True
        self.direct = None  # for good: an offer must not reach the socket behind the close frame
        self.feeds.clear()
        self.outbox.end(replies=replies)

    # --- replies ----------------------------------------------------------------------------------

    def reply(self, message: Message) -> None:
        """Send one message that is never shed."""
        data = self.dialect.encode(message)
        if data is not None:
            self.say(data, message)

    def say(self, data: bytes, message: Message | None = None) -> None:
        """Send an encoded reply."""
        self.queue_reply(Encoding(data, (len(data),)), message)

    def queue_reply(self, encoding: Encoding, message: Message | None = None) -> None:
        """Queue replies; a peer that lets too many wait is closed."""
        if self.closing:
            return
        try:
            self.outbox.put(Item(encoding, None, 0, message))
        except trio.WouldBlock:
            self.meter.shed(Policy.DISCONNECT.value, 0)
            self.close(SLOW_CONSUMER)
            return
        self.outlet.wake()

    # --- ephemeral events ------------------------------------------------------------------------------

    def send_ephemeral(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """Send an ephemeral event, encoded, or let it wait as the newest of its key; `last`: nothing more
        comes of its key.
        """
        if self.closing:
            return
        outbox = self.outbox
        try:
            replaced = outbox.put_newest(key, data, last=last)
        except trio.WouldBlock:
            self.meter.shed(Policy.DISCONNECT.value, outbox.newest)
            self.close(SLOW_CONSUMER)
            return
        if replaced:
            self.sheds += 1
            self.meter.shed(Policy.NEWEST.value, 1)
        else:
            self.meter.queued(outbox.waiting)
        self.outlet.wake()

    def drop_ephemeral(self, topic: str | None) -> None:
        """Drop the waiting ephemeral events of a topic, or of all topics if None."""
        self.outbox.forget_newest(topic)

    # --- what the fan-out calls -------------------------------------------------------------------

    def offer(self, batch: Batch) -> None:
        """Queue new events of a project that this subscriber watches."""
        if not self.closing:
            enqueue(self, batch)
            self.outlet.wake()

    def sent_part(self, batch: Batch, encoding: Encoding, taken: int) -> None:
        """Note that the socket took only `taken` bytes of a batch: what is left of the message begun goes
        next, the messages behind it wait or are shed.
        """
        self.direct = None
        self.outlet.wake_later()
        self.sent_bytes += taken
        index = 0
        for end in encoding.ends:
            if end > taken:
                break
            index += 1
        if taken > (encoding.ends[index - 1] if index else 0):
            self.outbox.rest = memoryview(encoding.data)[taken : encoding.ends[index]]
            index += 1
        self.sent_messages += index
        if index < len(encoding.ends):
            enqueue_item(self, Item(encoding, batch, index))

    def sent_one(self, data: bytes, taken: int, count: int = 1) -> None:
        """Note that the socket took `taken` bytes, at least one, of `count` messages that are never shed."""
        self.sent_bytes += taken
        self.sent_messages += count
        if taken < len(data):
            self.direct = None
            self.outbox.rest = memoryview(data)[taken:]
            self.outlet.wake_later()

    def admits(self, batch: Batch) -> bool:
        """Return whether the fan-out may offer a batch; called only if the subscriber is `picky`."""
        name, feeds = batch.project_id, self.feeds
        return feeds.is_live(name) and feeds.is_opened(name) and access.may_watch(self.grants, name)

    # --- catching up -----------------------------------------------------------------

    def policy_for(self, project_id: str) -> Policy:
        """Return the policy of a project that does not fit into the outbox."""
        return self.policy if self.policies is None else self.policies.get(project_id, self.policy)

    def catch_up(self, project_id: str, catchup: ProjectFeed | Guard) -> None:
        """Send the messages of `catchup` instead of the project's events as they come."""
        self.feeds.begin(project_id, catchup)
        self.picky = True
        if catchup is not GUARD:
            self.outlet.wake()

    def replace(self, project: Watched) -> ResumePoint | None:
        """See `feed.Reader`."""
        return self.source.replace(self, project)

    def went_live(self, project_id: str) -> None:
        """See `feed.Reader`."""
        self.source.went_live(self, project_id)

    def live(self, project_id: str) -> None:
        """Make a project live: send its events as they come."""
        self.feeds.end(project_id)
        self._update_picky()

    def set_wildcard(self, wildcard: WildcardSubscription | None) -> None:
        """Begin to open the projects of ``*`` one by one; None ends that."""
        self.feeds.wildcard = wildcard
        self._update_picky()
        if wildcard is not None:
            self.outlet.wake()

    def _update_picky(self) -> None:
        """Note whether the fan-out has to call `admits`."""
        self.picky = self.feeds.watch or not access.watches_all(self.grants)

    def forget(self, project_id: str) -> None:
        """End a subscription: drop its waiting events, and send the reply to its request if that is still
        due.
        """
        found = self.feeds.of(project_id)
        reply = None if found is None else found.unanswered
        self.outbox.drop(project_id)
        self.live(project_id)
        if reply is not None:
            self.reply(reply)
        if self.policies is not None:
            self.policies.pop(project_id, None)

    def resume_point(self, project_id: str, applied: Position) -> ResumePoint:
        """Return what was sent of a project whose applied position is `applied`."""
        found = self.feeds.of(project_id)
        if found is not None:
            return found.resume_point
        oldest = self.outbox.first(project_id)
        return ResumePoint(applied if oldest is None else oldest.before()[0])

    def regrant(self, grants: Grants) -> list[str]:
        """Apply new grants; returns the projects whose subscriptions ended."""
        self.grants = grants
        self._update_picky()
        begun = {*self.outbox.unsent, *self.feeds.special_names}
        ended = [name for name in begun if not access.may_watch(grants, name)]
        for name in ended:
            self.forget(name)
        return ended

    def encode(self, message: Message | Events | Finished) -> bytes | None:
        """Encode and count a feed's message; None if the dialect has no such message.

        Without a state or conflated message the client would miss events silently: the hub closes the
        connection.
        """
        data, count = encoded(self.dialect, message)
        self.sent_messages += count
        if data is None and isinstance(message, (StatePart, Conflated)):
            self.close(GAP, f"gap: reload the state, which is at {message.position}")
        return data
