"""``python -m tests.simulation``: any number of seeds on both cores, one seed again, or the planted bugs."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.pool import ThreadPool
from operator import itemgetter
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation import mutants, report
from tests.simulation.run import Outcome, run_schedule, run_seed
from tests.simulation.schedule import make
from tests.simulation.shrink import shrink
from tests.simulation.world import Coverage

WIDE: Final = 220
"""Columns of a terminal that the table of faults and watchers needs; in a narrower one lines go on below."""
CHUNK: Final = 4
"""Seeds that a process takes at a time."""


def main() -> int:
    """Run what the arguments say; 0 if every promise was kept."""
    wish = _arguments()
    console = Console(highlight=False, width=max(Console().width, WIDE))
    if wish.hunt:
        return _hunt(wish.first, wish.seeds)
    if wish.mutants:
        return _mutants(console, wish)
    if wish.seed is not None:
        return _one(console, wish.seed)
    first = random.SystemRandom().randrange(1 << 40) if wish.new else wish.first
    return _many(console, range(first, first + wish.seeds), wish.jobs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (200)")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--new", action="store_true", help="seeds that nobody has run before")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, help="one seed, twice; if it fails, its schedule is shrunk")
    parser.add_argument("--mutants", nargs="*", help="find the planted bugs, all or those named")
    parser.add_argument("--hunt", action="store_true", help=argparse.SUPPRESS)
    wish = parser.parse_args()
    wish.named, wish.mutants = wish.mutants or mutants.names(), wish.mutants is not None
    return wish


def _outcomes(seeds: range, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(run_seed, seeds, CHUNK)


def _many(console: Console, seeds: range, jobs: int) -> int:
    coverage: Coverage = Counter()
    failed: list[Outcome] = []
    done = steps = events = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Broken off by hand, it tells of what there was.
    with suppress(KeyboardInterrupt), Progress(*columns, console=console) as progress:
        task = progress.add_task(f"seeds from {seeds.start}", total=len(seeds))
        for outcome in _outcomes(seeds, jobs):
            progress.advance(task)
            done += 1
            coverage.update(outcome.coverage)
            steps, events = steps + outcome.steps, events + outcome.events
            if outcome.failed:
                failed.append(outcome)
                progress.console.print(f"seed {outcome.seed}: {outcome.told}", markup=False)
    console.print(report.coverage_table(coverage))
    console.print(f"{done} seeds, {steps} steps, {events} events, {len(failed)} failed")
    if failed:
        _explain(console, failed[0])
    return 1 if failed else _enough(console, coverage, done)


def _enough(console: Console, coverage: Coverage, seeds: int) -> int:
    hits, pair = report.least(coverage)
    console.print(f"the pair hit least: {pair}, {hits} times", markup=False)
    return 1 if seeds >= report.MANY and hits < report.WANTED else 0


def _explain(console: Console, outcome: Outcome) -> None:
    with console.status("shrinking"):
        small = shrink(make(outcome.seed), outcome.rule)
    report.show_failure(console, outcome, small)


def _one(console: Console, seed: int) -> int:
    schedule = make(seed)
    outcome, again = run_schedule(schedule), run_schedule(schedule)
    if outcome.trace != again.trace:
        console.print(f"seed {seed} runs differently each time: {outcome.trace}, {again.trace}")
        return 1
    if outcome.failed:
        _explain(console, outcome)
        return 1
    console.print(f"seed {seed}: {outcome.steps} steps, {outcome.events} events, trace {outcome.trace}")
    return 0


def _hunt(first: int, seeds: int) -> int:
    """For `mutants`: seeds in turn until one fails; says so on one line of JSON."""
    for count, outcome in enumerate(map(run_seed, range(first, first + seeds)), 1):
        if outcome.failed:
            said = {"after": count, "rule": outcome.rule, "seed": outcome.seed}
            break
    else:
        said = {"after": None, "rule": ""}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0


def _mutants(console: Console, wish: argparse.Namespace) -> int:
    found: list[tuple[str, int | None, str]] = []
    with (
        Progress(*Progress.get_default_columns(), console=console) as progress,
        ThreadPool(wish.jobs) as pool,
    ):
        task = progress.add_task("mutants", total=len(wish.named))
        for one in pool.imap_unordered(partial(_sought, first=wish.first), wish.named):
            found.append(one)
            progress.advance(task)
            console.print(report.mutant_line(*one), markup=False)
            console.file.flush()
    console.print(report.mutants_table(sorted(found, key=itemgetter(0))))
    return 0 if all(seeds is not None for _, seeds, _ in found) else 1


def _sought(name: str, first: int) -> tuple[str, int | None, str]:
    try:
        return (name, *mutants.hunt(name, first))
    except mutants.Rotten as error:
        return name, None, f"does not apply: {error}"


if __name__ == "__main__":
    sys.exit(main())
