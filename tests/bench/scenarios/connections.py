"""What a connection costs: to accept, to hold, and when ten thousand come at once."""

from __future__ import annotations

from tests.bench.catalogue import CONNECTED, OURS, PEERS, Peer
from tests.bench.client import Client
from tests.bench.process import SPARE, Server, raise_open_files
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, at_most, bound, median
from tests.bench.storm import StormClient

COUNT = 10_000
CENTRIFUGO = "centrifugo"
PYTHON = ("fastapi-uvloop", "fastapi-asyncio", "websockets", "trio-websocket", "socketio")
STORMED = (OURS, "fastapi-uvloop", "websockets", "node-ws", "nchan", CENTRIFUGO)
"""Those that get all at once; the others' figures would only be longer."""


def measure(peer: Peer, quick: bool) -> Figures:
    """Accepts a CPU second with 100 handshakes under way, KB an idle connection; the storm's figures."""
    count = min(500 if quick else COUNT, raise_open_files() - SPARE)
    with peer.start() as server:
        warm, client = Client(server.port, peer.speech), Client(server.port, peer.speech)
        try:
            warm.connect(100)
            server.settle()
            memory, before = server.pss(), server.cpu()
            client.connect(count)
            figures = {"count": count, "rate": count / (server.cpu() - before)}
            figures["idle_kb"] = (server.pss() - memory) / count / 1024
            client.close()
            if peer.name in STORMED:
                server.settle()
                figures |= storm(server, peer, count)
        finally:
            warm.close()
            client.close()
    return figures


def storm(server: Server, peer: Peer, count: int) -> Figures:
    """All connections in one moment: seconds until all were greeted, how many had to try again."""
    client = StormClient(server.port, peer.speech)
    try:
        before = server.cpu()
        taken = client.connect_at_once(count)
        return {
            "at_once_s": taken,
            "at_once_rate": count / (server.cpu() - before),
            "at_once_refused": client.refused,
        }
    finally:
        client.close()


def judge(found: Found) -> list[Verdict]:
    """Cheaper than any Python peer's."""
    verdicts = []
    ours = median(found, OURS, "rate")
    for name in ("fastapi-uvloop", "fastapi-asyncio"):
        theirs = median(found, name, "rate")
        ratio = ours / theirs if ours and theirs else None
        shown = f"{{:.2f}} ({ours:,.0f} : {theirs:,.0f})" if ours and theirs else ""
        figure = f"accepts a CPU second: of {PEERS[name].label}"
        verdicts.append(bound(figure, "≥ 1.3", ratio, shown, least=1.3))
    theirs = median(found, CENTRIFUGO, "rate")
    ratio = theirs / ours if ours and theirs else None
    shown = f"{{:.2f}} ({1e3 / ours:.3g} : {1e3 / theirs:.3g} ms)" if ours and theirs else ""
    verdicts.append(bound("CPU of an accept: of Centrifugo's", "≤ 1.5", ratio, shown, most=1.5))
    idle = median(found, OURS, "idle_kb")
    others = [value for name in PYTHON if (value := median(found, name, "idle_kb"))]
    verdicts.append(bound("memory of an idle connection", "≤ 12 KB", idle, "{:.1f} KB", most=12))
    least = min(others) if others else None
    figure = "memory of an idle connection: of the least of any Python peer's"
    ratio = idle / least if idle and least else None
    verdicts.append(bound(figure, "< 1", ratio, f"{{:.2f}} (least {least or 0:.1f} KB)", most=1))
    figure = "memory of an idle connection: of Centrifugo's"
    verdicts.append(at_most(found, figure, "idle_kb", CENTRIFUGO, 1 / 6, "≤ 1/6"))
    refused = median(found, OURS, "at_once_refused")
    seconds = median(found, OURS, "at_once_s")
    shown = f"all, none refused, in {seconds:.1f} s" if seconds and not refused else "{:.0f} refused"
    verdicts.append(bound("10,000 connections at once", "all", refused, shown, most=0))
    return verdicts


CONNECTIONS = Scenario(
    name="connections",
    title="10,000 connections",
    peers=CONNECTED,
    measure=measure,
    judge=judge,
    units={
        "rate": Unit("accepts a CPU second", "/s", 0, less_is_better=False),
        "idle_kb": Unit("memory of an idle one", "KB", 1),
        "at_once_s": Unit("10,000 at once: all open after", "s"),
    },
    plotted=("rate", "idle_kb"),
)
