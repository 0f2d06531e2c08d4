"""Drives conversations with the hub's HTTP API from a Trio program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import trio

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.errors import NoToken
from tasktree_rt.client.transport.http_retry import (
    Came,
    Conversation,
    Pause,
    Request,
    Steps,
    built,
    needs_another,
)
from tasktree_rt.client.transport.tls import Cert, Verify, tls_context
from tasktree_rt.client.transport.tokens import TokenSource, TrioTokens, without_token
from tasktree_rt.client.urls import api_url
from tasktree_rt.core.events import Json

T = TypeVar("T")


class TrioHttp:
    """Sends through `client` to the hub at `url`.

    `timeout` is that of one request, `patience` how long the hub may be away; both in seconds.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        tokens: TrioTokens,
        *,
        timeout: float,
        backoff: Backoff,
        patience: float,
    ) -> None:
        self._client = client
        self._tokens = tokens
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

    async def send(self, request: Request) -> httpx.Response | httpx.HTTPError | NoToken:
        """Send `request`, again with another token where the hub refuses the first; return the response or
        the error.
        """
        refusal: httpx.Response | None = None
        try:
            while True:
                token = await self._tokens.get()
                came = await self._client.send(built(self._client, self._url, request, self._timeout, token))
                if not needs_another(self._tokens.store, token, came):
                    return came
                refusal = came
        except NoToken as error:
            return refusal if error.final and refusal is not None else error
        except httpx.HTTPError as error:
            return error


@asynccontextmanager
async def open_http(
    url: str,
    token: TokenSource | TrioTokens,
    *,
    timeout: float,  # noqa: ASYNC109 - of each request
    backoff: Backoff,
    patience: float,
    verify: Verify,
    cert: Cert | None,
) -> AsyncIterator[TrioHttp]:
    """Open a client for the HTTP API of the hub at `url`. Entering does not connect.

    Raises:
        ValueError: not an address, not a token, or a file for TLS cannot be used.
    """
    if not isinstance(token, TrioTokens):
        url, token = without_token(url, token)
        token = TrioTokens(token)
    api_url(url, "")  # raises for what is no address
    context = tls_context(url, verify, cert) or False
    async with httpx.AsyncClient(headers={"Content-Type": "application/json"}, verify=context) as client:
        yield TrioHttp(client, url, token, timeout=timeout, backoff=backoff, patience=patience)
