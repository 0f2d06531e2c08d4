"""Thousands come back at once after a restart and want what they missed."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from pathlib import Path

from tests.bench.catalogue import FASTAPI, OURS, Peer
from tests.bench.client import Client
from tests.bench.process import SPARE, data_folder, raise_open_files
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, at_most
from tests.bench.storm import StormClient

COUNT = 10_000
BEFORE, MISSED = 50, 50
PATH = "/ws/updates?project_id=bench"


def measure(peer: Peer, quick: bool) -> Figures:
    """Seconds from the first connect until all are current; of a peer until all are merely connected."""
    count = min(500 if quick else COUNT, raise_open_files() - SPARE)
    folder = data_folder("reconnect")
    try:
        port, position = _first_life(peer, folder, count)
        return _second_life(peer, folder, count, port, position)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first_life(peer: Peer, folder: Path, count: int) -> tuple[int, str]:
    """Everybody watches, gets some events, and then the server is killed."""
    ours = peer.is_hub
    with peer.start(folder=folder) as server:
        client = Client(server.port, peer.speech)
        try:
            client.open_producer()
            client.prime()
            client.connect(count, PATH if ours else "", native=ours)
            client.burst(BEFORE - 1)
            return server.port, _position(server.port) if ours else ""
        finally:
            server.kill()
            client.close()


def _second_life(peer: Peer, folder: Path, count: int, port: int, position: str) -> Figures:
    ours = peer.is_hub
    with peer.start(folder=folder, port=port) as server:
        client = StormClient(server.port, peer.speech, first=BEFORE)
        try:
            if ours:
                client.open_producer(first=BEFORE)
                client.burst(MISSED)
            before, begun = server.cpu(), time.perf_counter()
            path = f"{PATH}&since={position}" if ours else ""
            connected = client.connect_at_once(
                count, path, native=ours, must=b'"recovered":true' if ours else b""
            )
            while ours and not client.complete(BEFORE + MISSED):
                client.turn()
            current, spent = time.perf_counter() - begun, server.cpu() - before
            return {"current_s": current, "connected_s": connected, "cpu_s": spent, "refused": client.refused}
        finally:
            client.close()


def _position(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/projects/bench/state", timeout=30) as answer:
        state = json.load(answer)
    assert state["seq"] == BEFORE
    return f"{state['epoch']}:{state['seq']}"


def judge(found: Found) -> list[Verdict]:
    """Resuming costs less than as much again."""
    bare = "10,000 watchers reconnect and resume, until all are current: of a bare reconnect to"
    return [
        at_most(found, f"{bare} FastAPI (uvloop)", "current_s", "fastapi-uvloop", 0.6, "≤ 0.6"),
        at_most(found, f"{bare} FastAPI (asyncio)", "current_s", "fastapi-asyncio", 0.6, "≤ 0.6"),
        at_most(found, f"{bare} Centrifugo", "current_s", "centrifugo", 1.5, "≤ 1.5"),
    ]


RECONNECT = Scenario(
    name="reconnect",
    title="10,000 watchers reconnect at once after a restart (ours: and resume 50 missed events)",
    peers=(OURS, *FASTAPI, "centrifugo"),
    measure=measure,
    judge=judge,
    units={"current_s": Unit("until all are current", "s"), "cpu_s": Unit("CPU", "s")},
    plotted=("current_s",),
)
