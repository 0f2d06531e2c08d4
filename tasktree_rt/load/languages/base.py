"""What every language has in common: the messages it reads, and the `Language` protocol."""

from __future__ import annotations

from typing import Final, Protocol

from attrs import frozen

from tasktree_rt.core.events import Json

POSITION: Final = "position"
"""Each event has the next position after the one before: nothing is lost, doubled or out of order."""
NUMBER: Final = "number"
"""The same by the number that the tool put into each message."""
ORDER: Final = "order and last value"
"""The server may merge: each number is higher than the one before, and the last one is the last published."""

METHODS: Final = {
    POSITION: "by the server's position and the tool's number: none missing, none twice, in order",
    NUMBER: "by the tool's number: none missing, none twice, in order",
    ORDER: "the server may merge: by order and by the last value",
}
"""What the report says about each method."""


@frozen
class Event:
    """One event of the test, or an event of another publisher.

    Attributes:
        position: its place in the order that is reconciled.
        number: the tool's number in it; None if `position` is that number, or another program published it.
        due: when it should have been published, in µs of the monotonic clock; 0 if unknown.
        epoch: of the position; "" if the language has none.
    """

    position: int
    number: int | None = None
    due: int = 0
    epoch: str = ""


@frozen
class Live:
    """The subscription is in effect. `position`: all after it follows; None if the language has none."""

    position: int | None = None
    epoch: str = ""


@frozen
class Merged:
    """Several events in one message: from `after` to `position`."""

    after: int
    position: int
    epoch: str
    nodes: dict[str, Json]
    removed: tuple[str, ...]


@frozen
class StatePart:
    """A part of a whole state; `promised` if the reader lost nothing by it (it was asked for)."""

    position: int
    epoch: str
    part: int
    parts: int
    reason: str
    nodes: dict[str, Json]


@frozen
class Noise:
    """A message that has no part in the test: a greeting, a heartbeat, a message of another publisher."""


@frozen
class Leaving:
    """The server will close; come back after so many seconds."""

    after: float


@frozen
class Refused:
    """The server refuses the subscription, or reports a fault."""

    message: str


@frozen
class Wrong:
    """An event of the test whose content is not what was published."""

    message: str


Message = Event | Live | Merged | StatePart | Noise | Leaving | Refused | Wrong
NOISE: Final = Noise()


@frozen
class Seat:
    """What a watcher watches.

    Attributes:
        topic: the project, execution, …
        since: ``epoch:seq`` after which it continues; None to begin now.
        policy: for slow readers.
    """

    topic: str
    since: str | None
    policy: str


@frozen
class Opening:
    """How a watcher opens its connection: path with query, subprotocol, and more headers."""

    path: str
    subprotocol: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class Traits:
    """What the readers must know of a language.

    Attributes:
        method: a key of `METHODS`.
        resumes: a watcher that reconnects gets what it missed.
        greets: a watcher is live only after a `Live` message, or a whole state.
        streams: it is a stream of server-sent events and not a WebSocket.
    """

    method: str
    resumes: bool = False
    greets: bool = False
    streams: bool = False


class Language(Protocol):
    """One language, for all watchers of a run that speak it."""

    @property
    def traits(self) -> Traits:
        """How it is read."""
        ...

    def opening(self, seat: Seat) -> Opening:
        """Return the request of a watcher."""
        ...

    def hello(self, seat: Seat) -> bytes:
        """Return the text that a watcher sends first; empty for none."""
        ...

    def read(self, payload: bytes) -> Message:
        """Read a message of the server.

        Raises:
            ValueError: it is malformed.
        """
        ...
