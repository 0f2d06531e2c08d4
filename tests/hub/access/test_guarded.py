"""Questions to a service that is slow, wrong or gone: what is remembered, bounded and refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.errors import Unavailable
from tasktree_rt.hub.access import guarded
from tasktree_rt.hub.access.guarded import ALL_PLACES, CALLERS, FAILURES, PAUSE, PLACES, Guarded
from tasktree_rt.metrics import Metrics
from tests.hub.world import run


class Service:
    """A service that answers with the question, hangs on some, and fails on others."""

    def __init__(self, *, keep: float = 10.0) -> None:
        self.asked: list[str] = []
        self.hangs: set[str] = set()
        self.fails: set[str] = set()
        self.open = trio.Event()
        self.meter = Metrics()
        self.ask: Guarded[str, str] = Guarded("x", self._answer, timeout=2.0, keep=keep, meter=self.meter)

    async def _answer(self, question: str) -> str:
        self.asked.append(question)
        if question in self.hangs:
            await trio.sleep_forever()
        if question in self.fails:
            raise ValueError("no")
        await self.open.wait()
        return f"<{question}>"

    def outcomes(self, outcome: str) -> float:
        labels = {"hook": "x", "outcome": outcome}
        return self.meter.registry.get_sample_value("tasktree_hook_questions_total", labels) or 0

    async def refused(self, caller: str, question: str) -> bool:
        try:
            await self.ask(caller, question)
        except Unavailable as error:
            return (error.code, error.retry_after) == ("access_unavailable", 1.0)
        return False


def clocked(test: Callable[[Service], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        service = Service(**options)
        service.open.set()
        await test(service)

    run(main)


def test_an_answer_is_remembered_for_its_time_and_no_longer() -> None:
    async def test(service: Service) -> None:
        for _ in range(3):
            assert await service.ask("ada", "q") == "<q>"
        assert service.asked == ["q"]
        await trio.sleep(10.0)
        await service.ask("ada", "q")
        assert service.asked == ["q", "q"]
        assert (service.outcomes("answered"), service.outcomes("remembered")) == (2, 2)

    clocked(test)


def test_without_a_memory_every_question_is_asked() -> None:
    async def test(service: Service) -> None:
        for _ in range(3):
            await service.ask("ada", "q")
        assert service.asked == ["q"] * 3

    clocked(test, keep=0.0)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "MOST", 3)

    async def test(service: Service) -> None:
        for question in "abcd":
            await service.ask("ada", question)
        await service.ask("ada", "d")
        await service.ask("ada", "a")
        assert service.asked == ["a", "b", "c", "d", "a"]

    clocked(test)


@pytest.mark.parametrize("keep", [0.0, 10.0])
async def test_callers_that_ask_the_same_meanwhile_share_one_question(
    keep: float, autojump_clock: MockClock
) -> None:
    service = Service(keep=keep)
    async with trio.open_nursery() as nursery:
        for caller in ("ada", "bob", "eve"):
            nursery.start_soon(service.ask, caller, "q")
        await wait_all_tasks_blocked()
        service.open.set()
    assert service.asked == ["q"]


async def test_a_caller_that_goes_away_leaves_its_question_to_those_that_wait(
    autojump_clock: MockClock,
) -> None:
    service, scope = Service(), trio.CancelScope()

    async def goes() -> None:
        with scope:
            await service.ask("ada", "q")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(goes)
        await wait_all_tasks_blocked()
        nursery.start_soon(service.ask, "bob", "q")
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        service.open.set()
    assert service.asked == ["q", "q"]


def test_a_question_that_hangs_is_refused_after_the_timeout_and_holds_up_no_other_caller() -> None:
    async def test(service: Service) -> None:
        service.hangs = {f"h{number}" for number in range(3 * ALL_PLACES)}
        async with trio.open_nursery() as nursery:
            for question in sorted(service.hangs):
                nursery.start_soon(service.refused, "ada", question)
            await wait_all_tasks_blocked()
            assert len(service.asked) == PLACES
            begun = trio.current_time()
            assert await service.ask("bob", "q") == "<q>"
            assert trio.current_time() == begun
        assert trio.current_time() - begun <= 2.0

    clocked(test)


def test_a_caller_whose_questions_fail_is_refused_without_a_question_and_the_others_are_not() -> None:
    async def test(service: Service) -> None:
        service.fails = {f"f{number}" for number in range(20)}
        for question in sorted(service.fails):
            assert await service.refused("ada", question)
        assert len(service.asked) == FAILURES
        assert await service.refused("ada", "q")
        assert await service.ask("bob", "q") == "<q>"
        await trio.sleep(PAUSE)
        assert await service.ask("ada", "r") == "<r>"
        assert not await service.refused("ada", "s")

    clocked(test)


def test_a_service_that_is_gone_is_asked_once_after_each_pause() -> None:
    async def test(service: Service) -> None:
        service.fails = {"q"}
        for number in range(10 * CALLERS):
            assert await service.refused(f"caller {number}", "q")
        assert len(service.asked) == CALLERS
        await trio.sleep(PAUSE)
        for number in range(5):
            assert await service.refused(f"later {number}", "q")
        assert len(service.asked) == CALLERS + 1
        service.fails = set()
        await trio.sleep(PAUSE)
        for number in range(5):
            assert not await service.refused(f"last {number}", f"q{number}")
        assert service.outcomes("paused") == 9 * CALLERS + 4

    clocked(test)


def test_one_question_tries_at_a_time_after_a_pause() -> None:
    async def test(service: Service) -> None:
        service.fails = {"q"}
        for number in range(CALLERS):
            await service.refused(f"caller {number}", "q")
        await trio.sleep(PAUSE)
        service.hangs = {"hangs"}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.refused, "ada", "hangs")
            await wait_all_tasks_blocked()
            assert await service.refused("bob", "r")
        assert service.asked[-1] == "hangs"

    clocked(test)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["good", "fails", "hangs"])), max_size=30)
)
def test_nothing_is_left_of_questions_that_are_over(questions: list[tuple[str, str]]) -> None:
    async def test(service: Service) -> None:
        service.fails, service.hangs = {"fails"}, {"hangs"}
        async with trio.open_nursery() as nursery:
            for caller, question in questions:
                nursery.start_soon(service.refused, caller, question)
        assert not service.ask._underway
        assert not service.ask._places_of
        assert not service.ask._places.borrowed_tokens
        await trio.sleep(2 * PAUSE)
        assert await service.ask("later", "good") == "<good>"

    run(partial(_main, test))


async def _main(test: Callable[[Service], Awaitable[None]]) -> None:
    service = Service()
    service.open.set()
    await test(service)
