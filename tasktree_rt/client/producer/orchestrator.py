"""The producer's side: pipelined, acknowledged publishes that outlive the hub's restarts.

Nothing is lost and nothing is doubled: each publish has an id that is unique over all lives of the
producer, stays here (or in the spool file) until the hub has answered, and after a drop everything
unanswered is sent again, in order, under the same ids, before anything new.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count
from typing import Any, Unpack

import trio
from attrs import frozen

from tasktree_rt.client.interactions.api_client import ApiClient
from tasktree_rt.client.interactions.prompts import Answer, Asked
from tasktree_rt.client.producer import encode as payload
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.command_inbox import Commands
from tasktree_rt.client.producer.encode import EventLike
from tasktree_rt.client.producer.obey import Announcement, Handler, announcement, obey
from tasktree_rt.client.producer.receipt import Lost, Receipt
from tasktree_rt.client.producer.session import OnRefused, ProducerSession
from tasktree_rt.client.producer.split_batch import batch_id
from tasktree_rt.client.producer.unacknowledged import Unacknowledged
from tasktree_rt.client.transport.backoff import Retry
from tasktree_rt.client.transport.connection import Connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.reconnect import stay_connected
from tasktree_rt.client.transport.tokens import TrioTokens
from tasktree_rt.core.announcement import read_announcement
from tasktree_rt.core.events import Json
from tasktree_rt.core.json_schema import PlainJudge
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

Connect = Callable[[], AbstractAsyncContextManager[Connection]]
Asking = Callable[[], AbstractAsyncContextManager[ApiClient]]


@frozen
class OrchestratorStatistics:
    """Counts since it was opened; `unacked`, `in_flight` and `spooled` (bytes) are of this moment."""

    connected: bool
    connections: int
    published: int
    acked: int
    duplicates: int
    refused: int
    resent: int
    unacked: int
    in_flight: int
    spooled: int
    spool_damaged: int
    last_error: str | None


class Orchestrator:
    """What `open_orchestrator` gives. For one Trio program; any number of its tasks may publish."""

    def __init__(
        self,
        outstanding: Unacknowledged,
        *,
        limits: HubLimits,
        on_refused: OnRefused | None,
        commands: Iterable[str] = (),
        asking: Asking | None = None,
        tokens: TrioTokens | None = None,
    ) -> None:
        self._asking = asking
        self._outstanding = outstanding
        self._window = outstanding.window
        self.limits = limits
        self._turn = trio.Lock()
        """Held while waiting for room: publishers are served in the order they came."""
        self._session = ProducerSession(outstanding, on_refused, commands, tokens or TrioTokens(None))
        self._life = secrets.token_hex(8)
        self._numbers = count(1)
        self._published = 0
        self._lost: ClientError | None = None
        self._closed = False

    async def publish(self, events: EventLike | Iterable[EventLike], *, id: str | None = None) -> Receipt:
        """Publish one event, or several of one project that are kept all or none.

        Waits only for room: without a spool until fewer than `max_in_flight` publishes are unanswered,
        with one until the file has room. Await the receipt's `acked` to know more. An event without a
        timestamp gets the present time, unless you give an `id` of your own: a repeat under the same
        id must be the same publish. Giving the id of one that is still unanswered returns its receipt.
        If cancelled, nothing was published.

        Raises:
            PublishRefused: at once for what the hub would refuse whatever it holds (`HubLimits`), and another
                publish under the id of one that is unanswered.
            ConnectionLost: the hub is not coming back.
            ClientError: the spool cannot be written.
            trio.ClosedResourceError: the orchestrator was left.
        """
        publish_id = f"{self._life}-{next(self._numbers)}" if id is None else id
        encoded = payload.encode_events(events, self.limits, stamp=id is None)
        text = payload.publish_text(publish_id, encoded.events)
        self._check_size(text)
        return await self._publish(publish_id, text)

    async def offer(self, events: list[Json], lost: Lost) -> Receipt:
        """Not for the program's use: publish events of a run, which were checked where they were made.

        Refused, they are divided and sent again in parts; `lost` is called for what is lost of them.

        Raises:
            ClientError: as `publish`.
        """
        publish_id = batch_id(self._life, next(self._numbers))
        text = payload.publish_text(publish_id, map(payload.encode_event, events))
        self._check_size(text)
        return await self._publish(publish_id, text, lost)

    def _check_size(self, text: bytes) -> None:
        most = self.limits.message_size
        if len(text) > most:
            raise PublishRefused("too_large", f"{len(text)} bytes, at most {most} are taken")

    async def _publish(self, publish_id: str, text: bytes, lost: Lost | None = None) -> Receipt:
        async with self._turn:
            known = self._outstanding.same(publish_id, text)
            if known is not None:
                return known
            while not self._outstanding.room(len(text)):
                self._check_open()
                await self._session.changed.park()
            self._check_open()
            receipt = await self._outstanding.add(publish_id, text, lost)
        self._published += 1
        self._session.changed.unpark_all()
        return receipt

    async def node_update(self, project_id: str, node_id: str, **changes: Any) -> Receipt:
        """Set fields of a node, making it if need be; None removes a field. As `publish` otherwise."""
        return await self.publish(payload.node_update(project_id, node_id, changes))

    async def state_transition(
        self,
        project_id: str,
        to: str,
        *,
        before: str | None = None,
        node_id: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """A node, or without `node_id` the project itself, has passed from `before` to `to`."""
        event = payload.state_transition(project_id, to, before=before, node_id=node_id, context=context)
        return await self.publish(event)

    async def log(
        self,
        project_id: str,
        message: str,
        *,
        level: str = "info",
        node_id: str | None = None,
        stream: str | None = None,
    ) -> Receipt:
        """Publish a line of output of a project, or of one of its nodes."""
        return await self.publish(
            payload.log_line(project_id, message, level=level, node_id=node_id, stream=stream)
        )

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and wait for the answer through any restart of the hub, as `ApiClient.ask` does.

        What was published before may reach watchers after the question; `flush` first where that matters.
        """
        if self._asking is None:
            raise RuntimeError("this orchestrator was not opened by open_orchestrator")
        async with self._asking() as api:
            return await api.ask(message, **asked)

    def commands(self) -> Commands:
        """The commands of the projects that `open_orchestrator` was given, as they come, each once.

        Several tasks may iterate: each command goes to one of them. One that the hub gives again after a
        reconnect, while it is still worked on, is not given again here. Iterating raises `ConnectionLost` if
        the hub is not coming back, and ends when the orchestrator is left.

        Raises:
            RuntimeError: ``commands`` was not given to `open_orchestrator`.
        """
        if not self._session.inbox.projects:
            raise RuntimeError("open_orchestrator was not told whose commands to take")
        return Commands(self._session.inbox)

    def announce(self, commands: Iterable[Announcement]) -> None:
        """Tell the hub which commands this orchestrator obeys, in place of those of before: dashboards show
        these and no others. The hub forgets them when the connection ends, and is told again on the next one.

        Raises:
            RuntimeError: ``commands`` was not given to `open_orchestrator`.
            InvalidInput: the hub would refuse it; names the field.
        """
        self.commands()
        said = [dict(one) for one in commands]
        read_announcement(said, PlainJudge())
        self._session.inbox.announce(said)

    async def obey(self, *handlers: Handler) -> None:
        """Announce the commands that `handlers` obey, and obey them, until cancelled; see `obey.obeys`."""
        self.announce([announcement(one) for one in handlers])
        await obey(self.commands(), handlers)

    async def flush(self) -> None:
        """Wait until the hub has acknowledged or refused all publishes and command results so far.

        Raises:
            ConnectionLost: the hub is not coming back.
        """
        await trio.lowlevel.checkpoint()
        for receipt in self._window:
            while receipt.outcome is None:
                self._check_open()
                await self._session.changed.park()
        while len(self._session.inbox) and self._lost is None:
            self._check_open()
            await self._session.changed.park()
        if self._lost is not None and self._window:
            raise self._lost

    @property
    def spooled(self) -> bool:
        """True if unanswered publishes stay in a file for the next start."""
        return self._outstanding.spool is not None

    def statistics(self) -> OrchestratorStatistics:
        """Counts of this moment."""
        session, spool = self._session, self._outstanding.spool
        return OrchestratorStatistics(
            connected=session.connection is not None,
            connections=session.connections,
            published=self._published,
            acked=session.acked,
            duplicates=session.duplicates,
            refused=session.refused,
            resent=session.resent,
            unacked=len(self._window),
            in_flight=self._window.flying,
            spooled=spool.size if spool is not None else 0,
            spool_damaged=spool.damaged if spool is not None else 0,
            last_error=session.last_error,
        )

    async def run(self, connect: Connect, retry: Retry, patience: float) -> None:
        """Not for the program's use: the task behind it all, which `open_orchestrator` starts."""
        session = self._session
        try:
            await stay_connected(connect, session.serve, session.connection_ended, retry, patience)
        except ClientError as end:
            if not self._closed:
                self._lost = ConnectionLost(str(end)) if isinstance(end, ConnectionEnded) else end
                self._outstanding.fail(self._lost)
        finally:
            if self._lost is not None:
                session.inbox.end(self._lost)
            session.changed.unpark_all()

    async def finish(self, flush_timeout: float, close_timeout: float) -> None:
        """Not for the program's use: flush, then say good-bye to the hub."""
        with trio.move_on_after(flush_timeout), suppress(ClientError):
            await self.flush()
        self._closed = True
        if self._session.connection is not None:
            with trio.move_on_after(close_timeout):
                await self._session.connection.aclose()

    def close(self) -> ConnectionLost | None:
        """Not for the program's use: let go of everything; returns what to raise, if anything is left."""
        self._closed = True
        left, last, spool = len(self._window), self._session.last_error, self._outstanding.spool
        why = f"{left} publishes were not acknowledged" + (f" ({last})" if last else "")
        if spool is not None:
            why += f"; they stay in {spool.path} for the next start"
            spool.close()
        self._session.inbox.end(trio.ClosedResourceError("this orchestrator was left"))
        self._outstanding.fail(ConnectionLost(why))
        return ConnectionLost(why) if left and spool is None else None

    def _check_open(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._closed:
            raise trio.ClosedResourceError("this orchestrator was left")
