"""``just soak --hours 1``: the verdicts, the load test's own report, and a plot."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import trio

from tasktree_rt.load.plots import plot
from tasktree_rt.load.report import faults, summary
from tests.soak.run import FIGURES, Soak, soak

STYLE = (
    "<style>svg{font:11px sans-serif;background:#fff;fill:#222}.title{font-weight:600}"
    ".grid{stroke:#8884}</style>"
)


def drawing(found: Soak) -> str:
    """All figures over time, as one SVG file."""
    parts = [
        f'<g transform="translate(0 {220 * at})">{plot(name, "s", unit, {name: found.samples[name]})}</g>'
        for at, (name, unit, _) in enumerate(FIGURES)
    ]
    height = 220 * len(FIGURES)
    parts = [part.replace("<svg ", '<svg width="720" height="220" ') for part in parts]
    size = f'viewBox="0 0 720 {height}" width="720" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{STYLE}{"".join(parts)}</svg>\n'


def _course(found: Soak, name: str, unit: str) -> str:
    """Return how fast a figure grew in each quarter of the window."""
    slopes = ", ".join(f"{one.estimate * 3600:+,.1f}" for one in found.course(name))
    return f"{name}, {unit} an hour, quarter by quarter: {slopes}"


def main() -> int:
    """Run a soak; exit code 1 if a delivery is unaccounted for, or a figure grows."""
    parser = argparse.ArgumentParser(prog="just soak")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--pace", type=float, default=1.0, help="times the plan's events a second, and more")
    parser.add_argument("--plot", type=Path, help="write the figures over time here, as SVG")
    parser.add_argument("--samples", type=Path, help="write all samples here, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = trio.run(soak, Path(folder), given.hours * 3600, given.pace)
    if given.plot:
        given.plot.write_text(drawing(found), encoding="utf-8")
    if given.samples:
        given.samples.write_text(json.dumps({"began": found.began, "samples": found.samples}))
    verdicts = found.verdicts(1 / 2)
    lines = [*summary(found.report), "after the restarts:", *map(str, found.verdicts())]
    lines += [_course(found, "memory", "MB"), _course(found, "blocks", "1,000")]
    lines += ["the second half of that, which decides:", *map(str, verdicts)]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(faults(found.report)) or not all(one.flat for one in verdicts))


if __name__ == "__main__":
    sys.exit(main())
