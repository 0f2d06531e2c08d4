"""Reads each message of the hub for a watcher. Pure; see `subscription_state`."""

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

Messages = list[WatchMessage]


class Incoming:
    """Reads messages, moves the positions in `topics`, and subscribes again after a gap."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def receive(self, message: Json) -> Messages:
        """Return the messages for the program that follow from one message of the hub.

        Raises:
            ConnectionEnded: the watcher has to close the connection.
        """
        if is_event(message):
            return self._event(read_event(by_topic(message)))
        if is_broadcast(message):
            return [read_broadcast(message)]
        kind = message.get("type")
        take = _TAKE.get(kind) if isinstance(kind, str) else None
        return [Personal(message)] if take is None else take(self, by_topic(message))

    def _event(self, event: ProjectEvent) -> Messages:
        topic_state = self._topics.current(event.project_id)
        if topic_state is None:
            return []
        if event.type == "project_deleted":
            return self._deleted(topic_state, event)
        at, position = topic_state.at, event.position
        if at is not None and not (position.seq == at.seq + 1 and at.epoch in (position.epoch, "")):
            repeated = position.epoch == at.epoch and position.seq <= at.seq
            return [] if repeated else self._again(event.project_id)
        self._moved(topic_state, event.project_id, position)
        return [event]

    def _deleted(self, topic_state: TopicState, event: ProjectEvent) -> Messages:
        project, position = event.project_id, event.position
        topic_state.moved(position, self._topics.now(), ended=True)
        if self._topics.positions.get(project) == position:
            return []  # passed on before: the hub answers a position of an ended epoch so
        if project in self._topics.wanted:
            self._topics.positions[project] = position
        else:
            # Under "*" a project without a position counts as ":0", which is what it will begin with.
            self._topics.positions.pop(project, None)
        return [ProjectDeleted(project, position, event.data, event.timestamp)]

    def _moved(self, topic_state: TopicState, project: str, position: Position) -> None:
        topic_state.moved(position, self._topics.now())
        self._topics.positions[project] = position

    def _take_subscribed(self, message: Json) -> Messages:
        answer = structure(message, WireSubscribed)
        topic_state = self._topics.states.get(answer.project_id)
        ours = (
            topic_state is not None and topic_state.pending is not None and topic_state.pending == answer.id
        )
        if topic_state is not None and ours:
            topic_state.pending = None
        topic_state = self._topics.current(answer.project_id)
        if topic_state is None:
            return []
        position = Position(answer.epoch, answer.seq)
        topic_state.subscribed(position, answer.recovered, self._topics.now(), answer=ours)
        if answer.recovered is True or not self._topics.was_asked(topic_state):
            self._topics.positions[answer.project_id] = position
        return [Subscribed(answer.project_id, position, answer.recovered)]

    def _take_state(self, message: Json) -> Messages:
        part = structure(message, WireState)
        topic_state = self._topics.current(part.project_id)
        if topic_state is None:
            return []
        if part.part == 1:
            topic_state.parts.clear()
        elif not continues(topic_state.parts, part):
            return self._again(part.project_id)
        topic_state.parts.append(part)
        topic_state.since = self._topics.now()
        if part.part < part.parts:
            return []
        parts, topic_state.parts, topic_state.awaits = topic_state.parts, [], False
        self._moved(topic_state, part.project_id, Position(part.epoch, part.seq))
        return [assemble(parts)]

    def _take_conflated(self, message: Json) -> Messages:
        step = read_conflated(message)
        topic_state = self._topics.current(step.project_id)
        if topic_state is None:
            return []
        at, to = topic_state.at, step.position
        if at is None or at.epoch != to.epoch or not step.after <= at.seq <= to.seq:
            return self._again(step.project_id)
        self._moved(topic_state, step.project_id, to)
        return [step]

    def _take_heartbeat(self, message: Json) -> Messages:
        heartbeat = structure(message, WireHeartbeat)
        users = {user_topic(user): text for user, text in heartbeat.user_positions.items()}
        for project, text in (heartbeat.positions | users).items():
            topic_state = self._topics.current(project)
            if topic_state is None or topic_state.parts:
                continue
            there = read_position(text)
            if not topic_state.is_at(there):
                self._subscribe_again(project, topic_state, there)
        return []

    def _subscribe_again(self, project: str, topic_state: TopicState, there: Position) -> None:
        """Subscribe a project again because a heartbeat named another position."""
        since = self._topics.now() if topic_state.hub_position is None else topic_state.since
        topic_state.hub_position = there
        self._topics.request(project)
        self._topics.states[project].since = since

    def _take_unsubscribed(self, message: Json) -> Messages:
        project, number = str(message.get("project_id")), message.get("id")
        if number is not None:
            if number == self._topics.fence:
                self._topics.fence = None
            return []
        if self._topics.current(project) is None:
            return []
        self._topics.wanted.pop(project, None)
        self._topics.forget(project)
        return [Unsubscribed(project)]

    def _take_reply(self, message: Json) -> Messages:
        if message.get("id") is not None and message.get("id") == self._topics.all_request:
            self._topics.all_open = True
        return []

    def _take_error(self, message: Json) -> Messages:
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

    def _again(self, project: str) -> Messages:
        """Something was missed: subscribe again from the resume position."""
        self._topics.request(project)
        return []


def _ignore(_: Incoming, __: Json) -> Messages:
    return []


_TAKE: Final[dict[str, Callable[[Incoming, Json], Messages]]] = {
    "subscribed": Incoming._take_subscribed,
    "project_state": Incoming._take_state,
    "conflated": Incoming._take_conflated,
    "heartbeat": Incoming._take_heartbeat,
    "unsubscribed": Incoming._take_unsubscribed,
    "reply": Incoming._take_reply,
    "error": Incoming._take_error,
    "pong": _ignore,
    "draining": _ignore,
    "token_expiring": _ignore,
    "welcome": _ignore,
}
