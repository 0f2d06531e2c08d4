"""The state of a watcher's subscriptions: what to ask on a new connection, and what each message means.

Pure: `SubscriptionState.opening` and `receive` say what to send and what to tell; the `Watcher` does it.

A project has two positions here. Its *resume position* (`positions`) is the one of the protocol, from
which a new connection goes on: it moves with an event, with ``conflated``, with the last part of a
``project_state``, and with ``subscribed`` only where ``recovered`` is true or neither ``since`` nor
``state`` was asked. Its *stream position* is where this connection is, so that a gap is noticed: the
next event must be the next seq. Whenever the two ends disagree (a gap, a heartbeat that names another
position) the project is subscribed again from the resume position; so it is where it gets no further for
too long (`TopicState`).

A user's log goes the same way: its topic is ``@`` and the user's id.

Requests carry ids. From a request to its answer whatever comes for the project belongs to the
subscription that the request replaces, and is ignored: it comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasktree_rt.client.watcher.decode import by_topic
from tasktree_rt.client.watcher.incoming import Incoming, Messages
from tasktree_rt.client.watcher.messages import Behind
from tasktree_rt.client.watcher.topics import Topics
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD


class SubscriptionState:
    """See the module.

    Attributes:
        positions: the resume positions.
        requests: to be sent, in order; the caller takes them out with `take`.
        receive: what one message of the hub means for the watcher (`Incoming.receive`).
    """

    def __init__(self, policy: str, now: Callable[[], float] = lambda: 0.0) -> None:
        self._topics = Topics(policy, now)
        self.positions = self._topics.positions
        self.requests = self._topics.requests
        self.receive = Incoming(self._topics).receive

    # --- requests --------------------------------------------------------------------------

    def first_named(self) -> str | None:
        """A project to name when connecting; None for a connection that begins with ``*``."""
        return None if WILDCARD in self._topics.wanted else next(iter(self._topics.wanted), None)

    @property
    def answered(self) -> bool:
        """True once the hub has answered every subscription."""
        waits = any(topic_state.pending is not None for topic_state in self._topics.states.values())
        return not waits and (WILDCARD not in self._topics.wanted or self._topics.all_open)

    def opening(self, max_request: int | None = None) -> None:
        """A connection was made: ask for everything that is wanted.

        `max_request`: bytes of a message that this hub takes; default: as before, at first 1 MiB.
        """
        self._topics.max_request = max_request or self._topics.max_request
        self._topics.states.clear()
        self._topics.requests.clear()
        self._topics.fence = None
        if self.first_named() is None:
            self._topics.raise_fence()
        for project in sorted(self._topics.wanted, key=lambda one: one == WILDCARD):
            self._topics.request(project)
        for project in self._topics.excluded:
            self._topics.ask("unsubscribe", project)

    def subscribe(self, project: str, since: Position | Mapping[str, Position] | None, state: bool) -> None:
        """Watch one more project, or the same from elsewhere."""
        if isinstance(since, Position):
            self._topics.positions[project] = since
        elif since is not None:
            self._topics.positions.update(since)
        else:
            self._topics.positions.pop(project, None)
        self._topics.wanted.pop(project, None)
        self._topics.wanted[project] = state
        self._topics.excluded.discard(project)
        if project == WILDCARD:
            self._topics.all_open = since is not None
            self._topics.excluded.clear()

    def ask_for(self, project: str) -> None:
        """Send the request for a project that `subscribe` was called with while connected."""
        if project == WILDCARD:
            self._topics.raise_fence()
        self._topics.request(project)

    def unsubscribe(self, project: str) -> None:
        """Stop watching a project; ``*`` stops all but those subscribed by name."""
        self._topics.wanted.pop(project, None)
        self._topics.forget(project)
        if project == WILDCARD:
            for other in [one for one in self._topics.positions if one not in self._topics.wanted]:
                self._topics.forget(other)
        elif WILDCARD in self._topics.wanted:
            self._topics.excluded.add(project)

    def take(self) -> Json | None:
        """The next request, to be sent now: its answer is waited for from now on."""
        if not self._topics.requests:
            return None
        request = self._topics.requests.pop(0)
        topic_state = self._topics.states.get(by_topic(request)["project_id"])
        if topic_state is not None and topic_state.pending == request["id"]:
            topic_state.sent(self._topics.now())
        return request

    def ask_without(self, project: str) -> None:
        """Send the request for a project that `unsubscribe` was called with while connected."""
        self._topics.ask("unsubscribe", project)

    # --- lateness -----------------------------------------------------------------------------

    @property
    def late(self) -> frozenset[str]:
        """Projects that are behind and got no further for too long."""
        return frozenset(name for name, topic_state in self._topics.states.items() if topic_state.late)

    def due(self, patience: float) -> float:
        """When there may be the next one, if nothing comes; `patience` in seconds."""
        behind = [topic_state.since for topic_state in self._topics.states.values() if topic_state.behind]
        return min([*behind, self._topics.now()]) + patience

    def excuse(self, seconds: float) -> None:
        """Note that the watcher read nothing for `seconds`, so that no project counts as late for that."""
        for topic_state in self._topics.states.values():
            topic_state.since += seconds

    def tend(self, patience: float) -> Messages:
        """Subscribe every late project again; returns a `Behind` for those that were not late before."""
        before, messages = self._topics.now() - patience, Messages()
        unsent = {request["id"] for request in self._topics.requests}
        for name, topic_state in list(self._topics.states.items()):
            if topic_state.pending in unsent:
                topic_state.since = self._topics.now()  # it waits for its turn here, not for the hub
            if not topic_state.behind or topic_state.since > before:
                continue
            if not topic_state.late:
                topic_state.late = True
                messages.append(Behind(name, topic_state.hub_position))
            self._topics.request(name)
        return messages
