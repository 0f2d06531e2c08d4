"""Deadlines: kept by the clock on the wall, whatever it does, and whatever the store does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Append, Draft, Life
from tasktree_rt.errors import InvalidInput, PeerError, ProjectDamaged, Refused
from tasktree_rt.hub.interactions.deadlines import AT_ONCE, LONGEST
from tests.brokers.contract_interactions import an_interaction
from tests.hub.office import BASE, Office, an_office, asked

TOPICS = ("p", "q", "@anna")


def is_open(office: Office, name: str = "a") -> bool:
    return bool(office.hub.registry.named(name))


async def test_the_default_holds_at_the_deadline_and_not_before(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna", default={"proceed": True, "value": 7})
        wait = office.wait("a")
        await trio.sleep(59.9)
        assert is_open(office)
        await trio.sleep(0.2)
        assert wait.result == {
            "prompt_id": "a",
            "project_id": "p",
            "user_id": "anna",
            "proceed": True,
            "value": 7,
            "by": None,
            "how": "timeout",
        }
        await office.check(TOPICS)


async def test_a_deadline_that_has_passed_already_holds_at_once(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, timeout=0)
        await trio.sleep(0.1)
        await office.check(TOPICS)
        assert not is_open(office)


async def test_a_nearer_deadline_is_not_overslept(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, "far", timeout=4)
        await asked(office, "near", timeout=1)
        await trio.sleep(1.1)
        assert (is_open(office, "near"), is_open(office, "far")) == (False, True)


async def test_a_clock_set_forward_is_noticed(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office, timeout=3_600)
        office.jump = 3_600_000_000
        await trio.sleep(LONGEST + 0.1)
        assert not is_open(office)


async def test_a_clock_set_back_and_forth_ends_nothing_early_and_nothing_twice(
    autojump_clock: MockClock,
) -> None:
    async with an_office() as office:
        await asked(office, timeout=60)
        office.jump = -1_000_000_000
        await trio.sleep(100)
        assert is_open(office)
        office.jump = 0
        await trio.sleep(LONGEST + 0.1)
        assert not is_open(office)
        office.jump = -1_000_000_000
        await trio.sleep(100)
        await office.check(TOPICS)


async def test_while_the_store_fails_it_stays_open_and_is_ended_when_it_works(
    autojump_clock: MockClock,
) -> None:
    async with an_office() as office:
        await asked(office, user_id="anna")
        office.store.failing = True
        await trio.sleep(120)
        assert is_open(office)
        office.store.failing = False
        await trio.sleep(4)
        await office.check(TOPICS)
        assert not is_open(office)


async def test_an_answer_in_flight_at_the_deadline_counts(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office)
        await trio.sleep(59)
        office.store.appends.hold()
        answer = office.answer("a", value=1)
        await trio.sleep(10)
        office.store.appends.release()
        await wait_all_tasks_blocked()
        assert answer.result["value"] == 1
        await office.check(TOPICS)


async def test_an_answer_in_flight_that_fails_leaves_it_to_the_deadline(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await asked(office)
        await trio.sleep(59)
        office.store.appends.hold()
        office.answer("a", value=1)
        await trio.sleep(10)
        office.store.failing = True
        office.store.appends.release()
        await trio.sleep(1)
        office.store.failing = False
        await trio.sleep(5)
        assert not is_open(office)
        await office.check(TOPICS)


@pytest.mark.parametrize("path", [False, True])
async def test_thousands_overdue_at_once_after_a_restart_all_get_their_default(
    autojump_clock: MockClock, tmp_path: Any, path: bool
) -> None:
    count = 3_000
    async with an_office(str(tmp_path / "s.db") if path else None) as office:
        await office.broker.append([overdue(n) for n in range(count)])
        await office.restart()
        answer = office.answer("m2999", value=1)
        await trio.sleep(5)
        assert not list(office.hub.registry)
        stored = await office.stored()
        assert len(stored) == count
        assert all(one.settled is not None for one in stored.values())
        assert answer.over
        await office.check(["p0", "p299"])


def overdue(number: int) -> Append:
    """A prompt of one of 300 projects, as the store has it."""
    name, project = f"m{number}", f"p{number % 300}"
    data = b'{"prompt_id":"%b","project_id":"%b","message":"?","default":{"proceed":false}}' % (
        name.encode(),
        project.encode(),
    )
    body = b'{"type":"prompt","project_id":"%b","data":%b,"timestamp":""}' % (project.encode(), data)
    matter = an_interaction(name, project, at=BASE - 10**12)
    draft = Draft("prompt", None, body)
    return Append(project, [draft], BASE, f"e{number}", opens=[evolve(matter, body=data)])


async def test_one_project_that_is_slow_to_load_holds_up_no_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        await asked(office, "slow")
        await asked(office, "quick", project_id="q", timeout=61)
        await office.restart()
        right, gate = office.broker.load, trio.Event()

        async def load(project: str) -> Life:
            if project == "p":
                await gate.wait()
            return await right(project)

        monkeypatch.setattr(office.broker, "load", load)
        await trio.sleep(62)
        assert (is_open(office, "slow"), is_open(office, "quick")) == (True, False)
        gate.set()
        await wait_all_tasks_blocked()
        assert not is_open(office, "slow")


async def test_not_too_many_are_ended_at_the_same_time(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        await office.broker.append([overdue(n) for n in range(1_000)])
        under_way: list[int] = []
        right = type(office.broker).append

        async def append(self: Any, batch: Sequence[Append]) -> Any:
            under_way.append(len(batch))
            return await right(self, batch)

        monkeypatch.setattr(type(office.broker), "append", append)
        await office.restart()
        await trio.sleep(5)
        assert max(under_way) <= AT_ONCE
        assert sum(under_way) == 1_000


async def test_a_fault_of_the_hubs_own_is_told_and_tried_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        await asked(office)
        right, faults = office.hub.resolution.resolve, [ValueError("broken"), KeyError("broken")]

        async def settle(*arguments: Any) -> None:
            if faults:
                raise faults.pop()
            await right(*arguments)

        monkeypatch.setattr(office.hub.resolution, "resolve", settle)
        await trio.sleep(65)
        assert not is_open(office)
        assert len(office.faults) == 2
        office.faults.clear()


@pytest.mark.parametrize(
    "error", [ProjectDamaged("p", "a row is missing"), Refused("the hub is full", code="project_full")]
)
async def test_what_the_hub_refuses_is_said_once_and_tried_ever_more_seldom(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, error: PeerError
) -> None:
    async with an_office() as office:
        await asked(office)
        right, tries, refusing = office.hub.resolution.resolve, list[float](), True

        async def settle(*arguments: Any) -> None:
            tries.append(trio.current_time())
            if refusing:
                raise error
            await right(*arguments)

        monkeypatch.setattr(office.hub.resolution, "resolve", settle)
        with capture_logs() as lines:
            await trio.sleep(60 + 3_600)
        told = [line for line in lines if line["event"] == "not resolved at its deadline"]
        assert [(line["id"], line["code"], line["again"]) for line in told] == [("a", error.code, True)]
        assert 10 < len(tries) < 25
        refusing = False
        await trio.sleep(310)
        assert not is_open(office)
        await office.check(TOPICS)


async def test_what_can_never_be_settled_is_tried_once_and_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office() as office:
        await asked(office)
        right, tries = office.hub.resolution.resolve, 0

        async def settle(*arguments: Any) -> None:
            nonlocal tries
            tries += 1
            raise InvalidInput("too deep", field="value")

        monkeypatch.setattr(office.hub.resolution, "resolve", settle)
        with capture_logs() as lines:
            await trio.sleep(3_600)
        assert tries == 1
        (told,) = [line for line in lines if line["event"] == "not resolved at its deadline"]
        assert (told["log_level"], told["again"]) == ("error", False)
        assert is_open(office)
        monkeypatch.setattr(office.hub.resolution, "resolve", right)
        office.answer("a", value=1)
        await wait_all_tasks_blocked()
        assert not is_open(office)


async def test_a_store_that_fails_at_a_deadline_is_not_said_for_every_prompt(
    autojump_clock: MockClock,
) -> None:
    async with an_office() as office:
        await asked(office)
        office.store.failing = True
        with capture_logs() as lines:
            await trio.sleep(120)
        assert not [line for line in lines if line["event"] == "not resolved at its deadline"]
        office.store.failing = False
        await trio.sleep(4)
        await office.check(TOPICS)
