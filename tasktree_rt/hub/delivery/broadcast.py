"""Send messages that no log stores: to every watcher, or to one connection.

The hub hands a message to every watcher in slices, so that many watchers do not hold up the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import trio
from attrs import define

from tasktree_rt.core.close_codes import INTERNAL
from tasktree_rt.core.events import Json, normalise_time
from tasktree_rt.core.protocol import Broadcast, Personal
from tasktree_rt.core.reserved_names import refuse_message_name
from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.dialects.base import plain
from tasktree_rt.dialects.deflate import wire_name
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.subscriber import Subscriber

SLICE: Final = 200
"""Watchers that get a message in one turn of the loop."""
WAITING: Final = 64
"""Broadcasts under way at most; the call that makes one more hands over a slice of the oldest itself."""


@define
class _UnderWay:
    message: Broadcast
    encoded: Mapping[str, bytes | None]
    left: Iterator[Subscriber]


class Broadcasts:
    """See the module's docstring. Each watcher gets broadcasts in the order in which they were made."""

    def __init__(self, context: HubContext, connections: Connections, index: TopicIndex[Subscriber]) -> None:
        self._context = context
        self._connections = connections
        self._index = index
        self._under_way: deque[_UnderWay] = deque()
        self._wake = trio.Event()
        self._quiet = trio.Event()

    def broadcast(self, message: Mapping[str, Any]) -> int:
        """Send ``{"type", "data"?, "timestamp"?}`` to every watcher. It has no project and is not stored.

        Returns the number of watchers. If they are many, the last ones get it some turns of the loop later;
        `quiet` waits for that.

        Raises:
            InvalidInput: it is no such object, or its type is reserved for the hub's own messages.
        """
        given = plain(dict(message))
        kind, data = given.get("type"), given.get("data", {})
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise InvalidInput('expected {"type": string, "data": object}', field="message")
        refuse_message_name(kind, "type", "invalid_message")
        given_at = given.get("timestamp")
        at = self._context.timestamp() if given_at is None else normalise_time(given_at, "timestamp")
        watchers = [one for one in self._connections.values() if one in self._index and not one.closing]
        self._put(Broadcast(kind, data, at), watchers)
        return len(watchers)

    def send_personal_message(self, connection_id: str, message: Json) -> bool:
        """Send any JSON object to one connection; False if there is no such connection.

        Raises:
            InvalidInput: it cannot be written as JSON, or looks like an event or one of the hub's own
            messages.
        """
        sent = plain(dict(message))
        refuse_message_name(sent.get("type"), "message.type", "invalid_message")
        if "seq" in sent and "timestamp" in sent:
            expected = "seq and timestamp together make an event: expected at most one of them"
            raise InvalidInput(expected, code="invalid_message", field="message.seq")
        subscriber = self._connections.get(connection_id)
        if subscriber is None or subscriber.closing:
            return False
        subscriber.reply(Personal(sent))
        return True

    def _put(self, sent: Broadcast, watchers: Sequence[Subscriber]) -> None:
        """Send a message to `watchers`: to the first slice at once, to the others soon."""
        dialects = {wire_name(one.dialect): one.dialect for one in watchers}
        encoded = {name: dialect.encode(sent) for name, dialect in dialects.items()}
        while len(self._under_way) >= WAITING:
            self._hand_over()
        self._under_way.append(_UnderWay(sent, encoded, iter(watchers)))
        if len(self._under_way) == 1:
            self._hand_over()
        if self._under_way:
            self._wake.set()

    async def run(self) -> None:
        """Hand over what is under way; runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._under_way:
                await trio.lowlevel.checkpoint()
                self._hand_over()
            self._quiet.set()
            self._quiet = trio.Event()

    async def quiet(self) -> None:
        """Wait until every watcher has got all broadcasts made so far."""
        while self._under_way:
            await self._quiet.wait()

    def _hand_over(self) -> None:
        """Hand the oldest broadcast to its next slice of watchers."""
        if not self._under_way:
            return
        first = self._under_way[0]
        found = list(islice(first.left, SLICE))
        for subscriber in found:
            self._hand_to(subscriber, first)
        if len(found) < SLICE:
            self._under_way.popleft()

    def _hand_to(self, subscriber: Subscriber, one: _UnderWay) -> None:
        data = one.encoded[wire_name(subscriber.dialect)]
        if data is None or subscriber.closing:
            return
        try:
            subscriber.say(data, one.message)
        except Exception as error:
            self._context.report_fault("broadcast", error)
            subscriber.close(INTERNAL)
