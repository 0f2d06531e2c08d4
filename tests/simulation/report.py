"""What a person sees: the table of coverage, a failing seed, the mutants found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.simulation.run import Outcome
from tests.simulation.schedule import FAULT_KINDS, PEOPLE_FAULTS, Schedule
from tests.simulation.world import Coverage

LABELS: Final = (
    "native conflate",
    "native resync",
    "native disconnect",
    "plain disconnect",
    "sse conflate",
    "sse resync",
    "sse disconnect",
    "execution newest",
    "aiecs newest",
    "autogpt newest",
)
UNFELT: Final = {
    "execution newest": (*PEOPLE_FAULTS, "trim"),
    "aiecs newest": ("desert", "delete", "trim"),
    "autogpt newest": (*PEOPLE_FAULTS, "delete", "trim"),
}
"""What cannot concern somebody: who is not asked, who watches no project, who has no position."""
WANTED: Final = 100
"""Hits of each pair over `MANY` seeds."""
MANY: Final = 10_000


def coverage_table(coverage: Coverage) -> Table:
    """How often each kind of fault was felt by watchers of each kind and policy."""
    table = Table(title="faults felt, by kind of watcher and policy")
    table.add_column("fault", no_wrap=True)
    for label in LABELS:
        table.add_column(label, justify="right", min_width=max(map(len, label.split())))
    for fault in FAULT_KINDS:
        table.add_row(fault, *(_times(coverage, fault, label) for label in LABELS))
    return table


def least(coverage: Coverage) -> tuple[int, str]:
    """The pair that was hit least."""
    pairs = [
        (fault, label) for fault in FAULT_KINDS for label in LABELS if fault not in UNFELT.get(label, ())
    ]
    return min((coverage[fault, label], f"{fault} × {label}") for fault, label in pairs)


def _times(coverage: Coverage, fault: str, label: str) -> str:
    return "–" if fault in UNFELT.get(label, ()) else str(coverage[fault, label])


def show_failure(console: Console, outcome: Outcome, small: Schedule | None) -> None:
    """A failing seed, with what is left of its schedule."""
    console.print(f"[bold red]seed {outcome.seed} fails[/]: ", end="")
    console.print(outcome.told, markup=False, highlight=False)
    console.print(f"trace {outcome.trace}; again with: just simulate --seed {outcome.seed}", markup=False)
    if small is None:
        return
    present = sorted(set(range(small.watchers)) - small.absent)
    console.print(f"shrunk to {len(small.steps)} steps and the watchers {present}:", markup=False)
    for step in small.steps:
        console.print(f"  {step}", markup=False, highlight=False)


def mutant_line(name: str, seeds: int | None, rule: str) -> str:
    """What one hunt found, as soon as it has ended."""
    return f"{name}: {rule or 'not found'}" if seeds is None else f"{name}: after {seeds}, {rule}"


def mutants_table(found: Iterable[tuple[str, int | None, str]]) -> Table:
    """After how many seeds each planted bug was found, and by which rule."""
    table = Table("mutant", "found after", "by the rule", title="planted bugs")
    table.columns[1].justify = "right"
    for name, seeds, rule in found:
        table.add_row(name, "[red]not found[/]" if seeds is None else str(seeds), rule)
    return table
