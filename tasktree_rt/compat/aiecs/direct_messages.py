"""Sends messages between programs and users without projects or logs; the hub stores none of them.

A message goes to a user's connections, or to all connections of this language (`EVERYBODY`), and may ask to
be acknowledged. For each running task the hub sends heartbeats. Connections and languages are those of
`compat.aiecs.session` and its dialect.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import trio
from attrs import define

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import NORMAL, Closing
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.projects.quotas import UNDER_WAY, Quotas

EVERYBODY: Final = "everybody"
"""The ephemeral topic of all connections of this language."""
MESSAGE: Final = "message"
HEARTBEAT: Final = "heartbeat"
CANCELLED: Final = "cancelled"
SPARE: Final = 64
"""Outdated entries that the heap of heartbeats may hold beside one for each running task."""
LEASE: Final = 3
"""Intervals without a message from its program after which the hub ends a task's heartbeats."""


class Connection(Protocol):
    """A connection of this language."""

    @property
    def connection_id(self) -> str:
        """The connection's id."""

    def close(self, closing: Closing, reason: str = "") -> None:
        """Close the connection."""


@define
class RunningTask:
    """A running task: the hub sends a heartbeat every `interval` seconds, next at `due`, until `until`; the
    task counts towards the quota of `owner`."""

    interval: float
    due: float
    until: float
    owner: str


class DirectMessages:
    """Connections, messages waiting for an acknowledgement, and running tasks."""

    def __init__(self, live: EphemeralTopics, holdings: Quotas, new_id: Callable[[], str]) -> None:
        self._live = live
        self._holdings = holdings
        self._new_id = new_id
        self._listening: dict[Connection, None] = {}
        self._only: dict[str, Connection] = {}
        self._unacknowledged: dict[str, tuple[str, trio.Event]] = {}
        self._tasks: dict[tuple[str, str], RunningTask] = {}
        self._beats: list[tuple[float, str, str]] = []
        self._woken = trio.Event()
        self._instance = new_id()
        self._joined = 0
        self._changed = trio.Event()

    # --- connections -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._listening)

    def join(self, session: Connection) -> None:
        """Add a connection."""
        self._listening[session] = None
        self._change()

    def leave(self, session: Connection) -> None:
        """Remove a connection."""
        self._listening.pop(session, None)
        self._change()
        for user in [one for one, other in self._only.items() if other is session]:
            del self._only[user]

    @property
    def connections(self) -> list[str]:
        """The ids of the connections."""
        return [one.connection_id for one in self._listening]

    @property
    def version(self) -> str:
        """Identifies the present set of connections; every change gives a new value."""
        return f"{self._instance}-{self._joined}"

    async def change(self, version: str) -> None:
        """Wait until the set of connections differs from that of `version`."""
        while version == self.version:
            await self._changed.wait()

    def _change(self) -> None:
        self._joined += 1
        self._changed.set()
        self._changed = trio.Event()

    def take_over(self, user: str, session: Connection) -> None:
        """Make this the user's only connection: close the earlier one."""
        before = self._only.get(user)
        self._only[user] = session
        if before is not None and before is not session:
            before.close(NORMAL, "replaced by a new connection")

    # --- messages ---------------------------------------------------------------------------------

    def show(self, user: str | None, kind: str, data: Json, key: str | None = None) -> None:
        """Send an event to a user, or without `user` to all connections."""
        name = key or self._new_id()
        if user is None:
            self._live.publish(Ephemeral(EVERYBODY, kind, data, name))
        else:
            self._live.show_user(user, kind, data, name)

    async def acknowledged(self, user: str, data: Json, within: float, owner: str = "") -> tuple[str, bool]:
        """Send a user a message that asks to be acknowledged; wait at most `within` seconds.

        Returns the message's id, and True if a client acknowledged it in time. While it waits, it counts
        towards the quota of `owner`.

        Raises:
            Refused: `owner` has too many waiting already.
        """
        self._holdings.check(owner, UNDER_WAY)
        self._holdings.add(owner, UNDER_WAY)
        message_id = self._new_id()
        event = trio.Event()
        self._unacknowledged[message_id] = user, event
        try:
            self.show(user, MESSAGE, {**data, "message_id": message_id, "requires_ack": True}, message_id)
            with trio.move_on_after(within):
                await event.wait()
        finally:
            del self._unacknowledged[message_id]
            self._holdings.drop(owner, UNDER_WAY)
        return message_id, event.is_set()

    def received(self, message_id: str, grants: Grants) -> None:
        """Acknowledge a message, if the caller is the user that it was sent to."""
        user, event = self._unacknowledged.get(message_id, ("", None))
        if event is not None and access.acts_for(grants, user):
            event.set()

    # --- running tasks ----------------------------------------------------------------------------

    def start_task(self, user: str, task: str, interval: float, owner: str = "") -> None:
        """Send heartbeats of a task: now, and every `interval` seconds until `LEASE` intervals pass without
        another call. The task counts towards the quota of `owner`.

        Raises:
            Refused: `owner` has too many running tasks.
        """
        now = trio.current_time()
        known = self._tasks.get((user, task))
        if known is not None:
            known.interval, known.until = interval, now + LEASE * interval
            if now + interval < known.due:
                self._expect(user, task, known, now + interval)
            return
        self._holdings.check(owner, UNDER_WAY)
        self._holdings.add(owner, UNDER_WAY)
        work = self._tasks[user, task] = RunningTask(interval, now + interval, now + LEASE * interval, owner)
        self._beat(user, task)
        self._expect(user, task, work, work.due)

    def end_task(self, user: str, task: str) -> bool:
        """End a task's heartbeats; return True if the task was running."""
        work = self._tasks.pop((user, task), None)
        if work is not None:
            self._holdings.drop(work.owner, UNDER_WAY)
        return work is not None

    async def keep(self, patience: float) -> None:
        """Keep nothing: these messages are stored nowhere."""

    async def run(self) -> None:
        """Send the heartbeats of running tasks when they are due; runs until cancelled."""
        while True:
            self._woken = trio.Event()
            due = self._beats[0][0] if self._beats else float("inf")
            with suppress(trio.TooSlowError):
                with trio.fail_at(due):
                    await self._woken.wait()
                continue
            await self._send_due(trio.current_time())

    async def _send_due(self, now: float) -> None:
        while self._beats and self._beats[0][0] <= now:
            due, user, task = heapq.heappop(self._beats)
            work = self._tasks.get((user, task))
            if work is None or work.due != due:
                continue  # the task has ended, or its heartbeat is due at another time
            if work.until <= now:
                self.end_task(user, task)
                continue
            self._beat(user, task)
            self._expect(user, task, work, now + work.interval)
            await yield_if_due()

    def _expect(self, user: str, task: str, work: RunningTask, due: float) -> None:
        """Note when a task's next heartbeat is due; earlier notes no longer count."""
        work.due = due
        heapq.heappush(self._beats, (due, user, task))
        if self._beats[0][0] == due:
            self._woken.set()
        if len(self._beats) > 2 * len(self._tasks) + SPARE:
            self._beats = [(one.due, *name) for name, one in self._tasks.items()]
            heapq.heapify(self._beats)

    def _beat(self, user: str, task: str) -> None:
        self.show(user, HEARTBEAT, {"user_id": user, "task_id": task}, f"heartbeat {task}")
