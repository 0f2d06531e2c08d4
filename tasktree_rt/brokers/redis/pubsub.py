"""Subscribes to patterns of Redis' pub/sub, and subscribes again after each lost connection.

Pub/sub has no history: a message published while no client is subscribed is lost. So the listener reports
each time that Redis has confirmed the subscription (`on_up`), and each time that the connection is lost
(`on_down`). It hands over every message published in between once, in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import uniform
from typing import Final, Never

import trio
from coredis.exceptions import RedisError
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import EXPECTED, Connection, Patience, Reply, dial, read_address

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")
GOOD: Final = 30.0
"""Seconds that a subscription must last; then the next wait is the shortest again."""


class Unfit(RedisError):
    """This kind of Redis cannot deliver the messages."""


class Listener:
    """A subscription to patterns that reconnects.

    Args:
        received: called with the channel and body of each message; must neither block nor raise.
        on_up: called when Redis has confirmed the subscription.
        on_down: called with the reason when the connection is lost.
    """

    def __init__(
        self,
        url: str,
        patterns: Sequence[str],
        received: Callable[[bytes, bytes], None],
        *,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[str], None] = lambda reason: None,
        password: str = "",
        patience: Patience | None = None,
    ) -> None:
        self._address = read_address(url, password)
        self._patterns = tuple(patterns)
        self._received = received
        self._on_up = on_up
        self._on_down = on_down
        self._patience = patience or Patience()
        self._missing = 0
        self._subscribed_since = math.inf

    @property
    def address(self) -> str:
        """The address of Redis, without the password."""
        return str(self._address)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; started after the first attempt to subscribe.

        Raises:
            Unfit: Redis is a cluster, where subscriptions to patterns miss events.
        """
        started = False

        def tried() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        tries = 0
        while True:
            self._subscribed_since = math.inf
            reason = await self._listen(tried)
            if trio.current_time() - self._subscribed_since >= GOOD:
                tries = 0
            tried()
            wait = jittered(tries, self._patience)
            log.warning("lost", redis=self.address, reason=reason, retry_in=round(wait, 3))
            self._on_down(reason)
            tries += 1
            await trio.sleep(wait)

    async def _listen(self, tried: Callable[[], None]) -> str:
        """Serve one connection until it is lost; return the reason."""
        try:
            async with dial(self._address, self._patience) as connection:
                await self._read(connection, tried)
        except Unfit:
            raise
        except EXPECTED as error:
            return describe_error(error)
        except Exception as error:
            # After any fault the hub continues and connects again.
            log.error("fault", redis=self.address, exc_info=error)
            return describe_error(error)

    async def _read(self, connection: Connection, tried: Callable[[], None]) -> Never:
        if connection.mode == "cluster":
            raise Unfit("it is a cluster")
        if connection.mode == "sentinel":
            raise RedisError("it is a Sentinel, where no events are published: name the server itself")
        await connection.send("PSUBSCRIBE", *self._patterns)
        self._missing = len(self._patterns)
        with trio.fail_after(self._patience.connect) as confirmed:
            while True:
                await self._handle(await connection.read())
                if not self._missing and confirmed.deadline != math.inf:
                    confirmed.deadline = math.inf
                    log.info("listening", redis=self.address)
                    self._subscribed_since = trio.current_time()
                    self._on_up()
                    tried()

    async def _handle(self, replies: Sequence[Reply]) -> None:
        """Hand over every reply read, also while the hub stops; other tasks run in between."""
        with trio.CancelScope(shield=True):
            for reply in replies:
                match reply.value:
                    case [b"pmessage", _, bytes(channel), bytes(body)]:
                        self._received(channel, body)
                        await trio.lowlevel.checkpoint()
                    case [b"psubscribe", *_]:
                        self._missing -= 1
        for reply in replies:
            if isinstance(reply.value, RedisError):
                raise reply.value


def jittered(tries: int, patience: Patience) -> float:
    """Return random seconds to wait after `tries` failures in a row: half to all of a bound that doubles."""
    bound = min(patience.longest, patience.first * math.pow(2, min(tries, 32)))
    return uniform(bound / 2, bound)  # noqa: S311 - no secret


def describe_error(error: BaseException) -> str:
    """Describe an error in one line: the first of a group, and the deepest of its causes that has a text."""
    text = ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        text = f"{type(cause).__name__}: {cause}" if str(cause) else text or type(cause).__name__
        cause = cause.__cause__
    return " ".join(text.split())[:200]
