"""Producers and watchers that outlive their hub, as the protocol tells them to; for test_crash.py.

A producer keeps every publish until its ack has come and sends what is left again, in order, under the same
ids. A watcher comes back with the position it has. Both write down what they were told.
"""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any

import trio
from attrs import frozen

from tests.cli.processes import PATIENCE
from tests.server import peers
from tests.server.peers import Closed, EventStream, Json, Peer, Picture, events_in
from tests.server.process import HubProcess
from tests.server.rawhttp import Gone, HttpConnection

IN_FLIGHT = 24
REFUSALS = {"store_unavailable", "overloaded"}
"""What a producer may be refused for while the store fails: it sends the publish again, under the same id."""
PAUSE = 0.05
"""Seconds until then."""


class Load:
    """What producers and watchers share: whether the hub is up, if there is more to do, how much happened."""

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub
        self._up = trio.Event()
        self._up.set()
        self._busy = trio.Event()
        self._count = 0
        self._changed = trio.lowlevel.ParkingLot()

    def tick(self) -> None:
        """Something was sent, acked or seen."""
        self._count += 1
        self._changed.unpark_all()

    async def happened(self, count: int) -> None:
        """Wait for so many more."""
        goal = self._count + count
        with trio.fail_after(PATIENCE):
            while self._count < goal:
                await self._changed.park()

    def down(self) -> None:
        self._up = trio.Event()

    def resume(self) -> None:
        self._up.set()

    def go(self) -> None:
        """Producers may begin new publishes."""
        self._busy.set()

    def calm(self) -> None:
        """They may not."""
        self._busy = trio.Event()

    async def up(self) -> None:
        """Wait for the hub to be there, as far as one knows."""
        await trio.lowlevel.checkpoint()
        await self._up.wait()

    async def busy(self) -> None:
        await self._busy.wait()

    def is_busy(self) -> bool:
        return self._busy.is_set()


@frozen
class Publish:
    """One publish: its events' marks are unique over everything that is ever published."""

    id: str
    project: str
    events: list[Json]

    @property
    def marks(self) -> list[str]:
        return [one["data"]["mark"] for one in self.events]


class Producer(ABC):
    """See the module's docstring."""

    def __init__(self, load: Load, name: str, rng: random.Random, projects: tuple[str, ...]) -> None:
        self.load = load
        self.name = name
        self.repeated = 0
        self._rng = rng
        self._projects = projects
        self._made: list[Publish] = []
        self._unacked: OrderedDict[str, Publish] = OrderedDict()
        self._acked: dict[str, list[Json]] = {}
        self._changed = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        while True:
            await self.load.up()
            try:
                await self._connected()
            except (Closed, Gone):
                continue

    @abstractmethod
    async def _connected(self) -> None:
        """Send what is unacked, then more, until the hub is gone."""

    async def idle(self) -> None:
        """Wait until everything is acked."""
        while self._unacked:
            await self._changed.park()

    def check(self, logs: dict[str, list[Json]]) -> None:
        """Everything acked is where the ack says, everything is stored whole or not at all, and once."""
        places: dict[str, tuple[str, int]] = {}
        for project, log in logs.items():
            for event in log:
                mark = event["data"]["mark"]
                assert mark not in places, f"{mark} is stored twice"
                places[mark] = (project, event["seq"])
        for publish in self._made:
            acked = [(one["project_id"], one["seq"]) for one in self._acked[publish.id]]
            assert acked == [places[mark] for mark in publish.marks]

    def _make(self) -> Publish:
        rng, number = self._rng, len(self._made)
        project = rng.choice(self._projects)
        count = rng.choice((1, 1, 1, 2, 5))
        events = [self._event(project, f"{self.name}-{number}-{index}") for index in range(count)]
        publish = Publish(f"{self.name}-{number}", project, events)
        self._made.append(publish)
        self._unacked[publish.id] = publish
        return publish

    def _event(self, project: str, mark: str) -> Json:
        rng = self._rng
        node_id = f"n{rng.randrange(60)}"
        data: dict[str, Any]
        kind = rng.choice(("node_update",) * 6 + ("state_transition", "project_update", "log"))
        if kind == "node_update":
            changes: Json = {"status": "running", "title": mark, "parent_id": f"n{rng.randrange(60)}"}
            data = {"node_id": node_id, "changes": {"deleted": True} if rng.random() < 0.1 else changes}
        elif kind == "state_transition":
            data = {"from": "running", "to": mark, "context": {}}
        elif kind == "project_update":
            data = {"changes": {"title": mark}}
        else:
            data = {"node_id": node_id, "level": "info", "message": "x" * rng.randrange(2000)}
        return {"type": kind, "project_id": project, "data": {**data, "mark": mark}}

    def _ack(self, request: str, positions: list[Json]) -> None:
        del self._unacked[request]
        self._acked[request] = positions
        self.load.tick()
        self._changed.unpark_all()


