"""One end of a WebSocket, as a client has it: frames, pongs, the closing handshake, and coming back."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tasktree_rt.hub.transport import Session
from tests.simulation.frames import CLOSE, PING, PONG, Frames, masked
from tests.simulation.network import Line
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

Said = dict[str, Any]
RESTART: Final = 1012
OVERLOADED: Final = 1013
COMES_BACK: Final = 3
"""Steps after which a lost connection is made again, at most."""


class Peer:
    """A client of the hub's. Does nothing by itself: after each step it is let `hear` and `come_back`.

    Attributes:
        ill: the stream fault that its line suffers from at present.
        bit: whether it has been felt.
    """

    kind = ""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        self.line: Line | None = None
        self.frames = Frames()
        self.dice = Random(f"{self.kind} {index} {world.seed}")
        self.back_at = 0
        self.ill = ""
        self.bit = False
        self.connections = 0
        self.leaving = False

    # --- what kinds of peers differ in --------------------------------------------------------------

    def connect(self) -> None:
        """Open a connection."""
        raise NotImplementedError

    def take(self, said: Said) -> None:
        """One message of the hub's."""
        raise NotImplementedError

    def lost(self) -> None:
        """The connection is over."""

    def closed(self, code: int, reason: str) -> None:
        """The hub has sent a close frame."""
        if code not in (RESTART, OVERLOADED):
            raise Violation("no fault of the hub's", f"{self} was closed {code} {reason}")

    # --- what they have in common -------------------------------------------------------------------

    def __str__(self) -> str:
        return f"{self.kind} {self.index}"

    @property
    def healthy(self) -> bool:
        """Whether nothing stands between it and the hub."""
        line = self.line
        return line is not None and not self.ill and not line.over and not self.leaving

    @property
    def there(self) -> bool:
        """Whether it is where it wants to be at the end."""
        return self.healthy

    def carry(self, session: Session) -> None:
        """Put a session on a new line, as `web.handshake` does when the 101 is written."""
        connection = self.world.connection(self.begin_line(), session)
        self.world.process.start(connection.run)

    def begin_line(self) -> Line:
        """A new line, with nothing wrong."""
        self.ill, self.bit, self.leaving = "", False, False
        self.connections += 1
        self.line = self.world.network.line()
        self.frames = Frames(deflate=self.line.deflate)
        self.world.note(f"{self} on {self.line.fileno()}")
        return self.line

    def send(self, said: Said) -> None:
        """Say something."""
        if self.line is not None:
            self.line.say(masked(json.dumps(said, separators=(",", ":")).encode()))

    def hear(self) -> None:
        """Take what has come; notice the end of the connection."""
        line = self.line
        if line is None:
            return
        if line.aborted:
            line.lose_unread(self.dice.randrange(200))
        data = line.hear()
        if data:
            self.read(data)
        if self.line is not None and (line.over or line.shut):
            self._gone()

    def read(self, data: bytes) -> None:
        """Some bytes of the stream."""
        for opcode, payload in self.frames.feed(data):
            if opcode == PING:
                if self.line is not None:
                    self.line.say(masked(payload, PONG))
            elif opcode == CLOSE:
                self._closing(payload)
            elif opcode != PONG:
                self.take(self.world.decode(payload))

    def _closing(self, payload: bytes) -> None:
        code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
        self.world.note(f"{self} closed {code} {reason}")
        self.leaving = True
        if self.line is not None:
            self.line.say(masked(payload[:2], CLOSE))
            self.line.half_close()
        if code:
            self.closed(code, reason)

    def _gone(self) -> None:
        """It is over: what was on the way is lost, and after a while it comes back."""
        line, self.line = self.line, None
        if line is not None and not line.closed:
            line.drop()
        self.back_at = self.world.turn + self.dice.randint(1, COMES_BACK)
        self.lost()

    def drop(self) -> None:
        """Be gone without a word; of what is under way to it, some still comes."""
        if self.line is not None:
            self.line.lose_unread(self.dice.randrange(400))
            self.hear()
            self._gone()

    def half_close(self) -> None:
        """Say that nothing more will be said, and listen on until the hub ends it."""
        if self.line is not None:
            self.leaving = True
            self.line.half_close()

    def come_back(self) -> bool:
        """Connect again, if it is time; whether it was."""
        due = self.line is None and self.world.turn >= self.back_at and self.world.process.accepts
        if due:
            self.connect()
        return due
