"""What each message of the hub means for a watcher. Pure; see `follow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.refusals import is_transient, milliseconds
from tasktree_rt.client.watcher.decode import (
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
from tasktree_rt.client.watcher.messages import (
    ProjectDeleted,
    ProjectEvent,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WatchMessage,
)
from tasktree_rt.client.watcher.topic_state import TopicState
from tasktree_rt.client.watcher.topics import Topics
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Personal
from tasktree_rt.core.topics import user_topic

Told = list[WatchMessage]


class Incoming:
    """Reads messages, moves the positions in `topics`, and asks again where something was missed."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

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

    def _event(self, event: ProjectEvent) -> Told:
        course = self._topics.course(event.project_id)
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

    def _deleted(self, course: TopicState, event: ProjectEvent) -> Told:
        project, position = event.project_id, event.position
        course.moved(position, self._topics.now(), ended=True)
        if self._topics.positions.get(project) == position:
            return []  # told before: this is the hub's answer to a position of a life that is over
        if project in self._topics.wanted:
            self._topics.positions[project] = position
        else:
            # Under "*" a project without a position counts as ":0", which is what it will begin with.
            self._topics.positions.pop(project, None)
        return [ProjectDeleted(project, position, event.data, event.timestamp)]

    def _moved(self, course: TopicState, project: str, position: Position) -> None:
        course.moved(position, self._topics.now())
        self._topics.positions[project] = position

    def _take_subscribed(self, message: Json) -> Told:
        answer = structure(message, WireSubscribed)
        course = self._topics.courses.get(answer.project_id)
        ours = course is not None and course.pending is not None and course.pending == answer.id
        if course is not None and ours:
            course.pending = None
        course = self._topics.course(answer.project_id)
        if course is None:
            return []
        position = Position(answer.epoch, answer.seq)
        course.subscribed(position, answer.recovered, self._topics.now(), answer=ours)
        if answer.recovered is True or not self._topics.was_asked(course):
            self._topics.positions[answer.project_id] = position
        return [Subscribed(answer.project_id, position, answer.recovered)]

    def _take_state(self, message: Json) -> Told:
        part = structure(message, WireState)
        course = self._topics.course(part.project_id)
        if course is None:
            return []
        if part.part == 1:
            course.parts.clear()
        elif not continues(course.parts, part):
            return self._again(part.project_id)
        course.parts.append(part)
        course.since = self._topics.now()
        if part.part < part.parts:
            return []
        parts, course.parts, course.awaits = course.parts, [], False
        self._moved(course, part.project_id, Position(part.epoch, part.seq))
        return [assemble(parts)]

    def _take_conflated(self, message: Json) -> Told:
        step = read_conflated(message)
        course = self._topics.course(step.project_id)
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
            course = self._topics.course(project)
            if course is None or course.parts:
                continue
            there = read_position(text)
            if not course.stands_at(there):
                self._is_told(project, course, there)
        return []

    def _is_told(self, project: str, course: TopicState, there: Position) -> None:
        """Subscribe a project again whose position is not the one that a heartbeat named."""
        since = self._topics.now() if course.told is None else course.since
        course.told = there
        self._topics.request(project)
        self._topics.courses[project].since = since

    def _take_unsubscribed(self, message: Json) -> Told:
        project, number = str(message.get("project_id")), message.get("id")
        if number is not None:
            if number == self._topics.fence:
                self._topics.fence = None
            return []
        if self._topics.course(project) is None:
            return []
        self._topics.wanted.pop(project, None)
        self._topics.forget(project)
        return [Unsubscribed(project)]

    def _take_reply(self, message: Json) -> Told:
        if message.get("id") is not None and message.get("id") == self._topics.all_request:
            self._topics.all_open = True
        return []

    def _take_error(self, message: Json) -> Told:
        error = structure(message, WireError)
        if is_transient(error.code):
            wait = milliseconds(message, "retry_after_ms")
            raise ConnectionEnded(
                f"the hub cannot serve now: {error.code}: {error.message}", retry_after=wait
            )
        project = self._topics.asked_by(error.id) or error.topic
        if project is None:
            return []
        self._topics.wanted.pop(project, None)
        self._topics.forget(project)
        return [SubscriptionRefused(project, error.code, error.message, error.field)]

    def _again(self, project: str) -> Told:
        """Something was missed: subscribe again from the resume position."""
        self._topics.request(project)
        return []


def _ignore(_: Incoming, __: Json) -> Told:
    return []


_TAKE: Final[dict[str, Callable[[Incoming, Json], Told]]] = {
    "subscribed": Incoming._take_subscribed,
    "project_state": Incoming._take_state,
    "conflated": Incoming._take_conflated,
    "heartbeat": Incoming._take_heartbeat,
    "unsubscribed": Incoming._take_unsubscribed,
    "reply": Incoming._take_reply,
    "error": Incoming._take_error,
    "pong": _ignore,
    "draining": _ignore,
    "welcome": _ignore,
}
