"""Where a watcher stands in each project: what to ask on a new connection, and what each message means.

Pure: `Follower.opening` and `receive` return what to send and what to tell; the `Watcher` does it.

A project has two positions here. Its *resume position* (`positions`) is the one of the protocol, from
which a new connection goes on: it moves with an event, with ``conflated``, with the last part of a
``project_state``, and with ``subscribed`` only where ``recovered`` is true or neither ``since`` nor
``state`` was asked. Its *stream position* is where this connection is, so that a gap is noticed: the
next event must be the next seq. Whenever the two ends disagree (a gap, a heartbeat that names another
position) the project is subscribed again from the resume position; so it is where it gets no further for
too long (`Course`).

A user's log goes the same way: its topic (``@`` and the user's id) stands where a project's id does.

Requests carry ids. From a request to its answer whatever comes for the project belongs to the
subscription that the request replaces, and is ignored: it comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

from tasktree_rt.client.connection_errors import Dropped
from tasktree_rt.client.course import Course
from tasktree_rt.client.decode import (
    WireError,
    WireHeartbeat,
    WireState,
    WireSubscribed,
    assemble,
    by_topic,
    continues,
    is_broadcast,
    is_event,
    read_broadcast,
    read_conflated,
    read_event,
    read_position,
    structure,
)
from tasktree_rt.client.messages import (
    Behind,
    ProjectDeleted,
    ProjectEvent,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WatchMessage,
)
from tasktree_rt.client.refusals import is_transient, milliseconds
from tasktree_rt.core.commands import Personal
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD, user_topic
from tasktree_rt.dialects.base import measure, named

Told = list[WatchMessage]


class Follower:
    """See the module. `wanted` says of each project (or ``*``) whether to begin with its state."""

    def __init__(self, policy: str, now: Callable[[], float] = lambda: 0.0) -> None:
        self.wanted: dict[str, bool] = {}
        self.positions: dict[str, Position] = {}
        self.max_request = 1024 * 1024
        self.requests: list[Json] = []
        """To be sent, in order; the caller takes them out with `take`."""
        self._policy = policy
        self._now = now
        self._excluded: set[str] = set()
        self._courses: dict[str, Course] = {}
        self._ids = count(1)
        self._fence: int | None = None
        self._all_request: int | None = None
        self._all_open = False
        """Whether every project of ``*`` has been opened once, so that `positions` is complete."""

    # --- what is asked ------------------------------------------------------------------------

    def first_named(self) -> str | None:
        """A project to name when connecting; None for a connection that begins with ``*``."""
        return None if WILDCARD in self.wanted else next(iter(self.wanted), None)

    @property
    def answered(self) -> bool:
        """Whether the hub has answered every subscription."""
        waits = any(course.pending is not None for course in self._courses.values())
        return not waits and (WILDCARD not in self.wanted or self._all_open)

    def opening(self) -> None:
        """A connection was made: ask for everything that is wanted."""
        self._courses.clear()
        self.requests.clear()
        self._fence = None
        if self.first_named() is None:
            self._raise_fence()
        for project in sorted(self.wanted, key=lambda one: one == WILDCARD):
            self._request(project)
        for project in self._excluded:
            self._ask("unsubscribe", project)

    def subscribe(self, project: str, since: Position | Mapping[str, Position] | None, state: bool) -> None:
        """Watch one more project, or the same from elsewhere."""
        if isinstance(since, Position):
            self.positions[project] = since
        elif since is not None:
            self.positions.update(since)
        else:
            self.positions.pop(project, None)
        self.wanted.pop(project, None)
        self.wanted[project] = state
        self._excluded.discard(project)
        if project == WILDCARD:
            self._all_open = since is not None
            self._excluded.clear()

    def ask_for(self, project: str) -> None:
        """Send the request for a project that `subscribe` was called with while connected."""
        if project == WILDCARD:
            self._raise_fence()
        self._request(project)

    def unsubscribe(self, project: str) -> None:
        """Watch it no longer."""
        self.wanted.pop(project, None)
        self._forget(project)
        if project == WILDCARD:
            for other in [one for one in self.positions if one not in self.wanted]:
                self._forget(other)
        elif WILDCARD in self.wanted:
            self._excluded.add(project)

    def take(self) -> Json | None:
        """The next request, to be sent now: its answer is waited for from now on."""
        if not self.requests:
            return None
        request = self.requests.pop(0)
        course = self._courses.get(by_topic(request)["project_id"])
        if course is not None and course.pending == request["id"]:
            course.sent(self._now())
        return request

    def ask_without(self, project: str) -> None:
        """Send the request for a project that `unsubscribe` was called with while connected."""
        self._ask("unsubscribe", project)

    def _ask(self, kind: str, project: str, **fields: object) -> int:
        number = next(self._ids)
        self.requests.append({"type": kind, "id": number, **named(project), **fields})
        return number

    def _raise_fence(self) -> None:
        """Ignore everything until the subscription that a connection begins with is surely over."""
        self._fence = self._ask("unsubscribe", WILDCARD)

    def _request(self, project: str) -> None:
        if project == WILDCARD:
            self._all_request = self._ask("subscribe", WILDCARD, policy=self._policy, **self._all_since())
            return
        before = self._courses.get(project, Course())
        course = self._courses[project] = before.again(self._now())
        position = self.positions.get(project)
        fields: dict[str, object] = {"policy": self._policy}
        if position is not None:
            fields["since"] = str(position)
        elif self._wants_state(project):
            fields["state"] = True
        course.asked, course.wants_state = len(fields) > 1, "state" in fields
        course.pending = self._ask("subscribe", project, **fields)

    def _all_since(self) -> Json:
        """How to ask for ``*``: from all positions, unless they are incomplete or too large to send."""
        state = self.wanted[WILDCARD]
        known = {one: str(at) for one, at in self.positions.items() if one not in self.wanted}
        if not self._all_open and (state or not known):
            return {"state": True} if state else {}
        if measure(known) > self.max_request - 1024:
            return {"state": True}
        return {"since": known}

    def _wants_state(self, project: str) -> bool:
        return self.wanted.get(project, self.wanted.get(WILDCARD, True))

    def _asked(self, course: Course) -> bool:
        if course.asked is not None:
            return course.asked
        return self._all_open or self.wanted.get(WILDCARD, False)

    def _again(self, project: str) -> Told:
        """Something was missed: subscribe again from the resume position."""
        self._request(project)
        return []

    # --- what stands still ----------------------------------------------------------------------

    @property
    def late(self) -> frozenset[str]:
        """Projects that are behind and got no further for too long."""
        return frozenset(name for name, course in self._courses.items() if course.late)

    def due(self, patience: float) -> float:
        """When there may be the next one, if nothing comes; `patience` in seconds."""
        behind = [course.since for course in self._courses.values() if course.behind]
        return min([*behind, self._now()]) + patience

    def excuse(self, seconds: float) -> None:
        """For so long nothing was read: no project is late for that."""
        for course in self._courses.values():
            course.since += seconds

    def tend(self, patience: float) -> Told:
        """Ask again for every project that is late now; tells of those that were not before."""
        before, told = self._now() - patience, Told()
        unsent = {request["id"] for request in self.requests}
        for name, course in list(self._courses.items()):
            if course.pending in unsent:
                course.since = self._now()  # it waits here for its turn: that is not the hub's delay
            if not course.behind or course.since > before:
                continue
            if not course.late:
                course.late = True
                told.append(Behind(name, course.told))
            self._request(name)
        return told

    # --- what is said -------------------------------------------------------------------------

    def receive(self, message: Json) -> Told:
        """What one message of the hub means for the watcher.

        Raises:
            Dropped: the connection is to be given up.
        """
        if is_event(message):
            return self._event(read_event(by_topic(message)))
        if is_broadcast(message):
            return [read_broadcast(message)]
        kind = message.get("type")
        take = _TAKE.get(kind) if isinstance(kind, str) else None
        return [Personal(message)] if take is None else take(self, by_topic(message))

    def _course(self, project: str) -> Course | None:
        """The course of a project whose messages count now."""
        if self._fence is not None or project in self._excluded:
            return None
        if project not in self.wanted and WILDCARD not in self.wanted:
            return None
        course = self._courses.setdefault(project, Course())
        return course if course.pending is None else None

    def _event(self, event: ProjectEvent) -> Told:
        course = self._course(event.project_id)
        if course is None:
            return []
        if event.type == "project_deleted":
            return self._deleted(course, event)
        at, position = course.at, event.position
        if at is not None and not (position.seq == at.seq + 1 and at.epoch in (position.epoch, "")):
            repeated = position.epoch == at.epoch and position.seq <= at.seq
            return [] if repeated else self._again(event.project_id)
        self._moved(course, event.project_id, position)
        return [event]

    def _deleted(self, course: Course, event: ProjectEvent) -> Told:
        project, position = event.project_id, event.position
        course.moved(position, self._now(), ended=True)
        if self.positions.get(project) == position:
            return []  # told before: this is the hub's answer to a position of a life that is over
        if project in self.wanted:
            self.positions[project] = position
        else:
            # Under "*" a project without a position counts as ":0", which is what it will begin with.
            self.positions.pop(project, None)
        return [ProjectDeleted(project, position, event.data, event.timestamp)]

    def _moved(self, course: Course, project: str, position: Position) -> None:
        course.moved(position, self._now())
        self.positions[project] = position

    def _take_subscribed(self, message: Json) -> Told:
        answer = structure(message, WireSubscribed)
        course = self._courses.get(answer.project_id)
        ours = course is not None and course.pending is not None and course.pending == answer.id
        if course is not None and ours:
            course.pending = None
        course = self._course(answer.project_id)
        if course is None:
            return []
        position = Position(answer.epoch, answer.seq)
        course.subscribed(position, answer.recovered, self._now(), answer=ours)
        if answer.recovered is True or not self._asked(course):
            self.positions[answer.project_id] = position
        return [Subscribed(answer.project_id, position, answer.recovered)]

    def _take_state(self, message: Json) -> Told:
        part = structure(message, WireState)
        course = self._course(part.project_id)
        if course is None:
            return []
        if part.part == 1:
            course.parts.clear()
        elif not continues(course.parts, part):
            return self._again(part.project_id)
        course.parts.append(part)
        course.since = self._now()
        if part.part < part.parts:
            return []
        parts, course.parts, course.awaits = course.parts, [], False
        self._moved(course, part.project_id, Position(part.epoch, part.seq))
        return [assemble(parts)]

    def _take_conflated(self, message: Json) -> Told:
        step = read_conflated(message)
        course = self._course(step.project_id)
        if course is None:
            return []
        at, to = course.at, step.position
        if at is None or at.epoch != to.epoch or not step.after <= at.seq <= to.seq:
            return self._again(step.project_id)
        self._moved(course, step.project_id, to)
        return [step]

    def _take_heartbeat(self, message: Json) -> Told:
        said = structure(message, WireHeartbeat)
        users = {user_topic(user): text for user, text in said.user_positions.items()}
        for project, text in (said.positions | users).items():
            course = self._course(project)
            if course is None or course.parts:
                continue
            there = read_position(text)
            if not course.stands_at(there):
                self._is_told(project, course, there)
        return []

    def _is_told(self, project: str, course: Course, there: Position) -> None:
        """It is not where the hub says; until it is there it is behind since the first time."""
        since = self._now() if course.told is None else course.since
        course.told = there
        self._request(project)
        self._courses[project].since = since

    def _take_unsubscribed(self, message: Json) -> Told:
        project, number = str(message.get("project_id")), message.get("id")
        if number is not None:
            if number == self._fence:
                self._fence = None
            return []
        if self._course(project) is None:
            return []
        self.wanted.pop(project, None)
        self._forget(project)
        return [Unsubscribed(project)]

    def _take_reply(self, message: Json) -> Told:
        if message.get("id") is not None and message.get("id") == self._all_request:
            self._all_open = True
        return []

    def _take_error(self, message: Json) -> Told:
        error = structure(message, WireError)
        if is_transient(error.code):
            wait = milliseconds(message, "retry_after_ms")
            raise Dropped(f"the hub cannot serve now: {error.code}: {error.message}", retry_after=wait)
        project = self._asked_by(error.id) or error.topic
        if project is None:
            return []
        self.wanted.pop(project, None)
        self._forget(project)
        return [SubscriptionRefused(project, error.code, error.message, error.field)]

    def _asked_by(self, number: object) -> str | None:
        """The project of a request that was refused."""
        if number is None:
            return None
        if number == self._fence:
            self._fence = None  # there was nothing to unsubscribe: as good as done
            return None
        if number == self._all_request:
            return WILDCARD
        return next((one for one, course in self._courses.items() if course.pending == number), None)

    def _forget(self, project: str) -> None:
        self.positions.pop(project, None)
        self._courses.pop(project, None)


def _ignore(_: Follower, __: Json) -> Told:
    return []


_TAKE: Final[dict[str, Callable[[Follower, Json], Told]]] = {
    "subscribed": Follower._take_subscribed,
    "project_state": Follower._take_state,
    "conflated": Follower._take_conflated,
    "heartbeat": Follower._take_heartbeat,
    "unsubscribed": Follower._take_unsubscribed,
    "reply": Follower._take_reply,
    "error": Follower._take_error,
    "pong": _ignore,
    "draining": _ignore,
    "welcome": _ignore,
}
