"""The watcher's side: what happens in one, several or all projects, over every restart of the hub."""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Final

import trio
from attrs import define

from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.client.connection_errors import Dropped
from tasktree_rt.client.decode import WireWelcome, is_control, structure
from tasktree_rt.client.follow import Follower
from tasktree_rt.client.link import Link, LinkOptions, open_link
from tasktree_rt.client.messages import Connected, Disconnected, WatchMessage
from tasktree_rt.client.nursery import background
from tasktree_rt.client.reconnect import stay_connected
from tasktree_rt.client.refusals import is_transient, milliseconds
from tasktree_rt.client.urls import socket_url
from tasktree_rt.client.view import TreeView
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD, user_topic
from tasktree_rt.dialects.base import encode_json, named
from tasktree_rt.errors import ConnectionLost

MIB: Final = 1024 * 1024
PATH: Final = "/ws/updates"
SUBPROTOCOL: Final = "tasktree.v1"
BUFFERED: Final = 64
"""Messages held for a program that is busy; beyond, the socket fills and the hub conflates."""
SILENCE_BEFORE_WELCOME: Final = 30.0
PATIENCE: Final = 1.5
"""So many heartbeat intervals the hub may say nothing, and a project may stand still that is behind."""
BURST: Final = 100
PER_SECOND: Final = 25.0
"""What a watcher sends: half of what the hub's default limits allow."""

_logger: Final = logging.getLogger("tasktree_rt.client")

Since = Position | str | Mapping[str, Position | str] | None


@define
class Pace:
    """A token bucket for what is sent."""

    tokens: float = BURST
    filled: float = 0.0

    async def wait(self) -> None:
        """Until one more message may be sent."""
        now = trio.current_time()
        self.tokens = min(float(BURST), self.tokens + (now - self.filled) * PER_SECOND)
        self.filled = now
        self.tokens -= 1.0
        if self.tokens < 0.0:
            await trio.sleep(-self.tokens / PER_SECOND)


@define
class Mark:
    """How far a user has read, until the hub knows. `request` is the one under way."""

    seq: int
    request: str | None = None


