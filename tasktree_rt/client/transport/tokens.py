"""The token of a client: a string, or a function that gives it and is asked again for the next.

The function is called for the first connection or request, when the hub warns that the token expires, and
when the hub refuses the token. All parts of a client share one store, so that it is called once for them all.
No token is in an address, a log line or the text of an exception.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import trio

from tasktree_rt.client.transport.errors import NoToken

TokenSource = str | Callable[[], str | Awaitable[str]] | None
"""A token, or a function (sync or async) that gives one; None: the hub asks for none."""
Ask = Callable[[], Any]

PATIENCE: Final = 30.0
"""Seconds that a Trio program's function may take."""
MOST_REFUSALS: Final = 2
"""Refused tokens in a row after which the client gives up: the first may be an old one, the second is new."""
_USABLE: Final = re.compile(r"[\x21-\x7e]+")
_EXPECTED: Final = "expected a string of visible ASCII characters"


class TokenStore:
    """The present token, and what the hub said about it. `ask` is the program's function, if there is one.

    Raises:
        ValueError: `source` is a text that is no token.
    """

    def __init__(self, source: TokenSource) -> None:
        self.ask: Ask | None = source if callable(source) else None
        self.known: str | None = None
        self._refused: str | None = None
        self._accepted = False
        self._refusals = 0
        if isinstance(source, str) and source:
            self.known = _usable(source)
            if self.known is None:
                raise ValueError(f"token: {_EXPECTED}")

    def lacks(self, old: str | None) -> bool:
        """Return whether the function must be asked for a token other than `old`."""
        return self.ask is not None and (self.known is None or self.known == old)

    def take(self, given: object, old: str | None) -> None:
        """Keep what the function gave in place of `old`.

        Raises:
            NoToken: it is no token, or one that is not wanted any more.
        """
        token = _usable(given)
        if token is None:
            raise NoToken(f"{_EXPECTED} from the function")
        if token == self._refused:
            raise NoToken("the function gave the token that the hub refused", final=not self._accepted)
        if token == old:
            raise NoToken("the function gave the token that expires")
        self.known = token

    def accepted(self, token: str | None) -> None:
        """Note that the hub accepted `token`."""
        if token is not None and token == self.known:
            self._accepted, self._refusals, self._refused = True, 0, None

    def refused(self, token: str | None) -> bool:
        """Note that the hub refused `token`; return whether another try makes sense."""
        if self.ask is None:
            return False
        if token == self.known:
            self.known, self._refused = None, token
            self._refusals += 1
        return self._refusals < MOST_REFUSALS


class TrioTokens:
    """The tokens of a Trio program. A function that is not async runs in a thread.

    Attributes:
        store: what is known of the token.
    """

    def __init__(self, source: TokenSource) -> None:
        self.store = TokenStore(source)
        self._turn = trio.Lock()

    async def get(self) -> str | None:
        """Return the present token; None if the program has none.

        Raises:
            NoToken: the function gave none.
        """
        return await self.other_than(None)

    async def other_than(self, old: str | None) -> str | None:
        """Return a token in place of `old`; that of another caller, if it was there first.

        Raises:
            NoToken: the function gave none, or `old` again.
        """
        async with self._turn:
            if self.store.ask is not None and self.store.lacks(old):
                self.store.take(await _asked(self.store.ask), old)
            return self.store.known


class ThreadTokens:
    """The tokens of a program with threads. An async function runs in an event loop of asyncio of its own.

    Attributes:
        store: what is known of the token.
    """

    def __init__(self, source: TokenSource) -> None:
        self.store = TokenStore(source)
        self._turn = threading.Lock()

    def get(self) -> str | None:
        """Return the present token; None if the program has none.

        Raises:
            NoToken: the function gave none.
        """
        with self._turn:
            if self.store.ask is not None and self.store.lacks(None):
                try:
                    given = not_async(self.store.ask)()
                except Exception as error:
                    raise failed(error) from error
                self.store.take(given, None)
            return self.store.known


def not_async(ask: Ask) -> Ask:
    """Return `ask` as a function that is not async: an async one runs in an event loop of asyncio."""

    async def awaited(given: Awaitable[object]) -> object:
        return await given

    def asked() -> object:
        given: object = ask()
        if not isawaitable(given):
            return given
        # The caller may run within an event loop, which allows no other in its thread.
        with ThreadPoolExecutor(1, "tasktree-rt token") as thread:
            return thread.submit(asyncio.run, awaited(given)).result()

    return asked


def without_token(url: str, source: TokenSource) -> tuple[str, TokenSource]:
    """Take a token out of an address, where logs would show it; return the address and the token to use."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = [value for name, value in query if name == "token"]
    if not given:
        return url, source
    left = urlencode([pair for pair in query if pair[0] != "token"])
    return urlunsplit(parts._replace(query=left)), source or given[0]


def bearer(token: str | None) -> dict[str, str]:
    """Return the headers that carry a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def failed(error: Exception) -> NoToken:
    """Return what a failure of the function means. The function's own words may have a token in them."""
    return error if isinstance(error, NoToken) else NoToken(f"the function failed: {type(error).__name__}")


async def _asked(ask: Ask) -> object:
    try:
        with trio.fail_after(PATIENCE):
            if iscoroutinefunction(ask):
                return await ask()
            given = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
            return await given if isawaitable(given) else given
    except trio.TooSlowError:
        raise NoToken(f"the function did not return within {PATIENCE:g} s") from None
    except Exception as error:
        raise failed(error) from error


def _usable(given: object) -> str | None:
    """Return a token as a header carries it; None for what is no token."""
    token = given.strip() if isinstance(given, str) else ""
    return token if _USABLE.fullmatch(token) else None
