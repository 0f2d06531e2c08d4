"""One connection's subscriptions: what the hub sends it, what it sheds where it is slow, and what catches up.

What is sent takes one of three ways. A *live* project's events are offered as they come: straight to
the socket if nothing waits, else to the bounded outbox; where they do not fit, the project is shed.
*Replies* wait in the same outbox and are never shed. A project that is not live has a `Catchup`,
which is asked for its next message whenever nothing else waits, and makes it only then: for a slow
reader the hub stores its position, not a backlog.

`Subscriber` is complete but for its *outlet*, which moves the messages on: `writing.SocketSubscriber` has a
socket's writer, `pulling.PullSubscriber` a reader that asks (server-sent events, `Hub.subscribe`).
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
from tasktree_rt.hub.delivery.batch import Batch
from tasktree_rt.hub.delivery.encoding import encoded
from tasktree_rt.hub.delivery.feeds import Feeds
from tasktree_rt.hub.delivery.last_value_queue import Key
from tasktree_rt.hub.delivery.outbox import Item, Outbox
from tasktree_rt.hub.delivery.outlet import Front, Outlet
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.recovery.catchup import Catchup
from tasktree_rt.hub.recovery.feed import (
    GUARD,
    Events,
    Finished,
    Guard,
    ProjectFeed,
    ResumePoint,
    Source,
)
from tasktree_rt.hub.recovery.wildcard import WildcardSubscription
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery


class SubscriberSource(Source, Protocol):
    """What a subscriber needs of the hub: for its feeds, and for itself."""

    def report_fault(self, where: str, error: BaseException) -> None:
        """Report a fault of the hub's own."""

    def replace(self, subscriber: Subscriber, project: Project) -> ResumePoint | None:
        """End a subscription that another one replaces; returns what it had sent, if there was one."""

    def went_live(self, subscriber: Subscriber, project_id: str) -> None:
        """Note that the subscriber has everything up to the applied head."""