class SocketProducer(Producer):
    """Pipelines publishes over ``/ws/orchestrator``."""

    async def _connected(self) -> None:
        producer = await peers.produce(self.load.hub, self.name)
        lost = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, producer)
                await self._receive(producer)
        except* Closed:
            lost = True  # what is raised here would come out in a group
        finally:
            producer.leave()
        if lost:
            raise Closed(1006)

    async def _send(self, producer: Peer) -> None:
        for publish in list(self._unacked.values()):
            self.repeated += 1
            await self._say(producer, publish)
        while True:
            await self.load.busy()
            while len(self._unacked) >= IN_FLIGHT:
                await self._changed.park()
            if self.load.is_busy():
                await self._say(producer, self._make())

    async def _say(self, producer: Peer, publish: Publish) -> None:
        await producer.say({"type": "publish", "id": publish.id, "events": publish.events})
        self.load.tick()

    async def _receive(self, producer: Peer) -> None:
        while True:
            answer = await producer.hear_type("ack", "error")
            if answer["type"] == "error":
                assert answer["code"] in REFUSALS, answer
                await trio.sleep(PAUSE)
                raise Closed(1006)  # send it again, on another connection
            assert answer["id"] == next(iter(self._unacked)), "acks come in order"
            self._ack(answer["id"], answer["positions"])


class HttpProducer(Producer):
    """One request after the other, each with an Idempotency-Key."""

    async def _connected(self) -> None:
        connection = await HttpConnection.open(self.load.hub.port)
        try:
            for publish in list(self._unacked.values()):
                self.repeated += 1
                await self._post(connection, publish)
            while True:
                await self.load.busy()
                await self._post(connection, self._make())
        finally:
            connection.leave()

    async def _post(self, connection: HttpConnection, publish: Publish) -> None:
        self.load.tick()
        headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", publish.id),
            ("Producer-Id", self.name),
        ]
        path = f"/api/v1/projects/{publish.project}/events"
        response = await connection.ask("POST", path, headers, json.dumps(publish.events).encode())
        body = await connection.body()
        if response.status_code == 503:
            assert json.loads(body)["code"] in REFUSALS, body
            await trio.sleep(PAUSE)
            raise Gone
        assert response.status_code == 200, body
        self._ack(publish.id, json.loads(body)["positions"])


class Watcher(ABC):
    """Keeps what it hears of one project, and comes back to where it was."""

    def __init__(self, load: Load, project: str) -> None:
        self.load = load
        self.project = project
        self.picture = Picture(project)
        self.heard: list[Json] = []
        self._changed = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        while True:
            await self.load.up()
            try:
                await self._connected()
            except Closed as closed:
                if closed.code not in (1006, 4008):
                    raise

    @abstractmethod
    async def _connected(self) -> None:
        """Watch from where one is until the hub is gone."""

    @property
    def since(self) -> str:
        return self.picture.position or ":0"

    def hear(self, message: Json) -> None:
        self.picture.hear(message)
        self.heard += events_in([message])
        self.load.tick()
        self._changed.unpark_all()

    async def reached(self, seq: int) -> None:
        """Wait until it is there."""
        while self.picture.seq < seq:
            await self._changed.park()

    def check(self, log: list[Json], state: Json) -> None:
        """Its events are the log's, each once and in order, and its tree is the hub's."""
        assert self.heard == log
        self.picture.assert_is(state)


class _SocketWatcher(Watcher):
    async def _listen(self, peer: Peer) -> None:
        try:
            while True:
                message = await peer.hear()
                if message["type"] == "subscribed":
                    self._opened(message)
                self.hear(message)
        finally:
            peer.leave()

    def _opened(self, message: Json) -> None:
        """A word of its own tells of a new life; otherwise it goes on exactly where it was."""
        assert message["seq"] == self.picture.seq
        assert message["recovered"] or (message["recovered"] is None and message["seq"] == 0)


class NativeWatcher(_SocketWatcher):
    """Policy ``disconnect``: told every single event."""

    async def _connected(self) -> None:
        query = f"project_id={self.project}&since={self.since}&policy=disconnect"
        await self._listen(await peers.watch(self.load.hub, query))


class PlainWatcher(_SocketWatcher):
    """No subprotocol."""

    async def _connected(self) -> None:
        query = f"project_id={self.project}&since={self.since}"
        await self._listen(await peers.watch_plain(self.load.hub, query))


class TreeWatcher(_SocketWatcher):
    """Policy ``conflate``: may be told less, and ends at the same tree."""

    async def _connected(self) -> None:
        query = f"project_id={self.project}&since={self.since}"
        await self._listen(await peers.watch(self.load.hub, query))

    def check(self, log: list[Json], state: Json) -> None:
        self.picture.assert_is(state)


class StreamWatcher(Watcher):
    """Server-sent events with Last-Event-ID."""

    async def _connected(self) -> None:
        stream = await EventStream.open(self.load.hub, self.project, "policy=disconnect", last_id=self.since)
        try:
            while True:
                self.hear(await stream.hear())
                assert stream.last_id == self.since
        finally:
            stream.leave()
