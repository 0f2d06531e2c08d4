"""The execution status stream: the hub merges changes, and sends the newest status."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.load.languages.base import NOISE, ORDER, Event, Message, Opening, Refused, Seat, Traits

_decode: Final = msgspec.json.Decoder().decode
OVERHEAD: Final = 200
"""Bytes of a status without its text."""


@frozen
class Execution:
    """Watches executions; number and time are in the status's message. `base`: path before ``/api``."""

    base: str = ""

    @property
    def traits(self) -> Traits:
        """By order and last value; the first status is reconciled too."""
        return Traits(ORDER)

    def opening(self, seat: Seat) -> Opening:
        """Ask for one execution."""
        return Opening(f"{self.base}/api/v1/ws/executions/{quote(seat.topic, safe='')}")

    def hello(self, seat: Seat) -> bytes:
        """Say nothing."""
        return b""

    def read(self, payload: bytes) -> Message:
        """Read a status.

        Raises:
            ValueError: it is malformed.
        """
        try:
            data = _decode(payload)
            match data["type"]:
                case "status":
                    number, due, _ = data["message"].split(" ", 2)
                    return Event(int(number), None, int(due))
                case "error":
                    return Refused(str(data["message"]))
                case _:
                    return NOISE
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
            raise ValueError(f"malformed: {error!r} in {payload[:200]!r}") from None


def status_event(name: str, number: int, due: int, size: int) -> Json:
    """Return the event that gives an execution its next message."""
    message = f"{number} {due} {'x' * max(0, size - OVERHEAD)}"
    return {
        "type": "project_update",
        "project_id": f"execution:{name}",
        "data": {"changes": {"message": message}},
    }
