"""One connection's outbox: a bounded channel, what is shed when it is full, and who catches up.

What is sent takes one of three ways. A *live* project's events are offered as they come: straight to
the socket if nothing waits, else to the bounded channel; where they do not fit, the project is shed.
*Replies* wait in the same channel and are never shed. A project that is not live has a `Catchup`,
which is asked for its next message whenever nothing else waits, and makes it only then: a laggard
costs a position, not a queue.

`Subscriber` is what both kinds of outbox share: `writing.SocketSubscriber` pushes into a transport,
`pulling.PullSubscriber` is asked (server-sent events, `Hub.subscribe`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.core.closing import GAP, RESTART, SLOW_CONSUMER
from tasktree_rt.core.commands import Conflated, Message, Policy, StatePart
from tasktree_rt.core.log import Position
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.hub.batch import Batch
from tasktree_rt.hub.catchup import Catchup
from tasktree_rt.hub.feed import (
    GUARD,
    Events,
    Feed,
    Finished,
    Guard,
    ProjectFeed,
    Source,
    Standing,
    TopicFeed,
)
from tasktree_rt.hub.newest import Key
from tasktree_rt.hub.opening import Opening
from tasktree_rt.hub.outbox import Item, Outbox
from tasktree_rt.hub.project import Project
from tasktree_rt.hub.shared_snapshot import PlannedSnapshot
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery


class SubscriberSource(Source, Protocol):
    """What a subscriber needs of the hub: for its feeds, and for itself."""

    def report_fault(self, where: str, error: BaseException) -> None:
        """Report a fault of the hub's own."""

    def replace(self, subscriber: Subscriber, project: Project) -> Standing | None:
        """End a subscription that another one replaces; returns what it had sent, if there was one."""

    def went_live(self, subscriber: Subscriber, project_id: str) -> None:
        """Note that the subscriber has everything up to the applied head."""


