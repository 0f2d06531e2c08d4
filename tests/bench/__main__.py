"""``python -m tests.bench``: every figure beside its peers, taken alternately in one run.

CPU is user and system time of all the server's threads; server and client have a core each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.against import checked_out, print_ratios
from tests.bench.catalogue import OURS, PEERS
from tests.bench.install import install
from tests.bench.process import CLIENT_CORE, ROOT, pin, raise_open_files
from tests.bench.report import keep, print_scenario, print_verdicts, write_page
from tests.bench.run import Run
from tests.bench.scenario import Verdict
from tests.bench.scenarios import SCENARIOS


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    made = argparse.ArgumentParser(prog="just bench", description=__doc__)
    made.add_argument("scenario", nargs="*", help=f"which of {', '.join(SCENARIOS)}; all without one")
    made.add_argument("--rounds", type=int, default=3, help="rounds of all peers in turn (3)")
    made.add_argument(
        "--quick", action="store_true", help="small and short, to try the machinery; keeps nothing"
    )
    made.add_argument(
        "--only", action="append", metavar="PEER", help=f"one of {', '.join(PEERS)}; repeatable"
    )
    made.add_argument(
        "--against",
        metavar="REV",
        help="measure this checkout beside that commit, in turns, and print the ratios; keeps nothing",
    )
    made.add_argument("--dry", action="store_true", help="keep nothing: neither raw figures nor the page")
    made.add_argument(
        "--no-install", action="store_true", help="do not install peers; missing ones are left out"
    )
    made.add_argument("--docs", type=Path, default=ROOT / "docs", help="where figures, plots and page go")
    made.add_argument(
        "--page", action="store_true", help="measure nothing; draw plots and page of what is kept"
    )
    return made


def main() -> None:
    """Install, run, print, keep."""
    options = parser().parse_args()
    for given, known in ((options.scenario, SCENARIOS), (options.only or (), PEERS)):
        for name in given:
            if name not in known:
                sys.exit(f"bench: no {name!r}; there are {', '.join(known)}")
    if options.page:
        write_page(options.docs)
        return
    if options.against:
        options.only, options.dry = options.only or [OURS], True
    if not options.no_install:
        named = {peer for name in options.scenario or SCENARIOS for peer in SCENARIOS[name].peers}
        install(named & set(options.only or named))
    raise_open_files()
    pin(CLIENT_CORE)
    sys.exit(run(options))


def run(options: argparse.Namespace) -> str | None:
    """Measure, and keep what is to be kept; what to exit with."""
    against = checked_out(options.against) if options.against else None
    taken = Run(1 if options.quick else options.rounds, options.quick, options.only, against)
    verdicts: list[Verdict] = []
    for name in options.scenario or SCENARIOS:
        scenario = SCENARIOS[name]
        found = taken.measure(scenario)
        if not (options.quick or options.dry):
            found = keep(scenario, found, options.docs)
            write_page(options.docs)
        if against:
            print_ratios(scenario, found)
            continue
        print_scenario(scenario, found)
        verdicts += scenario.judge(found)
    print_verdicts(verdicts)
    for line in (*taken.missing.values(), *taken.failures):
        print(f"bench: {line}")
    if options.quick:
        print("bench: --quick tries the machinery: these figures say little")
    return f"bench: {len(taken.failures)} measurements failed" if taken.failures else None


if __name__ == "__main__":
    main()
