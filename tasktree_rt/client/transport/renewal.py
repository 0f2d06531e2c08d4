"""Renews the token of an open connection: the hub warns, and gets a new token over the same connection."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import trio

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.connection import Connection, ConnectionOptions, open_connection
from tasktree_rt.client.transport.errors import ConnectionEnded, NoToken
from tasktree_rt.client.transport.reconnect import STEADY
from tasktree_rt.client.transport.refusals import is_transient
from tasktree_rt.client.transport.tokens import TrioTokens
from tasktree_rt.core.events import Json

BETWEEN: Final = Backoff(1.0, 30.0)
"""Seconds between two tries to renew a token."""
_logger: Final = logging.getLogger("tasktree_rt.client")


@asynccontextmanager
async def open_admitted(
    tokens: TrioTokens, url: str, options: ConnectionOptions
) -> AsyncIterator[Connection]:
    """Connect with the present token, as `open_connection`. Where the hub refuses it, the next connection has
    another one.

    Raises:
        ConnectionEnded: the connection ended, or there is no token.
    """
    connection: Connection | None = None
    token, begun = await tokens.get(), trio.current_time()
    try:
        async with open_connection(url, options, token) as connection:
            yield connection
    except ConnectionEnded as end:
        if connection is not None:
            token = connection.token
            if connection.good or trio.current_time() - begun >= STEADY:
                tokens.store.accepted(token)
        if end.refused_token:
            end.final = not tokens.store.refused(token)
        raise


class Renewal:
    """Renews the token of one connection after the other; the caller sends and receives.

    Args:
        wake: lets the caller ask `next` for a message to send.
    """

    def __init__(self, tokens: TrioTokens, wake: Callable[[], object]) -> None:
        self._tokens = tokens
        self._wake = wake
        self._numbers = count(1)
        self._connection: Connection | None = None
        self._warned = self._answered = trio.Event()
        self._message: Json | None = None
        self._request: str | None = None
        self._refusal: object = None

    async def run(self, connection: Connection) -> None:
        """Renew the token of `connection` at each warning, until cancelled; call `begin` before."""
        while True:
            await self._warned.wait()
            self._warned = trio.Event()
            await self._renew(connection)

    def begin(self, connection: Connection) -> None:
        """Start again on a new connection."""
        self._connection = connection
        self._warned = trio.Event()
        self._message = self._request = None

    def next(self) -> Json | None:
        """Return the message to send now, once."""
        message, self._message = self._message, None
        return message

    def take(self, message: Json) -> bool:
        """Take the hub's warning, or its response to a new token; return False for any other message.

        A refusal for now is left to the caller, which gives up the connection.
        """
        kind = message.get("type")
        if kind == "token_expiring":
            if self._connection is not None:
                self._connection.good = True  # the hub admitted it
            if self._tokens.store.ask is not None:
                self._warned.set()
            return True
        if self._request is None or message.get("id") != self._request or kind not in ("reply", "error"):
            return False
        if kind == "error" and is_transient(message.get("code")):
            return False
        self._request, self._refusal = None, message.get("code") if kind == "error" else None
        self._answered.set()
        return True

    async def _renew(self, connection: Connection) -> None:
        retry = Retry(BETWEEN)
        while True:
            try:
                token = await self._tokens.other_than(connection.token)
            except NoToken as error:
                _logger.warning("the token is not renewed yet: %s", error)
            else:
                refusal = await self._sent(token)
                if refusal is None:
                    connection.token = token
                    self._tokens.store.accepted(token)
                    return
                _logger.warning("the hub refused to renew the token: %s", refusal)
                if refusal != "unauthorized":
                    return  # of another subject: for the next connection
                self._tokens.store.refused(token)
            await trio.sleep(retry.delay())

    async def _sent(self, token: str | None) -> object:
        """Send a token; return the code of the hub's refusal, or None."""
        self._answered = trio.Event()
        self._request = f"renewal-{next(self._numbers)}"
        self._message = {"type": "refresh", "id": self._request, "token": token}
        self._wake()
        await self._answered.wait()
        return self._refusal
