"""The store's connections, and what all requests have in common: the hub that asks, and Redis' history.

Redis begins another *history* (`master_replid`) when it starts, and when a replica takes over. What was
acknowledged may be missing then. So each script names the history that the hub knows, and does nothing on
another one. The hub then looks whether its newest acknowledged write is there: if it is, nothing is missing
and the hub goes on. If not, the hub's memory is ahead of the store, and the store has a lasting fault. A hub
that starts on another history than the hub before it gives each project a new epoch when it is first used: no
watcher takes an old position for a new one.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import Connection
from tasktree_rt.brokers.redis.store.link import Link, Lost, Refused, Word
from tasktree_rt.brokers.redis.store.scripts import ADOPT, OPEN, SIGN_OF_LIFE, Script
from tasktree_rt.brokers.redis.store.server import check_server
from tasktree_rt.brokers.redis.store.source import Source
from tasktree_rt.errors import StoreUnavailable, StoreUnusable

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")

FORMAT: Final = "1"
"""The version of the keys and of what they hold."""
ALIVE: Final = 3.0
"""Seconds after its last sign of life in which a hub keeps the store from others."""
TIMEOUT: Final = 5.0


class Engine:
    """What the parts of a store share.

    Args:
        prefix: begins the name of every key.
        timeout: seconds that Redis may take for an answer.
        alive: seconds after its last sign of life in which this hub keeps the store from others.

    Attributes:
        appends, reads, bulk: connections for appends, for everything short, and for states.
        acknowledged: number of the newest acknowledged batch.
    """

    def __init__(self, source: Source, prefix: str, timeout: float = TIMEOUT, alive: float = ALIVE) -> None:
        self.name = f"redis:{source}"
        self.prefix = prefix
        self._links = [Link(source, timeout, self._check) for _ in range(3)]
        self.appends, self.reads, self.bulk = self._links
        self.acknowledged = 0
        self._alive = alive
        self._hub = secrets.token_hex(8)
        self._history = ""
        self._others = 0
        self._adopting = trio.Lock()
        self._broken: str | None = None

    async def open(self) -> None:
        """Become the hub of this store; wait for a hub that ended without a word.

        Raises:
            StoreUnusable: it is not usable, or another hub uses it.
        """
        try:
            answer = await self._opened()
        except StoreUnavailable as error:
            raise StoreUnusable(str(error)) from error
        match [one.decode() for one in answer]:
            case ["ok", history]:
                self._history = history
            case ["busy"]:
                raise StoreUnusable(f"{self.name} is open in another hub")
            case ["format", found]:
                raise StoreUnusable(f"{self.name} was written in format {found}, known is {FORMAT}")
            case ["role", role]:
                raise StoreUnusable(f"{self.name} is a {role}: expected a master")
            case _:
                raise StoreUnusable(f"{self.name} shows no master_replid to a script (INFO replication)")

    async def _opened(self) -> list[Any]:
        """Ask to be the store's hub until the other hub's last sign of life has lapsed."""
        patience = trio.current_time() + 2 * self._alive
        while True:
            answer = await self.reads.run(OPEN, self.prefix, self._hub, FORMAT, self._milliseconds)
            if answer[0] != b"busy" or trio.current_time() > patience:
                return answer
            await trio.sleep(self._alive / 30)

    @property
    def _milliseconds(self) -> int:
        return round(self._alive * 1_000)

    async def aclose(self) -> None:
        """Let another hub open the store at once, and close the connections."""
        if self._history:
            self._history = ""
            if self._broken is None:
                # It lapses by itself if Redis cannot be reached.
                with trio.move_on_after(1.0, shield=True), suppress(StoreUnavailable):
                    await self.reads.ask("DEL", f"{self.prefix}:hub:alive")
        with trio.CancelScope(shield=True):
            for link in self._links:
                await link.aclose()

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
            if self._broken is not None:
                raise StoreUnavailable(self._broken, lasting=True)
            history = self._history
            answer = await (link or self.reads).run(script, self.prefix, self._hub, history, *words)
            outcome = answer[0].decode()
            if outcome == "replaced":
                raise self._break(self._replaced)
            if outcome != "history":
                return [outcome, *answer[1:]]
            await self._adopt(history)

    async def alive(self) -> None:
        """Tell other hubs that this one works; fails if Redis takes no writes."""
        await self.run(SIGN_OF_LIFE, self._milliseconds)

    async def write(self, script: Script, *words: Word, link: Link | None = None) -> list[Any]:
        """Run a script that ends with `written` (``prelude.lua``); note that its write is acknowledged."""
        *answer, count = await self.run_once(script, *words, link=link)
        if answer:
            self._others = max(self._others, count)
            return answer
        return [count]  # it did nothing

    async def _adopt(self, before: str) -> None:
        """Go on under the history that Redis has now, if nothing is missing that this hub acknowledged.

        Raises:
            StoreUnavailable: something is missing, or this Redis is not the master now.
        """
        async with self._adopting:
            if self._history != before:
                return  # another request has done it
            for link in self._links:
                link.look_again()  # a link may still be at a server that was the master
            answer = await self.reads.run(ADOPT, self.prefix, self._hub, self.acknowledged, self._others)
            match [one.decode() if isinstance(one, bytes) else one for one in answer]:
                case ["ok", history]:
                    if history != before:
                        log.warning("redis began another history and lost nothing", store=self.name)
                    self._history = history
                case ["role", role]:
                    self.reads.look_again()
                    raise Refused(f"{self.name} is a {role} now")
                case ["lost", batches, others]:
                    raise self._break(
                        f"{self.name} lost acknowledged events when it was restarted or replaced"
                        f" ({batches} commits, {others} other writes): restart the hub, then every project"
                        " gets a new epoch"
                    )
                case _:
                    raise self._break(self._replaced)

    @property
    def _replaced(self) -> str:
        return f"{self.name} was opened by another hub: restart this one"

    def _break(self, why: str) -> StoreUnavailable:
        self._broken = why
        return StoreUnavailable(why, lasting=True)
