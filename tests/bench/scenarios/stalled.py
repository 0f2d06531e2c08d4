"""What readers that do not read cost those that do, and in memory."""

from __future__ import annotations

import statistics
import time

from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Client
from tests.bench.process import Server
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median
from tests.bench.stalled import StalledReaders, lagging
from tests.bench.timed import TimedClient
from tests.bench.wire import event, publish_many

PATH = "/ws/updates?project_id=bench"
MIB = 1 << 20
BATCH, PAD = 50, "y" * 1_900


def measure_latency(peer: Peer, quick: bool) -> Figures:
    """p50 and p99 (ms) of deliveries to 450 healthy watchers at 50 events/s, without and with 50 stalled."""
    healthy, stalled = (90, 10) if quick else (450, 50)
    figures: Figures = {}
    for kind, count in (("without", 0), ("with", stalled)):
        with peer.start() as server:
            client = TimedClient(server.port)
            client.open_producer()
            client.prime()
            readers = StalledReaders(server.port, count, PATH)
            try:
                client.connect(healthy, PATH, native=True)
                figures[f"{kind}_stalled"] = stall(server, client, readers)
                client.forget()
                for _ in range(10 if quick else 40):
                    client.paced(10, 0.02)
                    readers.trickle()
                cuts = statistics.quantiles(client.delays, n=100)
                figures[f"{kind}_p50_ms"], figures[f"{kind}_p99_ms"] = cuts[49] * 1e3, cuts[98] * 1e3
                figures[f"{kind}_stalled_at_end"] = lagging(server.port)
            finally:
                readers.close()
                client.close()
    return figures


def stall(server: Server, client: Client, readers: StalledReaders) -> int:
    """Publish until every stalled reader is behind; how many are."""
    for _ in range(100):
        client.burst(500)
        readers.trickle()
        if (found := lagging(server.port)) >= len(readers.socks):
            return found
    raise RuntimeError(f"only {lagging(server.port)} of {len(readers.socks)} readers are behind")


def measure_memory(peer: Peer, quick: bool) -> Figures:
    """How far PSS rises (MB) while 100 MB is published, without and with 200 stalled watchers."""
    size = (5 if quick else 100) * 1_000_000
    figures: Figures = {}
    for kind, count in (("without", 0), ("with", 20 if quick else 200)):
        with peer.start() as server:
            client = Client(server.port)
            client.open_producer()
            client.prime()
            readers = StalledReaders(server.port, count, PATH)
            try:
                client.connect(1, PATH, native=True)
                before = server.pss()
                most = pour(server, client, readers, size)
                figures[f"{kind}_mb"] = (most - before) / MIB
                figures[f"{kind}_held_mb"] = (server.pss() - before) / MIB
                figures[f"{kind}_stalled"] = lagging(server.port)
            finally:
                readers.close()
                client.close()
    figures["above_mb"] = figures["with_mb"] - figures["without_mb"]
    return figures


def pour(server: Server, client: Client, readers: StalledReaders, size: int) -> int:
    """Publish `size` bytes in batches, waiting for the healthy watcher; the most PSS seen."""
    producer = client.producer
    assert producer is not None
    most, due, sent, number = server.pss(), time.perf_counter(), 0, producer.next
    first, seen = number, client.stream.first
    while sent < size:
        events = [event(seen + BATCH * (number - first) + at, pad=PAD, nodes=100) for at in range(BATCH)]
        frame = publish_many(number, events)
        number += 1
        sent += len(frame)
        producer.send(frame)
        while producer.next < number - 4 or client.stream.events < BATCH * (number - first - 4):
            client.turn()
        if time.perf_counter() > due:
            most, due = max(most, server.pss()), time.perf_counter() + 0.1
            readers.trickle()
    while client.stream.events < BATCH * (number - first) or producer.next < number:
        client.turn()
    return max(most, server.pss())


def judge_latency(found: Found) -> list[Verdict]:
    """The healthy hardly notice."""
    verdicts = []
    for cut, most in (("p50", 1.2), ("p99", 1.5)):
        without, with_ = median(found, OURS, f"without_{cut}_ms"), median(found, OURS, f"with_{cut}_ms")
        ratio = with_ / without if without and with_ else None
        shown = f"{{:.2f}} ({with_:.3g} : {without:.3g} ms)" if without and with_ else ""
        figure = f"500 watchers of which 50 are stalled, {cut} of the healthy: of without"
        verdicts.append(bound(figure, f"≤ {most}", ratio, shown, most=most))
    return verdicts


def judge_memory(found: Found) -> list[Verdict]:
    """A laggard is a position, not a queue."""
    figure = "memory with 200 stalled watchers while 100 MB is published, above without"
    above = median(found, OURS, "above_mb")
    return [bound(figure, "≤ 32 MB", above, "{:.1f} MB", most=32)]


STALLED = Scenario(
    name="stalled",
    title="450 healthy watchers beside 50 stalled, 50 events/s",
    peers=(OURS,),
    measure=measure_latency,
    judge=judge_latency,
    units={
        f"{kind}_{cut}_ms": Unit(f"{cut} {kind}", "ms")
        for kind in ("without", "with")
        for cut in ("p50", "p99")
    },
)
MEMORY = Scenario(
    name="memory",
    title="200 stalled watchers while 100 MB is published",
    peers=(OURS,),
    measure=measure_memory,
    judge=judge_memory,
    units={
        "without_mb": Unit("peak growth without", "MB", 1),
        "with_mb": Unit("peak growth with", "MB", 1),
        "above_mb": Unit("above", "MB", 1),
    },
)
