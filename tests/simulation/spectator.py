"""Those who watch how an execution stands: each status must be that of some position, never an older one.

What an execution's status is, is reckoned here anew from the state at a position (docs/protocol.md,
"Executions"), with nothing but the words of that table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.protocol import Policy
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tests.simulation.truth import Picture, Position, Truth
from tests.simulation.violation import Violation
from tests.simulation.watcher import SLOW, Watcher

if TYPE_CHECKING:
    from tests.simulation.world import World

Said = dict[str, Any]
EXECUTION: Final = Execution()
PREFIX: Final = "execution:"
OVER: Final = ("completed", "failed")
NORMAL: Final = 1000
NOT_FOUND: Final = 4004
WAITING: Final = ("draft", "ready", "pending", "queued", "unclaimed", "up_next")
DONE: Final = ("completed", "merged")
BROKEN: Final = ("failed", "cancelled")
LATEST: Final = 0.31
"""Seconds after its commit until an event is applied, at the latest: so long a slow store takes to say so."""


@define
class _Life:
    """A life of the project that a connection may be about: where it is in it at least, and which of its
    lines comes next (None: any from `least` on)."""

    seq: int
    line: int | None = None
    least: int = 0


class Spectator(Watcher):
    """See the module's docstring. Some want nodes, some lines of output."""

    kind = "execution"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        dice = Random(f"spectator {index} {world.seed}")
        among = [one for one in world.projects if one.startswith(PREFIX)]
        self._project = among[0] if dice.random() < 0.7 else dice.choice(among)
        super().__init__(world, index, Policy.NEWEST, (self._project,))
        self._name = self._project.removeprefix(PREFIX)
        self._nodes, self._logs = dice.random() < 0.5, dice.random() < 0.5
        self._at: Position = ("", 0)
        """Nothing older than this is told, on no connection."""
        self._begin()

    def _begin(self) -> None:
        self._said: Said | None = None
        self._known: dict[str, Said] = {}
        self._lives: dict[str, _Life] = {}
        self._missing = False

    def connect(self) -> None:
        self._begin()
        self.carry(
            ExecutionSession(
                self.world.process.hub,
                EXECUTION,
                self._name,
                nodes=self._nodes,
                logs=self._logs,
                grants=OPEN,
            )
        )

    def come_back(self) -> bool:
        """Where there is nothing to be told, only now and then."""
        if self.line is None and self._over and self.dice.random() < 0.9:
            return False
        return super().come_back()

    @property
    def _over(self) -> bool:
        """Whether the hub would end a connection at once."""
        head = self.world.truth.head(self._project)
        return head[0] == "" or self._status(head)["status"] in OVER

    @property
    def there(self) -> bool:
        return self.healthy or self._over

    def resumes(self, project: str) -> None:
        return None

    def closed(self, code: int, reason: str) -> None:
        if code == NORMAL:
            if self._said is None or self._said["status"] not in OVER:
                raise Violation("no silent gap", f"{self} is told it is over, at {self._said}")
        elif code == NOT_FOUND:
            if not self._missing:
                raise Violation("as the protocol says", f"{self} is closed without a word")
        elif code != SLOW:
            super().closed(code, reason)

    # --- what it is told ----------------------------------------------------------------------------

    def take(self, said: Said) -> None:
        match said["type"]:
            case "status":
                self._take_status(said)
            case "node" if self._nodes and self._said is not None:
                self._take_node(said)
            case "log" if self._logs and self._said is not None:
                self._take_line(said)
            case "error":
                self._missing = True
            case _:
                raise Violation("as the protocol says", f"{self}: {said}")

    def _take_status(self, said: Said) -> None:
        if said == self._said:
            raise Violation("at most once", f"{self}: {said} again")
        if self._said is None:
            self._lives = {epoch: _Life(first) for epoch, first in self._from_here()}
        for epoch, one in list(self._lives.items()):
            seqs = range(one.seq, len(self.world.truth.lives[self._project, epoch]) + 1)
            one.seq = next((seq for seq in seqs if self._status((epoch, seq)) == said), 0)
            if not one.seq:
                del self._lives[epoch]
        if not self._lives:
            raise Violation("no silent gap", f"{self}: {said} is nowhere from {self._at} on")
        self._said = said
        epoch, one = next(iter(self._lives.items()))
        self._at = (epoch, one.seq)

    def _from_here(self) -> Iterator[Position]:
        """The lives that a connection may be about, each with the first position that it may be at."""
        lives = [epoch for name, epoch in self.world.truth.lives if name == self._project]
        here = lives.index(self._at[0]) if self._at[0] in lives else 0
        for epoch in lives[here:]:
            yield epoch, self._at[1] if epoch == self._at[0] else 1

    def _status(self, position: Position) -> Said:
        standings = self.world.standings
        found = standings.get((self._project, position))
        if found is None:
            found = standing(self.world.truth, self._project, position)
            standings[self._project, position] = found
        return found

    def _take_node(self, said: Said) -> None:
        name = said["node_id"]
        if said.get("deleted") is True:
            self._known.pop(name, None)
            return
        for epoch in list(self._lives):
            if not self._was_so(epoch, name, said):
                del self._lives[epoch]
        if not self._lives:
            raise Violation("committed first", f"{self}: {said} was never so")
        self._known[name] = said

    def _was_so(self, epoch: str, name: str, said: Said) -> bool:
        truth = self.world.truth
        for seq in range(len(truth.lives[self._project, epoch]), 0, -1):
            fields = truth.tree(self._project, (epoch, seq))["nodes"].get(name)
            if fields is not None and self._node(name, fields) == said:
                return True
        return False

    def _node(self, name: str, fields: Said) -> Said:
        head = {"type": "node", "execution_id": self._name, "node_id": name}
        return {**fields, **head, "status": fields.get("status")}

    def _lines(self, epoch: str) -> list[Said]:
        life = self.world.truth.lives.get((self._project, epoch), ())
        return [data for kind, data in life if kind == "log"]

    def _take_line(self, said: Said) -> None:
        if said["level"] == "warning":
            for one in self._lives.values():
                one.line = None  # from here on any line may be the next
            return
        for epoch, one in list(self._lives.items()):
            place = self._place(epoch, one, said)
            if place is None or one.line not in (None, place):
                del self._lives[epoch]
            else:
                one.line = one.least = place + 1
        if not self._lives:
            raise Violation("no silent gap", f"{self}: {said} is not the line that is next")

    def _place(self, epoch: str, one: _Life, said: Said) -> int | None:
        lines = self._lines(epoch)
        for place in range(one.least, len(lines)):
            if all(lines[place].get(field) == said.get(field) for field in ("level", "message", "node_id")):
                return place
        return None

    # --- what it lacks ------------------------------------------------------------------------------

    def behind(self) -> str | None:
        truth, head = self.world.truth, self.world.truth.head(self._project)
        # What was committed before time leapt may be applied behind it.
        moved = max(truth.moved.get(self._project, -1.0), self.world.jumped)
        if self._missing or self.world.clock.current_time() <= moved + self._interval + LATEST:
            return None
        if self._said != self._status(head):
            return f"{self}: told {self._said}, it is {self._status(head)} at {head}"
        if self._nodes:
            nodes = truth.tree(self._project, head)["nodes"]
            if self._known != {name: self._node(name, fields) for name, fields in nodes.items()}:
                return f"{self}: the nodes are {self._known}, not {nodes} at {head}"
        return self._lacks_lines(head[0]) if self._logs else None

    def _lacks_lines(self, epoch: str) -> str | None:
        one = self._lives.get(epoch)
        if one is None:
            return f"{self}: told of {list(self._lives)}, the life is {epoch}"
        count = len(self._lines(epoch))
        if one.line is None:
            one.line = one.least = count  # what came before is not told
        return None if one.line == count else f"{self}: {one.line} lines of {count}"

    @property
    def _interval(self) -> float:
        return self.world.settings.execution.status_interval


