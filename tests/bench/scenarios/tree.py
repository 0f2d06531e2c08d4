"""A project of 100,000 nodes: first subscribe with state, cold; what an update costs."""

from __future__ import annotations

import json
import re
import select
import shutil
import socket
import statistics
import time

from tests.bench.catalogue import OURS, Peer
from tests.bench.client import Client, greeted, open_socket
from tests.bench.process import Server, data_folder
from tests.bench.scenario import Figures, Found, Scenario, Unit, Verdict, bound, median, paired
from tests.bench.timed import TimedClient
from tests.bench.wire import NATIVE, DeliveryError, Speech, event, frame_end, masked, publish, publish_many

BATCH = 500
SMALL = 100
SETTLED = 5.0
"""Seconds after which the hub has written the checkpoint that growing the project still owed."""
_PART = re.compile(rb'"part":(\d+),"parts":(\d+)')


class ProjectSpeech(Speech):
    """Publishes go to one project and each changes another of its nodes."""

    def __init__(self, project: str, nodes: int) -> None:
        self.project, self.nodes = project, nodes
        self.watch = f"/ws/updates?project_id={project}"
        self.push = f"/ws/orchestrator?producer_id={project}"

    def publish(self, number: int) -> bytes:
        """The frame that publishes event `number`."""
        return publish(number, self.project, self.nodes)


class StateClient(TimedClient):
    """Beside its watchers one that asks for a state; its bytes are only counted until the state is whole."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.reader: socket.socket | None = None
        self.data = bytearray()
        self.done = 0.0
        self._at = 0

    def ask(self, project: str) -> None:
        """Subscribe with state."""
        sock = open_socket(self.port, "/ws/updates?project_id=nothing", NATIVE)
        greeted(sock, Speech(), 2)
        sock.sendall(masked(json.dumps({"type": "subscribe", "project_id": project, "state": True})))
        sock.setblocking(False)
        self.epoll.register(sock, select.EPOLLIN)
        self.reader = sock

    def other(self, fd: int) -> None:
        """The state's bytes."""
        assert self.reader is not None
        piece = self.reader.recv(1 << 20)
        if not piece:
            raise DeliveryError("closed instead of a state")
        self.data += piece
        while (ends := frame_end(self.data, self._at))[1]:
            found = _PART.search(self.data, ends[0], min(ends[1], ends[0] + 400))
            self._at = ends[1]
            if found and found[1] == found[2]:
                self.done = time.perf_counter()

    def nodes(self) -> list[str]:
        """Every node of the state, in the order it came."""
        found: list[str] = []
        at = 0
        while (ends := frame_end(self.data, at))[1]:
            message = json.loads(self.data[ends[0] : ends[1]])
            if message["type"] == "project_state":
                found += [node["node_id"] for node in message["data"]["nodes"]]
            at = ends[1]
        return found


def measure(peer: Peer, quick: bool) -> Figures:
    """Seconds, ms and µs; see `UNITS`."""
    nodes = 5_000 if quick else 100_000
    folder = data_folder("tree")
    try:
        with peer.start(folder=folder) as server:
            grow(server, nodes)
        with peer.start(folder=folder) as server:
            figures = subscribe(server, nodes, quick)
            for kind, count in (("small", SMALL), ("big", nodes)):
                figures |= updates(server, kind, count, 1_000 if quick else 10_000)
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def grow(server: Server, nodes: int) -> None:
    """Make the projects, `small` and `big`."""
    for project, count in (("small", SMALL), ("big", nodes)):
        client = Client(server.port, ProjectSpeech(project, count))
        try:
            producer = client.open_producer(f"/ws/orchestrator?producer_id=grow-{project}")
            for number in range(-(-count // BATCH)):
                upto = min(count, (number + 1) * BATCH)
                events = [event(index, project, nodes=count) for index in range(number * BATCH, upto)]
                producer.send(publish_many(number, events))
                while producer.next < number:
                    client.turn()
            while producer.next < -(-count // BATCH):
                client.turn()
        finally:
            client.close()


def subscribe(server: Server, nodes: int, quick: bool) -> Figures:
    """The first subscription to the big project since the start; others watch another, at 50 events/s."""
    client = StateClient(server.port)
    try:
        client.connect(100, "/ws/updates?project_id=bench")
        client.open_producer()
        client.paced(20, 0.02)
        client.forget()
        client.paced(50 if quick else 600, 0.02)
        usual = statistics.quantiles(client.delays, n=100)
        client.forget()
        begun = time.perf_counter()
        client.ask("big")
        while not client.done:
            client.paced(1, 0.02)
        meanwhile = statistics.quantiles(client.delays, n=100)
        most = max(client.delays)
        found = client.nodes()
        if len(found) != nodes or len(set(found)) != nodes:
            raise DeliveryError(
                f"a state of {nodes} nodes came with {len(found)}, {len(set(found))} different"
            )
    finally:
        client.close()
        if client.reader is not None:
            client.reader.close()
    return {
        "cold_s": client.done - begun,
        "usual_p99_ms": usual[98] * 1e3,
        "meanwhile_p99_ms": meanwhile[98] * 1e3,
        "meanwhile_max_ms": most * 1e3,
    }


def updates(server: Server, kind: str, nodes: int, streamed: int) -> Figures:
    """CPU an update (µs) with ten watchers: one at a time; streamed, with the checkpoints that come of it."""
    client = Client(server.port, ProjectSpeech(kind, nodes))
    try:
        client.connect(10)
        client.open_producer()
        client.burst(200)
        time.sleep(SETTLED)
        before = server.cpu()
        client.one_by_one(500)
        single = server.cpu() - before
        before = server.cpu()
        client.burst(streamed)
        burst = server.cpu() - before
    finally:
        client.close()
    return {f"{kind}_us": single / 500 * 1e6, f"{kind}_streamed_us": burst / streamed * 1e6}


def judge(found: Found) -> list[Verdict]:
    """Large trees hurt nobody."""
    return [
        bound(
            "100,000 nodes, first subscribe with state, cold",
            "≤ 3 s",
            median(found, OURS, "cold_s"),
            "{:.2f} s",
            most=3,
        ),
        bound(
            "others' p99 meanwhile: of the usual",
            "unmoved (≤ 1.5)",
            paired(found, "meanwhile_p99_ms", "usual_p99_ms"),
            "{:.2f}",
            most=1.5,
        ),
        bound(
            "an update's CPU with 100,000 nodes: of with 100",
            "independent (≤ 1.2)",
            paired(found, "big_us", "small_us"),
            "{:.2f}",
            most=1.2,
        ),
    ]


UNITS = {
    "cold_s": Unit("first subscribe with state, cold", "s"),
    "usual_p99_ms": Unit("others' p99 before", "ms"),
    "meanwhile_p99_ms": Unit("others' p99 meanwhile", "ms"),
    "meanwhile_max_ms": Unit("others' worst meanwhile", "ms"),
    "small_us": Unit("an update, 100 nodes: CPU", "µs", 0),
    "big_us": Unit("an update, 100,000 nodes: CPU", "µs", 0),
    "small_streamed_us": Unit("streamed with checkpoints, 100 nodes: CPU", "µs", 0),
    "big_streamed_us": Unit("streamed with checkpoints, 100,000 nodes: CPU", "µs", 0),
}
TREE = Scenario(
    name="tree",
    title="A project of 100,000 nodes",
    peers=(OURS,),
    measure=measure,
    judge=judge,
    units=UNITS,
)
