"""AutoGPT's language: events of node executions, published over HTTP."""

from __future__ import annotations

from base64 import urlsafe_b64decode
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
_encode: Final = msgspec.json.encode
DEFAULT_USER: Final = "3e53486c-cf57-477e-ba2a-cb02dc828e1a"
"""Of every client of a hub without authentication."""
OVERHEAD: Final = 480
SUBSCRIBE: Final = "subscribe_graph_execution"


@frozen
class AutoGpt:
    """Watches executions. Each event is of another node execution, so a hub may merge none of them."""

    base: str = ""

    @property
    def traits(self) -> Traits:
        """By number; the subscription is answered."""
        return Traits(NUMBER, greets=True)

    def opening(self, seat: Seat) -> Opening:
        """Open the one address."""
        return Opening(f"{self.base}/ws")

    def hello(self, seat: Seat) -> bytes:
        """Subscribe."""
        return _encode({"method": SUBSCRIBE, "data": {"graph_exec_id": seat.topic}})

    def read(self, payload: bytes) -> Message:
        """Read an event, or an answer.

        Raises:
            ValueError: it is malformed.
        """
        try:
            message = _decode(payload)
            if message["method"] == "node_execution_event":
                data = message["data"]
                return Event(int(data["number"]), None, int(data["t"]))
            if message["method"] == SUBSCRIBE and message["success"]:
                return Live()
            if message["method"] == "error":
                return Refused(str(message["error"]))
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
            raise ValueError(f"malformed: {error!r} in {payload[:200]!r}") from None
        return NOISE


def node_event(user: str, execution: str, number: int, due: int, size: int) -> Json:
    """Return the body that publishes event `number` of an execution."""
    return {
        "payload": {
            "event_type": "node_execution_update",
            "user_id": user,
            "graph_id": "load",
            "graph_exec_id": execution,
            "node_exec_id": f"x{number}",
            "node_id": "n",
            "status": "RUNNING",
            "number": number,
            "t": due,
            "pad": "x" * max(0, size - OVERHEAD),
        }
    }


def user_of(token: str | None) -> str:
    """Return the user whose token this is; without one AutoGPT's default user."""
    if token is None:
        return DEFAULT_USER
    try:
        # The claims are the second part of a JWT (RFC 7519); the server verifies the signature.
        claims = token.split(".")[1]
        return str(_decode(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])
    except (LookupError, ValueError, TypeError):
        return DEFAULT_USER
