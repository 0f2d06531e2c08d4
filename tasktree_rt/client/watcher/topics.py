"""The topics of a watcher: what it wants, where it is in each, and the requests that ask for them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tasktree_rt.client.watcher.topic_state import TopicState
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.dialects.base import measure, named


class Topics:
    """State that `SubscriptionState` and `Incoming` share; see `subscription_state`.

    Attributes:
        wanted: for each project (or ``*``), whether to begin with its state.
        positions: the resume positions.
        requests: to be sent, in order.
        excluded: projects left out of ``*``.
        courses: the projects of the present connection.
        fence: the id of the request whose answer ends the subscription that a connection begins with; until
            then everything is ignored.
        all_request: the id of the request for ``*``.
        all_open: whether every project of ``*`` has been opened once, so that `positions` is complete.
        max_request: the largest request that the hub takes, in bytes.
    """

    def __init__(self, policy: str, now: Callable[[], float]) -> None:
        self.wanted: dict[str, bool] = {}
        self.positions: dict[str, Position] = {}
        self.requests: list[Json] = []
        self.excluded: set[str] = set()
        self.courses: dict[str, TopicState] = {}
        self.fence: int | None = None
        self.all_request: int | None = None
        self.all_open = False
        self.max_request = 1024 * 1024
        self.now = now
        self._policy = policy
        self._ids = count(1)

    def ask(self, kind: str, project: str, **fields: object) -> int:
        """Queue a request; returns its id."""
        number = next(self._ids)
        self.requests.append({"type": kind, "id": number, **named(project), **fields})
        return number

    def raise_fence(self) -> None:
        """Ignore everything until the subscription that a connection begins with is surely over."""
        self.fence = self.ask("unsubscribe", WILDCARD)

    def request(self, project: str) -> None:
        """Queue the request that subscribes a project from its resume position."""
        if project == WILDCARD:
            self.all_request = self.ask("subscribe", WILDCARD, policy=self._policy, **self._all_since())
            return
        before = self.courses.get(project, TopicState())
        course = self.courses[project] = before.again(self.now())
        position = self.positions.get(project)
        fields: dict[str, object] = {"policy": self._policy}
        if position is not None:
            fields["since"] = str(position)
        elif self._wants_state(project):
            fields["state"] = True
        course.asked, course.wants_state = len(fields) > 1, "state" in fields
        course.pending = self.ask("subscribe", project, **fields)

    def _all_since(self) -> Json:
        """How to ask for ``*``: from all positions, unless they are incomplete or too large to send."""
        state = self.wanted[WILDCARD]
        known = {one: str(at) for one, at in self.positions.items() if one not in self.wanted}
        if not self.all_open and (state or not known):
            return {"state": True} if state else {}
        if measure(known) > self.max_request - 1024:
            return {"state": True}
        return {"since": known}

    def _wants_state(self, project: str) -> bool:
        return self.wanted.get(project, self.wanted.get(WILDCARD, True))

    def was_asked(self, course: TopicState) -> bool:
        """Whether since or state was asked for a project."""
        if course.asked is not None:
            return course.asked
        return self.all_open or self.wanted.get(WILDCARD, False)

    def course(self, project: str) -> TopicState | None:
        """The course of a project whose messages count now."""
        if self.fence is not None or project in self.excluded:
            return None
        if project not in self.wanted and WILDCARD not in self.wanted:
            return None
        course = self.courses.setdefault(project, TopicState())
        return course if course.pending is None else None

    def asked_by(self, number: object) -> str | None:
        """The project of a request that was refused."""
        if number is None:
            return None
        if number == self.fence:
            self.fence = None  # there was nothing to unsubscribe: as good as done
            return None
        if number == self.all_request:
            return WILDCARD
        return next((one for one, course in self.courses.items() if course.pending == number), None)

    def forget(self, project: str) -> None:
        """Drop a project's position and course."""
        self.positions.pop(project, None)
        self.courses.pop(project, None)
