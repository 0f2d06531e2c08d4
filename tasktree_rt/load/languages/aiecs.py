"""AIECS' language: messages to all clients, published over HTTP."""

from __future__ import annotations

from typing import Final

import msgspec
from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.load.languages.base import NOISE, NUMBER, Event, Live, Message, Opening, Refused, Seat

_decode: Final = msgspec.json.Decoder().decode
OVERHEAD: Final = 60
TYPE: Final = "load_test"


@frozen
class Aiecs:
    """Watches all messages; a ping shows that the connection is registered."""

    base: str = ""

    @property
    def method(self) -> str:
        """By number."""
        return NUMBER

    @property
    def resumes(self) -> bool:
        """A client that is not connected misses messages."""
        return False

    @property
    def greets(self) -> bool:
        """The ping is answered."""
        return True

    @property
    def streams(self) -> bool:
        """A WebSocket."""
        return False

    def opening(self, seat: Seat) -> Opening:
        """Open the one address."""
        return Opening(f"{self.base}/ws/aiecs")

    def hello(self, seat: Seat) -> bytes:
        """Ping."""
        return b'{"action":"ping"}'

    def read(self, payload: bytes) -> Message:
        """Read a message.

        Raises:
            ValueError: it is malformed.
        """
        try:
            message = _decode(payload)
            match message["type"]:
                case "load_test":
                    return Event(int(message["number"]), None, int(message["t"]))
                case "pong":
                    return Live()
                case "error":
                    return Refused(str(message["message"]))
                case _:
                    return NOISE
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
            raise ValueError(f"malformed: {error!r} in {payload[:200]!r}") from None


def shout(number: int, due: int, size: int) -> Json:
    """Return the body that sends message `number` to all clients."""
    return {"message": {"type": TYPE, "number": number, "t": due, "pad": "x" * max(0, size - OVERHEAD)}}
