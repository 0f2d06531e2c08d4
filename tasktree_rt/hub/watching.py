"""Sessions of watchers: `PlainSession` (events only) and `NativeSession` (``tasktree.v1``)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.core.closing import GAP, OVERLOADED, TOKEN_INVALID
from tasktree_rt.core.commands import (
    Ack,
    Answer,
    Command,
    Heartbeat,
    Instruct,
    Ping,
    Policy,
    Pong,
    Refresh,
    Reply,
    RequestId,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
    Welcome,
)
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD, user_of
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import InvalidInput, PeerError, ProjectDamaged, Refused, Unavailable
from tasktree_rt.hub.catchup import resumes
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.moves import Turns
from tasktree_rt.hub.replies import Replies
from tasktree_rt.hub.session import ConnectionSession

MAX_BEATS: Final = 100
"""Projects that one heartbeat names at most, of those subscribed by name and of ``*`` each."""
MAX_REASON: Final = 100
"""Characters of a close frame's reason, which may have 123 bytes; names are ASCII."""
Authenticate = Callable[[str], Grants]


class WatchSession(ConnectionSession):
    """A watcher. `wishes` are the subscriptions of the request's query; none means ``*``."""

    __slots__ = ("_wishes",)

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        wishes: tuple[Subscribe, ...],
        *,
        grants: Grants,
        policy: Policy,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=policy, address=address)
        self._wishes = wishes

    def begin(self) -> None:
        """Subscribe as the query says: at once what is in memory, the rest by a task."""
        waiting = [wish for wish in self._wishes if not self._watch_nowait(wish)]
        self._wishes = ()
        if waiting:
            self._begun = trio.Event()

            async def begin_rest() -> None:
                await self._begin_rest(waiting)

            self._start(begin_rest)

    async def _begin_rest(self, waiting: list[Subscribe]) -> None:
        assert self._begun is not None
        try:
            for wish in waiting:
                await self._watch(wish)
            self._asked()
        except Exception as error:
            self.hub.report_fault("subscribe", error)
            self.subscriber.abort()
        finally:
            self._begun.set()
            self._begun = None

    def _watch_nowait(self, wish: Subscribe) -> bool:
        if wish.project_id == WILDCARD:
            self._watch_all(wish)
            return True
        try:
            if self.hub.shelf.get(wish.project_id) is None:
                return False
            self._before(wish)
            return self.hub.subscriptions.watch_nowait(self.subscriber, wish)
        except PeerError as error:
            self.fail(error, wish.id)
            return True

    async def _watch(self, wish: Subscribe) -> None:
        try:
            await self.hub.shelf.load(wish.project_id)
            self._before(wish)
            await self.hub.subscriptions.watch(self.subscriber, wish)
        except PeerError as error:
            self.fail(error, wish.id)

    def _watch_all(self, wish: Subscribe) -> None:
        self.hub.subscriptions.watch_all(self.subscriber, wish)

    def _before(self, wish: Subscribe) -> None:
        """A last look before a subscription to a loaded project."""

    def _asked(self) -> None:
        """All that the query asks for was subscribed to, or refused."""


class PlainSession(WatchSession):
    """Events only, no greeting; what the peer says is ignored but for its size and rate."""

    __slots__ = ("_damaged",)

    def begin(self) -> None:
        """Subscribe as the query says."""
        self._damaged: ProjectDamaged | None = None
        super().begin()

    async def message(self, message: str | bytes) -> None:
        """Not understood, not answered."""
        self.allowed()

    def fail(self, error: PeerError, request: RequestId = None) -> None:
        """This language has no word for it. Who cannot be served now is sent away, and comes again."""
        super().fail(error, request)
        if isinstance(error, Unavailable):
            self.close(OVERLOADED)
        elif error.code == "forbidden":
            self.close(TOKEN_INVALID, error.message)
        elif isinstance(error, ProjectDamaged):
            self._damaged = error

    def _asked(self) -> None:
        """Who watches nothing but what cannot be read learns it from the close."""
        if self._damaged is not None and not self.hub.connections.topics_of(self.subscriber):
            self.close(GAP, f"{self._damaged.code}: {self._damaged.topic}"[:MAX_REASON])

    def _watch_all(self, wish: Subscribe) -> None:
        self.hub.subscriptions.watch_all(self.subscriber, wish, announce=False)

    def _before(self, wish: Subscribe) -> None:
        """A gap cannot be told in this language: it closes before any event."""
        project = self.hub.shelf.get(wish.project_id)
        if project is None or not isinstance(wish.since, Position):
            return
        if not resumes(project, wish.since, self.hub.settings.delivery.max_replay):
            self.close(GAP, f"gap: reload the state, which is at {project.position}")


