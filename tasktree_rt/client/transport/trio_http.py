"""Drives conversations with the hub's HTTP API from a Trio program."""

from __future__ import annotations

from typing import TypeVar

import httpx
import trio

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.http_retry import Came, Conversation, Pause, Request, Steps, built
from tasktree_rt.core.events import Json

T = TypeVar("T")


class TrioHttp:
    """Sends through `client` to the hub at `url`.

    `timeout` is that of one request, `patience` how long the hub may be away; both in seconds.
    """

    def __init__(
        self, client: httpx.AsyncClient, url: str, *, timeout: float, backoff: Backoff, patience: float
    ) -> None:
        self._client = client
        self._url = url
        self._timeout = timeout
        self._backoff = backoff
        self._patience = patience

    def talk(self) -> Conversation:
        """A new conversation, whose patience begins now."""
        return Conversation(Retry(self._backoff), self._patience, trio.current_time)

    async def call(self, request: Request) -> Json:
        """The JSON object with which the hub responds to `request`.

        Raises:
            RequestRefused, ConnectionLost: see `Conversation.call`.
        """
        return (await self.drive(self.talk().call(request))).body

    async def drive(self, steps: Steps[T]) -> T:
        """Do what `steps` yield, and return what they return."""
        came: Came = None
        try:
            while True:
                step = steps.send(came)
                came = None
                if isinstance(step, Pause):
                    await trio.sleep(step.seconds)
                else:
                    came = await self.send(step)
        except StopIteration as end:
            found: T = end.value
            return found

    async def send(self, request: Request) -> httpx.Response | httpx.HTTPError:
        """Send `request` once; returns the response or the error."""
        try:
            return await self._client.send(built(self._client, self._url, request, self._timeout))
        except httpx.HTTPError as error:
            return error
