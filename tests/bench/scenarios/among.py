"""Ten watchers of a project, alone and among thousands who watch others."""

from __future__ import annotations

from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Client
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median

WATCHERS = 10
OTHER_PROJECTS = 100


def measure(peer: Peer, quick: bool) -> Figures:
    """CPU a delivery (µs) in a burst and one at a time, without and with the others."""
    figures: Figures = {}
    for kind, others in (("alone", 0), ("among", 500 if quick else 5_000 - WATCHERS)):
        with peer.start() as server:
            client, crowd = Client(server.port), Client(server.port)
            try:
                for number in range(OTHER_PROJECTS if others else 0):
                    crowd.connect(others // OTHER_PROJECTS, f"/ws/updates?project_id=other-{number}")
                client.connect(WATCHERS, "/ws/updates?project_id=bench")
                client.open_producer()
                client.burst(500)
                for way, count, act in (("burst", 4_000, client.burst), ("single", 500, client.one_by_one)):
                    count = count // 10 if quick else count
                    before = server.cpu()
                    act(count)
                    figures[f"{way}_{kind}_us"] = (server.cpu() - before) / (count * WATCHERS) * 1e6
            finally:
                crowd.close()
                client.close()
    return figures


def judge(found: Found) -> list[Verdict]:
    """The others cost nothing."""
    verdicts = []
    for way, title in (("burst", "burst"), ("single", "one at a time")):
        alone, among = median(found, OURS, f"{way}_alone_us"), median(found, OURS, f"{way}_among_us")
        ratio = among / alone if alone and among else None
        figure = f"10 watchers among 5,000 watching others, {title}: of the cost alone"
        verdicts.append(bound(figure, "≤ 1.2", ratio, "{:.2f}", most=1.2))
    return verdicts


AMONG = Scenario(
    name="among",
    title="10 watchers of a project among 5,000 watching others",
    peers=(OURS,),
    measure=measure,
    judge=judge,
    units={
        f"{way}_{kind}_us": Unit(f"{title}, {kind}: CPU a delivery", "µs")
        for way, title in (("burst", "burst"), ("single", "one at a time"))
        for kind in ("alone", "among")
    },
)