class NativeSession(WatchSession):
    """``tasktree.v1``. `authenticate` turns a refreshed token into grants."""

    __slots__ = ("_authenticate", "_due", "_ordered", "_told", "_turns")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        wishes: tuple[Subscribe, ...],
        *,
        grants: Grants,
        policy: Policy,
        authenticate: Authenticate,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, wishes, grants=grants, policy=policy, address=address)
        self._authenticate = authenticate
        self._ordered: Replies | None = None
        self._due = hub.heartbeats.first(self.subscriber.begun)
        self._told = ""
        self._turns: Turns | None = None

    def begin(self) -> None:
        """Greet, then subscribe."""
        hub = self.hub
        interval = hub.settings.delivery.heartbeat_interval
        limit = hub.settings.limits.max_message_size
        self.subscriber.reply(Welcome(self.subscriber.id, interval, hub.timestamp(), limit))
        super().begin()

    async def message(self, message: str | bytes) -> None:
        """One request."""
        if self._begun is not None:
            await self._begun.wait()
        request: RequestId = None
        try:
            if not self.allowed():
                rate = self.hub.settings.limits.max_messages_per_second
                raise Refused(
                    f"at most {rate:g} messages a second", code="rate_limited", retry_after=1 / rate
                )
            command = self.subscriber.dialect.decode(message)
            request = getattr(command, "id", None)
            if command is not None:
                await self._obey(command)
        except PeerError as error:
            self.fail(error, getattr(error, "request", request))
        if self._ordered is not None and self._ordered.full:
            await self._ordered.room()
        if self.subscriber.outbox.crowded:
            await self.subscriber.outbox.room()

    def fail(self, error: PeerError, request: RequestId = None) -> None:
        """Tell the peer what was wrong, behind the replies to earlier requests."""
        if self._ordered is None:
            super().fail(error, request)
        else:
            self._ordered.refuse(error, request)

    @property
    def _replies(self) -> Replies:
        """Made at its first use: most connections only watch."""
        if self._ordered is None:
            most = self.hub.settings.limits.max_unacked
            self._ordered = Replies(self.subscriber.replies, self.hub.meter, most)
        return self._ordered

    async def _obey(self, command: Command) -> None:
        match command:
            case Subscribe(project_id="*"):
                self.hub.subscriptions.watch_all(self.subscriber, command)
            case Subscribe():
                await self.hub.subscriptions.watch(self.subscriber, command)
            case Unsubscribe():
                self.hub.subscriptions.unwatch(self.subscriber, command.project_id)
                self.subscriber.reply(Unsubscribed(command.project_id, command.id))
            case Ping():
                self.subscriber.reply(Pong(command.id))
            case Ack():
                await self._note(command)
            case Answer():
                via = self._via()
                found = await self.hub.stage_answer(
                    command.prompt_id, command.given, grants=self._grants, via=via
                )
                self._replies.promise(found.ticket, command.id, Reply(command.id), found.check)
            case Instruct():
                via = self._via()
                sent, ticket = await self.hub.stage_command(
                    command.project_id, command.given, grants=self._grants, via=via
                )
                self._replies.promise(ticket, command.id, Reply(command.id, sent.id))
            case Refresh():
                self.hub.subscriptions.regrant(self.subscriber, self._authenticate(command.token))
                self._replies.say(Reply(command.id))
            case _:
                raise InvalidInput("this connection cannot publish", field="type")

    @property
    def _grants(self) -> Grants:
        return self.subscriber.grants

    def _via(self) -> Json:
        """What is kept of how somebody spoke."""
        return {"dialect": self.subscriber.dialect.name, "connection": self.subscriber.id}

    async def _note(self, ack: Ack) -> None:
        user = user_of(ack.project_id)
        if user is not None:
            ticket = await self.hub.stage_read(user, ack.seq, grants=self._grants)
            reply = None if ack.id is None else Reply(ack.id)
            if ticket is not None:
                self._replies.promise(ticket, ack.id, reply)
            elif reply is not None:
                self._replies.say(reply)
            return
        acked = self.subscriber.acked = self.subscriber.acked or {}
        if ack.project_id not in acked and len(acked) >= self.hub.settings.limits.max_subscriptions:
            acked.pop(next(iter(acked)))
        acked[ack.project_id] = ack.seq

    def beat(self, now: float) -> None:
        """Tell where this connection stands, every `heartbeat_interval`."""
        if now >= self._due:
            self._due = self.hub.heartbeats.after(self._due, now)
            self.tell_positions(now)

    def tell_positions(self, now: float) -> None:
        """A heartbeat, unless one waits already."""
        subscriber = self.subscriber
        unsent: set[str] = set()
        if not subscriber.idle:
            if subscriber.closing or subscriber.outbox.waits(Heartbeat):
                return
            unsent = subscriber.outbox.unsent
        said, data = self.hub.heartbeats.encoded(subscriber.dialect, self._positions(now, unsent), now)
        if data is not None:
            self._say(data, said)

    def _say(self, data: bytes, said: Heartbeat) -> None:
        """Nearly always nothing waits and the socket takes it all, as in `fanout`."""
        subscriber, taken = self.subscriber, 0
        if subscriber.direct is not None:
            with suppress(OSError):
                taken = subscriber.direct(data)
        if taken:
            subscriber.sent_one(data, taken)
        else:
            subscriber.say(data, said)

    def _positions(self, now: float, unsent: Collection[str]) -> dict[str, Position]:
        """The last ones put on this connection, of as many projects as one heartbeat names."""
        hub, subscriber = self.hub, self.subscriber
        if subscriber.opening is not None:
            return {}
        topics = hub.index.topics(subscriber)
        positions: dict[str, Position] = {}
        for name in self._in_turn(topics, now):
            project = hub.shelf.get(name)
            live = name not in unsent and (subscriber.special is None or name not in subscriber.special)
            if project is None or project.epoch == "":
                continue
            if live and not hub.fanout.underway(name):
                positions[name] = project.position
            elif self._turns is not None and name not in topics:
                self._turns.owed.append(name)
        return positions

    def _in_turn(self, topics: frozenset[str], now: float) -> Iterable[str]:
        """The named ones, and of ``*`` those that moved: of each at most `MAX_BEATS`, all of them in turn."""
        if WILDCARD not in topics:
            return self._named(topics)
        subscriber = self.subscriber
        if self._turns is None:
            self._turns = Turns()

        def wanted(name: str) -> bool:
            return (
                name not in topics and self.hub.index.wants(subscriber, name) and subscriber.grants.sees(name)
            )

        return [*self._named(topics), *self._turns.next(self.hub.moves, wanted, now, MAX_BEATS)]

    def _named(self, topics: frozenset[str]) -> Iterable[str]:
        if len(topics) <= 1:
            return topics - {WILDCARD}
        names = sorted(topics - {WILDCARD})
        if len(names) <= MAX_BEATS:
            return names
        start = bisect_right(names, self._told) % len(names)
        found = [*names[start:], *names[:start]][:MAX_BEATS]
        self._told = found[-1]
        return found
