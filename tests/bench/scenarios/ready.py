"""How long a start takes with a large log."""

from __future__ import annotations

import os
import shutil
import statistics
import time
import urllib.request
from pathlib import Path

from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Client
from tests.bench.process import Server, data_folder
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median
from tests.bench.wire import event, publish_many

PROJECTS, BATCH, PAD = 8, 100, "z" * 4_900
STARTS = 3


def measure(peer: Peer, quick: bool) -> Figures:
    """Seconds from the start of the process until ready: empty store, full one, full and not cached."""
    size = 20_000_000 if quick else 1_000_000_000
    folder = data_folder("ready")
    try:
        with peer.start(folder=folder) as server:
            fill(server, size)
        file = folder / "hub.db"
        figures = {"log_mb": sum(path.stat().st_size for path in folder.iterdir()) / 1e6}
        figures["after_kill_s"] = start(peer, folder)
        figures["cached_s"] = statistics.median(start(peer, folder) for _ in range(STARTS))
        figures["uncached_s"] = statistics.median(uncached(peer, folder, file) for _ in range(STARTS))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with peer.start() as server:
        figures["empty_s"] = ready(server)
    return figures


def fill(server: Server, size: int) -> None:
    """Publish `size` bytes of events into several projects."""
    client = Client(server.port)
    try:
        producer = client.open_producer()
        sent = number = 0
        while sent < size:
            name = f"log-{number % PROJECTS}"
            frame = publish_many(number, [event(index, name, PAD, nodes=100) for index in range(BATCH)])
            producer.send(frame)
            number += 1
            sent += len(frame)
            while producer.next < number - 6 or producer.unsent:
                client.turn()
        while producer.next < number:
            client.turn()
    finally:
        client.close()


def uncached(peer: Peer, folder: Path, file: Path) -> float:
    """`start` after the kernel has let go of the file."""
    fd = os.open(file, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
    return start(peer, folder)


def start(peer: Peer, folder: Path) -> float:
    """Start on `folder`, and kill again; seconds until ready."""
    with peer.start(folder=folder) as server:
        return ready(server)


def ready(server: Server) -> float:
    """Seconds from the start of the process until it says by HTTP that it is ready."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/readyz", timeout=30) as answer:
        assert answer.status == 200
    return time.perf_counter() - server.started


def judge(found: Found) -> list[Verdict]:
    """Start-up does not grow with the log."""
    verdicts = []
    for key, title in (
        ("after_kill_s", "after kill -9"),
        ("cached_s", "again"),
        ("uncached_s", "file not cached"),
    ):
        value = median(found, OURS, key)
        figure = f"time to ready with a 1 GB log, {title}"
        verdicts.append(bound(figure, "≤ 2 s", value, "{:.2f} s", most=2))
    return verdicts


READY = Scenario(
    name="ready",
    title="Time to ready with a 1 GB log",
    peers=(OURS,),
    measure=measure,
    judge=judge,
    units={
        "empty_s": Unit("empty store", "s"),
        "after_kill_s": Unit("1 GB, after kill -9", "s"),
        "cached_s": Unit("1 GB, again", "s"),
        "uncached_s": Unit("1 GB, file not in the page cache", "s"),
    },
    rounds=1,
)
