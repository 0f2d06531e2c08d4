"""What a scenario is: peers, a measurement that gives figures, and what is wanted of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.catalogue import OURS, Peer

Figures = dict[str, float]
ROUND = "round"
Found = Mapping[str, Sequence[Figures]]
"""Of each peer the figures of each round."""


@dataclass(frozen=True)
class Verdict:
    """One row of the table of what is wanted.

    Attributes:
        met: None where nothing is promised, or a peer that it is about is missing.
    """

    figure: str
    wanted: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Unit:
    """How a figure is shown."""

    title: str
    unit: str
    digits: int = 2
    less_is_better: bool = True


@dataclass(frozen=True)
class Scenario:
    """A measurement of each of its peers in turn.

    Attributes:
        measure: peer and `quick` to figures; starts what it needs itself.
        judge: the verdicts, from everything found.
        units: by figure; those named here are in the tables, the others only in the raw figures.
        plotted: the figures that get a plot.
        log: the plot's axis is logarithmic.
    """

    name: str
    title: str
    peers: tuple[str, ...]
    measure: Callable[[Peer, bool], Figures]
    judge: Callable[[Found], list[Verdict]]
    units: Mapping[str, Unit]
    plotted: tuple[str, ...] = ()
    rounds: int | None = None


def median(found: Found, peer: str, key: str) -> float | None:
    """The median over the rounds; None if the peer was not measured."""
    values = [run[key] for run in found.get(peer, ()) if key in run]
    return statistics.median(values) if values else None


def paired(found: Found, key: str, base: str) -> float | None:
    """The median over the rounds of one figure of ours over another of the same process."""
    ratios = [run[key] / run[base] for run in found.get(OURS, ()) if run.get(base)]
    return statistics.median(ratios) if ratios else None


def spread(found: Found, peer: str, key: str) -> tuple[float, float, float]:
    """Median, least and most."""
    values = [run[key] for run in found[peer] if key in run]
    return statistics.median(values), min(values), max(values)


def at_most(found: Found, figure: str, key: str, peer: str, factor: float, wanted: str) -> Verdict:
    """Whether ours is at most `factor` of a peer's."""
    ours, theirs = median(found, OURS, key), median(found, peer, key)
    if ours is None or theirs is None:
        return Verdict(figure, wanted, "not measured", None)
    return Verdict(
        figure, wanted, f"{ours / theirs:.2f} ({ours:.3g} : {theirs:.3g})", ours <= factor * theirs
    )


def bound(
    figure: str,
    wanted: str,
    value: float | None,
    shown: str,
    *,
    most: float = math.inf,
    least: float = -math.inf,
) -> Verdict:
    """A verdict on one value; `shown` formats it."""
    if value is None:
        return Verdict(figure, wanted, "not measured", None)
    return Verdict(figure, wanted, shown.format(value), least <= value <= most)
