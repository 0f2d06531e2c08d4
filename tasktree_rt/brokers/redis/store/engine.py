"""The store's connections, and what all requests have in common: the hub that asks, and Redis' history.

Redis begins another *history* (`master_replid`) when it starts, and when a replica takes over. What was
acknowledged may be missing then. So each script names the history that the hub knows, and does nothing on
another one. A hub that meets another history looks what is missing of its own acknowledged writes, and logs
it. If something is, or if other hubs were there too, another generation begins: each project gets a new epoch
when it is next used, so that no watcher takes an old position for a new one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import Address, Connection
from tasktree_rt.brokers.redis.store.link import CONNECTING, Link, Lost, Refused, Word
from tasktree_rt.brokers.redis.store.scripts import ADOPT, LEAVE, OPEN, SIGN_OF_LIFE, Script
from tasktree_rt.brokers.redis.store.server import check_server
from tasktree_rt.brokers.redis.store.source import Source
from tasktree_rt.errors import StoreUnavailable, StoreUnusable

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")

FORMAT: Final = "2"
"""The version of the keys and of what they hold."""
FORMAT_BEFORE: Final = "1"
"""A version that this one can read; its hubs have the store alone."""
ALIVE: Final = 3.0
"""Seconds after its last sign of life in which such a hub keeps the store from others."""
TIMEOUT: Final = 5.0


class Engine:
    """What the parts of a store share.

    Args:
        prefix: begins the name of every key.
        timeout: seconds that Redis may take for an answer.

    Attributes:
        appends, reads, bulk: connections for appends, for everything short, and for states.
        hub: names this process among all hubs.
        acknowledged: number of the newest acknowledged batch.
    """

    def __init__(self, source: Source, prefix: str, timeout: float = TIMEOUT) -> None:
        self.name = f"redis:{source}"
        self.prefix = prefix
        self._source = source
        self._links = [Link(source, timeout, self._check) for _ in range(3)]
        self.appends, self.reads, self.bulk = self._links
        self.acknowledged = 0
        self.hub = secrets.token_hex(8)
        self._history = ""
        self._others = 0
        self._adopting = trio.Lock()
        self.renewed: Callable[[], None] = lambda: None
        """Called when this hub goes on under another history."""

    async def open(self) -> None:
        """Find out whether Redis can hold a store, and which history it has.

        Raises:
            StoreUnusable: it cannot, or a hub of an earlier version uses it.
        """
        try:
            answer = await self._opened()
        except StoreUnavailable as error:
            raise StoreUnusable(str(error)) from error
        match [one.decode() for one in answer]:
            case ["ok", history]:
                self._history = history
            case ["busy"]:
                raise StoreUnusable(f"{self.name} is open in a hub of an earlier version")
            case ["format", found]:
                raise StoreUnusable(f"{self.name} was written in format {found}, known is {FORMAT}")
            case ["role", role]:
                raise StoreUnusable(f"{self.name} is a {role}: expected a master")
            case _:
                raise StoreUnusable(f"{self.name} shows no master_replid to a script (INFO replication)")

    async def _opened(self) -> list[Any]:
        """Ask until an earlier hub's last sign of life has lapsed."""
        patience = trio.current_time() + 2 * ALIVE
        while True:
            answer = await self.reads.run(OPEN, self.prefix, self.hub, FORMAT, FORMAT_BEFORE)
            if answer[0] != b"busy" or trio.current_time() > patience:
                return answer
            await trio.sleep(ALIVE / 30)

    async def aclose(self) -> None:
        """Let others take over what this hub sees to, and close the connections."""
        if self._history:
            with trio.move_on_after(1.0, shield=True), suppress(StoreUnavailable):
                await self.run(LEAVE)
            self._history = ""
        with trio.CancelScope(shield=True):
            for link in self._links:
                await link.aclose()

    async def find(self) -> Address:
        """Return where Redis is now.

        Raises:
            StoreUnavailable: no address is known now.
        """
        return await self._source.find(CONNECTING)

    async def _check(self, connection: Connection) -> None:
        await check_server(connection, self.name)

    async def run(self, script: Script, *words: Word, link: Link | None = None) -> list[Any]:
        """Run a script for this hub and return its answer, the name of the outcome (text) first.

        For a script that may run twice: it is sent again if a connection that was fine ends.

        Raises:
            StoreUnavailable: Redis cannot; after `Lost` it may have.
        """
        try:
            return await self.run_once(script, *words, link=link)
        except Lost:
            return await self.run_once(script, *words, link=link)

    async def run_once(self, script: Script, *words: Word, link: Link | None = None) -> list[Any]:
        """Run a script as `run` does; send it only once."""
        while True:
            history = self._history
            answer = await (link or self.reads).run(script, self.prefix, self.hub, history, *words)
            outcome = answer[0].decode()
            if outcome != "history":
                return [outcome, *answer[1:]]
            await self._adopt(history)

    async def alive(self) -> None:
        """Write a sign of life, which this hub hears; fails if Redis takes no writes."""
        await self.run(SIGN_OF_LIFE)

    async def write(self, script: Script, *words: Word, link: Link | None = None) -> list[Any]:
        """Run a script that ends with `written` (``prelude.lua``); note that its write is acknowledged."""
        *answer, count = await self.run_once(script, *words, link=link)
        if answer:
            self._others = max(self._others, count)
            return answer
        return [count]  # it did nothing

    async def _adopt(self, before: str) -> None:
        """Go on under the history that Redis has now.

        Raises:
            StoreUnavailable: this Redis is not the master now.
        """
        async with self._adopting:
            if self._history != before:
                return  # another request has done it
            for link in self._links:
                link.look_again()  # a link may still be at a server that was the master
            answer = await self.reads.run(ADOPT, self.prefix, self.hub, self.acknowledged, self._others)
            if answer[0] == b"role":
                self.reads.look_again()
                raise Refused(f"{self.name} is a {answer[1].decode()} now")
            self._tell_lost(int(answer[2]), int(answer[3]))
            self._history, self.acknowledged, self._others = answer[1].decode(), 0, 0
            self.renewed()

    def _tell_lost(self, batches: int, others: int) -> None:
        if batches or others:
            log.error("redis lost acknowledged events", store=self.name, commits=batches, other_writes=others)
        else:
            log.warning("redis began another history and lost nothing of this hub's", store=self.name)