class Watcher:
    """What `open_watcher` gives: iterate over it. For one task; the other methods may be called from any.

    `positions` are those after the messages you have been given so far: keep them, and pass them as
    `since` in the program's next life. `view` has the tree of each project, as of the same moment.
    """

    def __init__(self, follower: Follower, *, views: bool) -> None:
        self.positions: dict[str, Position] = {}
        self._follower = follower
        self._views: dict[str, TreeView] | None = {} if views else None
        self._link: Link | None = None
        self._watermarks: dict[str, int] = {}
        self._marks: dict[str, Mark] = {}
        self._numbers = count(1)
        self._to_send = trio.lowlevel.ParkingLot()
        self._pace = Pace()
        self._tell, self._told = trio.open_memory_channel[tuple[WatchMessage, Position | None]](BUFFERED)
        self._advised: float | None = None
        self._held = 0
        """Messages that wait for the program to take one."""
        self._lost: ConnectionLost | None = None
        self._answered = trio.Event()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> WatchMessage:
        """The next message.

        Raises:
            ConnectionLost: the hub is not coming back; what it said before has been given.
        """
        try:
            message, position = await self._told.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            if self._lost is not None:
                raise self._lost from None
            raise StopAsyncIteration from None
        self._note(message, position)
        return message

    async def answered(self) -> None:
        """Wait until the hub has answered what was subscribed on opening: nothing is missed from now on."""
        await self._answered.wait()

    def view(self, project_id: str) -> TreeView:
        """The project's tree, as of the last message given.

        Raises:
            RuntimeError: this watcher was opened without views.
        """
        if self._views is None:
            raise RuntimeError("open_watcher was called with views=False")
        return self._views.setdefault(project_id, TreeView(project_id))

    @property
    def behind(self) -> frozenset[str]:
        """Projects of which what is shown is not what the hub has (`Behind`), at this moment."""
        return self._follower.late

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._link is not None

    def subscribe(self, project_id: str, *, since: Since = None, state: bool = True) -> None:
        """Watch one more project, or ``*``; over the present connection and every later one.

        Its first message is `Subscribed`, or `SubscriptionRefused`.
        """
        self._follower.subscribe(project_id, read_since(since), state and since is None)
        if self._link is not None:
            self._follower.ask_for(project_id)
            self._to_send.unpark_all()

    def unsubscribe(self, project_id: str) -> None:
        """Watch a project no longer; ``*`` leaves it out. What was received before is still given."""
        self._follower.unsubscribe(project_id)
        if self._link is not None:
            self._follower.ask_without(project_id)
            self._to_send.unpark_all()

    def ack(self, project_id: str, seq: int | None = None) -> None:
        """Tell the hub how far this client has shown a project (default: all it was given).

        Only the newest of each project is sent, when its turn comes.
        """
        if seq is None:
            position = self.positions.get(project_id)
            if position is None:
                return
            seq = position.seq
        self._watermarks[project_id] = seq
        self._to_send.unpark_all()

    def mark_read(self, user_id: str, seq: int | None = None) -> None:
        """The user has read their log up to `seq` (default: all that this watcher was given).

        Said until the hub has kept it, through any reconnect; then it comes back as the event
        ``notifications_read``, to this and every other watcher of that user, and stands in `TreeView.read`.
        """
        topic = user_topic(user_id)
        if seq is None:
            position = self.positions.get(topic)
            if position is None:
                return
            seq = position.seq
        known = self._marks.get(topic)
        if known is None or known.seq < seq:
            self._marks[topic] = Mark(seq)
            self._to_send.unpark_all()

    def _note(self, message: WatchMessage, position: Position | None) -> None:
        project_id = getattr(message, "project_id", None)
        if project_id is None:
            return
        if position is None:
            self.positions.pop(project_id, None)
        else:
            self.positions[project_id] = position
        if self._views is not None:
            self.view(project_id).apply(message)

    # --- the task behind it -----------------------------------------------------------------------

    async def run(
        self, connect: Callable[[], AbstractAsyncContextManager[Link]], retry: Retry, patience: float
    ) -> None:
        """Not for the program's use: `open_watcher` starts it."""
        with self._tell:
            try:
                await stay_connected(connect, self._serve, self._dropped, retry, patience)
            except Dropped as end:
                self._lost = ConnectionLost(str(end))

    async def say_goodbye(self, close_timeout: float) -> None:
        """Not for the program's use."""
        self._told.close()
        if self._link is not None:
            with trio.move_on_after(close_timeout):
                await self._link.aclose()

    async def _serve(self, link: Link) -> None:
        self._advised = None
        welcome = await self._welcomed(link)
        follower = self._follower
        follower.max_request = welcome.max_message_size
        follower.opening()
        for mark in self._marks.values():
            mark.request = None
        self._link, self._pace = link, Pace(filled=trio.current_time())
        await self._give(Connected(welcome.connection_id, welcome.heartbeat_interval))
        try:
            async with background() as nursery:
                patience = PATIENCE * welcome.heartbeat_interval
                nursery.start_soon(self._send_all, link)
                nursery.start_soon(self._mind, patience)
                while True:
                    await self._take(link, await _receive(link, patience))
        except Dropped as end:
            if end.retry_after is None:
                end.retry_after = self._advised
            raise
        finally:
            self._link = None

    async def _welcomed(self, link: Link) -> WireWelcome:
        message = await _receive(link, SILENCE_BEFORE_WELCOME)
        if message.get("type") == "error":
            self._follower.receive(message)
        if message.get("type") != "welcome":
            raise Dropped(f"the peer does not speak {SUBPROTOCOL}", final=True)
        return structure(message.get("data"), WireWelcome)

    async def _take(self, link: Link, message: Json) -> None:
        control = message.get("type") if is_control(message) else None
        if control == "draining":
            self._advised = milliseconds(message.get("data"), "reconnect_after_ms")
            return
        if control is not None and self._marks and self._marked(message):
            return
        told = self._follower.receive(message)
        if self._follower.requests:
            self._to_send.unpark_all()
        if self._follower.answered:
            self._answered.set()
        for one in told:
            link.good = True
            await self._give(one)
        if control == "heartbeat":
            link.good = True

    def _marked(self, message: Json) -> bool:
        """Whether this is the answer to a `Mark`."""
        number, kind = message.get("id"), message.get("type")
        topic = next((one for one, mark in self._marks.items() if mark.request == number), None)
        if number is None or topic is None or kind not in ("reply", "error"):
            return False
        if kind == "error":
            if is_transient(message.get("code")):
                return False  # the follower gives up this connection
            _logger.warning("cannot mark %s read: %s", topic, message.get("message"))
        del self._marks[topic]
        return True

    async def _give(self, message: WatchMessage) -> None:
        project_id = getattr(message, "project_id", "")
        told = (message, self._follower.positions.get(project_id))
        try:
            self._tell.send_nowait(told)
        except trio.WouldBlock:
            await self._give_waiting(told)
        except trio.BrokenResourceError:
            return  # the program is leaving

    async def _give_waiting(self, told: tuple[WatchMessage, Position | None]) -> None:
        began = trio.current_time()
        self._held += 1
        try:
            await self._tell.send(told)
        except trio.BrokenResourceError:
            return
        finally:
            self._held -= 1
            self._follower.excuse(trio.current_time() - began)

    async def _mind(self, patience: float) -> None:
        """Tell of projects that stand still, and ask for them again."""
        while True:
            await trio.sleep_until(self._follower.due(patience))
            if self._held:  # nothing is read because the program is busy: that is not the hub's delay
                await trio.sleep(patience)
                continue
            told = self._follower.tend(patience)
            if self._follower.requests:
                self._to_send.unpark_all()
            for one in told:
                await self._give(one)

    async def _dropped(self, end: Dropped, delay: float) -> None:
        await self._give(Disconnected(str(end), end.code, delay))

    async def _send_all(self, link: Link) -> None:
        try:
            while True:
                message = self._next_to_send()
                if message is None:
                    await self._to_send.park()
                    continue
                await self._pace.wait()
                await link.send(encode_json(message))
        except Dropped:
            return  # the receiver learns of it too

    def _next_to_send(self) -> Json | None:
        request = self._follower.take()
        if request is not None:
            return request
        for project_id in self._watermarks:
            return {"type": "ack", **named(project_id), "seq": self._watermarks.pop(project_id)}
        for topic, mark in self._marks.items():
            if mark.request is None:
                mark.request = f"read-{next(self._numbers)}"
                return {"type": "ack", "id": mark.request, **named(topic), "seq": mark.seq}
        return None


