"""Messages between programs and people who know neither projects nor logs: shown now, kept by nobody.

A message goes to a user's sockets, or to all that listen here (`EVERYBODY`); it can ask to be acknowledged.
A task that is at work is told of every so often. Who listens, and in what language, is the matter of the
sessions (`hub.confirming`) and of their dialect.
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
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.projects.quotas import UNDER_WAY, Quotas

EVERYBODY: Final = "everybody"
"""The live topic of all that listen here."""
MESSAGE: Final = "message"
HEARTBEAT: Final = "heartbeat"
CANCELLED: Final = "cancelled"
SPARE: Final = 64
"""Entries of tasks that rest which the heap of heartbeats may hold beside one for each task at work."""
LEASE: Final = 3
"""A task whose program says nothing for so many intervals is no longer told of."""


class Listener(Protocol):
    """A connection that listens here."""

    @property
    def connection_id(self) -> str:
        """Its id."""

    def close(self, closing: Closing, reason: str = "") -> None:
        """End it."""


@define
class Work:
    """A task at work: its heartbeat is sent every `interval` seconds, next at `due`, not after `until`; it
    counts as `owner`'s."""

    interval: float
    due: float
    until: float
    owner: str


class DirectMessages:
    """See the module's docstring."""

    def __init__(self, live: EphemeralTopics, holdings: Quotas, new_id: Callable[[], str]) -> None:
        self._live = live
        self._holdings = holdings
        self._new_id = new_id
        self._listening: dict[Listener, None] = {}
        self._only: dict[str, Listener] = {}
        self._unacknowledged: dict[str, tuple[str, trio.Event]] = {}
        self._work: dict[tuple[str, str], Work] = {}
        self._beats: list[tuple[float, str, str]] = []
        self._woken = trio.Event()
        self._life = new_id()
        self._joined = 0
        self._changed = trio.Event()

    # --- who listens ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._listening)

    def join(self, session: Listener) -> None:
        """A connection begins."""
        self._listening[session] = None
        self._change()

    def leave(self, session: Listener) -> None:
        """It is over."""
        self._listening.pop(session, None)
        self._change()
        for user in [one for one, other in self._only.items() if other is session]:
            del self._only[user]

    @property
    def connections(self) -> list[str]:
        """The ids of those that listen."""
        return [one.connection_id for one in self._listening]

    @property
    def version(self) -> str:
        """Names the present set of those that listen; no two sets have the same."""
        return f"{self._life}-{self._joined}"

    async def change(self, version: str) -> None:
        """Wait until the set of those that listen is another than `version` names."""
        while version == self.version:
            await self._changed.wait()

    def _change(self) -> None:
        self._joined += 1
        self._changed.set()
        self._changed = trio.Event()

    def take_over(self, user: str, session: Listener) -> None:
        """From now on this is the user's only connection: an earlier one is closed."""
        before = self._only.get(user)
        self._only[user] = session
        if before is not None and before is not session:
            before.close(NORMAL, "replaced by a new connection")

    # --- what is said -----------------------------------------------------------------------------

    def show(self, user: str | None, kind: str, data: Json, key: str | None = None) -> None:
        """Show a user something, or everybody."""
        name = key or self._new_id()
        if user is None:
            self._live.publish(Ephemeral(EVERYBODY, kind, data, name))
        else:
            self._live.show_user(user, kind, data, name)

    async def acknowledged(self, user: str, data: Json, within: float, owner: str = "") -> tuple[str, bool]:
        """Show a user a message that asks to be acknowledged; its id, and whether it was in time (seconds).
        Meanwhile it counts as `owner`'s.

        Raises:
            Refused: too many wait already.
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
        """Somebody acknowledges a message; the first counts, and none but of whom it was for."""
        user, event = self._unacknowledged.get(message_id, ("", None))
        if event is not None and grants.is_user(user):
            event.set()

    # --- tasks at work ----------------------------------------------------------------------------

    def works(self, user: str, task: str, interval: float, owner: str = "") -> None:
        """A task is at work: told of now, and every `interval` seconds for as long as this is said again. It
        counts as `owner`'s.

        Raises:
            Refused: too many are.
        """
        now = trio.current_time()
        known = self._work.get((user, task))
        if known is not None:
            known.interval, known.until = interval, now + LEASE * interval
            if now + interval < known.due:
                self._expect(user, task, known, now + interval)
            return
        self._holdings.check(owner, UNDER_WAY)
        self._holdings.add(owner, UNDER_WAY)
        work = self._work[user, task] = Work(interval, now + interval, now + LEASE * interval, owner)
        self._beat(user, task)
        self._expect(user, task, work, work.due)

    def rests(self, user: str, task: str) -> bool:
        """A task is no longer at work; whether it was."""
        work = self._work.pop((user, task), None)
        if work is not None:
            self._holdings.drop(work.owner, UNDER_WAY)
        return work is not None

    async def run(self) -> None:
        """Send the heartbeats of the tasks at work, each when it is due; runs until cancelled."""
        while True:
            self._woken = trio.Event()
            due = self._beats[0][0] if self._beats else float("inf")
            with suppress(trio.TooSlowError):
                with trio.fail_at(due):
                    await self._woken.wait()
                continue
            await self._tell(trio.current_time())

    async def _tell(self, now: float) -> None:
        while self._beats and self._beats[0][0] <= now:
            due, user, task = heapq.heappop(self._beats)
            work = self._work.get((user, task))
            if work is None or work.due != due:
                continue  # the task rests, or its heartbeat is due at another time
            if work.until <= now:
                self.rests(user, task)
                continue
            self._beat(user, task)
            self._expect(user, task, work, now + work.interval)
            await yield_if_due()

    def _expect(self, user: str, task: str, work: Work, due: float) -> None:
        """Note when the next heartbeat of a task is due; what was noted before no longer counts."""
        work.due = due
        heapq.heappush(self._beats, (due, user, task))
        if self._beats[0][0] == due:
            self._woken.set()
        if len(self._beats) > 2 * len(self._work) + SPARE:
            self._beats = [(one.due, *name) for name, one in self._work.items()]
            heapq.heapify(self._beats)

    def _beat(self, user: str, task: str) -> None:
        self.show(user, HEARTBEAT, {"user_id": user, "task_id": task}, f"heartbeat {task}")
