"""The simulation finds what it is there to find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from tasktree_rt.hub.delivery import shedding
from tests.simulation import mutants
from tests.simulation.run import run_schedule
from tests.simulation.schedule import make
from tests.simulation.seeding import replaced
from tests.simulation.shrink import Shrinking


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(mutants.ROOT / "tasktree_rt", folder / "tasktree_rt")
    return folder


def test_there_are_enough_mutants() -> None:
    assert len(mutants.names()) >= 12


@pytest.mark.parametrize("name", mutants.names())
def test_a_mutant_still_applies_to_the_package(name: str, package: Path) -> None:
    mutants.plant(name, package, check=True)


@pytest.mark.parametrize("name", ["conflated-forgets-removals", "seam-off-by-one"])
def test_a_mutant_is_found_soon(name: str) -> None:
    after, rule = mutants.hunt(name, seeds=120)
    assert after is not None
    assert rule


@contextmanager
def every_policy_forgotten() -> Iterator[None]:
    """A bug to be found: what is shed is simply lost."""
    with replaced(shedding, "_shed", lambda reader, item: reader.outbox.drop(item.batch.project_id)):
        yield


def test_a_failing_schedule_is_shrunk_and_fails_again_in_the_same_way() -> None:
    with every_policy_forgotten():
        found = next(one for seed in range(20) if (one := run_schedule(make(seed))).failed)
        whole = make(found.seed)
        small = Shrinking(lambda one: run_schedule(one).rule == found.rule, runs=60).shrink(whole)
        first, second = run_schedule(small), run_schedule(small)
    assert first == second
    assert first.rule == found.rule
    assert len(small.steps) < len(whole.steps) // 2
    assert not run_schedule(evolve(small)).failed
