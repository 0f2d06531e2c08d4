"""A watcher that follows the contract to the letter, and holds the hub to it at every message.

`Oracle` knows every event of every life and so the tree at every position; `Client` keeps a tree by the
rules of docs/protocol.md ("The client's position", "Watching") and compares it with the oracle's wherever
the hub claims a position.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from attrs import Factory, define

from tests.model import NaiveTree

Position = tuple[str, int]
BEGINNING: Position = ("", 0)
DEAD: Position = ("dead", 0)
"""Behind the last event of a life."""


class Oracle:
    """Every life of every project, as acknowledged."""

    def __init__(self, inline: int = 2048) -> None:
        self.inline = inline
        self.lives: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        self._trees: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def add(self, project: str, epoch: str, seq: int, kind: str, data: dict[str, Any]) -> None:
        life = self.lives.setdefault((project, epoch), [])
        assert seq == len(life) + 1, f"{project} {epoch}: {seq} after {len(life)}"
        life.append((kind, self.shown(kind, data)))

    def shown(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        """An event's data as watchers get them: markers in place of large values."""
        if kind in ("task_created", "task_updated"):
            return self._cut(data)
        if kind == "node_update" and isinstance(data.get("changes"), dict):
            return {**data, "changes": self._cut(data["changes"])}
        return data

    def _cut(self, fields: dict[str, Any]) -> dict[str, Any]:
        cut = {}
        for name in {"input", "output"} & fields.keys():
            text = json.dumps(fields[name], ensure_ascii=False, separators=(",", ":")).encode()
            if isinstance(fields[name], str | list | dict) and len(text) > self.inline:
                found = hashlib.blake2b(text, digest_size=16).hexdigest()
                cut[name] = {"$large": {"bytes": len(text), "digest": found}}
        return {**fields, **cut}

    def tree(self, project: str, position: Position) -> dict[str, Any]:
        """The tree at a position, as a picture."""
        trees = self._trees.setdefault((project, position[0]), [NaiveTree(project).picture()])
        life = self.lives.get((project, position[0]), [])
        while len(trees) <= position[1]:
            tree = NaiveTree(project)
            for name, value in copy.deepcopy(trees[-1]).items():
                setattr(tree, name, value)
            tree.apply(*copy.deepcopy(life[len(trees) - 1]))
            trees.append(copy.deepcopy(tree.picture()))
        return trees[position[1]]


@define
class Course:
    """One project at this client."""

    tree: NaiveTree
    has: Position | None = None
    """The position to resume from: what `tree` is the state at; None: nothing is known."""
    at: Position | None = None
    """Where the stream is: the next event is the one after it."""
    subscribed: bool = False
    awaits_state: bool = False
    pending: object = None
    """A request with since that has no answer yet: what comes till then comes again, and is ignored."""
    parts: list[dict[str, Any]] = Factory(list)
    shown: dict[str, int] = Factory(dict)
    """The newest seq shown as an event, by epoch: none may be shown twice on one connection."""


@define
class Star:
    """A subscription to every project."""

    id: object
    since: dict[str, str] | None
    state: bool
    open: bool = False


