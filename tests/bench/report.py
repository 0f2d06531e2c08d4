"""What comes of a run: raw figures as JSON, plots, and the tables of docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.catalogue import OURS, PEERS
from tests.bench.plot import bars
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, spread
from tests.bench.scenarios import SCENARIOS

BEGIN, END = "<!-- bench: begin; written by `just bench` -->", "<!-- bench: end -->"
FOLDER, PAGE = "benchmarks", "benchmarks.md"
WORDS = {True: "met", False: "**not met**", None: "–"}


def keep(scenario: Scenario, found: Found, docs: Path) -> dict[str, list[Figures]]:
    """Put figures into the scenario's file, beside those of peers that were not measured now; all of them."""
    file = _file(docs, scenario)
    file.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(file.read_text()) if file.exists() else {"peers": {}, "taken": {}}
    peers = before["peers"] | {name: list(runs) for name, runs in found.items()}
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    all_of: dict[str, list[Figures]] = {name: peers[name] for name in PEERS if name in peers}
    kept = {
        "scenario": scenario.name,
        "machine": machine(),
        "taken": before["taken"] | dict.fromkeys(found, now),
        "peers": all_of,
    }
    file.write_text(json.dumps(kept, indent=1) + "\n")
    return all_of


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def write_page(docs: Path) -> None:
    """Draw the plots and write the tables between the page's two markers."""
    page = docs / PAGE
    text = page.read_text() if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head}{BEGIN}\n\n{_tables(docs)}\n{END}{tail}")


def _tables(docs: Path) -> str:
    kept = {
        name: json.loads(_file(docs, one).read_text())
        for name, one in SCENARIOS.items()
        if _file(docs, one).exists()
    }
    if not kept:
        return "Nothing was measured yet.\n"
    verdicts = [one for name in kept for one in SCENARIOS[name].judge(kept[name]["peers"])]
    parts = [_machines(kept.values()), verdict_table(verdicts)]
    for name, one in kept.items():
        parts.append(_section(SCENARIOS[name], one["peers"], docs))
    return "\n".join(parts)


def _machines(kept: Iterable[dict[str, Any]]) -> str:
    machines = sorted(
        {
            f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, Python {m['python']}"
            for m in (k["machine"] for k in kept)
        }
    )
    times = sorted({when for one in kept for when in one["taken"].values()})
    between = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    return f"Taken {between} on {'; '.join(machines)}.\n"


def verdict_table(verdicts: Iterable[Verdict]) -> str:
    """What is wanted, what was measured."""
    rows = [f"| {one.figure} | {one.wanted} | {one.measured} | {WORDS[one.met]} |" for one in verdicts]
    return "\n".join(["| figure | wanted | measured | |", "|---|---|---|---|", *rows, ""])


def _section(scenario: Scenario, found: Found, docs: Path) -> str:
    lines = [f"### {scenario.title}", "", *_rows(scenario, found), ""]
    if len(found) > 1:
        for key in scenario.plotted:
            name = f"{scenario.name}-{key}.svg"
            unit = scenario.units[key]
            values = [
                (PEERS[peer].label, spread(found, peer, key), peer == OURS)
                for peer in found
                if _has(found, peer, key)
            ]
            (docs / FOLDER / name).write_text(
                bars(f"{scenario.title}: {unit.title}, {unit.unit}", values, unit.digits)
            )
            lines += [f"![{scenario.title}: {unit.title}]({FOLDER}/{name})", ""]
    return "\n".join(lines)


def _rows(scenario: Scenario, found: Found) -> list[str]:
    if len(scenario.peers) == 1:
        rows = [f"| {unit.title} | {_cell(found, OURS, key, unit)} |" for key, unit in scenario.units.items()]
        return ["| | median (least–most) |", "|---|---|", *rows] if OURS in found else []
    heads = " | ".join(f"{unit.title}, {unit.unit}" for unit in scenario.units.values())
    rows = [
        " | ".join(
            [
                f"| {PEERS[peer].label}",
                *(_cell(found, peer, key, unit, "") for key, unit in scenario.units.items()),
            ]
        )
        + " |"
        for peer in found
    ]
    absent = [
        f"| {PEERS[peer].label}{' | not measured' * len(scenario.units)} |"
        for peer in scenario.peers
        if peer not in found
    ]
    return [f"| | {heads} |", "|---" * (len(scenario.units) + 1) + "|", *rows, *absent]


def _has(found: Found, peer: str, key: str) -> bool:
    return any(key in run for run in found[peer])


def _cell(found: Found, peer: str, key: str, unit: Unit, suffix: str | None = None) -> str:
    if not _has(found, peer, key):
        return "–"
    middle, least, most = spread(found, peer, key)
    digits = unit.digits
    shown = f" {unit.unit}" if suffix is None else suffix
    return f"{middle:,.{digits}f}{shown} ({least:,.{digits}f}–{most:,.{digits}f})"


def print_scenario(scenario: Scenario, found: Found) -> None:
    """The scenario's table, for a terminal."""
    print("\n" + "\n".join(_rows(scenario, found)), flush=True)


def print_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Everything that is wanted, and whether it is met."""
    print()
    for one in verdicts:
        word = {True: "met", False: "NOT MET", None: "-"}[one.met]
        print(f"{word:8} {one.figure}: wanted {one.wanted}, measured {one.measured}")


def _file(docs: Path, scenario: Scenario) -> Path:
    return docs / FOLDER / f"{scenario.name}.json"
