"""What a watcher knows, kept from the wire by the rules of docs/protocol.md and held against the truth.

`View` is `tests.hub.client.Client`, which knows those rules to the letter, made fast: a state once compared
with the truth's is the truth's, and an event that is the truth's leads to the truth's next state.
`StreamView` is the same for server-sent events; `PlainView` knows only events.
"""

from __future__ import annotations

from typing import Any, Final, cast

from tests.hub.client import BEGINNING, DEAD, Client, Course, Oracle, Position, without_id
from tests.model import NaiveTree
from tests.simulation.truth import EMPTY, Picture, Truth
from tests.simulation.violation import Violation

Said = dict[str, Any]
TOP: Final = ("state", "project", "orchestrator", "coordination", "prompts", "read")


class Shared:
    """A state that is never changed but replaced; to `Client` it is a `NaiveTree`."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: Picture = EMPTY

    def picture(self) -> Picture:
        return self.now

    def clear(self) -> None:
        self.now = EMPTY


class View(Client):
    """A native watcher's. Whatever does not fit is an `AssertionError`."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(cast(Oracle, truth))
        self.truth = truth
        self.gaps = 0
        self.states = 0
        self.conflations = 0

    def course(self, project: str) -> Course:
        found = self.courses.get(project)
        if found is None:
            found = self.courses[project] = Course(cast(NaiveTree, Shared()))
        return found

    def check(self, name: str, course: Course) -> None:
        if course.has is None or course.at == DEAD:
            return
        expected = self.truth.tree(name, course.has)
        tree = cast(Shared, course.tree)
        if tree.now is not expected:
            if tree.now != expected:
                told = f"{name} at {course.has}: {different(tree.now, expected)}"
                raise Violation("no silent gap", told)
            tree.now = expected

    def take_subscribed(self, said: Said) -> None:
        self.gaps += said["recovered"] is False
        super().take_subscribed(said)

    def take_event(self, said: Said) -> None:
        course = self.course(said["project_id"])
        assert course.subscribed, "an event before subscribed"
        position = (said["epoch"], said["seq"])
        if said["type"] == "project_deleted":
            self._end(said, course, position)
            return
        assert not course.parts, "a live event between the parts of a state"
        assert not course.awaits_state, "an event where a state was promised"
        assert course.at is not None
        assert position == (course.at[0], course.at[1] + 1), f"event {position} at {course.at}"
        is_committed(self.truth, said)
        self.show(course, said)
        course.at = position
        if course.has is not None:
            course.has = position
            cast(Shared, course.tree).now = self.truth.tree(said["project_id"], position)

    def _end(self, said: Said, course: Course, position: Position) -> None:
        is_committed(self.truth, said)
        if len(self.truth.lives[said["project_id"], said["epoch"]]) != said["seq"]:
            raise Violation("committed first", f"the end of {said['project_id']} {position} is not its end")
        course.tree.clear()
        course.parts, course.awaits_state = [], False
        course.has, course.at = position, DEAD

    def take_project_state(self, said: Said) -> None:
        course = self.course(said["project_id"])
        assert course.subscribed, "a state before subscribed"
        if said["part"] == 1:
            course.parts = []
        else:
            assert course.parts, "a state that does not begin with its first part"
            last = course.parts[-1]
            assert all(said[key] == last[key] for key in ("seq", "epoch", "reason", "parts"))
            assert said["part"] == last["part"] + 1
        assert (said["part"] == 1) == ("prompts" in said["data"])
        course.parts.append(said)
        if said["part"] == said["parts"]:
            self._swap(said["project_id"], course)

    def _swap(self, name: str, course: Course) -> None:
        first = course.parts[0]
        position = (first["epoch"], first["seq"])
        if first["reason"] == "initial" and course.awaits_state:
            assert course.at == position, f"subscribed at {course.at}, state at {position}"
        if course.at is not None and course.at[0] == position[0] and first["reason"] != "gap":
            assert position[1] >= course.at[1], "the state is older than what was there"
        nodes = [node for part in course.parts for node in part["data"].get("nodes", ())]
        tree = cast(Shared, course.tree)
        tree.now = picture_of(first["data"], nodes)
        assert len(tree.now["nodes"]) == len(nodes)
        course.parts, course.awaits_state = [], False
        course.has = course.at = position
        self.states += 1
        self.check(name, course)

    def take_conflated(self, said: Said) -> None:
        name, course = said["project_id"], self.course(said["project_id"])
        assert course.subscribed
        assert not course.parts, "conflated between the parts of a state"
        assert not course.awaits_state, "conflated where a state was promised"
        assert course.at == (said["epoch"], said["after"]), f"conflated after {said['after']} at {course.at}"
        tree = cast(Shared, course.tree)
        nodes = dict(tree.now["nodes"])
        for node_id in said["removed"]:
            nodes.pop(node_id, None)
        nodes.update((node["node_id"], without_id(node)) for node in said["nodes"])
        tree.now = {**tree.now, **{key: said[key] for key in TOP if key in said}, "nodes": nodes}
        for event in said["events"]:
            assert said["after"] < event["seq"] <= said["seq"]
            is_committed(self.truth, event)
            self.show(course, event)
        course.at = (said["epoch"], said["seq"])
        if course.has is not None:
            course.has = course.at
        self.conflations += 1
        self.check(name, course)

    def behind(self) -> str | None:
        """What of the subscriptions is not at the head of its log; None if all is."""
        for name, course in self.courses.items():
            if course.subscribed and (told := self._behind(name, course)):
                return f"{name}: {told}"
        return None

    def _behind(self, name: str, course: Course) -> str | None:
        if course.parts or course.awaits_state or course.pending is not None:
            return f"in the middle at {course.at}"
        epoch, seq = self.truth.head(name)
        if epoch == "":
            return None if course.at in (DEAD, BEGINNING) else f"at {course.at}, but it is gone"
        return None if course.at == (epoch, seq) else f"at {course.at}, the log at {(epoch, seq)}"


