"""The same seed gives the same run, whatever else differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.run import run_seed
from tests.simulation.schedule import FAULTS, STEPS, make

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (1, 5)
_TELL = f"""
from tests.simulation.run import run_seed
print(*(run_seed(seed).trace for seed in {SEEDS}))
"""


def traces(hash_seed: str, temporary: Path) -> list[str]:
    """Of some seeds, run in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", _TELL], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_same_seed_gives_the_same_trace_in_every_process(tmp_path: Path) -> None:
    here = [run_seed(seed).trace for seed in SEEDS]
    assert traces("1", tmp_path) == here
    assert traces("2", tmp_path / "..") == here


def test_different_seeds_give_different_traces() -> None:
    assert len({run_seed(seed).trace for seed in range(3)}) == 3


def test_every_schedule_has_its_steps_and_faults() -> None:
    faults = {
        "store",
        "kill",
        "clock",
        "wall",
        "delete",
        "drain",
        "leave",
        "trickle",
        "cut",
        "drop",
        "half-close",
        "stall",
        "desert",
    }
    for seed in range(300):
        steps = make(seed).steps
        assert len(steps) >= STEPS
        assert sum(step.kind in faults or step.what == "race" for step in steps) >= FAULTS
    sizes = sorted(make(seed).watchers for seed in range(2_000))
    assert 5 <= sizes[0] <= 6
    assert 18 <= sizes[1_000] <= 22
    assert sizes[-1] > 200
