"""The state of one project on a watcher's present connection: its position, and what the hub owes it."""

from __future__ import annotations

from attrs import define, field

from tasktree_rt.client.watcher.decode import WireState
from tasktree_rt.core.log import BEGINNING, Position


@define
class TopicState:
    """The state of a project.

    A project is *behind* while the hub owes it something: the answer to a request, a promised state, or the
    events up to a position that a heartbeat named. A project that is behind and receives nothing for too long
    is *late*.
    """

    at: Position | None = None
    """The stream position; None before the first message."""
    pending: int | None = None
    """The id of the request without an answer yet."""
    asked: bool | None = None
    """True if the project's own request has ``since`` or ``state``; None without a request of its own."""
    wants_state: bool = False
    """True if that request asks for the state."""
    ended: bool = False
    """The project was deleted at `at`; a hub without a log of it names ``:0`` then."""
    parts: list[WireState] = field(factory=list)
    """The parts received of an unfinished state."""
    awaits: bool = False
    """True while a promised state is not complete."""
    hub_position: Position | None = None
    """The position that a heartbeat named, until this connection reaches it."""
    since: float = 0.0
    """The time of the last progress."""
    late: bool = False

    @property
    def behind(self) -> bool:
        """True while the hub owes an answer, a state or events."""
        return self.pending is not None or self.awaits or bool(self.parts) or self.hub_position is not None

    def sent(self, now: float) -> None:
        """Note that the request is sent; a position that a heartbeat named keeps its time."""
        if self.hub_position is None:
            self.since = now

    def further(self, now: float) -> None:
        """Note that the topic moved at `now`; it may have caught up."""
        self.since = now
        at, named = self.at, self.hub_position
        if named is not None and at is not None and (at.epoch != named.epoch or at.seq >= named.seq):
            self.hub_position = None
        self.late = self.late and self.behind

    def moved(self, at: Position, now: float, *, ended: bool = False) -> None:
        """Note that everything up to `at` has arrived."""
        self.at, self.ended = at, ended
        if ended:
            self.parts.clear()
            self.awaits = False
        self.further(now)

    def subscribed(self, at: Position, recovered: bool | None, now: float, *, answer: bool) -> None:
        """Note that the hub sends from `at` on; `answer` if this answers the project's own request."""
        self.parts.clear()
        self.at, self.ended = at, False
        self.awaits = recovered is False or (answer and self.wants_state)
        # An answer is no progress towards the position that a heartbeat named.
        self.further(now if self.hub_position is None else self.since)

    def is_at(self, there: Position) -> bool:
        """Return True if the project is at the position `there` that a heartbeat names."""
        if self.at != there and not (self.ended and there == BEGINNING):
            return False
        self.hub_position = None
        self.late = self.late and self.behind
        return True

    def again(self, now: float) -> TopicState:
        """Return the state after another request: as late as before."""
        return TopicState(hub_position=self.hub_position, since=now, late=self.late)
