"""The topics of a watcher: its subscriptions, its positions, and the requests to send. Pure."""

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
        wanted: the subscribed projects (or ``*``); True to begin with the state.
        positions: the resume positions.
        requests: to be sent, in order.
        excluded: projects left out of ``*``.
        states: the state of each project on the present connection.
        fence: the id of the request whose answer ends the subscription that a connection begins with; until
            then everything is ignored.
        all_request: the id of the request for ``*``.
        all_open: True once every project of ``*`` was opened, so that `positions` is complete.
        max_request: the largest request that the hub takes, in bytes.
    """

    def __init__(self, policy: str, now: Callable[[], float]) -> None:
        self.wanted: dict[str, bool] = {}
        self.positions: dict[str, Position] = {}
        self.requests: list[Json] = []
        self.excluded: set[str] = set()
        self.states: dict[str, TopicState] = {}
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
        """Ignore all messages until the subscription that a connection begins with has ended."""
        self.fence = self.ask("unsubscribe", WILDCARD)

    def request(self, project: str) -> None:
        """Queue the request that subscribes a project from its resume position."""
        if project == WILDCARD:
            self.all_request = self.ask("subscribe", WILDCARD, policy=self._policy, **self._all_since())
            return
        before = self.states.get(project, TopicState())
        topic_state = self.states[project] = before.again(self.now())
        position = self.positions.get(project)
        fields: dict[str, object] = {"policy": self._policy}
        if position is not None:
            fields["since"] = str(position)
        elif self._wants_state(project):
            fields["state"] = True
        topic_state.asked, topic_state.wants_state = len(fields) > 1, "state" in fields
        topic_state.pending = self.ask("subscribe", project, **fields)

    def _all_since(self) -> Json:
        """Return the fields of a request for ``*``: all positions, if complete and not too large."""
        state = self.wanted[WILDCARD]
        known = {one: str(at) for one, at in self.positions.items() if one not in self.wanted}
        if not self.all_open and (state or not known):
            return {"state": True} if state else {}
        if measure(known) > self.max_request - 1024:
            return {"state": True}
        return {"since": known}

    def _wants_state(self, project: str) -> bool:
        return self.wanted.get(project, self.wanted.get(WILDCARD, True))

    def was_asked(self, topic_state: TopicState) -> bool:
        """Return True if the request for a project had ``since`` or ``state``."""
        if topic_state.asked is not None:
            return topic_state.asked
        return self.all_open or self.wanted.get(WILDCARD, False)

    def current(self, project: str) -> TopicState | None:
        """Return the state of a project; None while the watcher ignores its messages."""
        if self.fence is not None or project in self.excluded:
            return None
        if project not in self.wanted and WILDCARD not in self.wanted:
            return None
        topic_state = self.states.setdefault(project, TopicState())
        return topic_state if topic_state.pending is None else None

    def asked_by(self, number: object) -> str | None:
        """The project of a request that was refused."""
        if number is None:
            return None
        if number == self.fence:
            self.fence = None  # there was nothing to unsubscribe: as good as done
            return None
        if number == self.all_request:
            return WILDCARD
        return next((one for one, topic_state in self.states.items() if topic_state.pending == number), None)

    def forget(self, project: str) -> None:
        """Drop a project's position and state."""
        self.positions.pop(project, None)
        self.states.pop(project, None)
