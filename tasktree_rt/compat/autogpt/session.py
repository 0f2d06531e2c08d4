"""Session of a client that watches ephemeral topics only: no positions, no states, no replay."""

from __future__ import annotations

from contextlib import suppress

from tasktree_rt.compat.autogpt.remembered_views import MISSED, remembered_views
from tasktree_rt.core.access import Grants
from tasktree_rt.core.protocol import (
    Command,
    Failure,
    Ping,
    Policy,
    Pong,
    SubscribeTopic,
    TopicSubscribed,
    UnsubscribeTopic,
)
from tasktree_rt.core.topics import live_topic, user_topic
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.dialects.deflate import plain_of
from tasktree_rt.errors import InvalidInput, PeerError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.base import ConnectionSession


class ViewSession(ConnectionSession):
    """A session of `user`, whose notifications it sends without a subscription; `token` is the user's.

    Requests faster than `limits.max_messages_per_second` wait and are not refused: this client subscribes
    once for each item on its screen and ignores errors.
    """

    __slots__ = ("_asked", "_remembered", "_token", "_user")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        user: str,
        *,
        expires: float | None = None,
        token_id: str = "",
        issued: float | None = None,
        address: str = "",
        token: str = "",
    ) -> None:
        grants = Grants(user, expires=expires, token_id=token_id, issued=issued, address=address)
        super().__init__(hub, dialect, grants=grants, policy=Policy.NEWEST, address=address)
        self._user = user
        self._token = token
        self._remembered = remembered_views(hub)
        self._asked: dict[str, None] = {}
        """Topics to which this connection subscribed itself."""

    def begin(self) -> None:
        """Subscribe to the user's notifications, and to the topics of the user's earlier connections
        (`remembered_views`)."""
        self.hub.ephemeral_topics.subscribe(self.subscriber, user_topic(self._user))
        self._remembered.inherit(self._user, self.subscriber)
        self.subscriber.on_close = self._leave
        if self._remembered.recalls:
            self._start(self._recall)

    async def _recall(self) -> None:
        """Subscribe to the topics that the previous hub stored; if that fails, ask the client to reload."""
        try:
            found = await self._remembered.recall(self._user)
        except PeerError:
            self.subscriber.reply(Failure("gone", MISSED))
            return
        for kind, name in found:
            with suppress(PeerError):
                await self._show(kind, name)

    def ended(self, code: int | None, reason: str) -> None:
        """See `transport.Session`."""
        if code is None and self.subscriber.close_code is None:
            self._leave()  # the connection broke
        super().ended(code, reason)

    def _leave(self) -> None:
        inherited = self.hub.ephemeral_topics.topics(self.subscriber) - self._asked.keys()
        self._remembered.left(self._user, plain_of(self.subscriber.dialect), (*inherited, *self._asked))

    async def message(self, message: str | bytes) -> None:
        """Execute one request."""
        await self.pace(message)
        wait = self.peer.pace_messages()
        if wait:
            await self.pause(wait)
        try:
            command = self.subscriber.dialect.decode(message)
            if command is not None:
                await self._obey(command)
        except PeerError as error:
            self.fail(error)
        if self.subscriber.outbox.crowded:
            await self.subscriber.outbox.room()

    async def _obey(self, command: Command) -> None:
        match command:
            case Ping():
                self.subscriber.reply(Pong(command.id))
            case SubscribeTopic():
                await self._show(command.kind, command.name)
                self.subscriber.reply(TopicSubscribed(command.method, self._user, command.kind, command.name))
            case UnsubscribeTopic():
                self.subscriber.reply(
                    TopicSubscribed(command.method, self._user, self._hide(command), command.name)
                )
            case _:
                raise InvalidInput("this connection only watches", field="type")

    async def _show(self, kind: str, name: str) -> None:
        """Subscribe to a topic; return once its events arrive."""
        await self.hub.view_source.prepare(kind, self._user, name, self._token)
        if self.subscriber.id in self.hub.connections:
            topic = live_topic(kind, self._user, name)
            self.hub.ephemeral_topics.subscribe(self.subscriber, topic)
            self._asked[topic] = None
            await self.hub.view_source.stand(topic)

    def _hide(self, command: UnsubscribeTopic) -> str | None:
        """Unsubscribe from all kinds that the request names; return the first kind that was subscribed to."""
        known = [
            kind for kind in command.kinds if self._unsubscribe(live_topic(kind, self._user, command.name))
        ]
        return known[0] if known else None

    def _unsubscribe(self, topic: str) -> bool:
        self._asked.pop(topic, None)
        return self.hub.ephemeral_topics.unsubscribe(self.subscriber, topic)
