"""Durable ingest: acked events a second, each a publish of its own, on disk before its ack."""

from __future__ import annotations

from tests.bench.catalogue import OURS, Peer
from tests.bench.pumps import hub_pumps, redis_pumps, run_all
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median

LEAST = 20_000
KINDS = {"one": (1, 64), "fifty": (50, 64), "fifty_waiting": (50, 1)}
"""Producers and what each keeps unanswered."""


def measure(peer: Peer, quick: bool) -> Figures:
    """Events a second, and CPU an event (µs), of each kind."""
    events = 4_000 if quick else 40_000
    make = hub_pumps if peer.is_hub else redis_pumps
    figures: Figures = {}
    with peer.start() as server:
        run_all(make(server.port, 2, 500, 32))
        for kind, (producers, window) in KINDS.items():
            pumps = make(server.port, producers, events // producers, window)
            before = server.cpu()
            taken = run_all(pumps)
            figures[f"{kind}_rate"] = events / taken
            figures[f"{kind}_us"] = (server.cpu() - before) / events * 1e6
    return figures


def judge(found: Found) -> list[Verdict]:
    """Each kind has a floor; Redis stands beside it without one."""
    verdicts = []
    for kind, (producers, window) in KINDS.items():
        who = f"{producers} producer{'s' * (producers > 1)}, {window} unacked each"
        rate, redis = median(found, OURS, f"{kind}_rate"), median(found, "redis", f"{kind}_rate")
        beside = f"; {rate / redis:.2f} × Redis ({redis:,.0f})" if rate and redis else ""
        verdicts.append(
            bound(
                f"durable ingest, {who}",
                f"≥ {LEAST:,} acked/s",
                rate,
                "{:,.0f}/s" + beside,
                least=LEAST,
            )
        )
    return verdicts


INGEST = Scenario(
    name="ingest",
    title="Durable ingest, one event a publish",
    peers=(OURS, "redis"),
    measure=measure,
    judge=judge,
    units={
        f"{kind}_{what}": Unit(f"{kind.replace('_', ', ')}: {title}", unit, digits, what == "us")
        for kind in KINDS
        for what, title, unit, digits in (("rate", "acked events", "/s", 0), ("us", "CPU an event", "µs", 1))
    },
    plotted=tuple(f"{kind}_rate" for kind in KINDS),
)
