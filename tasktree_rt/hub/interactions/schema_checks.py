"""Check schemas and values of prompts, each once, without blocking the loop.

The hub checks a small schema or value at once, and remembers each result by its digest. A thread makes all
other checks, one at a time. It pauses after every millisecond, so that the loop never waits longer for it
(ten milliseconds for a regular expression). `core.schema_budget.Allowance` limits the work, so each check
ends. The subjects take turns: one with many checks delays the others by one check.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeVar

import trio
from attrs import define, field, frozen

from tasktree_rt.core.events import Json
from tasktree_rt.core.json_schema import PlainJudge
from tasktree_rt.core.schema_budget import Allowance, TooMuch, is_ready
from tasktree_rt.dialects.base import digest
from tasktree_rt.errors import InvalidInput, Refused

T = TypeVar("T")

REMEMBERED: Final = 2_048
"""Results that the hub remembers, the newest."""
WAITING: Final = 64
"""Checks of one subject that may wait."""
PAUSE: Final = 0.0005
"""Seconds that the thread sleeps after a millisecond of work."""
AT_ONCE: Final = Allowance(value=200, schema=300, heaviest=64)
"""Limit of a check on the loop: about a millisecond."""

THOROUGH: Final = Allowance(pause=partial(time.sleep, PAUSE))
"""Limit of a check in the thread."""


@frozen
class _No:
    """The reason of a refusal, and the field below the checked one."""

    message: str
    code: str
    place: str

    def error(self, at: str) -> InvalidInput:
        return InvalidInput(self.message, code=self.code, field=at + self.place)


class Remembered:
    """Keep the newest results by digest. The loop and the thread share it."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._verdicts: dict[bytes, _No | None] = {}
        self._lock = threading.Lock()

    def find(self, name: bytes) -> tuple[bool, _No | None]:
        """Return whether there is a result for a digest, and the result."""
        with self._lock:
            return name in self._verdicts, self._verdicts.get(name)

    def keep(self, name: bytes, verdict: _No | None) -> None:
        """Remember a result; forget the oldest if there are too many."""
        with self._lock:
            self._verdicts[name] = verdict
            if len(self._verdicts) > self._most:
                del self._verdicts[next(iter(self._verdicts))]


@frozen
class RememberingJudge:
    """Check as `inner` does, but each schema and value once; see `core.json_schema.Judge`."""

    inner: PlainJudge
    remembered: Remembered

    def schema(self, schema: object, field: str) -> None:
        """See `Judge`."""
        self._told(digest(["schema", schema]), field, lambda: self.inner.schema(schema, field))

    def value(self, schema: Json, value: object, field: str) -> None:
        """See `Judge`."""
        self._told(digest(["value", schema, value]), field, lambda: self.inner.value(schema, value, field))

    def _told(self, name: bytes, at: str, judge: Callable[[], None]) -> None:
        known, verdict = self.remembered.find(name)
        if not known:
            verdict = _verdict(at, judge)
            self.remembered.keep(name, verdict)
        if verdict is not None:
            raise verdict.error(at)


def _verdict(at: str, judge: Callable[[], None]) -> _No | None:
    try:
        judge()
    except InvalidInput as error:
        return _No(error.message, error.code, (error.field or at).removeprefix(at))
    return None


@define
class _Turn:
    """The queue of a subject: one of its checks runs at a time."""

    lock: trio.Lock = field(factory=trio.Lock)
    waiting: int = 0


class SchemaChecks:
    """See the module's docstring."""

    def __init__(self) -> None:
        remembered = Remembered()
        self._quick = RememberingJudge(PlainJudge(AT_ONCE, last=False), remembered)
        self._thorough = RememberingJudge(PlainJudge(THOROUGH), remembered)
        self._thread = trio.CapacityLimiter(1)
        self._turns: dict[str, _Turn] = {}

    async def of(self, owner: str, work: Callable[[RememberingJudge], T]) -> T:
        """Call `work` with a judge and return its result; call it again in a thread if it takes long.

        To cancel this call does not stop the thread, which ends by itself.

        Raises:
            InvalidInput: as `work`.
            Refused: ``rate_limited``: too many checks of this subject wait.
        """
        if is_ready():
            with suppress(TooMuch):
                return work(self._quick)
        async with self._turn(owner):
            return await trio.to_thread.run_sync(
                partial(work, self._thorough), limiter=self._thread, abandon_on_cancel=True
            )

    @asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(owner, _Turn())
        if turn.waiting >= WAITING:
            message = f"{WAITING} prompts or answers of yours wait to be checked"
            raise Refused(message, code="rate_limited", retry_after=1.0)
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[owner]