class Subscriber(Front):
    """See the module's docstring. Not thread-safe; belongs to the hub's Trio task tree.

    Attributes:
        outbox: what waits.
        outlet: moves it on; set before the first message.
        feeds: what speaks where events do not go out as they come.
        excluded: projects taken out of ``*``.
        farewell: what it is closed with when the hub stops.
        picky: whether `admits` has to be asked before a batch is offered.
        direct: while nothing waits, the socket's own send (`carrier.Transport.send`), for the fan-out.
    """

    __slots__ = (
        "acked",
        "address",
        "begun",
        "closing",
        "excluded",
        "farewell",
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
        self.picky = not grants.watch.everything
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
        self.farewell = RESTART
        self.policies: dict[str, Policy] | None = None
        self.feeds = Feeds()
        self.excluded: set[str] | None = None
        self.acked: dict[str, int] | None = None
        self.sheds = 0
        self.now = now
        self.begun = now()

    def wake(self) -> None:
        """Send what can be sent: there may be something new."""
        self.outlet.wake()

    def close(self, closing: Closing, reason: str = "") -> None:
        """Finish what is begun, and the replies; drop the rest, and end."""
        if not self.closing:
            self.end(replies=True)
            self.outlet.close(closing, reason or closing.reason)

    def over(self) -> None:
        """Take nothing any more: the connection is gone."""
        self.end(replies=False)

    def end(self, *, replies: bool) -> None:
        """Take nothing any more, and drop what waits; the replies stay if `replies`."""
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
        """Send a reply that is encoded already."""
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

    # --- live events ------------------------------------------------------------------------------

    def show(self, key: Key, data: bytes, *, last: bool = False) -> None:
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

    def unshow(self, topic: str | None) -> None:
        """Drop the live events of a topic (of all, if None) that wait."""
        self.outbox.forget_newest(topic)

    # --- what the fan-out calls -------------------------------------------------------------------

    def offer(self, batch: Batch) -> None:
        """Queue new events of a project that this subscriber watches."""
        if not self.closing:
            self.enqueue(batch)
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
            self._enqueue(Item(encoding, batch, index))

    def sent_one(self, data: bytes, taken: int, count: int = 1) -> None:
        """Note that the socket took `taken` bytes, at least one, of `count` messages that are never shed."""
        self.sent_bytes += taken
        self.sent_messages += count
        if taken < len(data):
            self.direct = None
            self.outbox.rest = memoryview(data)[taken:]
            self.outlet.wake_later()

    def admits(self, batch: Batch) -> bool:
        """Whether a batch is to be offered, asked only if something is special here."""
        name, feeds = batch.project_id, self.feeds
        return feeds.is_live(name) and feeds.is_opened(name) and self.grants.sees(name)

    # --- shedding and catching up -----------------------------------------------------------------

    def enqueue(self, batch: Batch) -> None:
        """Queue a project's events, or shed the project."""
        if batch.ends:
            self._enqueue_end(batch)
        else:
            self._enqueue(Item(batch.encoding(self.dialect), batch))

    def _enqueue(self, item: Item) -> None:
        try:
            self.outbox.put(item)
            self.meter.queued(self.outbox.waiting)
        except trio.WouldBlock:
            self._shed(item)

    def _enqueue_end(self, batch: Batch) -> None:
        """Queue the end of a project's life, which stands for everything of it that still waits."""
        oldest = self.outbox.drop(batch.project_id) or Item(batch.encoding(self.dialect), batch)
        position, unsaid = oldest.before()
        # Of a life that has not been announced nobody need hear the end.
        if not unsaid:
            self._enqueue(Item(batch.only_last(self.dialect), batch, has=position))

    def policy_for(self, project_id: str) -> Policy:
        """What is done with a project that does not fit."""
        return self.policy if self.policies is None else self.policies.get(project_id, self.policy)

    def _shed(self, item: Item) -> None:
        """`item` does not fit: the project lags, back to the last message handed over."""
        batch = item.batch
        assert batch is not None
        name = batch.project_id
        oldest = self.outbox.drop(name) or item
        assert oldest.batch is not None
        position, unsaid = oldest.before()
        policy = self.policy_for(name)
        self.sheds += 1
        missed = batch.records[-1].seq - (position.seq if position.epoch == batch.epoch else 0)
        self.meter.shed(policy.value, missed)
        if policy is Policy.DISCONNECT:
            self.close(SLOW_CONSUMER, f"{SLOW_CONSUMER.reason} {position}")
            return
        project = self.source.loaded(name)
        assert project is not None, "a tick only concerns loaded projects"
        opening = oldest.batch.opening if unsaid else None
        self.catch_up(name, Catchup(self.source, self, project, position, policy, opening=opening))

    def catch_up(self, project_id: str, catchup: ProjectFeed | Guard) -> None:
        """From now on, `project_id` gets what `catchup` says instead of its events as they come."""
        self.feeds.begin(project_id, catchup)
        self.picky = True
        if catchup is not GUARD:
            self.outlet.wake()

    def replace(self, project: Project) -> ResumePoint | None:
        """See `feed.Reader`."""
        return self.source.replace(self, project)

    def went_live(self, project_id: str) -> None:
        """See `feed.Reader`."""
        self.source.went_live(self, project_id)

    def live(self, project_id: str) -> None:
        """Nothing special about this project any more."""
        self.feeds.end(project_id)
        self._look()

    def open_all(self, opening: WildcardSubscription | None) -> None:
        """Let the projects of ``*`` be opened one by one; None when that is done."""
        self.feeds.opening = opening
        self._look()
        if opening is not None:
            self.outlet.wake()

    def _look(self) -> None:
        """Note whether `admits` has to be asked."""
        self.picky = self.feeds.watch or not self.grants.watch.everything

    def forget(self, project_id: str) -> None:
        """The subscription is over: drop what waits of it. Who asked for it is still answered."""
        found = self.feeds.of(project_id)
        unsaid = None if found is None else found.unanswered
        self.outbox.drop(project_id)
        self.live(project_id)
        if unsaid is not None:
            self.reply(unsaid)
        if self.policies is not None:
            self.policies.pop(project_id, None)

    def standing(self, project_id: str, applied: Position) -> ResumePoint:
        """What was handed over of a project whose applied position is `applied`."""
        found = self.feeds.of(project_id)
        if found is not None:
            return found.standing
        oldest = self.outbox.first(project_id)
        return ResumePoint(applied if oldest is None else oldest.before()[0])

    def regrant(self, grants: Grants) -> list[str]:
        """From now on only this may be watched; returns the projects that were dropped here."""
        self.grants = grants
        self._look()
        ended = [name for name in {*self.outbox.unsent, *self.feeds.special_names} if not grants.sees(name)]
        for name in ended:
            self.forget(name)
        return ended

    def encode(self, message: Message | Events | Finished) -> bytes | None:
        """Encode and count what a feed made; None if there is nothing to send of it.

        A language without a word for a state or a conflated message would go on as if nothing were
        missing: the connection is closed.
        """
        data, count = encoded(self.dialect, message)
        self.sent_messages += count
        if data is None and isinstance(message, (StatePart, Conflated)):
            self.close(GAP, f"gap: reload the state, which is at {message.position}")
        return data
