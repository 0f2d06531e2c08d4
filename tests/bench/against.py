"""Ours beside ours: another commit, checked out into ``.bench`` and measured in turns with this checkout.

A machine's speed drifts by more than a change is worth, so a figure is the ratio of two neighbours in one
round. Its interval comes from the rounds' order alone and assumes no distribution.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.catalogue import AGAINST, OURS, Peer
from tests.bench.install import PIP_INSTALL
from tests.bench.process import HOME, ROOT
from tests.bench.scenario import ROUND, Found, Scenario

WORSE = 1.03
"""A ratio whose whole interval lies above this is called worse."""
CONFIDENCE = 0.95
PINS = ("pyproject.toml", "constraints.txt")


def checked_out(revision: str) -> Peer:
    """Check `revision` out once and return it as a peer; packages of its own where its pins differ."""
    try:
        commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        sys.exit(f"bench: no commit {revision!r} in this repository")
    folder = HOME / "checkouts" / commit
    if not (folder / "tasktree_rt").is_dir():
        print(f"bench: checking out {commit[:9]} into {HOME.name}/checkouts", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "--extract"], cwd=folder, check=True, input=archive.stdout)
    label = f"tasktree_rt at {commit[:9]}"
    return Peer(AGAINST, label, "hub.py", checkout=folder, python=_python(folder))


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _python(folder: Path) -> str:
    """This interpreter where the pins are the same; else one with the packages of that commit."""
    if all((folder / name).read_bytes() == (ROOT / name).read_bytes() for name in PINS):
        return sys.executable
    python = folder / ".venv" / "bin" / "python"
    if not python.exists():
        print(f"bench: installing the packages of {folder.name[:9]}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        pins = ("--constraint", str(folder / "constraints.txt"))
        subprocess.run([str(python), *PIP_INSTALL, *pins, "hatchling", "editables"], check=True)
        own = (*pins, "--no-build-isolation", "--editable", str(folder))
        subprocess.run([str(python), *PIP_INSTALL, *own], check=True)
    return str(python)


def ratios(found: Found, key: str) -> list[float]:
    """This checkout's figure over the other's, of each round in which both have it."""
    ours, theirs = (
        {figures[ROUND]: figures[key] for figures in found.get(name, ()) if figures.get(key)}
        for name in (OURS, AGAINST)
    )
    return [value / theirs[number] for number, value in ours.items() if number in theirs]


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The interval that holds the median with at least 95 %; None with fewer than 6 values.

    Order statistics: as many values lie below the median as heads fall in as many tosses of a coin.
    """
    count, cut, below = len(values), 0, 0.0
    while cut < count / 2:
        below += math.comb(count, cut) / 2**count
        if 2 * below > 1 - CONFIDENCE:
            break
        cut += 1
    if cut == 0:
        return None
    ordered = sorted(values)
    return ordered[cut - 1], ordered[-cut]


def print_ratios(scenario: Scenario, found: Found) -> None:
    """Print the median ratio of each figure, its interval and what that says."""
    print(f"\nthis checkout : the other, {scenario.title}")
    for key, unit in scenario.units.items():
        values = ratios(found, key)
        if values:
            print(f"  {unit.title:44} {_told(values, unit.less_is_better)}", flush=True)


def _told(values: Sequence[float], less_is_better: bool) -> str:
    middle = f"{statistics.median(values):.3f}"
    between = interval(values)
    if between is None:
        return f"{middle}  ({len(values)} rounds: too few for an interval, 6 at least)"
    low, high = between
    worse = low > WORSE if less_is_better else high < 1 / WORSE
    return f"{middle}  [{low:.3f}, {high:.3f}]  {len(values)} rounds{'  WORSE' if worse else ''}"
