"""Sessions of watchers: `PlainSession` (events only) and `NativeSession` (``tasktree.v1``)."""

from __future__ import annotations

from collections.abc import Callable
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
from tasktree_rt.errors import InvalidInput, PeerError, Refused, Unavailable
from tasktree_rt.hub.catchup import resumes
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.session import ConnectionSession

MAX_BEATS: Final = 100
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
        except Exception as error:
            self.hub.failed("subscribe", error)
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
            return self.hub.watch_nowait(self.subscriber, wish)
        except PeerError as error:
            self.fail(error, wish.id)
            return True

    async def _watch(self, wish: Subscribe) -> None:
        try:
            await self.hub.project(wish.project_id)
            self._before(wish)
            await self.hub.watch(self.subscriber, wish)
        except PeerError as error:
            self.fail(error, wish.id)

    def _watch_all(self, wish: Subscribe) -> None:
        self.hub.watch_all(self.subscriber, wish)

    def _before(self, wish: Subscribe) -> None:
        """A last look before a subscription to a loaded project."""


class PlainSession(WatchSession):
    """Events only, no greeting; what the peer says is ignored but for its size and rate."""

    __slots__ = ()

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

    def _watch_all(self, wish: Subscribe) -> None:
        self.hub.watch_all(self.subscriber, wish, announce=False)

    def _before(self, wish: Subscribe) -> None:
        """A gap cannot be told in this language: it closes before any event."""
        project = self.hub.loaded(wish.project_id)
        if project is None or not isinstance(wish.since, Position):
            return
        if not resumes(project, wish.since, self.hub.settings.delivery.max_replay):
            self.close(GAP, f"gap: reload the state, which is at {project.position}")


class NativeSession(WatchSession):
    """``tasktree.v1``. `authenticate` turns a refreshed token into grants."""

    __slots__ = ("_authenticate", "_beaten")

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
        self._beaten = 0.0

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
        if self.subscriber.crowded:
            await self.subscriber.room()

    async def _obey(self, command: Command) -> None:
        match command:
            case Subscribe(project_id="*"):
                self.hub.watch_all(self.subscriber, command)
            case Subscribe():
                await self.hub.watch(self.subscriber, command)
            case Unsubscribe():
                self.hub.unwatch(self.subscriber, command.project_id)
                self.subscriber.reply(Unsubscribed(command.project_id, command.id))
            case Ping():
                self.subscriber.reply(Pong(command.id))
            case Ack():
                await self._note(command)
            case Answer():
                via = self._via()
                await self.hub.answer(command.prompt_id, command.given, grants=self._grants, via=via)
                self.subscriber.reply(Reply(command.id))
            case Instruct():
                via = self._via()
                sent = await self.hub.command(command.project_id, command.given, grants=self._grants, via=via)
                self.subscriber.reply(Reply(command.id, sent.id))
            case Refresh():
                self.hub.regrant(self.subscriber, self._authenticate(command.token))
                self.subscriber.reply(Reply(command.id))
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
            await self.hub.read_up_to(user, ack.seq, grants=self._grants)
            if ack.id is not None:
                self.subscriber.reply(Reply(ack.id))
            return
        acked = self.subscriber.acked = self.subscriber.acked or {}
        if ack.project_id not in acked and len(acked) >= self.hub.settings.limits.max_subscriptions:
            acked.pop(next(iter(acked)))
        acked[ack.project_id] = ack.seq

    def beat(self, now: float) -> None:
        """A heartbeat, when nothing else was sent for `heartbeat_interval`."""
        subscriber = self.subscriber
        since = max(subscriber.last_sent, subscriber.begun)
        if now - since < self.hub.settings.delivery.heartbeat_interval or not subscriber.idle:
            return
        subscriber.reply(Heartbeat(self.hub.timestamp(), self._positions()))
        subscriber.last_sent = now

    def _positions(self) -> dict[str, Position]:
        hub, subscriber = self.hub, self.subscriber
        if subscriber.opening is not None:
            return {}
        topics = hub.index.topics(subscriber)
        names = sorted(topics - {WILDCARD})
        if WILDCARD in topics:
            names += hub.moved_since(subscriber, self._beaten, MAX_BEATS)
            self._beaten = trio.current_time()
        positions: dict[str, Position] = {}
        for name in names:
            project = hub.loaded(name)
            live = subscriber.special is None or name not in subscriber.special
            if project is not None and project.epoch != "" and live and not hub.fanout.underway(name):
                positions[name] = project.position
        return positions
