"""One project on a watcher's present connection: its position, and whether it keeps moving."""

from __future__ import annotations

from attrs import define, field

from tasktree_rt.client.watcher.decode import WireState
from tasktree_rt.core.log import BEGINNING, Position


@define
class TopicState:
    """A project is *behind* while something is due: the answer to a request, a state that was promised, a
    position that a heartbeat named. One that is behind and gets no further for too long is *late*.
    """

    at: Position | None = None
    """The stream position; None before the first message."""
    pending: int | None = None
    """The request that has no answer yet."""
    asked: bool | None = None
    """Whether since or state was asked for it by name; None: not asked by name."""
    wants_state: bool = False
    """Whether it was the state."""
    ended: bool = False
    """The project was deleted at `at`; a hub without a log of it names ``:0`` then."""
    parts: list[WireState] = field(factory=list)
    """The parts so far of an unfinished state."""
    awaits: bool = False
    """A state was promised, and has not come whole."""
    told: Position | None = None
    """A position that a heartbeat named, while this connection is not there yet."""
    since: float = 0.0
    """When it last got further."""
    late: bool = False

    @property
    def behind(self) -> bool:
        """Whether the hub owes an answer, a state or events."""
        return self.pending is not None or self.awaits or bool(self.parts) or self.told is not None

    def sent(self, now: float) -> None:
        """Note that its request is sent. If a heartbeat named a position, it is behind since that."""
        if self.told is None:
            self.since = now

    def further(self, now: float) -> None:
        """Note that the topic moved at `now`; it may have caught up."""
        self.since = now
        at, told = self.at, self.told
        if told is not None and at is not None and (at.epoch != told.epoch or at.seq >= told.seq):
            self.told = None
        self.late = self.late and self.behind

    def moved(self, at: Position, now: float, *, ended: bool = False) -> None:
        """Everything up to `at` is here."""
        self.at, self.ended = at, ended
        if ended:
            self.parts.clear()
            self.awaits = False
        self.further(now)

    def subscribed(self, at: Position, recovered: bool | None, now: float, *, answer: bool) -> None:
        """The hub begins at `at`; `answer`: to the request of this course."""
        self.parts.clear()
        self.at, self.ended = at, False
        self.awaits = recovered is False or (answer and self.wants_state)
        # An answer brings it no nearer to a position that it was told.
        self.further(now if self.told is None else self.since)

    def stands_at(self, there: Position) -> bool:
        """Whether it is where a heartbeat says that the connection is."""
        if self.at != there and not (self.ended and there == BEGINNING):
            return False
        self.told = None
        self.late = self.late and self.behind
        return True

    def again(self, now: float) -> TopicState:
        """The course after another request: as late as before."""
        return TopicState(told=self.told, since=now, late=self.late)
