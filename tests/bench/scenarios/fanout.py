"""One producer, many watchers of one project: CPU a delivery."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.catalogue import WATCHED, Peer
from tests.bench.client import Client
from tests.bench.process import Server
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, at_most

EVENTS = 2_000
BUDGET = 5.0
"""Seconds: a peer that would need longer for all events gets fewer."""
FEWEST, WHILE = 20, 0.25


@contextmanager
def watched(peer: Peer, watchers: int) -> Iterator[tuple[Server, Client]]:
    """A fresh server with `watchers` of one project, and a producer."""
    with peer.start() as server:
        client = Client(server.port, peer.speech)
        try:
            client.connect(watchers)
            client.open_producer()
            yield server, client
        finally:
            client.close()


def burst(peer: Peer, watchers: int, most: int = EVENTS, budget: float = BUDGET) -> Figures:
    """CPU a delivery (µs) while up to 64 publishes are unacked."""
    with watched(peer, watchers) as (server, client):
        events = max(FEWEST, min(most, int(budget / warm_up(client, most))))
        before, begun = server.cpu(), time.perf_counter()
        client.burst(events)
        taken, spent = time.perf_counter() - begun, server.cpu() - before
    deliveries = events * watchers
    return {
        "us": spent / deliveries * 1e6,
        "rate": deliveries / taken,
        "events": events,
        "load": spent / taken,
    }


def warm_up(client: Client, most: int) -> float:
    """More and more events at a time until that takes a while; seconds an event of the last lot."""
    few = 5
    while True:
        begun = time.perf_counter()
        client.burst(few)
        taken = time.perf_counter() - begun
        if taken > WHILE or few * 4 > most:
            return taken / few
        few *= 4


def single(peer: Peer, watchers: int, events: int) -> Figures:
    """CPU a delivery (µs) when each event is published after every watcher has the one before."""
    with watched(peer, watchers) as (server, client):
        client.one_by_one(20)
        before = server.cpu()
        taken = client.one_by_one(events)
        spent = server.cpu() - before
    return {"us": spent / (events * watchers) * 1e6, "last_ms": statistics.median(taken) * 1e3}


def measure_burst(peer: Peer, quick: bool) -> Figures:
    """With 500 watchers."""
    return burst(peer, 100 if quick else 500, 500 if quick else EVENTS, 1.0 if quick else BUDGET)


def measure_crowd(peer: Peer, quick: bool) -> Figures:
    """With 5,000 watchers."""
    return burst(peer, 1_000 if quick else 5_000, 200 if quick else EVENTS, 1.0 if quick else BUDGET)


def measure_single(peer: Peer, quick: bool) -> Figures:
    """With 500 watchers."""
    return single(peer, 100 if quick else 500, 50 if quick else 200)


def judge_burst(figure: str, found: Found) -> list[Verdict]:
    """Far below what it replaces."""
    return [
        at_most(found, f"{figure}: of FastAPI's (uvloop)", "us", "fastapi-uvloop", 0.1, "≤ 1/10"),
        at_most(found, f"{figure}: of FastAPI's (asyncio)", "us", "fastapi-asyncio", 0.1, "≤ 1/10"),
        at_most(found, f"{figure}: of `websockets.broadcast`'s", "us", "websockets", 0.2, "≤ 1/5"),
        at_most(found, f"{figure}: of Nchan's", "us", "nchan", 1, "< 1"),
        at_most(found, f"{figure}: of Centrifugo's", "us", "centrifugo", 1 / 6, "≤ 1/6"),
    ]


def judge_single(found: Found) -> list[Verdict]:
    """Near the floor."""
    figure = "one at a time, 500 watchers, CPU a delivery"
    return [
        at_most(found, f"{figure}: of FastAPI's (uvloop)", "us", "fastapi-uvloop", 0.5, "≤ 1/2"),
        at_most(found, f"{figure}: of FastAPI's (asyncio)", "us", "fastapi-asyncio", 0.5, "≤ 1/2"),
        at_most(found, f"{figure}: of `websockets.broadcast`'s", "us", "websockets", 1, "< 1"),
        at_most(found, f"{figure}: of Centrifugo's", "us", "centrifugo", 0.6, "≤ 0.6"),
        at_most(found, f"{figure}: of the bare loop's", "us", "bare-send", 2, "≤ 2"),
    ]


_BURST_UNITS = {"us": Unit("CPU a delivery", "µs"), "rate": Unit("deliveries", "/s", 0, less_is_better=False)}

BURST = Scenario(
    name="burst",
    title="Burst, 500 watchers",
    peers=WATCHED,
    measure=measure_burst,
    judge=lambda found: judge_burst("burst, 500 watchers, CPU a delivery", found),
    units=_BURST_UNITS,
    plotted=("us",),
)
CROWD = Scenario(
    name="crowd",
    title="Burst, 5,000 watchers",
    peers=WATCHED,
    measure=measure_crowd,
    judge=lambda found: judge_burst("burst, 5,000 watchers, CPU a delivery", found),
    units=_BURST_UNITS,
    plotted=("us",),
)
SINGLE = Scenario(
    name="single",
    title="One event at a time, 500 watchers",
    peers=WATCHED,
    measure=measure_single,
    judge=judge_single,
    units={"us": Unit("CPU a delivery", "µs"), "last_ms": Unit("publish to last watcher, median", "ms")},
    plotted=("us",),
)
