"""The deployment of one seed: the disk, the network, the hub's process and its peers."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from hashlib import blake2b
from random import Random
from typing import Any, Final, TypeVar

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.protocol import Policy
from tasktree_rt.hub.transport import Session
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.websocket_connection import Connection
from tests.simulation.foreign import MIRROR, Foreign
from tests.simulation.interactions import KINDS as OWN
from tests.simulation.interactions import USER, Interactions, ModelInteraction
from tests.simulation.listener import AiecsWatcher, AutoGptWatcher
from tests.simulation.network import Line, Network
from tests.simulation.peer import Peer
from tests.simulation.process import Process
from tests.simulation.producer import Producer
from tests.simulation.schedule import PROJECTS, USERS, Schedule
from tests.simulation.spectator import PREFIX, Spectator
from tests.simulation.store import Disk
from tests.simulation.stream import StreamWatcher
from tests.simulation.truth import Truth
from tests.simulation.violation import Violation
from tests.simulation.watcher import STAR, NativeWatcher, PlainWatcher, Watcher

START: Final = 1_767_000_000_000_000
"""The wall clock's first time, in microseconds."""
POLICIES: Final = (Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT)
KINDS: Final = (
    *[NativeWatcher] * 4,
    *[PlainWatcher] * 2,
    *[StreamWatcher] * 2,
    Spectator,
    AiecsWatcher,
    AutoGptWatcher,
)
Kind = TypeVar("Kind", bound=Watcher)
Coverage = Counter[tuple[str, str]]


