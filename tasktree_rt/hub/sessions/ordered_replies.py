"""Replies and errors in the order of a connection's requests, also while some requests wait for a commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import trio
from attrs import define

from tasktree_rt.core.protocol import Message, RequestId
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.metrics import Metrics


@define(eq=False)
class _Place:
    """The place of one reply in the order. It is `open` until its request is settled; it has no `message` if
    the request asks for none.
    """

    message: Message | None
    open: bool = False


class Replies:
    """See the module's docstring. `send` takes the messages that are next, in order; it is `full`
    when `most` places wait."""

    __slots__ = ("_meter", "_most", "_places", "_room", "_send")

    def __init__(self, send: Callable[[list[Message]], None], meter: Metrics, most: int) -> None:
        self._send = send
        self._meter = meter
        self._most = most
        self._places: deque[_Place] = deque()
        self._room: trio.Event | None = None

    def say(self, message: Message) -> None:
        """Send a reply behind those to earlier requests."""
        if self._places:
            self._places.append(_Place(message))
        else:
            self._send([message])

    def refuse(self, error: PeerError, request: RequestId) -> None:
        """Send an error behind the replies to earlier requests, and count it."""
        self._meter.refused(error.code)
        self.say(failure(error, request))

    def promise(
        self,
        publish: PendingPublish,
        request: RequestId,
        reply: Message | None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Send `reply` once `publish` is done, or an error if it failed or `check` raises."""
        place = _Place(reply, open=True)
        self._places.append(place)
        publish.callbacks.append(partial(self._done, place, request, check))

    @property
    def full(self) -> bool:
        """Return whether so many replies wait that the connection reads nothing more."""
        return len(self._places) >= self._most

    async def room(self) -> None:
        """Wait until it is not `full`."""
        while self.full:
            self._room = self._room or trio.Event()
            await self._room.wait()

    def _done(
        self, place: _Place, request: RequestId, check: Callable[[], None], publish: PendingPublish
    ) -> None:
        try:
            if publish.error is not None:
                raise publish.error
            check()
        except PeerError as error:
            self._meter.refused(error.code)
            place.message = failure(error, request)
        place.open = False
        self._send_ready()

    def _send_ready(self) -> None:
        """Send the settled replies before the first open one, in one write."""
        places, ready = self._places, []
        while places and not places[0].open:
            message = places.popleft().message
            if message is not None:
                ready.append(message)
        if ready:
            self._send(ready)
        if self._room is not None:
            self._room.set()
            self._room = None
