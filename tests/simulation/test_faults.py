"""Every kind of fault is really felt, and a run without any is a run like any other."""

from __future__ import annotations

import pytest

from tests.simulation.run import Outcome, run_schedule
from tests.simulation.schedule import FAULT_KINDS, STORE_FAULTS, STREAM_FAULTS, Schedule, Step
from tests.simulation.tuning import _MODULES, BOUNDS

WATCHERS = 12


def publishes(count: int, what: str = "burst") -> list[Step]:
    return [Step("publish", who=number, what=what, dice=number) for number in range(count)]


def run(*steps: Step, seed: int = 3) -> Outcome:
    outcome = run_schedule(Schedule(seed, WATCHERS, 2, steps))
    assert not outcome.failed, outcome.told
    return outcome


def felt(outcome: Outcome) -> set[str]:
    return {fault for fault, _ in outcome.coverage}


def test_without_faults_none_is_felt() -> None:
    outcome = run(*publishes(5))
    assert outcome.events > 5
    assert felt(outcome) == set()


@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_a_stream_fault_is_felt(fault: str) -> None:
    sick = [Step(fault, who=number, dice=number, then="now") for number in range(WATCHERS)]
    assert fault in felt(run(*publishes(2), *sick, *publishes(4), Step("well"), Step("rest", then=3.0)))


@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_a_store_fault_is_felt(fault: str) -> None:
    ill = Step("store", what=fault, dice=1, then="now")
    back = [Step("leave", who=number) for number in range(3)]
    steps = (*publishes(2), ill, *back, *publishes(2), Step("rest", then=1.2), Step("repair"))
    assert fault in felt(run(*steps, Step("rest", then=3.0)))


@pytest.mark.parametrize("fault", ["kill", "clock", "wall", "delete", "drain"])
def test_a_fault_of_the_process_is_felt(fault: str) -> None:
    assert fault in felt(run(*publishes(2), Step(fault, dice=2), *publishes(2), Step("rest", then=3.0)))


def test_a_reader_whose_log_was_trimmed_is_known() -> None:
    away = [Step("leave", who=number) for number in range(WATCHERS)]
    floods = [step for _ in range(3) for step in (*publishes(4, "flood"), Step("rest", then=2.5))]
    back = [Step("return", who=number) for number in range(WATCHERS)]
    trimmed = [run(*publishes(3), *away, *floods, *back, seed=seed) for seed in range(4)]
    assert any("trim" in felt(outcome) for outcome in trimmed)


def test_every_kind_of_fault_is_in_one_of_these_tests() -> None:
    tested = {*STREAM_FAULTS, *STORE_FAULTS, "kill", "clock", "wall", "delete", "drain", "trim"}
    assert tested == set(FAULT_KINDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_that_is_made_small_is_one_of_the_hub(name: str) -> None:
    assert any(hasattr(module, name) for module in _MODULES)
