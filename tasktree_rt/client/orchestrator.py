"""The producer's side: pipelined, acknowledged publishes that outlive the hub's restarts.

Nothing is lost and nothing is doubled: each publish has an id that is unique over all lives of the
producer, stays here (or in the spool file) until the hub has answered, and after a drop everything
unanswered is sent again, in order, under the same ids, before anything new.
"""

from __future__ import annotations

import math
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, Unpack

import trio
from attrs import frozen

from tasktree_rt.client import payload
from tasktree_rt.client.asking import Answer, Asked
from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.client.checking import HubLimits
from tasktree_rt.client.connection_errors import Dropped
from tasktree_rt.client.desk import Desk, open_desk
from tasktree_rt.client.dividing import batch_id
from tasktree_rt.client.link import Link, LinkOptions, open_link
from tasktree_rt.client.nursery import background
from tasktree_rt.client.obeying import Commands
from tasktree_rt.client.payload import EventLike
from tasktree_rt.client.producing import OnRefused, Producing
from tasktree_rt.client.receipts import Lost, Receipt
from tasktree_rt.client.reconnect import stay_connected
from tasktree_rt.client.spool import Place, Spool
from tasktree_rt.client.urls import socket_url
from tasktree_rt.client.window import Window
from tasktree_rt.core.events import Json
from tasktree_rt.core.limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE, MIB
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

PATH: Final = "/ws/orchestrator"
INBOUND_LIMIT: Final = 16 * MIB
"""Bytes of a message from the hub: an ack of 1,000 events is about 100 KB."""

