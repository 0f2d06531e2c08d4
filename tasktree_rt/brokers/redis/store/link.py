"""One connection of the store: requests one after the other, connected anew after each failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio

from tasktree_rt.brokers.redis.connection import (
    EXPECTED,
    Connection,
    NoScriptError,
    Patience,
    RedisError,
    connect,
    reason,
)
from tasktree_rt.brokers.redis.store.scripts import Script
from tasktree_rt.brokers.redis.store.source import Source
from tasktree_rt.errors import StoreUnavailable

Word = str | bytes | int
"""A part of a command."""
Check = Callable[[Connection], Awaitable[None]]
"""Raises `StoreUnavailable` if a new connection must not be used."""

CONNECTING: Final = Patience(connect=3.0)


class Unsent(StoreUnavailable):
    """No connection: Redis got nothing of the request."""


class Lost(StoreUnavailable):
    """The connection ended before the answer: Redis may run the request, now or later."""


class Refused(StoreUnavailable):
    """Redis answered with an error and did nothing."""


class Link:
    """A connection to the store's Redis that is made when it is needed.

    Args:
        timeout: seconds that Redis may take for an answer.
        check: called with each new connection.
    """

    def __init__(self, source: Source, timeout: float, check: Check) -> None:
        self._source = source
        self._timeout = timeout
        self._check = check
        self._turn = trio.Lock()
        self._connection: Connection | None = None
        self._outdated = False

    def look_again(self) -> None:
        """Let the next request find out anew where Redis is."""
        self._outdated = True

    async def aclose(self) -> None:
        """Close the connection; the next request makes another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.aclose()

    async def run(self, script: Script, *words: Word) -> list[Any]:
        """Run a script. If Redis does not know it (a new process, `SCRIPT FLUSH`), send it first."""
        command = ("EVALSHA", script.digest, 0, *words)
        async with self._turn:
            (answer,) = await self._exchange([command])
            if isinstance(answer, NoScriptError):
                _, answer = await self._exchange([("SCRIPT", "LOAD", script.text), command])
        return list(await self._checked(answer))

    async def ask(self, *words: Word) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send a command and return the answer."""
        return (await self.ask_all([words]))[0]

    async def ask_all(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Send several commands in one go and return their answers."""
        async with self._turn:
            answers = await self._exchange(commands)
        return [await self._checked(one) for one in answers]

    async def _checked(self, answer: Any) -> Any:  # noqa: ANN401 - whatever Redis answers
        if not isinstance(answer, RedisError):
            return answer
        self.look_again()  # it may be a replica now
        raise Refused(f"{self._source} refuses: {answer}") from answer

    async def _exchange(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        connection = await self._connected()
        try:
            return await connection.exchange(
                [[_encoded(one) for one in words] for words in commands], self._timeout
            )
        except EXPECTED as error:
            await self.aclose()
            raise Lost(f"{self._source}: {reason(error)}") from error
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.aclose()
            raise

    async def _connected(self) -> Connection:
        if self._outdated:
            await self.aclose()
        if self._connection is None:
            self._outdated = False
            address = await self._source.find(CONNECTING)
            try:
                connection = await connect(address, CONNECTING)
            except EXPECTED as error:
                raise Unsent(f"{self._source}: {reason(error)}") from error
            try:
                await self._check(connection)
            except EXPECTED as error:
                await connection.aclose()
                raise Unsent(f"{self._source}: {reason(error)}") from error
            except BaseException:
                with trio.CancelScope(shield=True):
                    await connection.aclose()
                raise
            self._connection = connection
        return self._connection


def _encoded(word: Word) -> str | bytes:
    return str(word) if isinstance(word, int) else word
