"""ConnectionTask one, several or all projects, over every restart of the hub."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.connection import Connection, ConnectionOptions
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.transport.renewal import open_admitted
from tasktree_rt.client.transport.tls import Cert, Verify, tls_context
from tasktree_rt.client.transport.tokens import TokenSource, TrioTokens, without_token
from tasktree_rt.client.urls import socket_url
from tasktree_rt.client.watcher.connection_task import SUBPROTOCOL, ConnectionTask
from tasktree_rt.client.watcher.messages import WatchMessage
from tasktree_rt.client.watcher.start_positions import Since, read_since, starts
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.client.watcher.tree_view import TreeView
from tasktree_rt.core.default_limits import MIB
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD, user_topic
from tasktree_rt.dialects.base import named

PATH: Final = "/ws/updates"


class Watcher:
    """What `open_watcher` gives: iterate over it. For one task; the other methods may be called from any.

    `positions` are those after the messages you have been given so far: keep them, and pass them as
    `since` in the program's next life. `view` has the tree of each project, as of the same moment.
    """

    def __init__(self, subscriptions: SubscriptionState, task: ConnectionTask, *, views: bool) -> None:
        self.positions: dict[str, Position] = {}
        self._subscriptions = subscriptions
        self._task = task
        self._views: dict[str, TreeView] | None = {} if views else None

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> WatchMessage:
        """Return the next message.

        Raises:
            ConnectionLost: the hub is not coming back; its messages of before have been given.
        """
        message, position = await self._task.next()
        self._note(message, position)
        return message

    async def answered(self) -> None:
        """Wait until the hub has answered the first subscriptions: the watcher misses nothing from now on."""
        await self._task.answered.wait()

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
        """Projects that are behind the hub now (`Behind`)."""
        return self._subscriptions.late

    @property
    def connected(self) -> bool:
        """True while the watcher is connected."""
        return self._task.connection is not None

    def subscribe(self, project_id: str, *, since: Since = None, state: bool = True) -> None:
        """Watch one more project, or ``*``; over the present connection and every later one.

        Its first message is `Subscribed`, or `SubscriptionRefused`.
        """
        self._subscriptions.subscribe(project_id, read_since(since), state and since is None)
        if self._task.connection is not None:
            self._subscriptions.ask_for(project_id)
            self._task.outgoing.wake()

    def unsubscribe(self, project_id: str) -> None:
        """Watch a project no longer; ``*`` leaves it out. What was received before is still given."""
        self._subscriptions.unsubscribe(project_id)
        if self._task.connection is not None:
            self._subscriptions.ask_without(project_id)
            self._task.outgoing.wake()

    def ack(self, project_id: str, seq: int | None = None) -> None:
        """Tell the hub how far this client has shown a project (default: all it was given).

        Only the newest of each project is sent, when its turn comes.
        """
        if seq is None:
            position = self.positions.get(project_id)
            if position is None:
                return
            seq = position.seq
        self._task.outgoing.ack(project_id, seq)

    def mark_read(self, user_id: str, seq: int | None = None) -> None:
        """Mark a user's log as read up to `seq` (default: all that this watcher was given).

        The watcher repeats it, through any reconnect, until the hub has stored it. Then every watcher of that
        user gets the event ``notifications_read``, and `TreeView.read` has the value.
        """
        topic = user_topic(user_id)
        if seq is None:
            position = self.positions.get(topic)
            if position is None:
                return
            seq = position.seq
        self._task.outgoing.mark_read(topic, seq)

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


@asynccontextmanager
async def open_watcher(
    url: str,
    projects: str | Iterable[str] = WILDCARD,
    since: Since = None,
    *,
    users: str | Iterable[str] = (),
    token: TokenSource = None,
    policy: str = "conflate",
    state: bool = True,
    views: bool = True,
    max_message_size: int = 16 * MIB,
    connect_timeout: float = 10.0,
    close_timeout: float = 2.0,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    verify: Verify = True,
    cert: Cert | None = None,
) -> AsyncIterator[Watcher]:
    """Watch projects of the hub at `url` (http, https, ws or wss); iterate over the `Watcher` it gives.

    Entering does not wait for the hub. It reconnects for ever, with full-jitter back-off and after the
    time the hub advises, and goes on from where it was: no message comes twice and none is left out,
    but what the hub has merged (`Conflated`) or replaced (`StateReplaced`). A hub that says there is no
    use, or one that stays away for more than `patience` seconds, ends it with `ConnectionLost`.
    When nothing was heard for half as long again as the hub's heartbeat interval it reconnects; a project
    that stands still so long while the hub is further gives a `Behind` and is subscribed again.

    Args:
        projects: one id, several, or ``*``: all that there are and will be. With `users` it may be none: ().
        since: where to go on: a position, if there is one project, or positions by project (``@anna``: of
            the user anna).
        users: also watch the logs of these users: their notifications (``notification``), their questions
            (``prompt``, ``prompt_resolved``), and how far they have read it (``notifications_read``). In
            messages, `positions` and `Watcher.view` its name is ``@`` and the user's id.
        token: the token or API key, or a function (sync or async) that gives one and is asked again before
            it expires, and when the hub refuses it.
        policy: what the hub does when this program is slow: conflate, resync or disconnect.
        state: begin with the whole state of each project that has no position to go on from.
        views: keep a `TreeView` of each project.
        max_message_size: of what the hub sends, in bytes; not less than the hub's own limit.
        verify, cert: TLS (`tasktree_rt.client.transport.tls`).

    Raises:
        ValueError: not an address, one position for several projects, or a file of `verify` or `cert` cannot
            be used.
        InvalidInput: not a position.
    """
    subscriptions = SubscriptionState(policy, trio.current_time)
    topics = [projects] if isinstance(projects, str) else list(projects)
    topics += map(user_topic, [users] if isinstance(users, str) else users)
    for project_id, at in starts(topics, since):
        subscriptions.subscribe(project_id, at, state and at is None)
    url, token = without_token(url, token)
    tokens = TrioTokens(token)
    task = ConnectionTask(subscriptions, tokens)

    def connect() -> AbstractAsyncContextManager[Connection]:
        first = subscriptions.first_named()
        query = [("policy", policy), *(named(first).items() if first else ())]
        return open_admitted(
            tokens,
            socket_url(url, PATH, query),
            ConnectionOptions(connect_timeout, close_timeout, max_message_size, context, SUBPROTOCOL),
        )

    socket_url(url, PATH)  # raises now for a bad address, not in the background
    context = tls_context(url, verify, cert)
    async with background() as nursery:
        nursery.start_soon(task.run, connect, Retry(backoff), patience)
        yield Watcher(subscriptions, task, views=views)
        await task.say_goodbye(close_timeout)
        nursery.cancel_scope.cancel()
