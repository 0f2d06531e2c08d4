"""What programs of other systems say: executions of AutoGPT, messages and tasks of AIECS.

Nothing of it has a position. Who watches is told by its own session (`listener`), which `Foreign` tells what
there was; an execution of AutoGPT is mirrored as a project, whose log may only tell of what was said.
"""

from __future__ import annotations

import json
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from tasktree_rt.compat.aiecs.direct_messages import MESSAGE
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.payloads import read_execution
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

Fields = dict[str, Any]
Key = tuple[str, ...]
GRAPHS: Final = ("g0", "g1")
EXECUTIONS: Final = ("x0", "x1", "x2")
MIRROR: Final = "autogpt:"
MIRRORED: Final = {
    "QUEUED": "ready",
    "RUNNING": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "SOMETHING": "something",
}
"""Statuses of AutoGPT's, one of them unknown, and what they are in a project."""


@frozen
class Said:
    """One event of an execution: a graph's, or a node's."""

    user: str
    graph: str
    execution: str
    node: str
    status: str
    number: int

    @property
    def key(self) -> str:
        """What a newer one may take the place of."""
        return f"node {self.node}" if self.node else "graph"

    @property
    def channels(self) -> tuple[str, ...]:
        """Where it is told, as AutoGPT calls them."""
        mine = f"{self.user}|graph_exec#{self.execution}"
        graphs = (f"{self.user}|graph#{self.graph}|executions", f"{self.user}|graph_execs#{self.graph}")
        return (mine,) if self.node else (mine, *graphs)

    @property
    def payload(self) -> Fields:
        """As it is published, and pushed."""
        about = {"user_id": self.user, "graph_id": self.graph, "status": self.status, "number": self.number}
        if self.node:
            mine = {"graph_exec_id": self.execution, "node_exec_id": self.node, "node_id": "n"}
            return {"event_type": "node_execution_update", **about, **mine}
        return {"event_type": "graph_execution_update", **about, "id": self.execution}


class Foreign:
    """See the module's docstring."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = 0
        self._statuses: dict[str, set[tuple[str, str]]] = {}
        self.work: set[tuple[str, str]] = set()
        """The tasks that were ever said to be at work: user and task."""

    def execution(self, dice: Random) -> None:
        """Something happens in an execution of AutoGPT's. Users have executions of the same name."""
        node = dice.choice(("", "", "a", "b"))
        self._number += 1
        said = Said(
            dice.choice(self._world.users),
            dice.choice(GRAPHS),
            dice.choice(EXECUTIONS),
            node and f"{node}-node",
            dice.choice(tuple(MIRRORED)),
            self._number,
        )
        process = self._world.process
        if process.accepts:
            known = self._statuses.setdefault(f"{MIRROR}{said.execution}", set())
            known.add((said.node, MIRRORED[said.status]))
            body = json.dumps({"payload": said.payload}).encode()
            for watcher in self._world.watchers:
                watcher.happens(said)
            Intake(process.hub, mirror=True).event(read_execution(body))

    def message(self, dice: Random) -> None:
        """A program tells a user something, or everybody."""
        user = dice.choice((*self._world.users, None))
        self._number += 1
        if self._world.process.accepts:
            for watcher in self._world.watchers:
                watcher.is_told(user, self._number)
            self._world.process.relay.show(user, MESSAGE, {"type": "note", "number": self._number})

    def task(self, dice: Random) -> None:
        """A task of somebody's is at work, or no longer."""
        user, task = dice.choice(self._world.users), f"t{dice.randrange(2)}"
        if self._world.process.accepts:
            if dice.random() < 0.7:
                self.work.add((user, task))
                self._world.process.relay.start_task(user, task, dice.choice((0.5, 2.0)))
            else:
                self._world.process.relay.end_task(user, task)

    def is_mirrored(self, project: str, kind: str, data: Fields) -> bool:
        """Whether an event of a project tells of what was said of an execution."""
        known = self._statuses.get(project, set())
        if kind == "node_update":
            return (data["node_id"], data["changes"]["status"]) in known
        if kind == "state_transition":
            return ("", data["to"]) in known
        return kind == "project_update" and project in self._statuses


class Due:
    """What one connection is to be told of each key, in order.

    What it `must` hear may be passed over only where something newer of the key is told instead.
    """

    def __init__(self) -> None:
        self._waiting: dict[Key, deque[tuple[object, bool]]] = {}
        self._told: set[tuple[Key, object]] = set()

    def expect(self, key: Key, said: object, *, must: bool) -> None:
        """There is this to tell."""
        self._waiting.setdefault(key, deque()).append((said, must))

    def came(self, key: Key, said: object, *, newest: bool = False, begun: bool = False) -> None:
        """It was told. With `newest` what was said before may be left out; `begun`: it may have been said
        before the connection was there, and told only after that."""
        waiting = self._waiting.get(key, deque())
        known = (key, said) in self._told
        self._told.add((key, said))
        if not any(one == said for one, _ in waiting):
            if begun and not known:
                return
            raise Violation("at most once", f"{said} of {key}, where {list(waiting)[:5]} are to be told")
        while (first := waiting.popleft())[0] != said:
            if first[1] and not newest:
                raise Violation("no silent gap", f"{said} of {key}, and {first[0]} before it was not told")

    def forget(self, key: Key | None = None) -> None:
        """Nothing of a key (of none, if None) is to be told any more."""
        if key is None:
            self._waiting.clear()
            self._told.clear()
        for one in [one for one in self._waiting if key is not None and one[: len(key)] == key]:
            del self._waiting[one]

    def relax(self, key: Key) -> None:
        """What is waiting of a key may be told, and need not be."""
        for one, waiting in self._waiting.items():
            if one[: len(key)] == key:
                self._waiting[one] = deque((said, False) for said, _ in waiting)

    @property
    def missing(self) -> str | None:
        """Something that it must hear and did not; None if there is none."""
        for key, waiting in self._waiting.items():
            for said, must in waiting:
                if must:
                    return f"{said} of {key} was not told"
        return None
