"""Commands from watchers to an orchestrator, and the results that it reports.

When the hub sends a command again (after a reconnect, after a restart) while the program works on it, the
program does not get it again. A result stays here until the hub has stored it, and is sent again on every new
connection: `CommandInbox.next` gives it to the connection, `replied` and `refused` take the hub's responses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Final, Self

import trio
from attrs import define, field

from tasktree_rt.client.producer.in_flight_window import Window
from tasktree_rt.client.producer.receipt import Receipt
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import ClientError, RequestRefused

MAX_KNOWN: Final = 1_000
"""Commands that are worked on; beyond, the oldest would be yielded again if it were given again."""
MAX_MESSAGE: Final = 4_096
AGAIN: Final = 2.0
"""Seconds between two tries to send a result that the hub believes another orchestrator must send."""


@define(eq=False)
class Command:
    """Something a watcher wants done. Say `done` or `refuse` in the end, and `accept` if that takes a while.

    Each waits until the hub has it for good, through any restart; cancelling the wait takes nothing back.
    They raise `RequestRefused` with ``gone`` (and `outcome`) if the command was settled otherwise, since its
    time was up, and `ConnectionLost` if the hub is not coming back.

    Attributes:
        id: the hub's name of it.
        name: ``cancel``, ``retry``, ``pause``, ``resume``, or whatever this orchestrator understands.
        node_id: what it is about, if not the whole project.
        by: the user or client that sent it, if the hub knows; `via` says by which way.
    """

    id: str
    project_id: str
    name: str
    node_id: str | None
    args: Json
    by: str | None
    via: Json
    _inbox: CommandInbox = field(repr=False)
    _accepted: bool = field(default=False, init=False, repr=False)
    _over: bool = field(default=False, init=False, repr=False)

    async def accept(self) -> None:
        """Report to the hub that work on the command has begun; the hub stops its timeout (default: 30 s)."""
        self._open()
        self._accepted = True
        await self._inbox.say(self, "accepted", None)

    async def done(self, message: str | None = None) -> None:
        """Report to the hub that the command was done."""
        await self._end("done", message)

    async def refuse(self, reason: str) -> None:
        """Report to the hub that the command was not done and will not be."""
        await self._end("refused", reason)

    async def _end(self, status: str, message: str | None) -> None:
        self._open()
        self._over = True
        await self._inbox.say(self, status, message)

    def _open(self) -> None:
        if self._over:
            raise RuntimeError(f"the command {self.name} ({self.id}) was settled already")


@define(eq=False)
class Result:
    """A result that the hub has not confirmed. `behind`: the last publish before it, which is sent first."""

    number: int
    command: Command
    status: str
    message: str | None
    behind: Receipt | None
    flying: bool = False
    postponed: bool = False
    answer: bool | ClientError = False
    told: trio.Event = field(factory=trio.Event)

    def text(self) -> bytes:
        """The ``command_result`` message as JSON."""
        said: Json = {"type": "command_result", "id": self.number, "command_id": self.command.id}
        said["status"] = self.status
        return encode_json(said if self.message is None else {**said, "message": self.message})


class CommandInbox:
    """See the module. `changed` wakes the connection's sender."""

    def __init__(
        self, projects: Iterable[str], window: Window[Receipt], changed: trio.lowlevel.ParkingLot
    ) -> None:
        self.projects = tuple(projects)
        self.arrived = trio.lowlevel.ParkingLot()
        self.announced: list[Json] | None = None
        """The commands that the program obeys; None: it does not say."""
        self.ended: BaseException | None = None
        """What `Orchestrator.commands` ends with."""
        self._window = window
        self._changed = changed
        self._waiting: deque[Command] = deque()
        self._known: dict[str, Command] = {}
        self._results: dict[int, Result] = {}
        self._numbers = count(1)
        self._unannounced = False

    def __len__(self) -> int:
        """How many results the hub has not confirmed."""
        return len(self._results)

    # --- the program's side -------------------------------------------------------------------------

    async def get(self) -> Command:
        """The next command.

        Raises:
            ConnectionLost, trio.ClosedResourceError: there will be none.
        """
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self.ended is not None:
                raise self.ended
            await self.arrived.park()
        return self._waiting.popleft()

    async def say(self, command: Command, status: str, message: str | None) -> None:
        """Send a result of `command`, and wait until the hub has stored it; raises as `Command` says."""
        if self.ended is not None:
            raise self.ended
        result = self._queue(command, status, message)
        await result.told.wait()
        if isinstance(result.answer, ClientError):
            raise result.answer

    def _queue(self, command: Command, status: str, message: str | None) -> Result:
        if message is not None and len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 1] + "…"
        result = Result(next(self._numbers), command, status, message, self._window.newest())
        self._results[result.number] = result
        self._changed.unpark_all()
        return result

    # --- the connection's side ----------------------------------------------------------------------

    def announce(self, commands: list[Json]) -> None:
        """Send what the program obeys, now and on every new connection."""
        self.announced, self._unannounced = commands, True
        self._changed.unpark_all()

    def rewind(self) -> None:
        """Send everything unconfirmed again: a new connection has begun."""
        self._unannounced = self.announced is not None
        for result in self._results.values():
            result.flying = result.postponed = False

    def next(self) -> bytes | None:
        """The next message to send, from now on in flight."""
        if self._unannounced:
            self._unannounced = False
            return encode_json({"type": "announce", "commands": self.announced})
        for result in self._results.values():
            if result.flying or result.postponed:
                continue
            if result.behind is not None and self._window.waits(result.behind.id):
                return None
            result.flying, result.behind = True, None
            return result.text()
        return None

    def release(self) -> None:
        """Let `next` give postponed results again."""
        for result in self._results.values():
            result.postponed = False

    def take(self, message: Json) -> None:
        """Take a ``command`` message.

        Raises:
            KeyError, TypeError: it lacks a field.
        """
        name, known = str(message["command_id"]), self._known.get(str(message["command_id"]))
        if known is not None:
            self._given_again(known)
            return
        args, via = (message.get(key) or {} for key in ("args", "via"))
        node_id, by = message.get("node_id"), message.get("by")
        command = Command(
            name, str(message["project_id"]), str(message["name"]), node_id, args, by, via, self
        )
        while len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[name] = command
        self._waiting.append(command)
        self.arrived.unpark()

    def _given_again(self, command: Command) -> None:
        """What the hub knows of it may be lost: it would run out of time if it had been accepted before."""
        unanswered = [one for one in self._results.values() if one.command is command]
        for one in unanswered:
            one.postponed = False
        if command._accepted and not command._over and not unanswered:
            self._queue(command, "accepted", None)
        self._changed.unpark_all()

    def replied(self, number: object) -> bool:
        """Take the hub's ``reply``; returns whether it was to a result."""
        result = self._results.pop(number, None) if type(number) is int else None
        if result is None:
            return False
        if result.status != "accepted":
            self._forget(result.command)
        self._settle(result, True)
        return True

    def refused(self, number: object, error: RequestRefused) -> bool:
        """Take the hub's ``error``; returns whether it was to a result."""
        result = self._results.get(number) if type(number) is int else None
        if result is None:
            return False
        result.flying = False
        if error.code == "forbidden":
            # It believes an older connection, whose end it has not noticed, to hold the command: it will give
            # it again. If another orchestrator really has it, that one's end of it will come as "gone".
            result.postponed = True
            return True
        del self._results[result.number]
        if error.code not in _OVER:
            result.command._over = False
        self._settle(result, error)
        return True

    def end(self, error: BaseException) -> None:
        """End every wait with `error`: no more commands and no more responses come."""
        self.ended = self.ended or error
        self.arrived.unpark_all()
        answer = error if isinstance(error, ClientError) else ClientError("this orchestrator was left")
        for result in self._results.values():
            self._settle(result, answer)
        self._results.clear()

    def _settle(self, result: Result, answer: bool | ClientError) -> None:
        result.answer = answer
        result.told.set()

    def _forget(self, command: Command) -> None:
        self._known.pop(command.id, None)


class Commands:
    """An asynchronous iterator over the commands of an `CommandInbox`; see `Orchestrator.commands`."""

    def __init__(self, inbox: CommandInbox) -> None:
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Command:
        try:
            return await self._inbox.get()
        except trio.ClosedResourceError:
            raise StopAsyncIteration from None


_OVER: Final = frozenset({"gone", "not_found"})
"""After these there is nothing more to say of a command."""
