"""From a publish until the last watcher has it, when little happens."""

from __future__ import annotations

import statistics

from tests.bench.catalogue import FASTAPI, OURS, Peer
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, at_most
from tests.bench.scenarios.fanout import watched


def measure(peer: Peer, quick: bool) -> Figures:
    """Ten events a second to 500 watchers; ms."""
    with watched(peer, 100 if quick else 500) as (_, client):
        client.paced(5, 0.02)
        taken = client.paced(20 if quick else 100, 0.1)
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


def judge(found: Found) -> list[Verdict]:
    """Never later than theirs."""
    figure = "10 events/s, publish to the last of 500 watchers, p99"
    return [
        at_most(found, f"{figure}: of FastAPI's (uvloop)", "p99_ms", "fastapi-uvloop", 1, "≤ 1"),
        at_most(found, f"{figure}: of FastAPI's (asyncio)", "p99_ms", "fastapi-asyncio", 1, "≤ 1"),
        at_most(found, f"{figure}: of `websockets.broadcast`'s", "p99_ms", "websockets", 1, "≤ 1"),
        at_most(found, f"{figure}: of Centrifugo's", "p99_ms", "centrifugo", 1, "≤ 1"),
    ]


LATENCY = Scenario(
    name="latency",
    title="Publish to the last of 500 watchers, at 10 events/s",
    peers=(OURS, *FASTAPI, "websockets", "centrifugo"),
    measure=measure,
    judge=judge,
    units={"p50_ms": Unit("p50", "ms"), "p99_ms": Unit("p99", "ms")},
    plotted=("p50_ms", "p99_ms"),
)
