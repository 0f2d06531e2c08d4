"""The hub's own languages: plain events, ``tasktree.v1``, and server-sent events."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.load.languages.base import (
    NOISE,
    POSITION,
    Event,
    Leaving,
    Live,
    Merged,
    Message,
    Noise,
    Opening,
    Refused,
    Seat,
    StatePart,
    Traits,
    Wrong,
)
from tasktree_rt.load.workload import Workload, nodes_of

SUBPROTOCOL: Final = "tasktree.v1"
_decode: Final = msgspec.json.Decoder().decode


@frozen
class TaskTree:
    """One of the three.

    Attributes:
        native: ``tasktree.v1``; else plain, or a stream.
        streams: server-sent events.
    """

    workload: Workload
    native: bool = False
    streams: bool = False
    base: str = ""
    """Path of the hub behind a proxy, before ``/ws`` and ``/api``."""

    @property
    def traits(self) -> Traits:
        """By position; only a native connection has a greeting."""
        return Traits(POSITION, resumes=True, greets=self.native, streams=self.streams)

    def opening(self, seat: Seat) -> Opening:
        """Ask for one project after a position."""
        if self.streams:
            headers = [("Accept", "text/event-stream")]
            headers += [("Last-Event-ID", seat.since)] if seat.since else []
            path = f"{self.base}/api/v1/projects/{quote(seat.topic, safe='')}/stream?policy={seat.policy}"
            return Opening(path, headers=tuple(headers))
        query = [("project_id", seat.topic)]
        query += [("since", seat.since)] if seat.since else []
        query += [("policy", seat.policy)] if self.native else []
        path = f"{self.base}/ws/updates?{urlencode(query)}"
        return Opening(path, SUBPROTOCOL if self.native else "")

    def hello(self, seat: Seat) -> bytes:
        """Say nothing: the query says it."""
        return b""

    def read(self, payload: bytes) -> Message:
        """Read an event, or a message of the hub's.

        Raises:
            ValueError: it is neither.
        """
        try:
            data = _decode(payload)
            if "seq" in data and "timestamp" in data:
                return self._event(data)
            return _control(data)
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
            raise ValueError(f"malformed: {error!r} in {payload[:200]!r}") from None

    def _event(self, data: Json) -> Message:
        position, epoch, inner = int(data["seq"]), str(data["epoch"]), data["data"]
        if data["type"] != "node_update" or "t" not in inner:
            return Event(position, None, 0, epoch)
        number = int(inner["changes"]["number"])
        expected = self.workload.event(data["project_id"], number, inner["t"])["data"]
        if inner != expected:
            return Wrong(f"event {number}: its content is not what was published")
        return Event(position, number, int(inner["t"]), epoch)


def _control(data: dict[str, Any]) -> Message:
    match data["type"]:
        case "subscribed":
            if data["recovered"] is False:
                return NOISE  # a state follows
            return Live(int(data["seq"]), str(data["epoch"]))
        case "project_state":
            return StatePart(
                int(data["seq"]),
                str(data["epoch"]),
                int(data["part"]),
                int(data["parts"]),
                str(data["reason"]),
                nodes_of(data["data"]["nodes"]),
            )
        case "conflated":
            return Merged(
                int(data["after"]),
                int(data["seq"]),
                str(data["epoch"]),
                nodes_of(data["nodes"]),
                tuple(data["removed"]),
            )
        case "draining":
            return Leaving(float(data["data"]["reconnect_after_ms"]) / 1000)
        case "error":
            return Refused(f"{data['code']}: {data['message']}")
        case _:
            return Noise()
