"""Ask a service that may be slow, wrong or gone: remember its answers, bound the questions, fail closed.

A question takes at most `timeout` seconds, its wait for a free place among them. Callers that ask the same at
the same time share one question. Each caller has `PLACES` of the places in all: one whose questions hang
keeps the others neither waiting nor out. A breaker spares a service that does not answer: after `FAILURES`
failures of one caller it refuses that caller for `PAUSE` seconds, and after failures of `CALLERS` callers,
with no answer between them, every caller. Then one question tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import trio
from attrs import define, field
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.errors import Unavailable
from tasktree_rt.metrics import Metrics

PLACES: Final = 4
"""Questions of one caller at a time."""
ALL_PLACES: Final = 64
FAILURES: Final = 5
CALLERS: Final = 3
PAUSE: Final = 5.0
MOST: Final = 10_000
"""Answers remembered, and callers whose failures are, the newest."""
log: Final[BoundLogger] = get_logger("tasktree_rt.hooks")

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


@define
class _Answer(Generic[A]):
    answer: A
    until: float


@define(eq=False)
class _Underway(Generic[A]):
    over: trio.Event = field(factory=trio.Event)
    found: _Answer[A] | None = None


@define
class Breaker:
    """Refuses questions for a while after failures; see the module's docstring. Times in seconds."""

    failures: int
    count: int = 0
    until: float = 0.0
    _trying: bool = False

    def closed(self, now: float) -> bool:
        """Return whether a question may be asked; after a pause one at a time, until it is answered."""
        if self.count < self.failures:
            return True
        if now < self.until or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """Note an answer: forget the failures."""
        self.count, self._trying = 0, False

    def failed(self, now: float) -> None:
        """Note a failure."""
        self.count += 1
        self.given_up()
        if self.count >= self.failures:
            self.until = now + PAUSE

    def given_up(self) -> None:
        """Note that a question ended without an answer or a failure: its caller went away."""
        self._trying = False


class Guarded(Generic[Q, A]):
    """See the module's docstring.

    Args:
        name: what is asked, for metrics and the log.
        ask: asks the service; whatever it raises is a failure.
        timeout: seconds for one question.
        keep: seconds for which an answer is remembered; 0: not at all.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[Q], Awaitable[A]],
        *,
        timeout: float,
        keep: float,
        meter: Metrics,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self._name = name
        self._ask = ask
        self._timeout = timeout
        self._keep = keep
        self._meter = meter
        self._now = now
        self._known: dict[Hashable, _Answer[A]] = {}
        self._underway: dict[Hashable, _Underway[A]] = {}
        self._places = trio.CapacityLimiter(ALL_PLACES)
        self._places_of: dict[str, trio.CapacityLimiter] = {}
        self._breakers: dict[str, Breaker] = {}
        self._failed_callers: set[str] = set()
        self._breaker = Breaker(1)
        self._failing = False

    async def __call__(self, caller: str, question: Q, *, key: Hashable | None = None) -> A:
        """Return the service's answer.

        Args:
            caller: the subject that asks; bounds hold for each.
            key: tells equal questions, by default the question itself. Given where that is secret.

        Raises:
            Unavailable: ``access_unavailable``: the service does not answer, or not as it should.
        """
        place = question if key is None else key
        while (found := self._remembered(place)) is None:
            other = self._underway.get(place)
            if other is None:
                return (await self._shared(caller, question, place)).answer
            await other.over.wait()
            if other.found is not None:
                return other.found.answer
        self._meter.asked(self._name, "remembered")
        return found.answer

    def _remembered(self, place: Hashable) -> _Answer[A] | None:
        found = self._known.get(place)
        return found if found is not None and self._now() < found.until else None

    async def _shared(self, caller: str, question: Q, place: Hashable) -> _Answer[A]:
        """Ask, and let those that ask the same meanwhile have the answer."""
        underway = self._underway[place] = _Underway()
        try:
            answer = await self._asked(caller, question)
            underway.found = _Answer(answer, self._now() + self._keep)
            if self._keep:
                self._known.pop(place, None)
                self._known[place] = underway.found
                _shorten(self._known)
            return underway.found
        finally:
            del self._underway[place]
            underway.over.set()

    async def _asked(self, caller: str, question: Q) -> A:
        breaker = self._breakers.get(caller) or Breaker(FAILURES)
        if not breaker.closed(self._now()):
            raise self._refused("paused")
        if not self._breaker.closed(self._now()):
            breaker.given_up()
            raise self._refused("paused")
        try:
            answer = await self._in_turn(caller, question)
        except Exception as error:
            self._failed(caller, breaker, error)
            raise self._refused("failed") from None
        except BaseException:
            breaker.given_up()
            self._breaker.given_up()
            raise
        self._answered(caller, breaker)
        return answer

    async def _in_turn(self, caller: str, question: Q) -> A:
        places = self._places_of.setdefault(caller, trio.CapacityLimiter(PLACES))
        try:
            with trio.fail_after(self._timeout):
                async with places, self._places:
                    return await self._ask(question)
        finally:
            if not places.borrowed_tokens and not places.statistics().tasks_waiting:
                self._places_of.pop(caller, None)

    def _answered(self, caller: str, breaker: Breaker) -> None:
        if self._failing:
            log.warning("hook answers again", hook=self._name)
        self._failing = False
        self._failed_callers.clear()
        self._breaker.succeeded()
        breaker.succeeded()
        self._breakers.pop(caller, None)
        self._meter.asked(self._name, "answered")

    def _failed(self, caller: str, breaker: Breaker, error: Exception) -> None:
        if not self._failing:
            log.warning("hook fails", hook=self._name, reason=f"{type(error).__name__}: {error}"[:300])
        self._failing = True
        self._failed_callers.add(caller)
        if len(self._failed_callers) >= CALLERS:
            self._breaker.failed(self._now())
        else:
            self._breaker.given_up()
        breaker = self._breakers.setdefault(caller, breaker)
        breaker.failed(self._now())
        _shorten(self._breakers)

    def _refused(self, outcome: str) -> Unavailable:
        self._meter.asked(self._name, outcome)
        return Unavailable(
            "the service that decides about access does not answer",
            code="access_unavailable",
            retry_after=1.0,
        )


def _shorten(entries: dict[Q, A]) -> None:
    """Drop the oldest entry beyond `MOST`."""
    if len(entries) > MOST:
        del entries[next(iter(entries))]
