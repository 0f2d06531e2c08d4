"""The hub's side of a connection of AIECS: users confirm steps, cancel tasks and receive messages."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tasktree_rt.compat.aiecs.direct_messages import CANCELLED, EVERYBODY, DirectMessages
from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import GOING_AWAY
from tasktree_rt.core.events import Json, is_project_id
from tasktree_rt.core.log import BEGINNING
from tasktree_rt.core.protocol import (
    Answer,
    CancelTask,
    Command,
    Ephemeral,
    Ping,
    Policy,
    Pong,
    Received,
    Subscribe,
    Subscribed,
)
from tasktree_rt.core.topics import user_of
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import InvalidInput, PeerError
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.delivery.ephemeral_topics import EVERY_USER
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.interactions.registry import PROMPT, OpenInteraction
from tasktree_rt.hub.interactions.resolution import StagedOutcome
from tasktree_rt.hub.sessions.base import ConnectionSession

TASK: Final = "aiecs"
"""A task's project is ``aiecs:<task_id>``; prompts without a task are in the project ``aiecs``."""
SETTLED: Final = frozenset({"prompt_closed", "not_found"})
"""Codes of refused answers, late or to an unknown prompt, to which the hub sends no reply."""
OFFERED: Final = 100
"""Open prompts, the newest, that a new connection with `everything` receives."""


def task_project(task: str | None) -> str:
    """Return the project of a task."""
    name = f"{TASK}:{task}"
    return name if task and is_project_id(name) else TASK


def _is_for_people(pending: OpenInteraction) -> bool:
    """Return True for a prompt to a user, and for one to every user about a task."""
    home = pending.home
    asks = pending.interaction.kind == PROMPT and pending.kept
    about_task = home == TASK or home.startswith(f"{TASK}:")
    return asks and (user_of(pending.interaction.topics[-1]) is not None or about_task)


class ConfirmingSession(ConnectionSession):
    """A connection of AIECS. With `everything` it receives the messages and prompts of all users."""

    __slots__ = ("_everything", "_messages")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        messages: DirectMessages,
        *,
        everything: bool,
        grants: Grants,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=Policy.NEWEST, address=address)
        self.subscriber.drain_closing = GOING_AWAY
        self._messages = messages
        self._everything = everything

    @property
    def connection_id(self) -> str:
        """The connection's id."""
        return self.subscriber.id

    @property
    def patience(self) -> tuple[float, float]:
        """See `ConnectionSession`."""
        settings = self.hub.settings.aiecs
        return settings.ping_interval, settings.ping_timeout

    def begin(self) -> None:
        """Subscribe to messages for all; with `everything`, to those of every user too."""
        self._messages.join(self)
        self.hub.ephemeral_topics.subscribe(self.subscriber, EVERYBODY)
        if self._everything:
            self.hub.ephemeral_topics.subscribe(self.subscriber, EVERY_USER)
            # AIECS' own client never subscribes, so it gets the open prompts now.
            self._offer(self.hub.registry.newest(OFFERED, _is_for_people))

    def _offer(self, open_ones: Iterable[OpenInteraction]) -> None:
        for one in open_ones:
            self.subscriber.reply(Ephemeral(one.interaction.topics[-1], PROMPT, one.data, one.id))

    def ended(self, code: int | None, reason: str) -> None:
        """Remove the connection; see `transport.Session`."""
        self._messages.leave(self)
        super().ended(code, reason)

    async def message(self, message: str | bytes) -> None:
        """Execute one action."""
        await self.pace(message)
        try:
            self.admit()
            command = self.subscriber.dialect.decode(message)
            if command is not None:
                await self._obey(command)
        except PeerError as error:
            self._refused(error)
        if self.subscriber.outbox.crowded:
            await self.subscriber.outbox.room()

    async def _obey(self, command: Command) -> None:
        match command:
            case Ping():
                self.subscriber.reply(Pong(None, command.original))
            case Subscribe():
                self._listen(command.project_id)
            case Answer():
                via: Json = {"dialect": self.subscriber.dialect.name, "connection": self.subscriber.id}
                found = await self.hub.prompts.stage_answer(
                    command.prompt_id, command.given, grants=self.subscriber.grants, via=via
                )
                found.publish.callbacks.append(lambda _: self._answered(found))
            case Received():
                self._messages.received(command.message_id, self.subscriber.grants)
            case CancelTask():
                await self._cancel(command.user_id, command.task_id)
            case _:
                raise InvalidInput("this connection does not do that", field="action")

    def _answered(self, found: StagedOutcome) -> None:
        try:
            found.check()
        except PeerError as error:
            self._refused(error)

    def _refused(self, error: PeerError) -> None:
        if error.code not in SETTLED:
            self.fail(error)

    def _listen(self, topic: str) -> None:
        user = user_of(topic) or ""
        access.require_user(self.subscriber.grants, user, "act for")
        if self.hub.settings.aiecs.one_per_user:
            self._messages.take_over(user, self)
        if not self._everything:
            self.hub.ephemeral_topics.subscribe(self.subscriber, topic)
        self.subscriber.reply(Subscribed(topic, BEGINNING, None))
        self._offer(self.hub.registry.told(topic, PROMPT))

    async def _cancel(self, user: str, task: str) -> None:
        """Tell the user's connections that the task was cancelled, and send its orchestrator the command."""
        access.require_user(self.subscriber.grants, user, "act for")
        data: Json = {"user_id": user, "task_id": task}
        self._messages.show(user if self.hub.settings.auth.on else None, CANCELLED, data)
        with suppress(PeerError):
            via: Json = {"dialect": self.subscriber.dialect.name, "connection": self.subscriber.id}
            grants = self.subscriber.grants
            await self.hub.commands.stage(task_project(task), {"name": "cancel"}, grants=grants, via=via)
