"""Compression: bytes on the wire and CPU a delivery, by the size of an event, beside the same without it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Producer
from tests.bench.deflate import DeflateWatchers
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, at_most
from tests.bench.wire import Speech, masked

SIZES = (200, 2_000, 20_000)
"""Bytes of an event, about."""
WARM = 5
WORDS = ("build", "test", "compile", "deploy", "fetch", "parse", "render", "lint", "upload", "check", "agent")


@contextmanager
def threshold(size: int | None) -> Iterator[None]:
    """Let ours compress from `size` bytes on; None: from its default on."""
    if size is not None:
        os.environ["BENCH_MIN_SIZE"] = str(size)
    try:
        yield
    finally:
        os.environ.pop("BENCH_MIN_SIZE", None)


def sized(number: int, size: int) -> str:
    """Event `number` with output of words and numbers, as programs print it."""
    dice, text = Random(number), ""
    while len(text) < size - 130:
        text += f"{' '.join(dice.choices(WORDS, k=6))} {dice.randrange(10**6)} "
    return (
        '{"type":"node_update","project_id":"bench","data":{"node_id":"n0",'
        f'"n":{number},"changes":{{"status":"running","message":"{text}"}}}}}}'
    )


def delivered(peer: Peer, size: int, watchers: int, events: int, *, compressed: bool) -> tuple[float, float]:
    """CPU (µs) and bytes on the wire of a delivery, when each event is published after all have the last."""
    speech = peer.speech
    with peer.start() as server:
        found = DeflateWatchers(server.port, speech, watchers, compressed=compressed)
        producer = Producer(server.port, speech)
        try:
            _one_by_one(producer, found, speech, range(WARM), size)
            spent, taken = -server.cpu(), -found.received
            _one_by_one(producer, found, speech, range(WARM, WARM + events), size)
            spent, taken = spent + server.cpu(), taken + found.received
        finally:
            found.close()
            producer.sock.close()
    deliveries = watchers * events
    return spent / deliveries * 1e6, taken / deliveries


def _one_by_one(
    producer: Producer, watchers: DeflateWatchers, speech: Speech, numbers: range, size: int
) -> None:
    for number in numbers:
        producer.send(masked(speech.publish_text(number, sized(number, size))))
        while producer.unsent:
            producer.flush()
        watchers.until_all_have(number)


def measure(peer: Peer, quick: bool) -> Figures:
    """With 300 watchers, all of which take compressed messages, and the same with none."""
    watchers, events = (30, 20) if quick else (300, 60)
    found: Figures = {}
    for size in SIZES:
        found[f"plain_{size}"], found[f"plain_bytes_{size}"] = delivered(
            peer, size, watchers, events, compressed=False
        )
        found[f"us_{size}"], found[f"bytes_{size}"] = delivered(peer, size, watchers, events, compressed=True)
    if peer.name == OURS:
        with threshold(1):
            found["us_all_200"], found["bytes_all_200"] = delivered(
                peer, SIZES[0], watchers, events, compressed=True
            )
    return found


def judge(found: Found) -> list[Verdict]:
    """Compressed once for all costs far less than once for each."""
    peers = (("websockets-deflate", "`websockets`'"), ("centrifugo-deflate", "Centrifugo's"))
    large = "compressed, 20,000 bytes, CPU a delivery"
    return [at_most(found, f"{large}: of {label}", "us_20000", peer, 0.5, "≤ 1/2") for peer, label in peers]


COMPRESSED = Scenario(
    name="compressed",
    title="Compressed messages, 300 watchers",
    peers=(OURS, "websockets-deflate", "centrifugo-deflate"),
    measure=measure,
    judge=judge,
    units={
        **{f"plain_{size}": Unit(f"{size:,} B plain, CPU a delivery", "µs") for size in SIZES},
        **{f"us_{size}": Unit(f"{size:,} B compressed, CPU a delivery", "µs") for size in SIZES},
        **{f"bytes_{size}": Unit(f"{size:,} B compressed, on the wire", "B", 0) for size in SIZES},
        "us_all_200": Unit("200 B, compressed without a threshold, CPU a delivery", "µs"),
        "bytes_all_200": Unit("200 B, compressed without a threshold, on the wire", "B", 0),
    },
    plotted=("us_20000",),
)
