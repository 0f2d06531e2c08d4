"""Running a scenario: its peers in turn, round after round."""

from __future__ import annotations

import time
import traceback

from tests.bench.catalogue import AGAINST, OURS, PEERS, Missing, Peer
from tests.bench.scenario import ROUND, Figures, Scenario


class Run:
    """One run of the bench; what failed in it, and what was missing, is kept."""

    def __init__(self, rounds: int, quick: bool, only: list[str] | None, against: Peer | None = None) -> None:
        self.rounds, self.quick, self.only = rounds, quick, only
        self.peers = PEERS | ({AGAINST: against} if against else {})
        self.failures: list[str] = []
        self.missing: dict[str, str] = {}

    def measure(self, scenario: Scenario) -> dict[str, list[Figures]]:
        """The figures of each peer in each round. A peer that is missing or fails is told of and left out."""
        found: dict[str, list[Figures]] = {}
        print(f"\n{scenario.title} ({scenario.name})", flush=True)
        for number in range(min(self.rounds, scenario.rounds or self.rounds)):
            for name in self._in_turn(scenario, number):
                figures = self._one(scenario, name, number + 1)
                if figures is not None:
                    found.setdefault(name, []).append(figures | self._mark(number))
        return found

    def _one(self, scenario: Scenario, name: str, number: int) -> Figures | None:
        begun = time.perf_counter()
        try:
            figures = scenario.measure(self.peers[name], self.quick)
        except Missing as why:
            self.missing[name] = str(why)
            print(f"  LEFT OUT  {why}", flush=True)
            return None
        except Exception as error:
            self.failures.append(f"{scenario.name}, {name}, round {number}: {type(error).__name__}: {error}")
            print(f"  FAILED  {self.failures[-1]}", flush=True)
            traceback.print_exc()
            return None
        shown = "  ".join(f"{key} {value:,.6g}" for key, value in figures.items())
        print(f"  round {number}  {name:16} {shown}  [{time.perf_counter() - begun:.0f} s]", flush=True)
        return figures

    def _mark(self, number: int) -> Figures:
        """Which round figures are of: only pairs of one round are compared with another checkout."""
        return {ROUND: number} if AGAINST in self.peers else {}

    def _in_turn(self, scenario: Scenario, number: int) -> list[str]:
        """The peers, every other round in the other direction, so that none always follows the same one."""
        names = [n for n in scenario.peers if (not self.only or n in self.only) and n not in self.missing]
        if AGAINST in self.peers and OURS in names:
            names.insert(names.index(OURS), AGAINST)
        return names[::-1] if number % 2 else names
