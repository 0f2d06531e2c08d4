"""How far users have read their logs, until the hub has stored it. Pure."""

from __future__ import annotations

import logging
from itertools import count
from typing import Final

from attrs import define

from tasktree_rt.client.transport.refusals import is_transient
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import named

_logger: Final = logging.getLogger("tasktree_rt.client")


@define
class Mark:
    """How far a user has read, until the hub knows. `request` is the one under way."""

    seq: int
    request: str | None = None


class ReadMarks:
    """The newest mark of each user's topic that the hub has not confirmed."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._numbers = count(1)

    def set(self, topic: str, seq: int) -> bool:
        """Mark a log as read up to `seq`; returns whether that is further than known."""
        known = self._marks.get(topic)
        if known is not None and known.seq >= seq:
            return False
        self._marks[topic] = Mark(seq)
        return True

    def rewind(self) -> None:
        """Send every mark again: a new connection has begun."""
        for mark in self._marks.values():
            mark.request = None

    def next(self) -> Json | None:
        """The next message to send, from now on under way."""
        for topic, mark in self._marks.items():
            if mark.request is None:
                mark.request = f"read-{next(self._numbers)}"
                return {"type": "ack", "id": mark.request, **named(topic), "seq": mark.seq}
        return None

    def take(self, message: Json) -> bool:
        """Take the hub's response to a mark; returns False for any other message.

        A refusal for now is left to the caller, which gives up the connection.
        """
        if not self._marks:
            return False
        number, kind = message.get("id"), message.get("type")
        topic = next((one for one, mark in self._marks.items() if mark.request == number), None)
        if number is None or topic is None or kind not in ("reply", "error"):
            return False
        if kind == "error":
            if is_transient(message.get("code")):
                return False
            _logger.warning("cannot mark %s read: %s", topic, message.get("message"))
        del self._marks[topic]
        return True
