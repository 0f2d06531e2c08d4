"""Those who watch: native and plain WebSockets. What they make of it is in `view`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.errors import PeerError, Refused
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tests.hub.client import BEGINNING, Star
from tests.hub.world import open_to_all
from tests.simulation.interactions import USER, Attempt
from tests.simulation.network import Line
from tests.simulation.peer import Peer
from tests.simulation.view import PlainView, View
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.foreign import Said
    from tests.simulation.world import World

NATIVE: Final = Native()
PLAIN: Final = Plain()
STAR: Final = "*"
SLOW: Final = 4008
GAP: Final = 4009


class Watcher(Peer):
    """What all who watch have in common."""

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(world, index)
        self.policy = policy
        self.wishes = wishes

    @property
    def label(self) -> str:
        """For the coverage table."""
        return f"{self.kind} {self.policy.value}"

    @property
    def trying(self) -> bool:
        """Whether it waits to hear what became of an attempt."""
        return False

    def behind(self) -> str | None:
        """What it has not got of what is committed; None if nothing."""
        raise NotImplementedError

    def resumes(self, project: str) -> tuple[str, int] | None:
        """From where it would go on, if it came back now."""
        raise NotImplementedError

    def told(self, view: View, said: dict[str, Any]) -> None:
        """Let a view take a message; one that may not come now is a violation."""
        try:
            view.take(said)
        except AssertionError as error:
            if isinstance(error, Violation):
                raise
            raise Violation("as the protocol says", f"{self}, {said['type']}: {error}") from error

    def happens(self, said: Said) -> None:
        """Something happened in an execution of AutoGPT's."""

    def is_told(self, user: str | None, number: int) -> None:
        """A program says something to a user, or to everybody."""

    def hears_of(self, topic: str, kind: str, data: dict[str, Any]) -> None:
        """The hub has committed an event of its own."""

    def watches(self, project: str) -> bool:
        """Whether it is subscribed to a project."""
        return self.line is not None and (STAR in self.wishes or project in self.wishes)


class NativeWatcher(Watcher):
    """``tasktree.v1``."""

    kind = "native"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(world, index, policy, wishes)
        self.view = View(world.truth)
        self._ids = itertools.count(1)
        self._given_up = False
        self._trying: dict[object, Attempt] = {}

    def connect(self) -> None:
        """The first wish is in the query, as a client with one project has it; the others are asked for."""
        known = {name: since for name in self.view.courses if (since := self.view.since(name)) is not None}
        self._given_up = False
        if STAR in self.wishes:
            self.view.connects({}, Star(None, None, False))
            self._open((Subscribe(STAR),))
            self._ask("unsubscribe", STAR)
            known = {name: since for name, since in known.items() if not name.startswith(USER)}
            fresh: dict[str, Any] = {"since": known} if known else {"state": True}
            self._ask("subscribe", STAR, **fresh)
            return
        first, *rest = self.wishes
        since = known.get(first, ":0")
        self.view.connects({first: since})
        self._open((Subscribe(first, since=Position.parse(since)),))
        for name in rest:
            self._ask("subscribe", name, **({"since": known[name]} if name in known else {"state": True}))

    def _open(self, wishes: tuple[Subscribe, ...]) -> None:
        hub = self.world.process.hub
        self.carry(
            NativeSession(hub, NATIVE, wishes, grants=OPEN, policy=self.policy, authenticate=open_to_all)
        )

    def _ask(self, kind: str, project: str, **fields: Any) -> None:
        request = {"type": kind, "id": next(self._ids), "project_id": project, **fields}
        self.view.asks(request)
        if project.startswith(USER):
            request = {**request, "user_id": project.removeprefix(USER)}
            del request["project_id"]
        self.send(request)

    def tries(self, attempt: Attempt, **request: Any) -> None:
        """Answer, command, or say how far one has read; what is said of it is told to `Interactions`."""
        number = f"try-{next(self._ids)}"
        self._trying[number] = attempt
        self.send({"id": number, **request})

    @property
    def trying(self) -> bool:
        return bool(self._trying)

    def _tried(self, said: dict[str, Any]) -> bool:
        """Whether it is the answer to an attempt."""
        attempt = self._trying.pop(said.get("id"), None)
        if attempt is None:
            return False
        if said["type"] == "error":
            self.world.interactions.refused(attempt, said["code"], said.get("outcome"))
        elif said["type"] == "reply":
            self.world.interactions.done(attempt, said.get("command_id", ""))
        else:
            raise Violation("as the protocol says", f"{self}: {said} for {attempt.tag}")
        return True

    def lost(self) -> None:
        self._trying.clear()

    def ask(self, what: str, project: str, policy: Policy | None) -> None:
        """Ask for something: plain, state, since, unsubscribe or ping."""
        if self.line is None or self.line.eof:
            return
        if what == "ping":
            self.send({"type": "ping", "id": next(self._ids)})
        elif what == "unsubscribe":
            self._ask("unsubscribe", project)
        else:
            self._subscribe(what, project, {} if policy is None else {"policy": policy.value})

    def _subscribe(self, how: str, project: str, fields: dict[str, Any]) -> None:
        known = {name: since for name in self.view.courses if (since := self.view.since(name)) is not None}
        if project == STAR and how == "since":
            # What is on its way for projects asked for by name would have to be told apart from what is not.
            if self.view.requests:
                return
            self._ask("unsubscribe", STAR)
            fields["since"] = {name: since for name, since in known.items() if not name.startswith(USER)}
        elif how == "since":
            fields["since"] = known.get(project, ":0")
        elif how == "state":
            fields["state"] = True
        self._ask("subscribe", project, **fields)

    def take(self, said: dict[str, Any]) -> None:
        if self._tried(said):
            return
        if said["type"] == "error":
            # A subscription that could not be had. Who has nothing to go on with begins anew.
            if said["code"] not in ("store_unavailable", "overloaded"):
                raise Violation("no fault of the hub's", f"{self}: {said}")
            self.half_close()
            self._given_up = True
        if self.line is not None and not self._given_up:
            self.told(self.view, said)

    def closed(self, code: int, reason: str) -> None:
        if code != SLOW:
            super().closed(code, reason)
            return
        told, _, position = reason.rpartition(" ")
        epoch, _, seq = position.rpartition(":")
        courses = [course for course in self.view.courses.values() if course.subscribed]
        void = self.view.fence is not None or any(course.pending for course in self.view.courses.values())
        known = int(seq) == 0 or (epoch, int(seq)) in [course.at for course in courses]
        if told != "slow consumer" or not (void or known):
            raise Violation("no silent gap", f"{self} closed {reason}, at {[one.at for one in courses]}")

    def behind(self) -> str | None:
        view = self.view
        if view.requests:
            return f"{self}: no answer to {list(view.requests)}"
        if view.star is not None and view.star.open:
            missing = [name for name, head in self.world.truth.heads.items() if head[0] and name[0] != USER]
            missing = [name for name in missing if name not in view.courses]
            if missing:
                return f"{self}: nothing of {missing}"
        told = view.behind()
        return None if told is None else f"{self}: {told}"

    def resumes(self, project: str) -> tuple[str, int] | None:
        course = self.view.courses.get(project)
        return None if course is None else course.has