async def _receive(link: Link, silence: float) -> Json:
    try:
        with trio.fail_after(silence):
            return await link.receive()
    except trio.TooSlowError:
        raise Dropped(f"nothing heard from the hub for {silence:g} s") from None


def read_since(since: Since) -> Position | dict[str, Position] | None:
    """Positions as the user may give them.

    Raises:
        InvalidInput: ``invalid_position``.
    """
    if isinstance(since, Mapping):
        return {name: at if isinstance(at, Position) else Position.parse(at) for name, at in since.items()}
    return Position.parse(since) if isinstance(since, str) else since


@asynccontextmanager
async def open_watcher(
    url: str,
    projects: str | Iterable[str] = WILDCARD,
    since: Since = None,
    *,
    users: str | Iterable[str] = (),
    token: str | None = None,
    policy: str = "conflate",
    state: bool = True,
    views: bool = True,
    max_message_size: int = 16 * MIB,
    connect_timeout: float = 10.0,
    close_timeout: float = 2.0,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Watcher]:
    """Watch projects of the hub at `url` (http, https, ws or wss); iterate over the `Watcher` it gives.

    Entering does not wait for the hub. It reconnects for ever, with full-jitter back-off and after the
    time the hub advises, and goes on from where it was: nothing is told twice and nothing left out,
    but what the hub has merged (`Conflated`) or replaced (`StateReplaced`). A hub that says there is no
    use, or one that stays away for more than `patience` seconds, ends it with `ConnectionLost`.
    When nothing was heard for half as long again as the hub's heartbeat interval it reconnects; a project
    that stands still so long while the hub is further is told (`Behind`) and subscribed again.

    Args:
        projects: one id, several, or ``*``: all that there are and will be. With `users` it may be none: ().
        since: where to go on: a position, if there is one project, or positions by project (``@anna``: of
            the user anna).
        users: whose logs to watch too: what they are told (``notification``) and asked (``prompt``,
            ``prompt_resolved``), and how far they have read it (``notifications_read``). In messages,
            `positions` and `Watcher.view` such a log is called ``@`` and the user's id.
        policy: what the hub does when this program is slow: conflate, resync or disconnect.
        state: begin with the whole state of each project that has no position to go on from.
        views: keep a `TreeView` of each project.
        max_message_size: of what the hub sends, in bytes; not less than the hub's own limit.

    Raises:
        ValueError: not an address, or one position for several projects.
        InvalidInput: not a position.
    """
    follower = Follower(policy, trio.current_time)
    topics = [projects] if isinstance(projects, str) else list(projects)
    topics += map(user_topic, [users] if isinstance(users, str) else users)
    for project_id, at in _starts(topics, since):
        follower.subscribe(project_id, at, state and at is None)
    watcher = Watcher(follower, views=views)

    def connect() -> AbstractAsyncContextManager[Link]:
        first = follower.first_named()
        query = [("policy", policy), *(named(first).items() if first else ())]
        address = socket_url(url, PATH, [*query, *([("token", token)] if token else [])])
        return open_link(
            address, LinkOptions(connect_timeout, close_timeout, max_message_size, ssl_context, SUBPROTOCOL)
        )

    socket_url(url, PATH)  # an address that is none is an error now, not in the background
    async with background() as nursery:
        nursery.start_soon(watcher.run, connect, Retry(backoff), patience)
        yield watcher
        await watcher.say_goodbye(close_timeout)
        nursery.cancel_scope.cancel()


def _starts(projects: list[str], since: Since) -> list[tuple[str, Position | dict[str, Position] | None]]:
    """From where to watch each of `projects`."""
    positions = read_since(since)
    if isinstance(positions, Position):
        if len(projects) != 1 or projects == [WILDCARD]:
            raise ValueError("one position for several projects: give an object of project id to position")
        return [(projects[0], positions)]
    if positions is None:
        return [(one, None) for one in projects]
    others = {one: at for one, at in positions.items() if one not in projects}
    return [(one, others if one == WILDCARD else positions.get(one)) for one in projects]
