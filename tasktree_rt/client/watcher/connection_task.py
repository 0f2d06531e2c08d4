"""The task behind a watcher: connects, receives, and notices projects that do not move."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from tasktree_rt.client.transport.backoff import Retry
from tasktree_rt.client.transport.connection import Connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.transport.reconnect import stay_connected
from tasktree_rt.client.transport.refusals import milliseconds
from tasktree_rt.client.transport.renewal import Renewal
from tasktree_rt.client.transport.tokens import TrioTokens
from tasktree_rt.client.watcher.decode import WireWelcome, is_control, structure
from tasktree_rt.client.watcher.messages import Connected, Disconnected, WatchMessage
from tasktree_rt.client.watcher.outgoing import Outgoing
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ConnectionLost

SUBPROTOCOL: Final = "tasktree.v1"
BUFFERED: Final = 64
"""Messages held for a program that is busy; beyond, the socket fills and the hub conflates."""
SILENCE_BEFORE_WELCOME: Final = 30.0
PATIENCE: Final = 1.5
"""Heartbeat intervals for which the hub may send nothing, and a project that is behind may not move."""

Given = tuple[WatchMessage, Position | None]
"""A message, and the resume position of its project after it."""


class ConnectionTask:
    """Serves one connection after the other; `next` gives the messages.

    Attributes:
        outgoing: the messages to send.
        connection: the present connection.
        answered: set once the hub has answered the first subscriptions.
    """

    def __init__(self, subscriptions: SubscriptionState, tokens: TrioTokens) -> None:
        self._renewal = Renewal(tokens, self._wake)
        self.outgoing = Outgoing(subscriptions, self._renewal.next)
        self.connection: Connection | None = None
        self.answered = trio.Event()
        self._subscriptions = subscriptions
        self._tell, self._told = trio.open_memory_channel[Given](BUFFERED)
        self._advised: float | None = None
        self._held = 0
        """Messages that wait for the program to take one."""
        self._lost: ConnectionLost | None = None

    def _wake(self) -> None:
        self.outgoing.wake()

    async def next(self) -> Given:
        """The next message.

        Raises:
            ConnectionLost: the hub is not coming back; its messages of before have been given.
            StopAsyncIteration: the watcher was left.
        """
        try:
            return await self._told.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            if self._lost is not None:
                raise self._lost from None
            raise StopAsyncIteration from None

    async def run(
        self, connect: Callable[[], AbstractAsyncContextManager[Connection]], retry: Retry, patience: float
    ) -> None:
        """Stay connected until cancelled, or until the hub is not coming back."""
        with self._tell:
            try:
                await stay_connected(connect, self._serve, self._connection_ended, retry, patience)
            except ConnectionEnded as end:
                self._lost = ConnectionLost(str(end))

    async def say_goodbye(self, close_timeout: float) -> None:
        """Close the connection in at most `close_timeout` seconds."""
        self._told.close()
        if self.connection is not None:
            with trio.move_on_after(close_timeout):
                await self.connection.aclose()

    async def _serve(self, connection: Connection) -> None:
        self._advised = None
        welcome = await self._welcomed(connection)
        subscriptions = self._subscriptions
        subscriptions.opening(welcome.max_message_size)
        self.outgoing.begin()
        self._renewal.begin(connection)
        self.connection = connection
        await self._give(Connected(welcome.connection_id, welcome.heartbeat_interval))
        try:
            async with background() as nursery:
                patience = PATIENCE * welcome.heartbeat_interval
                nursery.start_soon(self.outgoing.send_all, connection)
                nursery.start_soon(self._mind, patience)
                nursery.start_soon(self._renewal.run, connection)
                while True:
                    await self._take(connection, await _receive(connection, patience))
        except ConnectionEnded as end:
            if end.retry_after is None:
                end.retry_after = self._advised
            raise
        finally:
            self.connection = None

    async def _welcomed(self, connection: Connection) -> WireWelcome:
        message = await _receive(connection, SILENCE_BEFORE_WELCOME)
        if message.get("type") == "error":
            self._subscriptions.receive(message)
        if message.get("type") != "welcome":
            raise ConnectionEnded(f"the peer does not speak {SUBPROTOCOL}", final=True)
        return structure(message.get("data"), WireWelcome)

    async def _take(self, connection: Connection, message: Json) -> None:
        control = message.get("type") if is_control(message) else None
        if control == "draining":
            self._advised = milliseconds(message.get("data"), "reconnect_after_ms")
            return
        if control is not None and (self._renewal.take(message) or self.outgoing.take_response(message)):
            return
        messages = self._subscriptions.receive(message)
        if self._subscriptions.requests:
            self.outgoing.wake()
        if self._subscriptions.answered:
            self.answered.set()
        for one in messages:
            connection.good = True
            await self._give(one)
        if control == "heartbeat":
            connection.good = True

    async def _give(self, message: WatchMessage) -> None:
        project_id = getattr(message, "project_id", "")
        item = (message, self._subscriptions.positions.get(project_id))
        try:
            self._tell.send_nowait(item)
        except trio.WouldBlock:
            await self._give_waiting(item)
        except trio.BrokenResourceError:
            return  # the program is leaving

    async def _give_waiting(self, item: tuple[WatchMessage, Position | None]) -> None:
        began = trio.current_time()
        self._held += 1
        try:
            await self._tell.send(item)
        except trio.BrokenResourceError:
            return
        finally:
            self._held -= 1
            self._subscriptions.excuse(trio.current_time() - began)

    async def _mind(self, patience: float) -> None:
        """Give a `Behind` for projects that do not move, and subscribe them again."""
        while True:
            await trio.sleep_until(self._subscriptions.due(patience))
            if self._held:  # nothing is read because the program is busy: that is not the hub's delay
                await trio.sleep(patience)
                continue
            messages = self._subscriptions.tend(patience)
            if self._subscriptions.requests:
                self.outgoing.wake()
            for one in messages:
                await self._give(one)

    async def _connection_ended(self, end: ConnectionEnded, delay: float) -> None:
        await self._give(Disconnected(str(end), end.code, delay))


async def _receive(connection: Connection, silence: float) -> Json:
    try:
        with trio.fail_after(silence):
            return await connection.receive()
    except trio.TooSlowError:
        raise ConnectionEnded(f"nothing heard from the hub for {silence:g} s") from None