class World:
    """See the module's docstring. Made within `trio.run`.

    Attributes:
        turn: the number of the step.
        violation: a promise that was broken where nobody would hear an exception.
        offset: what the wall clock was set forward by, in microseconds.
        jumped: when time leapt last, in seconds of the run.
        standings: the status of executions at their positions, as far as they were asked for.
        coverage: how often a fault was felt, by its kind and the label of the watcher.
    """

    process: Process

    def __init__(
        self, schedule: Schedule, settings: Settings, clock: MockClock, path: str, nursery: trio.Nursery
    ) -> None:
        self.seed = schedule.seed
        self.settings = settings
        self.clock = clock
        self.nursery = nursery
        self.turn = 0
        self.coverage: Coverage = Counter()
        self.offset = 0
        self.jumped = 0.0
        self._trace = blake2b(digest_size=16)
        self._decoded: dict[bytes, dict[str, Any]] = {}
        self.violation: Violation | None = None
        self.interactions = Interactions(self.wall, settings.people.command_timeout, self.felt_for)
        self.truth = Truth(
            self.interactions, self._heard, clock.current_time, judged=settings.lifecycle == "enforce"
        )
        self.foreign = Foreign(self)
        self.standings: dict[tuple[str, tuple[str, int]], dict[str, Any]] = {}
        self.watchers: list[Watcher] = []
        self.network = Network(self._sent)
        self.disk = Disk(path, self._looked, self._die)
        self.message_size = settings.limits.max_message_size
        dice = Random(f"peers {schedule.seed}")
        self.projects = [f"{PREFIX if number < 2 else ''}p{number}" for number in range(PROJECTS)]
        self.users = [f"u{number}" for number in range(USERS)]
        everyone = [self._watcher(number, dice) for number in range(schedule.watchers)]
        self.watchers = [one for one in everyone if one.index not in schedule.absent]
        self.producers = [Producer(self, number) for number in range(schedule.producers)]
        self.peers: list[Peer] = [*self.producers, *self.watchers]

    def _watcher(self, number: int, dice: Random) -> Watcher:
        made = dice.choice(KINDS)
        policy = dice.choice(POLICIES)
        if dice.random() < 0.25:
            return made(self, number, policy, (STAR,))
        # The first project is watched by most, so that there is enough for each of them.
        first, *others = self.projects
        rest = dice.sample(others, dice.randint(0, 2))
        wishes = [first, *rest] if dice.random() < 0.7 or not rest else rest
        if dice.random() < 0.4 and made is not PlainWatcher:
            user = f"{USER}{dice.choice(self.users)}"
            wishes = [user] if made is StreamWatcher else [*wishes, user]
        return made(self, number, policy, tuple(wishes))

    # --- what everybody uses ------------------------------------------------------------------------

    def those(self, kind: type[Kind]) -> list[Kind]:
        """The watchers of a kind."""
        return [one for one in self.watchers if isinstance(one, kind)]

    def those_there(self, kind: type[Kind]) -> list[Kind]:
        """Those of them that can be heard."""
        return [one for one in self.those(kind) if one.line is not None and not one.line.eof]

    def wall(self) -> int:
        """The wall clock in microseconds."""
        return START + self.offset + round(self.clock.current_time() * 1_000_000)

    def note(self, line: str) -> None:
        """Something for the trace."""
        self._trace.update(line.encode())

    def _sent(self, line: str, data: bytes) -> None:
        self._trace.update(line.encode())
        self._trace.update(data)

    def _heard(self, topic: str, kind: str, data: dict[str, Any]) -> bool:
        for watcher in self.watchers:
            watcher.hears_of(topic, kind, data)
        if topic.startswith(MIRROR):
            return self.foreign.is_mirrored(topic, kind, data)
        return kind in OWN

    @property
    def trace(self) -> str:
        """A hash of everything that was sent, committed and done."""
        return self._trace.hexdigest()

    def fault(self, told: str) -> None:
        """The product has logged or reported a fault of its own."""
        if not self.process.dead:
            self.broken(Violation("no fault of the hub's", told))

    def broken(self, violation: Violation) -> None:
        """A promise was broken where nobody would hear an exception."""
        self.violation = self.violation or violation

    def raise_broken(self) -> None:
        """Raise what was broken meanwhile."""
        if self.violation is not None:
            raise self.violation

    def decode(self, payload: bytes) -> dict[str, Any]:
        """A message; not to be changed, since others get the same."""
        found = self._decoded.get(payload)
        if found is None:
            found = self._decoded[payload] = by_topic(json.loads(payload))
        return found

    def connection(self, line: Line, session: Session) -> Connection:
        """The real carrier on a line."""
        return Connection(
            line,
            session,
            max_message_size=self.settings.limits.max_message_size,
            close_timeout=self.settings.delivery.close_timeout,
            deflate=line.deflate,
            syscalls=self.network.syscalls,
        )

    def felt(self, fault: str, watcher: Watcher) -> None:
        """A fault has had its effect on a watcher."""
        self.coverage[fault, watcher.label] += 1

    def felt_by_all(self, fault: str, project: str = "") -> None:
        """The same for all who are connected, or all who watch a project."""
        for watcher in self.watchers:
            if watcher.line is not None and (not project or watcher.watches(project)):
                self.felt(fault, watcher)

    def felt_for(self, fault: str, one: ModelInteraction) -> None:
        """The same for all who would hear of a question or a command, now or when they are back."""
        for watcher in self.watchers:
            if any(topic in watcher.wishes for topic in one.topics) or (
                STAR in watcher.wishes and not one.topics[0].startswith(USER)
            ):
                self.felt(fault, watcher)

    # --- the process --------------------------------------------------------------------------------

    def _looked(self, connection: sqlite3.Connection) -> None:
        try:
            self.truth.look(connection)
        except Violation as violation:
            self.broken(violation)
        self.note(f"commit {self.truth.heads}")

    def _die(self, when: str) -> None:
        self.felt_by_all(f"crash-{when}")
        self.process.kill()

    async def start(self) -> None:
        """Start the hub's process, and wait until it serves or has given up."""
        self.interactions.unheard()
        self.process = Process(self)
        self.nursery.start_soon(self.process.run)
        await self.settle()

    @staticmethod
    async def settle() -> None:
        """Until nothing happens by itself at this time."""
        await wait_all_tasks_blocked()

    async def look_after(self) -> None:
        """After each step: everybody hears, and a process that ended is started again."""
        self.raise_broken()
        for peer in self.peers:
            peer.hear()
        self.raise_broken()
        if self.process.dead and not self.process.over.is_set():
            await self.process.over.wait()
        if self.process.over.is_set():
            await self.start()

    def come_back(self) -> None:
        """What was lost is made again, if it is time."""
        for peer in self.peers:
            if peer.line is None and peer.come_back() and isinstance(peer, Watcher):
                self.feel_trimming(peer)

    def feel_trimming(self, watcher: Watcher) -> None:
        """Of what a reader has still to get some may be trimmed."""
        for project, (epoch, floor) in self.truth.floors.items():
            has = watcher.resumes(project)
            if has is not None and has[0] == epoch and 0 < has[1] < floor:
                self.felt("trim", watcher)


def by_topic(said: dict[str, Any]) -> dict[str, Any]:
    """A message about a user's log, as if that were a project called ``@<user_id>``."""
    if "user_id" in said and "project_id" not in said and said["type"] != "command":
        said = {**said, "project_id": f"{USER}{said['user_id']}"}
    if "events" in said and said["type"] == "conflated":
        said = {**said, "events": [by_topic(one) for one in said["events"]]}
    if "user_positions" in said:
        users = {f"{USER}{name}": at for name, at in said["user_positions"].items()}
        said = {**said, "positions": {**said["positions"], **users}}
    return said
