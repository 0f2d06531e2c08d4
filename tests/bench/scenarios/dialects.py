"""One event at a time to 500 watchers, in each language of the hub's: CPU a delivery.

How something is published differs (AutoGPT's events come over HTTP, with a write of the mirror's each), so
that is measured by itself, with one watcher, and a delivery is what each watcher beyond it adds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tasktree_rt.compat.autogpt.tokens import DEFAULT_USER
from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Client
from tests.bench.process import Server
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median
from tests.bench.wire import PAD, Speech, masked

MOST: Final = 1.3
"""What a delivery in any language may cost, where one of plain events costs 1."""


class Plain(Speech):
    """A project's events."""

    watch = "/ws/updates?project_id=bench"


class Cancelled(Speech):
    """AIECS: who asks for a task to be cancelled tells everybody, and hears it too: that is the answer."""

    watch = push = "/ws/aiecs"

    def publish(self, number: int) -> bytes:
        """The task is always the same, the user bears the number."""
        return masked(f'{{"action":"cancel","user_id":"{number} {PAD}","task_id":"t"}}')

    def number(self, payload: bytes) -> int:
        """Which request everybody was told of."""
        return int(json.loads(payload)["user_id"].partition(" ")[0])

    def acked(self, payload: bytes, wanted: int) -> int:
        """The same."""
        return self.number(payload)


class Shown(Speech):
    """AutoGPT: an event of an execution, pushed over HTTP, to who watches the execution."""

    watch = "/ws"
    posts = True
    hello = masked('{"method":"subscribe_graph_execution","data":{"graph_exec_id":"e"}}')
    greeting = 1

    def publish(self, number: int) -> bytes:
        """The request."""
        event = {
            "event_type": "node_execution_update",
            "user_id": DEFAULT_USER,
            "graph_id": "g",
            "graph_exec_id": "e",
            "node_exec_id": "x",
            "node_id": "n",
            "status": "RUNNING",
            "number": number,
            "pad": PAD,
        }
        body = json.dumps({"payload": event}).encode()
        head = (
            f"POST /api/v1/autogpt/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def number(self, payload: bytes) -> int:
        """Which event was shown."""
        return int(json.loads(payload)["data"]["number"])


class Status(Speech):
    """The execution status stream: every event changes the message, and so the status."""

    watch = "/api/v1/ws/executions/bench"

    def publish(self, number: int) -> bytes:
        """A change of the execution's message."""
        changes = f'{{"changes":{{"message":"{number} {PAD}"}}}}'
        event = f'{{"type":"project_update","project_id":"execution:bench","data":{changes}}}'
        return masked(f'{{"type":"publish","id":{number},"events":[{event}]}}')

    def number(self, payload: bytes) -> int:
        """Which event a status shows."""
        return int(json.loads(payload)["message"].partition(" ")[0])


@dataclass(frozen=True)
class Language:
    """One of the hub's. With `tells` a watcher is first told of the newest event."""

    label: str
    speech: Speech
    native: bool = False
    tells: bool = False


LANGUAGES: Final[Mapping[str, Language]] = {
    "plain": Language("plain events", Plain()),
    "native": Language("`tasktree.v1`", Plain(), native=True),
    "autogpt": Language("AutoGPT", Shown()),
    "aiecs": Language("AIECS", Cancelled()),
    "execution": Language("execution status", Status(), tells=True),
}


def measure(peer: Peer, quick: bool) -> Figures:
    """In each language the CPU (µs) of a publish to one watcher, and of each further delivery."""
    watchers, events = (50, 20) if quick else (500, 300)
    figures: Figures = {}
    for name, language in LANGUAGES.items():
        with peer.start() as server:
            one = spent(server, language, 1, events)
        with peer.start() as server:
            many = spent(server, language, watchers, events)
        figures[f"{name}_publish_us"] = one
        figures[f"{name}_us"] = (many - one) / (watchers - 1)
    return figures


def spent(server: Server, language: Language, watchers: int, events: int) -> float:
    """CPU (µs) of each of so many events."""
    client = Client(server.port, language.speech)
    try:
        client.open_producer()
        client.prime()
        if language.tells:
            client.stream.first = 0
        client.connect(watchers, native=language.native)
        client.one_by_one(20)
        before = server.cpu()
        client.one_by_one(events)
        return (server.cpu() - before) / events * 1e6
    finally:
        client.close()


def judge(found: Found) -> list[Verdict]:
    """None costs much more than plain events."""
    plain = median(found, OURS, "plain_us")
    verdicts = []
    for name, language in LANGUAGES.items():
        value = median(found, OURS, f"{name}_us")
        if name != "plain":
            ratio = value / plain if value and plain else None
            figure = f"one at a time, 500 watchers, {language.label}: of a plain delivery"
            verdicts.append(bound(figure, f"≤ {MOST}", ratio, "{:.2f}", most=MOST))
    return verdicts


DIALECTS = Scenario(
    name="dialects",
    title="One event at a time to 500 watchers, in each language",
    peers=(OURS,),
    measure=measure,
    judge=judge,
    units={
        f"{name}{key}": Unit(f"{language.label}: CPU a {what}", "µs", digits)
        for name, language in LANGUAGES.items()
        for key, what, digits in (("_us", "delivery", 2), ("_publish_us", "publish to one watcher", 0))
    },
)
