"""AIECS' language: messages to all clients, published over HTTP."""

from __future__ import annotations

from typing import Final

import msgspec
from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.load.languages.base import (
    NOISE,
    NUMBER,
    Event,
    Live,
    Message,
    Opening,
    Refused,
    Seat,
    Traits,
)

_decode: Final = msgspec.json.Decoder().decode
OVERHEAD: Final = 60
TYPE: Final = "load_test"


@frozen
class Aiecs:
    """Watches all messages; a ping shows that the connection is registered."""

    base: str = ""

    @property
    def traits(self) -> Traits:
        """By number; the ping is answered."""
        return Traits(NUMBER, greets=True)

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
