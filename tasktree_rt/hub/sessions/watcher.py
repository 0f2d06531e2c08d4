"""Sessions of watchers: `PlainSession` (events only) and `NativeSession` (``tasktree.v1``)."""

from __future__ import annotations

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import GAP, MAX_REASON, OVERLOADED, TOKEN_INVALID
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import (
    Ack,
    Answer,
    Command,
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
from tasktree_rt.core.topics import user_of
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import InvalidInput, PeerError, ProjectDamaged, Unavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.resume.catchup import replayable, resumes
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.ordered_replies import Replies
from tasktree_rt.hub.sessions.position_heartbeat import Positions
from tasktree_rt.hub.sessions.query import Query
from tasktree_rt.hub.sessions.renewal import Authenticate, renewed


class PlainSession(ConnectionSession):
    """Sends events only, no greeting; ignores the peer's messages but for their size and rate.

    `requests` are the subscriptions of the query string.
    """

    __slots__ = ("_damaged", "_requests")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        requests: tuple[Subscribe, ...],
        *,
        grants: Grants,
        policy: Policy,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=policy, address=address)
        self._requests = requests
        self._damaged: ProjectDamaged | None = None

    def begin(self) -> None:
        """Make the subscriptions of the query string."""
        requests, self._requests = self._requests, ()
        query = Query(
            self.hub,
            self.subscriber,
            requests,
            self.fail,
            announce=False,
            before=self._refuse_gap,
            done=self._tell_damage,
        )
        query.begin(self._start)

    def fail(self, error: PeerError, request: RequestId = None) -> None:
        """Close the connection where that tells the client to reconnect: the plain dialect has no errors."""
        super().fail(error, request)
        if isinstance(error, Unavailable):
            self.close(OVERLOADED)
        elif error.code == "forbidden":
            self.close(TOKEN_INVALID, error.message)
        elif isinstance(error, ProjectDamaged):
            self._damaged = error

    def _tell_damage(self) -> None:
        """Close a connection that watches nothing because its project is damaged."""
        if self._damaged is not None and not self.hub.connections.topics_of(self.subscriber):
            self.close(GAP, f"{self._damaged.code}: {self._damaged.topic}"[:MAX_REASON])

    def _refuse_gap(self, request: Subscribe) -> None:
        """Close the connection before any event if some are missing: the plain dialect has no gap message."""
        project = self.hub.subscriptions.found(self.subscriber, request.project_id)
        if project is None or not isinstance(request.since, Position):
            return
        most = self.hub.settings.delivery.max_replay
        if not resumes(project, request.since, replayable(project, self.subscriber.grants, most)):
            self.close(GAP, f"gap: reload the state, which is at {project.position}")


class NativeSession(ConnectionSession):
    """Speaks ``tasktree.v1``.

    `requests` are the subscriptions of the query string; `authenticate` turns a refreshed token into grants.
    """

    renewable = True
    __slots__ = ("_authenticate", "_ordered", "_requests", "positions")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        requests: tuple[Subscribe, ...],
        *,
        grants: Grants,
        policy: Policy,
        authenticate: Authenticate,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=policy, address=address)
        self._requests = requests
        self._authenticate = authenticate
        self._ordered: Replies | None = None
        self.positions = Positions(hub, self.subscriber)

    def begin(self) -> None:
        """Send the welcome, then subscribe."""
        hub = self.hub
        interval = hub.settings.delivery.heartbeat_interval
        limit = hub.settings.limits.max_message_size
        self.subscriber.reply(Welcome(self.subscriber.id, interval, hub.timestamp(), limit))
        requests, self._requests = self._requests, ()
        if requests:
            self._begun = Query(hub, self.subscriber, requests, self.fail).begin(self._start)

    async def message(self, message: str | bytes) -> None:
        """Handle one request."""
        if self._begun is not None:
            await self._begun.wait()
            self._begun = None
        await self.pace(message)
        request: RequestId = None
        try:
            self.admit()
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
        """Send an error, behind the replies to earlier requests."""
        if self._ordered is None:
            super().fail(error, request)
        else:
            self.audit(error)
            self._ordered.refuse(error, request)

    @property
    def _replies(self) -> Replies:
        """Return the ordered replies, made at the first use: most connections only watch."""
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
                found = await self.hub.prompts.stage_answer(
                    command.prompt_id, command.given, grants=self._grants, via=via, within=command.within
                )
                self._replies.promise(found.publish, command.id, Reply(command.id), found.check)
            case Instruct():
                via = self._via()
                sent, publish = await self.hub.commands.stage(
                    command.project_id, command.given, grants=self._grants, via=via
                )
                self._replies.promise(publish, command.id, Reply(command.id, sent.id))
            case Refresh():
                grants = await renewed(self._grants, command.token, self._authenticate)
                self.hub.subscriptions.regrant(self.subscriber, grants)
                self._replies.say(Reply(command.id))
            case _:
                raise InvalidInput("this connection cannot publish", field="type")

    @property
    def _grants(self) -> Grants:
        return self.subscriber.grants

    def _via(self) -> Json:
        """Return what the log stores of a peer's connection."""
        return {"dialect": self.subscriber.dialect.name, "connection": self.subscriber.id}

    async def _note(self, ack: Ack) -> None:
        user = user_of(ack.project_id)
        if user is not None:
            publish = await self.hub.notifications.stage_read(user, ack.seq, grants=self._grants)
            reply = None if ack.id is None else Reply(ack.id)
            if publish is not None:
                self._replies.promise(publish, ack.id, reply)
            elif reply is not None:
                self._replies.say(reply)
            return
        acked = self.subscriber.acked = self.subscriber.acked or {}
        if ack.project_id not in acked and len(acked) >= self.hub.settings.limits.max_subscriptions:
            acked.pop(next(iter(acked)))
        acked[ack.project_id] = ack.seq

    def lapsed(self) -> None:
        """Go on: an `Unsubscribed` said which subscription has ended."""

    def beat(self, now: float) -> None:
        """Send the positions of this connection every `heartbeat_interval`."""
        self.positions.beat(now)
