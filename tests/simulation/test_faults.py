"""Every kind of fault is really felt, and a run without any is a run like any other."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Final

import pytest

from tasktree_rt import hub
from tests.simulation.interactions import Interactions, ModelInteraction
from tests.simulation.run import Outcome, run_schedule, run_seed
from tests.simulation.schedule import (
    FAULT_KINDS,
    PEOPLE_FAULTS,
    STORE_FAULTS,
    STREAM_FAULTS,
    Schedule,
    Step,
)
from tests.simulation.seeding import replaced
from tests.simulation.tuning import _MODULES, BOUNDS

OTHERS: Final = {
    ("deadlines", "AT_ONCE"),
    ("schema_checks", "AT_ONCE"),
    ("directory", "SHARED"),
    ("disconnecting", "AT_ONCE"),
}
"""Bounds of the same name that mean something else, or of what the simulation does not do."""

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


def asks(count: int, what: str = "") -> list[Step]:
    return [Step("prompt", what=what, dice=number) for number in range(count)]


def answers(count: int, what: str = "", then: str = "settle") -> list[Step]:
    return [Step("answer", who=number, what=what, dice=number, then=then) for number in range(count)]


def commands(count: int) -> list[Step]:
    return [Step("command", dice=number) for number in range(count)]


ENDS: dict[str, list[Step]] = {
    "race": [*asks(3), *answers(4, "race", "now")],
    "late": [*asks(6, "short"), Step("kill", then="now"), Step("clock"), Step("rest", then=3.0)],
    "unheard": [
        *asks(6),
        Step("store", what="crash-after"),
        *answers(6, "race", then="now"),
        Step("rest", then=3.0),
    ],
    "desert": [
        *commands(6),
        Step("desert"),
        Step("obey", dice=1),
        Step("obey", dice=2),
        Step("obey", dice=3),
    ],
}


@pytest.mark.parametrize("fault", PEOPLE_FAULTS)
def test_a_fault_of_those_who_answer_and_obey_is_felt(fault: str) -> None:
    assert fault in felt(run(*publishes(2), *ENDS[fault]))


def test_prompts_and_commands_are_settled_in_every_way_there_is() -> None:
    outcomes = Counter[str]()
    count = Interactions._settles

    def settles(matters: Interactions, one: ModelInteraction, outcome: dict[str, Any]) -> None:
        outcomes[f"{one.kind} {outcome.get('how') or outcome['status']}"] += 1
        count(matters, one, outcome)

    wanted = {f"prompt {how}" for how in ("answered", "timeout", "cancelled")}
    wanted |= {f"command {how}" for how in ("done", "refused", "timeout", "cancelled")}
    with replaced(Interactions, "_settles", settles):
        for seed in range(20):
            assert not run_seed(seed).failed
            if outcomes.keys() >= wanted:
                break
    assert outcomes.keys() == wanted


def test_every_kind_of_fault_is_in_one_of_these_tests() -> None:
    tested = {
        *STREAM_FAULTS,
        *STORE_FAULTS,
        "kill",
        "clock",
        "wall",
        "delete",
        "drain",
        "trim",
        *PEOPLE_FAULTS,
    }
    assert tested == set(FAULT_KINDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_that_is_made_small_is_one_of_the_hub(name: str) -> None:
    assert any(hasattr(module, name) for module in _MODULES)


def test_a_bound_is_made_small_in_every_module_of_the_hub_that_has_it() -> None:
    modules = [import_module(one.name) for one in walk_packages(hub.__path__, "tasktree_rt.hub.")]
    left = {
        (module.__name__.rpartition(".")[2], name)
        for module in modules
        for name in BOUNDS
        if hasattr(module, name) and module not in _MODULES
    }
    assert left == OTHERS
