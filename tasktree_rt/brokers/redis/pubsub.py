"""A listener to Redis' pub/sub that comes back after every loss and says that there was one.

Pub/sub has no history: what is published while no client listens is gone. So the listener's first duty is to
know when it listens. It reports each time that the subscription stands (`on_up`), and each time that it is
lost (`on_down`); everything published in between is handed over, in order, once.
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
"""A subscription that stood so long, in seconds, was no false start: the waits begin anew."""


class Unfit(RedisError):
    """Redis is there, but nothing could arrive from it."""


class Listener:
    """See the module's docstring.

    `received(channel, body)` is called for each message and must neither block nor raise.
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
        self._stood_since = math.inf

    @property
    def address(self) -> str:
        """Where Redis is, without a password."""
        return str(self._address)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; started when the subscription stands, or once it could not be had.

        Raises:
            Unfit: nothing is heard by patterns there: it is a cluster.
        """
        started = False

        def tried() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        tries = 0
        while True:
            self._stood_since = math.inf
            reason = await self._listen(tried)
            if trio.current_time() - self._stood_since >= GOOD:
                tries = 0
            tried()
            wait = jittered(tries, self._patience)
            log.warning("lost", redis=self.address, reason=reason, retry_in=round(wait, 3))
            self._on_down(reason)
            tries += 1
            await trio.sleep(wait)

    async def _listen(self, tried: Callable[[], None]) -> str:
        """One connection from its beginning to its end; why it ended."""
        try:
            async with dial(self._address, self._patience) as connection:
                await self._read(connection, tried)
        except Unfit:
            raise
        except EXPECTED as error:
            return told(error)
        except Exception as error:
            # Whatever it is, the hub goes on and Redis is tried again.
            log.error("fault", redis=self.address, exc_info=error)
            return told(error)

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
                    self._stood_since = trio.current_time()
                    self._on_up()
                    tried()

    async def _handle(self, replies: Sequence[Reply]) -> None:
        """Hand over all that was read, also while the hub stops; others run in between."""
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
    """Seconds to wait after so many failures in a row: by chance, from half a bound that doubles up to it."""
    bound = min(patience.longest, patience.first * math.pow(2, min(tries, 32)))
    return uniform(bound / 2, bound)  # noqa: S311 - no secret


def told(error: BaseException) -> str:
    """What happened, in a line: of several things the first, of its causes the last that has words."""
    text = ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        text = f"{type(cause).__name__}: {cause}" if str(cause) else text or type(cause).__name__
        cause = cause.__cause__
    return " ".join(text.split())[:200]