def standing(truth: Truth, project: str, position: Position) -> Said:
    """The status of an execution at a position, as its watchers are told."""
    picture = truth.tree(project, position)
    fields, state = picture["project"], picture["state"]
    status = _word(state) if isinstance(state, str) else _of_nodes(picture)
    error = fields.get("error")
    if error is None and status == "failed":
        orchestrator = picture["orchestrator"] or {}
        error = "cancelled" if state == "cancelled" else orchestrator.get("error")
    return {
        "type": "status",
        "execution_id": project.removeprefix(PREFIX),
        "status": status,
        "progress": _progress(status, picture),
        "message": fields.get("message"),
        "result": fields.get("result"),
        "error": error,
        "execution_time": _seconds(fields, truth.times[project, position[0]][position[1] - 1]),
    }


def _word(state: str) -> str:
    if state in WAITING:
        return "pending"
    if state in DONE:
        return "completed"
    return "failed" if state in BROKEN else "running"


def _leaves(picture: Picture) -> list[Said]:
    parents = {fields.get("parent_id") for fields in picture["nodes"].values()}
    return [fields for name, fields in picture["nodes"].items() if name not in parents]


def _finished(nodes: list[Said]) -> int:
    return sum(fields.get("status") in (*DONE, *BROKEN) for fields in nodes)


def _of_nodes(picture: Picture) -> str:
    nodes = list(picture["nodes"].values())
    if all(fields.get("status") is None or fields["status"] in WAITING for fields in nodes):
        return "pending"
    roots, leaves = [one for one in nodes if one.get("parent_id") is None], _leaves(picture)
    if roots and _finished(roots) == len(roots) and _finished(leaves) == len(leaves):
        return "failed" if any(one.get("status") in BROKEN for one in roots) else "completed"
    return "running"


def _progress(status: str, picture: Picture) -> float:
    own = picture["project"].get("progress")
    if status == "completed":
        return 100
    if own is not None:
        return float(own)
    leaves = _leaves(picture)
    return 100 * _finished(leaves) // len(leaves) if leaves else 0


def _seconds(fields: Said, received: int) -> float | None:
    started, ended = fields.get("started_at"), fields.get("ended_at")
    if started is None:
        return None
    until = received / 1_000_000 if ended is None else datetime.fromisoformat(ended).timestamp()
    return round(max(0.0, until - datetime.fromisoformat(started).timestamp()), 6)