class StreamView(View):
    """A reader's of server-sent events: one project; without `since` it begins with the state."""

    def asked_for(self, name: str, request: Said | None) -> tuple[str | None, bool]:
        since, _ = super().asked_for(name, request)
        return since, since is None


class PlainView:
    """What somebody knows who hears only events: where each project is, and its state where that is known.

    Attributes:
        at: the position of each project; None: not known until an event comes.
        least: at the connection's begin, how far each log had come: an event beyond it cannot be the first.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.at: dict[str, Position] = {}
        self.least: dict[str, Position] = {}

    def connects(self, known: dict[str, Position]) -> None:
        """A new connection, from these positions on."""
        self.at = dict(known)
        self.least = dict(self.truth.heads)

    def take(self, said: Said) -> None:
        """One event."""
        name, position = said["project_id"], (said["epoch"], said["seq"])
        is_committed(self.truth, said)
        at, ends = self.at.get(name), said["type"] == "project_deleted"
        if at is None:
            least = self.least.get(name, ("", 0))
            # Nobody says where it begins: at the latest with what was committed after the connection.
            # A life that has just ended in the store may still be told of to its end.
            over = self.truth.lives[name, said["epoch"]][-1][0] == "project_deleted"
            fits = ends or over or position[1] <= (least[1] + 1 if least[0] == position[0] else 1)
        elif at[0] == "":
            fits = ends or position[1] == 1
        elif ends:
            fits = position[0] == at[0] and position[1] > at[1]
        else:
            fits = position == (at[0], at[1] + 1)
        if not fits:
            told = f"{name}: event {position} at {at}, the log was at {self.least.get(name)}"
            raise Violation("no silent gap", told)
        self.at[name] = BEGINNING if ends else position

    def knows(self, project: str) -> bool:
        return project in self.at

    def behind(self, projects: list[str]) -> str | None:
        """What of `projects` is not at the head of its log."""
        for name in projects:
            if name in self.at and self.at[name] != self.truth.head(name):
                return f"{name}: at {self.at[name]}, the log at {self.truth.head(name)}"
        return None


def is_committed(truth: Truth, said: Said) -> None:
    """An event is shown only once it is durable, and as it was committed."""
    life = truth.lives.get((said["project_id"], said["epoch"]), ())
    if not 0 < said["seq"] <= len(life):
        told = f"{said['project_id']} {said['epoch']}:{said['seq']} is shown and not in the log"
        raise Violation("committed first", told)
    if life[said["seq"] - 1] != (said["type"], said["data"]):
        raise Violation("unchanged", f"{said['project_id']} {said['epoch']}:{said['seq']}")


def picture_of(top: Said, nodes: list[Said]) -> Picture:
    """A state as `project_state` tells it."""
    whole: Picture = {key: top[key] for key in TOP if key in top}
    return {**EMPTY, **whole, "nodes": {node["node_id"]: without_id(node) for node in nodes}}


def different(seen: Picture, true: Picture) -> str:
    """Where two states differ, in short."""
    for key in TOP:
        if seen[key] != true[key]:
            return f"{key} is {seen[key]!r}, not {true[key]!r}"
    mine, theirs = seen["nodes"], true["nodes"]
    wrong = [one for one in theirs if one in mine and mine[one] != theirs[one]]
    return f"too many {sorted(mine.keys() - theirs)}, missing {sorted(theirs.keys() - mine)}, wrong {wrong}"
