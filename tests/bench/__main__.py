"""``python -m tests.bench``: every figure beside its peers, taken alternately in one run.

CPU is user and system time of all the server's threads; server and client have a core each.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from tests.bench.client import Client
from tests.bench.process import CLIENT_CORE, Server, pin, python

PEERS = {
    "tasktree_rt": ("tests.bench.peers.hub",),
    "fastapi": ("tests.bench.peers.fastapi_loop", "uvloop"),
    "fastapi (asyncio)": ("tests.bench.peers.fastapi_loop", "asyncio"),
    "websockets": ("tests.bench.peers.websockets_broadcast",),
    "bare send": ("tests.bench.peers.bare_send",),
}
Figures = dict[str, float]


def burst(server: Server, watchers: int, events: int) -> Figures:
    """CPU a delivery while events stream, and while each waits for the one before; µs."""
    client = Client(server.port)
    try:
        client.connect(watchers, "/ws/updates")
        client.open_producer("/ws/orchestrator?producer_id=bench")
        client.burst(0, 100)
        before = server.cpu()
        client.burst(100, events)
        streamed = server.cpu() - before
        singles = max(50, events // 10)
        before = server.cpu()
        taken = client.one_by_one(100 + events, singles)
        single = server.cpu() - before
    finally:
        client.close()
    return {
        "burst_us": streamed / (events * watchers) * 1e6,
        "single_us": single / (singles * watchers) * 1e6,
        "single_ms_median": statistics.median(taken) * 1e3,
        "single_ms_p99": statistics.quantiles(taken, n=100)[98] * 1e3,
    }


def connections(server: Server, count: int) -> Figures:
    """CPU a connect (ms) and memory an idle connection (KB, of PSS)."""
    warm = Client(server.port)
    client = Client(server.port)
    try:
        warm.connect(100, "/ws/updates")
        memory, before = server.pss(), server.cpu()
        client.connect(count, "/ws/updates")
        spent = server.cpu() - before
        held = server.pss() - memory
    finally:
        client.close()
        warm.close()
    return {"connect_ms": spent / count * 1e3, "idle_kb": held / count / 1024}


def measure(rounds: int, action: Callable[[Server], Figures]) -> dict[str, list[Figures]]:
    """`action` on a fresh server of each peer, in turn, `rounds` times."""
    found: dict[str, list[Figures]] = {name: [] for name in PEERS}
    for number in range(rounds):
        for name, command in PEERS.items():
            with Server(name, python(*command)) as server:
                figures = action(server)
            found[name].append(figures)
            shown = "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
            print(f"  round {number + 1}  {name:17} {shown}", flush=True)
    return found


def table(found: dict[str, list[Figures]]) -> None:
    """Medians (spread), and ours over each peer's."""
    for key in found["tasktree_rt"][0]:
        ours = statistics.median(run[key] for run in found["tasktree_rt"])
        print(f"\n{key}")
        for name, runs in found.items():
            values = sorted(run[key] for run in runs)
            middle = statistics.median(values)
            spread = f"({values[0]:.3f}-{values[-1]:.3f})"
            print(f"  {name:17} {middle:9.3f}  {spread:17}  ours/theirs {ours / middle:.3f}")


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=2_000)
    parser.add_argument("--only", choices=("fanout", "connections"))
    parser.add_argument("--json", type=Path, help="keep the raw figures in this file")
    options = parser.parse_args()
    pin(CLIENT_CORE)
    raw: dict[str, dict[str, list[Figures]]] = {}
    if options.only != "connections":
        print(f"fan-out: {options.watchers} watchers, {options.events} events")
        raw["fanout"] = measure(
            options.rounds, lambda server: burst(server, options.watchers, options.events)
        )
    if options.only != "fanout":
        print(f"connections: {options.connections}")
        raw["connections"] = measure(options.rounds, lambda server: connections(server, options.connections))
    for found in raw.values():
        table(found)
    if options.json:
        options.json.write_text(json.dumps(raw, indent=2) + "\n")


if __name__ == "__main__":
    main()