class PlainWatcher(Watcher):
    """Events only; its policy is always `disconnect`."""

    kind = "plain"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(world, index, Policy.DISCONNECT, wishes[:1])
        self.view = PlainView(world.truth)
        self._reload = True

    def connect(self) -> None:
        """``*`` simply begins; a project is gone on with, or its state is read first."""
        line = self.begin_line()
        self.world.process.start(lambda: self._begin(line))

    async def _begin(self, line: Line) -> None:
        try:
            wish, known = await self._wish()
        except BaseException as error:
            line.close()
            if not isinstance(error, PeerError):
                raise
            return  # 404 or 503 in place of the state: it comes again later
        session = PlainSession(self.world.process.hub, PLAIN, (wish,), grants=OPEN, policy=Policy.DISCONNECT)
        self.view.connects(known)
        await self.world.connection(line, session).run()

    async def _wish(self) -> tuple[Subscribe, dict[str, tuple[str, int]]]:
        (name,) = self.wishes
        if name == STAR:
            return Subscribe(STAR), {}
        if self._reload or name not in self.view.at:
            self.view.at[name] = await self._state(name)
            self._reload = False
        at = self.view.at[name]
        return Subscribe(name, since=Position(*at)), {name: at}

    async def _state(self, name: str) -> tuple[str, int]:
        """Read it, as ``GET …/state`` would."""
        try:
            snapshot = await self.world.process.hub.state(name)
        except Refused:
            return BEGINNING  # there is no such project yet
        nodes = {node_id: node.fields for node_id, node in snapshot.nodes}
        if {"read": 0, **snapshot.top, "nodes": nodes} != self.world.truth.tree(
            name, (snapshot.epoch, snapshot.seq)
        ):
            raise Violation("no silent gap", f"{self}: the state of {name} is not that at {snapshot.seq}")
        return snapshot.epoch, snapshot.seq

    def take(self, said: dict[str, Any]) -> None:
        self.view.take(said)

    def closed(self, code: int, reason: str) -> None:
        if code == GAP:
            self._reload = True
        elif code != SLOW:
            super().closed(code, reason)
        else:
            epoch, _, seq = reason.rpartition(" ")[2].rpartition(":")
            exact = self.wishes[0] != STAR and self.view.at[self.wishes[0]]
            if exact and exact != (epoch, int(seq)) and int(seq):
                raise Violation("no silent gap", f"{self} closed {reason}, at {exact}")

    def lost(self) -> None:
        if self.view.at.get(self.wishes[0]) == ("", 0):
            self._reload = True

    def behind(self) -> str | None:
        told = self.view.behind(list(self.view.at))
        return None if told is None else f"{self}: {told}"

    def resumes(self, project: str) -> tuple[str, int] | None:
        return self.view.at.get(project)