Connect = Callable[[], AbstractAsyncContextManager[Link]]
Asking = Callable[[], AbstractAsyncContextManager[Desk]]


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
        window: Window[Receipt],
        spool: Spool | None,
        *,
        limits: HubLimits,
        on_refused: OnRefused | None,
        commands: Iterable[str] = (),
        asking: Asking | None = None,
    ) -> None:
        self._asking = asking
        self._window = window
        self._spool = spool
        self.limits = limits
        self._turn = trio.Lock()
        """Held while waiting for room: publishers are served in the order they came."""
        self._file = trio.Lock()
        """Held while the spool is written to: never while waiting for room, which rewriting it may make."""
        self._producing = Producing(window, spool, self._file, on_refused, commands)
        self._life = secrets.token_hex(8)
        self._numbers = count(1)
        self._published = 0
        self._lost: ClientError | None = None
        self._closed = False
        for place in spool.waiting.values() if spool is not None else ():
            window.add(Receipt(place.id, place.size, None, place))

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
            known = self._window.get(publish_id)
            if known is not None:
                return self._same(known, text)
            while not self._room(len(text)):
                self._check_open()
                await self._producing.changed.park()
            self._check_open()
            receipt = await self._keep(publish_id, text, lost)
        self._published += 1
        self._producing.changed.unpark_all()
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
        """A line of output."""
        return await self.publish(
            payload.log_line(project_id, message, level=level, node_id=node_id, stream=stream)
        )

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and wait for what the question comes to, through any restart of the hub: `Desk.ask`.

        What was published before may reach watchers after the question; `flush` first where that matters.
        """
        if self._asking is None:
            raise RuntimeError("this orchestrator was not opened by open_orchestrator")
        async with self._asking() as desk:
            return await desk.ask(message, **asked)

    def commands(self) -> Commands:
        """The commands of the projects that `open_orchestrator` was given, as they come, each once.

        Several tasks may iterate: each command goes to one of them. One that the hub gives again after a
        reconnect, while it is still worked on, is not given again here. Iterating raises `ConnectionLost` if
        the hub is not coming back, and ends when the orchestrator is left.

        Raises:
            RuntimeError: ``commands`` was not given to `open_orchestrator`.
        """
        if not self._producing.inbox.projects:
            raise RuntimeError("open_orchestrator was not told whose commands to take")
        return Commands(self._producing.inbox)

    async def flush(self) -> None:
        """Wait until everything published, and said of commands, so far is acknowledged or refused.

        Raises:
            ConnectionLost: the hub is not coming back.
        """
        await trio.lowlevel.checkpoint()
        for receipt in self._window:
            while receipt.outcome is None:
                self._check_open()
                await self._producing.changed.park()
        while len(self._producing.inbox) and self._lost is None:
            self._check_open()
            await self._producing.changed.park()
        if self._lost is not None and self._window:
            raise self._lost

    @property
    def spooled(self) -> bool:
        """Whether what is unanswered stays in a file for the next start."""
        return self._spool is not None

    def statistics(self) -> OrchestratorStatistics:
        """How it goes."""
        producing, spool = self._producing, self._spool
        return OrchestratorStatistics(
            connected=producing.link is not None,
            connections=producing.connections,
            published=self._published,
            acked=producing.acked,
            duplicates=producing.duplicates,
            refused=producing.refused,
            resent=producing.resent,
            unacked=len(self._window),
            in_flight=self._window.flying,
            spooled=spool.size if spool is not None else 0,
            spool_damaged=spool.damaged if spool is not None else 0,
            last_error=producing.last_error,
        )

    def _room(self, size: int) -> bool:
        return self._window.room(size) if self._spool is None else self._spool.room(size)

    def _same(self, known: Receipt, text: bytes) -> Receipt:
        if self._producing.text(known) != text:
            raise PublishRefused("idempotency_conflict", f"another publish is unanswered under {known.id!r}")
        return known

    async def _keep(self, publish_id: str, text: bytes, lost: Lost | None) -> Receipt:
        if self._spool is None:
            receipt = Receipt(publish_id, len(text), text, lost=lost)
        else:
            async with self._file:
                place = self._spool.append(publish_id, text)
                if self._spool.fsync:
                    await self._synced(self._spool, place)
            receipt = Receipt(publish_id, len(text), None, place, lost)
        self._window.add(receipt)
        return receipt

    @staticmethod
    async def _synced(spool: Spool, place: Place) -> None:
        try:
            await trio.to_thread.run_sync(spool.sync)
        except BaseException:
            spool.settle(place)  # failed or cancelled: then it was never published
            raise

    async def run(self, connect: Connect, retry: Retry, patience: float) -> None:
        """Not for the program's use: the task behind it all, which `open_orchestrator` starts."""
        producing = self._producing
        try:
            await stay_connected(connect, producing.serve, producing.dropped, retry, patience)
        except ClientError as end:
            if not self._closed:
                self._lost = ConnectionLost(str(end)) if isinstance(end, Dropped) else end
                self._fail_open(self._lost)
        finally:
            if self._lost is not None:
                producing.inbox.end(self._lost)
            producing.changed.unpark_all()

    async def finish(self, flush_timeout: float, close_timeout: float) -> None:
        """Not for the program's use: flush, then say good-bye to the hub."""
        with trio.move_on_after(flush_timeout), suppress(ClientError):
            await self.flush()
        self._closed = True
        if self._producing.link is not None:
            with trio.move_on_after(close_timeout):
                await self._producing.link.aclose()

    def close(self) -> ConnectionLost | None:
        """Not for the program's use: let go of everything; returns what to raise, if anything is left."""
        self._closed = True
        left, last = len(self._window), self._producing.last_error
        why = f"{left} publishes were not acknowledged" + (f" ({last})" if last else "")
        if self._spool is not None:
            why += f"; they stay in {self._spool.path} for the next start"
            self._spool.close()
        self._producing.inbox.end(trio.ClosedResourceError("this orchestrator was left"))
        self._fail_open(ConnectionLost(why))
        return ConnectionLost(why) if left and self._spool is None else None

    def _fail_open(self, error: ClientError) -> None:
        for found in self._window:
            receipt: Receipt | None = found
            while receipt is not None and receipt.outcome is None:
                receipt.settle(error)
                receipt = receipt.whole

    def _check_open(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._closed:
            raise trio.ClosedResourceError("this orchestrator was left")


@asynccontextmanager
async def open_orchestrator(
    url: str,
    producer_id: str,
    *,
    token: str | None = None,
    commands: str | Iterable[str] = (),
    spool: str | Path | None = None,
    spool_max_bytes: int = 64 * MIB,
    spool_fsync: bool = False,
    max_in_flight: int = 64,
    max_in_flight_bytes: int = 4 * MIB,
    max_message_size: int = MAX_MESSAGE_SIZE,
    max_node_size: int = MAX_NODE_SIZE,
    max_events: int = MAX_EVENTS_PER_PUBLISH,
    on_refused: OnRefused | None = None,
    connect_timeout: float = 10.0,
    flush_timeout: float = 10.0,
    close_timeout: float = 2.0,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    before_connect: Callable[[], Awaitable[None]] | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Orchestrator]:
    """Push events to the hub at `url` (http, https, ws or wss) under the name `producer_id`.

    Entering does not wait for the hub: publishing may begin while it is away. It reconnects for ever,
    with full-jitter back-off and after the time the hub advises; a hub that says there is no use (no
    token, an address that is not a hub's, a close that says stop) ends it with `ConnectionLost`, and
    so does its absence for more than `patience` seconds (default: never).

    Leaving flushes for at most `flush_timeout` seconds; if the body failed, its exception goes on;
    if it was cancelled, nothing is waited for.

    Args:
        producer_id: names this producer over all its lives; the hub tells repeats by it.
        commands: a project, or several, whose commands this orchestrator takes (`Orchestrator.commands`). Of
            several that take those of one project, the one that connected first gets them.
        spool: a file that keeps unanswered publishes over the death of this process: they are sent
            again at the next start. It is this process's and this producer's alone. Publishing goes on
            into it while the hub is away and waits when `spool_max_bytes` are full. With `spool_fsync` it
            survives a power cut too, at the price of one disk write per publish.
        max_in_flight: publishes sent and unanswered; the hub reads no further than 64.
        max_message_size: of one publish, in bytes; the hub's own limit is 1 MiB by default. What a hub
            with a lower limit closes for (1009) is refused alone and the rest goes on.
        max_node_size: bytes of a node; the hub's own limit is 256 KiB by default.
        max_events: of one publish; the hub's own limit is 1,000 by default.
        on_refused: told of every final refusal; default: a warning in the log ``tasktree_rt.client``.
        before_connect: waited for before every connection.

    Raises:
        ConnectionLost: on leaving, if publishes are left without an answer and there is no spool.
        ClientError: the spool cannot be used.
        ValueError: not an address.
    """
    served = [commands] if isinstance(commands, str) else list(commands)
    query = [("producer_id", producer_id), *(("commands", one) for one in served)]
    query += [("token", token)] if token else []
    address = socket_url(url, PATH, query)
    file = None if spool is None else Spool(Path(spool), producer_id, spool_max_bytes, fsync=spool_fsync)
    window: Window[Receipt] = Window(max_in_flight, max_in_flight_bytes)
    asking = partial(
        open_desk,
        url,
        token=token,
        timeout=connect_timeout,
        backoff=backoff,
        patience=patience,
        ssl_context=ssl_context,
    )
    orchestrator = Orchestrator(
        window,
        file,
        limits=HubLimits(max_message_size, max_node_size, max_events),
        on_refused=on_refused,
        commands=served,
        asking=asking,
    )
    options = LinkOptions(connect_timeout, close_timeout, INBOUND_LIMIT, ssl_context)
    try:
        async with background() as nursery:
            connect: Connect = partial(open_link, address, options)
            if before_connect is not None:
                connect = partial(_after, before_connect, connect)
            nursery.start_soon(orchestrator.run, connect, Retry(backoff), patience)
            try:
                yield orchestrator
            except Exception:
                await orchestrator.finish(flush_timeout, close_timeout)
                raise
            await orchestrator.finish(flush_timeout, close_timeout)
            nursery.cancel_scope.cancel()
    finally:
        left = orchestrator.close()
    if left is not None:
        raise left


@asynccontextmanager
async def _after(wait: Callable[[], Awaitable[None]], connect: Connect) -> AsyncIterator[Link]:
    await wait()
    async with connect() as link:
        yield link