class Subscriber(Outbox):
    """See the module's docstring. Not thread-safe; belongs to the hub's Trio task tree.

    Attributes:
        special: projects that are not simply live: a catch-up, or `GUARD`.
        opening: opens the projects of ``*`` one by one.
        feed: speaks when nobody else has anything to say.
        excluded: projects taken out of ``*``.
        farewell: what it is closed with when the hub stops.
        picky: whether `admits` has to be asked before a batch is offered.
        direct: while nothing waits, the socket's own send (`carrier.Transport.send`), for the fan-out.
    """

    __slots__ = (
        "acked",
        "address",
        "begun",
        "excluded",
        "farewell",
        "feed",
        "grants",
        "id",
        "now",
        "opening",
        "policies",
        "policy",
        "sheds",
        "source",
        "special",
    )

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
        super().__init__(dialect, delivery, meter)
        self.id = id
        self.source = source
        self.policy = policy
        self.grants = grants
        self.address = address
        self.farewell = RESTART
        self.policies: dict[str, Policy] | None = None
        self.special: dict[str, ProjectFeed | Guard] | None = None
        self.opening: Opening | None = None
        self.excluded: set[str] | None = None
        self.feed: TopicFeed | None = None
        self.picky = not grants.watch.everything
        self.direct = None
        self.acked: dict[str, int] | None = None
        self.sent_messages = 0
        self.sent_bytes = 0
        self.sheds = 0
        self.now = now
        self.begun = now()
        self.last_sent = 0.0

    # --- what the fan-out calls -----------------------------------------------------------------

    def offer(self, batch: Batch) -> None:
        """New events of a project this subscriber watches."""
        raise NotImplementedError

    def sent_part(self, batch: Batch, encoding: Encoding, taken: int) -> None:
        """Called after a `direct` send that took less than all."""
        raise NotImplementedError

    def sent_one(self, data: bytes, taken: int) -> None:
        """Called after a `direct` send of one message, of which `taken` bytes went, at least one."""
        raise NotImplementedError

    def show(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """A live event, encoded (`hub.live`); `last`: nothing more comes of its key."""
        raise NotImplementedError

    def unshow(self, topic: str | None) -> None:
        """Drop what waits of a live topic (of all, if None)."""
        raise NotImplementedError

    def admits(self, batch: Batch) -> bool:
        """Whether a batch is to be offered, asked only if something is special here."""
        project_id = batch.project_id
        if self.special is not None and project_id in self.special:
            return False
        if self.opening is not None and not self.opening.passed(project_id):
            return False
        return self.grants.sees(project_id)

    def over(self) -> None:
        """The connection is gone: nothing is taken any more."""
        self.closing = True
        self.special = self.opening = self.feed = None
        self._drop(None)

    # --- shedding and catching up -----------------------------------------------------------------

    def _enqueue(self, item: Item) -> None:
        """Queue a project's events, or shed the project."""
        try:
            self._put(item)
            self.meter.queued(self._waiting)
        except trio.WouldBlock:
            self._shed(item)

    def _enqueue_end(self, batch: Batch) -> None:
        """Queue the end of a project's life, which stands for everything of it that still waits."""
        oldest = self._drop(batch.project_id) or Item(batch.encoding(self.dialect), batch)
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
        oldest = self._drop(name) or item
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
        if self.special is None:
            self.special = {}
        self.special.pop(project_id, None)
        self.special[project_id] = catchup
        self.picky = True
        if catchup is not GUARD:
            self.kick()

    def replace(self, project: Project) -> Standing | None:
        """See `feed.Reader`."""
        return self.source.replace(self, project)

    def went_live(self, project_id: str) -> None:
        """See `feed.Reader`."""
        self.source.went_live(self, project_id)

    def live(self, project_id: str) -> None:
        """Nothing special about this project any more."""
        if self.special is not None:
            self.special.pop(project_id, None)
            if not self.special:
                self.special = None
                self.picky = self.opening is not None or not self.grants.watch.everything

    def open_all(self, opening: Opening | None) -> None:
        """Let the projects of ``*`` be opened one by one; None when that is done."""
        self.opening = opening
        if opening is not None:
            self.picky = True
            self.kick()
        elif self.special is None:
            self.picky = not self.grants.watch.everything

    def forget(self, project_id: str) -> None:
        """The subscription is over: drop what waits of it. Who asked for it is still answered."""
        found = self.special.get(project_id) if self.special else None
        unsaid = None if found is None or found is GUARD else found.unanswered
        self._drop(project_id)
        self.live(project_id)
        if unsaid is not None:
            self.reply(unsaid)
        if self.policies is not None:
            self.policies.pop(project_id, None)

    @property
    def unsent(self) -> set[str]:
        """Projects of which something waits."""
        return {item.batch.project_id for item in self._queue() if item.batch is not None}

    def waits(self, kind: type[Message]) -> bool:
        """Whether a message of this kind waits."""
        return any(isinstance(item.message, kind) for item in self._queue())

    def lag(self, project_id: str) -> Position | None:
        """Where a project that is not live stands; None if it is live."""
        found = self.special.get(project_id) if self.special else None
        return None if found is None or found is GUARD else found.position

    def standing(self, project_id: str, applied: Position) -> Standing:
        """What was handed over of a project whose applied position is `applied`."""
        found = self.special.get(project_id) if self.special else None
        if found is not None and found is not GUARD:
            return found.standing
        for item in self._queue():
            if item.batch is not None and item.batch.project_id == project_id:
                return Standing(item.before()[0])
        return Standing(applied)

    def regrant(self, grants: Grants) -> list[str]:
        """From now on only this may be watched; returns the projects that were dropped here."""
        self.grants = grants
        self.picky = self.picky or not grants.watch.everything
        ended = [name for name in {*self.unsent, *(self.special or ())} if not grants.sees(name)]
        for name in ended:
            self.forget(name)
        return ended

    def _due(self) -> Feed | None:
        """Who may speak next; to be asked when the queue is empty."""
        if self.special is not None:
            for catchup in self.special.values():
                if catchup is not GUARD:
                    return catchup
        if self.opening is None and self.feed is not None and self.feed.ready:
            return self.feed
        return self.opening

    def _encode(self, message: Message | Events | Finished) -> bytes | None:
        if isinstance(message, Finished):
            self.sent_messages += message.count - 1
            return message.data
        if isinstance(message, Events):
            encoding = self.dialect.encode_events(message.records, message.epoch)
            self.sent_messages += len(encoding.ends) - 1
            return encoding.data
        if not isinstance(message, (StatePart, Conflated)):
            return self.dialect.encode(message)
        data = (
            _shared(self.dialect, message) if isinstance(message, StatePart) else self.dialect.encode(message)
        )
        if data is None:
            # A language without a word for this would go on as if nothing were missing.
            self.close(GAP, f"gap: reload the state, which is at {message.position}")
        return data


def _shared(dialect: Dialect, message: StatePart) -> bytes | None:
    origin = message.origin
    if not isinstance(origin, PlannedSnapshot):
        return dialect.encode(message)
    key = (dialect.name, message.reason, message.part)
    found = origin.recall(key)
    if found is None:
        found = dialect.encode(message)
        origin.remember(key, found)
    return found