class Client:
    """See the module's docstring. Every message is checked; those without a project are kept in `said`."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.courses: dict[str, Course] = {}
        self.said: list[dict[str, Any]] = []
        self.query: dict[str, str | None] = {}
        """Projects of the connection's own query, with the since given."""
        self.named: set[str] = set()
        self.star: Star | None = None
        self.stars: list[Star] = []
        """Asked for, and not begun."""
        self.requests: dict[object, dict[str, Any]] = {}
        self.fence: object = None
        """Taking back ``*``: until it is answered, whatever comes for its projects is ignored."""

    def course(self, project: str) -> Course:
        return self.courses.setdefault(project, Course(NaiveTree(project)))

    def since(self, project: str) -> str | None:
        """What to resume a project from."""
        has = self.course(project).has
        return None if has is None else f"{has[0]}:{has[1]}"

    def asks(self, request: dict[str, Any]) -> None:
        """A request is on its way."""
        self.requests[request["id"]] = request
        if request["type"] == "unsubscribe" and request["project_id"] == "*":
            self.fence = request["id"]
        elif "since" in request and request["project_id"] != "*":
            self.course(request["project_id"]).pending = request["id"]
        if request["project_id"] == "*" and request["type"] == "subscribe":
            self.stars.append(Star(request["id"], request.get("since"), request.get("state", False)))

    def connects(self, query: dict[str, str | None], star: Star | None = None) -> None:
        """A new connection: nothing is subscribed; what comes may have been shown before."""
        self.query, self.star = query, star
        self.stars.clear()
        self.requests.clear()
        self.named.clear()
        self.fence = None
        for course in self.courses.values():
            course.pending = None
            self.end(course)

    def take(self, message: dict[str, Any]) -> None:
        """One message of the hub."""
        if self.is_void(message):
            if self.requests.pop(message.get("id"), None) is not None:
                self.named.add(message["project_id"])
            elif message["type"] == "subscribed" and message["project_id"] in self.query:
                self.named.add(message["project_id"])
                del self.query[message["project_id"]]
        elif "seq" in message and "timestamp" in message:
            self.take_event(message)
        elif (handler := getattr(self, f"take_{message['type']}", None)) is not None:
            handler(message)
        else:
            self.said.append(message)

    @property
    def being_named(self) -> set[str]:
        """Projects whose subscription by name, asked for before the fence, has no answer yet."""
        asked = list(self.requests.values())
        before = asked[: [one["id"] for one in asked].index(self.fence)]
        return {one["project_id"] for one in before if one["type"] == "subscribe"}

    def is_void(self, message: dict[str, Any]) -> bool:
        """Whether it belongs to a subscription that a request of ours replaces."""
        name, number = message.get("project_id"), message.get("id")
        if name is None or message["type"] == "unsubscribed":
            return False
        course = self.course(name)
        if number is not None and number == course.pending:
            course.pending = None
        if course.pending is not None:
            return True
        if number is not None or self.fence is None:
            return False
        return not (name in self.named or name in self.query or name in self.being_named)

    # --- messages

    def take_subscribed(self, said: dict[str, Any]) -> None:
        name, position = said["project_id"], (said["epoch"], said["seq"])
        course, recovered = self.course(name), said["recovered"]
        request = self.requests.pop(said["id"]) if "id" in said else None
        course.parts = []
        if request is None and recovered is None and position[0] and position[1] == 0:
            self.born(course, position)
            return
        since, state = self.asked_for(name, request)
        assert (recovered is None) == (since is None)
        continuing, course.subscribed = course.subscribed, True
        if since is not None:
            course.shown.clear()
        if recovered is True:
            course.awaits_state = False
            assert str(said["seq"]) == "0" if since == ":0" else f"{said['epoch']}:{said['seq']}" == since
            self.stands(name, course, position)
        elif recovered is False or state:
            course.awaits_state = True
        elif continuing and course.awaits_state and course.has is None and position[1] > 0:
            course.awaits_state = False  # it never knew anything, so that nothing can be said of it
        elif continuing:
            assert position in self.where(course), f"goes on at {position}, not in {self.where(course)}"
            if course.has is not None or course.awaits_state:
                self.stands(name, course, position)
            course.awaits_state = False
        elif position[1] == 0:
            self.stands(name, course, position)
        else:
            course.has = None  # what the tree is here, nobody has told
        course.at = position

    def stands(self, name: str, course: Course, position: Position) -> None:
        if position[1] == 0:
            course.tree.clear()
        course.has = position
        self.check(name, course)

    def where(self, course: Course) -> list[Position]:
        """The positions at which a subscription may go on that says nothing of its own."""
        empty = [BEGINNING, *((epoch, 0) for _, epoch in self.oracle.lives)]
        if course.awaits_state:
            return [*empty, *([course.has] if course.has else [])]
        if course.at == DEAD or course.at == BEGINNING:
            return empty
        return [course.has or course.at or BEGINNING]

    def born(self, course: Course, position: Position) -> None:
        assert course.subscribed or self.star is not None or self.stars
        assert course.at in (None, BEGINNING, DEAD, position), f"a new life at {course.at}"
        course.tree.clear()
        course.subscribed, course.awaits_state = True, False
        course.has = course.at = position

    def asked_for(self, name: str, request: dict[str, Any] | None) -> tuple[str | None, bool]:
        if request is not None:
            self.named.add(name)
            return request.get("since"), request.get("state", False)
        if name in self.query:
            self.named.add(name)
            return self.query.pop(name), False
        if self.stars and (self.star is None or self.star.open):
            self.star = self.stars.pop(0)
        assert self.star is not None, f"subscribed to {name} unasked"
        assert name not in self.named
        return None if self.star.since is None else self.star.since.get(name, ":0"), self.star.state

    def take_project_state(self, said: dict[str, Any]) -> None:
        name, course = said["project_id"], self.course(said["project_id"])
        assert course.subscribed, "a state before subscribed"
        if said["part"] == 1:
            course.parts = []
        else:
            last = course.parts[-1]
            assert all(said[key] == last[key] for key in ("seq", "epoch", "reason", "parts"))
            assert said["part"] == last["part"] + 1
        assert (said["part"] == 1) == ("state" in said["data"])
        course.parts.append(said)
        if said["part"] < said["parts"]:
            return
        first = course.parts[0]
        position = (said["epoch"], said["seq"])
        if said["reason"] == "initial" and course.awaits_state:
            assert course.at == position, f"subscribed at {course.at}, state at {position}"
        if course.at is not None and course.at[0] == position[0] and said["reason"] != "gap":
            assert position[1] >= course.at[1], "the state is older than what was there"
        data = first["data"]
        tree = NaiveTree(name)
        tree.state, tree.project = data["state"], data["project"]
        tree.orchestrator, tree.coordination = data["orchestrator"], data["coordination"]
        tree.prompts = data["prompts"]
        nodes = [node for part in course.parts for node in part["data"]["nodes"]]
        tree.nodes = {node["node_id"]: without_id(node) for node in nodes}
        assert len(tree.nodes) == len(nodes)
        course.tree, course.parts, course.awaits_state = tree, [], False
        course.has = course.at = position
        self.check(name, course)

    def take_conflated(self, said: dict[str, Any]) -> None:
        name, course = said["project_id"], self.course(said["project_id"])
        assert course.subscribed
        assert not course.parts
        assert not course.awaits_state
        assert course.at == (said["epoch"], said["after"]), f"conflated after {said['after']} at {course.at}"
        for node_id in said["removed"]:
            course.tree.nodes.pop(node_id, None)
        for node in said["nodes"]:
            course.tree.nodes[node["node_id"]] = without_id(node)
        for key in ("state", "project", "orchestrator", "coordination", "prompts"):
            if key in said:
                setattr(course.tree, key, said[key])
        for event in said["events"]:
            assert said["after"] < event["seq"] <= said["seq"]
            self.show(course, event)
        course.at = (said["epoch"], said["seq"])
        if course.has is not None:
            course.has = course.at
        self.check(name, course)

    def take_event(self, said: dict[str, Any]) -> None:
        name, course = said["project_id"], self.course(said["project_id"])
        assert course.subscribed, f"an event before subscribed: {said}"
        position = (said["epoch"], said["seq"])
        if said["type"] == "project_deleted":
            course.tree.clear()
            course.parts, course.awaits_state = [], False
            course.has, course.at = position, DEAD
            return
        assert not course.parts, "a live event between the parts of a state"
        assert not course.awaits_state, "an event where a state was promised"
        assert course.at is not None
        assert position == (course.at[0], course.at[1] + 1), f"event {position} at {course.at}"
        life = self.oracle.lives[name, said["epoch"]]
        assert life[said["seq"] - 1] == (said["type"], said["data"])
        self.show(course, said)
        course.tree.apply(said["type"], copy.deepcopy(said["data"]))
        course.at = position
        if course.has is not None:
            course.has = position
        self.check(name, course)

    def show(self, course: Course, event: dict[str, Any]) -> None:
        assert event["seq"] > course.shown.get(event["epoch"], 0), "an event shown twice"
        course.shown[event["epoch"]] = event["seq"]

    def take_heartbeat(self, said: dict[str, Any]) -> None:
        for name, text in said["positions"].items():
            if self.is_void({"type": "heartbeat", "project_id": name}):
                continue
            epoch, _, seq = text.rpartition(":")
            course = self.courses[name]
            assert course.subscribed
            assert course.at == (epoch, int(seq)), f"heartbeat {text}, at {course.at}"

    def take_reply(self, said: dict[str, Any]) -> None:
        if self.stars and (self.star is None or self.star.id != said.get("id")):
            self.star = self.stars.pop(0)  # it had nothing to open
        assert self.star is not None
        assert said.get("id") == self.star.id
        self.requests.pop(self.star.id, None)
        self.star.open = True

    def take_unsubscribed(self, said: dict[str, Any]) -> None:
        name = said["project_id"]
        self.requests.pop(said.get("id"), None)
        if name != "*":
            self.named.discard(name)
            self.end(self.course(name))
            return
        if self.fence == said.get("id"):
            self.fence = None
        self.star = None
        for other, course in self.courses.items():
            if other not in self.named and other not in self.query:
                self.end(course)

    def end(self, course: Course) -> None:
        course.subscribed = course.awaits_state = False
        course.parts, course.at = [], None
        course.shown.clear()

    def check(self, name: str, course: Course) -> None:
        if course.has is not None and course.at != DEAD:
            assert course.tree.picture() == self.oracle.tree(name, course.has), f"{name} at {course.has}"


def without_id(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "node_id"}
