"""Those who talk to a hub over real sockets: watchers, producers, readers of an event stream."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import trio

from tests.cli.processes import PATIENCE
from tests.model import NaiveTree
from tests.server.process import HubProcess
from tests.server.rawhttp import Gone, HttpConnection
from tests.wsclient import CLOSE, PING, PONG, TEXT, Answer, WsClient, request_head

Json = dict[str, Any]
NATIVE = ("Sec-WebSocket-Protocol", "tasktree.v1")


class Closed(Exception):
    """The connection is over; code 1006 if there was no close frame."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code} {reason}")


class Listener(ABC):
    """Whoever hears messages until it is over."""

    @abstractmethod
    async def hear(self) -> Json:
        """The next message.

        Raises:
            Closed: the hub closed, or is gone.
        """

    async def rest(self) -> tuple[list[Json], Closed]:
        """Everything up to the end, and how it ended."""
        heard: list[Json] = []
        while True:
            try:
                heard.append(await self.hear())
            except Closed as closed:
                return heard, closed

    async def end(self) -> Closed:
        """Read up to the end: how it ended."""
        return (await self.rest())[1]


class Peer(Listener):
    """One WebSocket, spoken to in JSON."""

    def __init__(self, client: WsClient) -> None:
        self.client = client

    async def say(self, message: Json) -> None:
        """Send one message.

        Raises:
            Closed: the hub is gone.
        """
        try:
            await self.client.text(json.dumps(message))
        except trio.BrokenResourceError as error:
            raise Closed(1006) from error

    async def hear(self) -> Json:
        """The next message. Pings are answered.

        Raises:
            Closed: the hub closed, or is gone.
        """
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    frame = await self.client.recv()
                    if frame.opcode == PING:
                        await self.client.frame(PONG, frame.data)
                        continue
                except (EOFError, trio.BrokenResourceError) as error:
                    raise Closed(1006) from error
                if frame.opcode == CLOSE:
                    raise Closed(frame.code, frame.reason)
                if frame.opcode == TEXT:
                    found: Json = json.loads(frame.data)
                    return found

    async def hear_type(self, *kinds: str) -> Json:
        """The next message, which must be of one of these types."""
        found = await self.hear()
        assert found["type"] in kinds, found
        return found

    async def skip_to(self, kind: str) -> Json:
        """The next message of this type; those before it do not matter."""
        while (found := await self.hear())["type"] != kind:
            pass
        return found

    async def ask(self, message: Json) -> Json:
        """Say something and hear the next message."""
        await self.say(message)
        return await self.hear()

    async def sip(self) -> None:
        """Read one byte and keep it for `hear`."""
        with trio.fail_after(PATIENCE):
            self.client._data += await self.client.stream.receive_some(1)

    def leave(self) -> None:
        """Close the socket, with nothing said."""
        self.client.stream.socket.close()


async def handshake(
    hub: HubProcess,
    path: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    host: str | None = None,
    receive_buffer: int | None = None,
) -> tuple[WsClient, Answer]:
    """Ask for a WebSocket: the connection, and what the hub answered."""
    client = await WsClient.dial(hub.port, receive_buffer=receive_buffer)
    await client.raw(request_head(path, headers, host=host or hub.authority))
    with trio.fail_after(PATIENCE):
        return client, await client.answer()


async def connect(
    hub: HubProcess,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    receive_buffer: int | None = None,
) -> Peer:
    """Shake hands with success.

    Raises:
        Closed: the hub is not there, or went meanwhile.
    """
    try:
        client, answer = await handshake(hub, path, headers, receive_buffer=receive_buffer)
    except (OSError, EOFError, trio.BrokenResourceError) as error:
        raise Closed(1006) from error
    assert answer.status == 101, answer
    return Peer(client)


async def watch(hub: HubProcess, query: str = "", *, receive_buffer: int | None = None) -> Peer:
    """A native watcher; `welcome` is the first thing it hears."""
    return await connect(hub, f"/ws/updates?{query}", [NATIVE], receive_buffer=receive_buffer)


async def watch_plain(hub: HubProcess, query: str = "", *, receive_buffer: int | None = None) -> Peer:
    """A watcher without a subprotocol."""
    return await connect(hub, f"/ws/updates?{query}", receive_buffer=receive_buffer)


async def produce(hub: HubProcess, producer_id: str = "", query: str = "") -> Peer:
    """A producer."""
    return await connect(hub, f"/ws/orchestrator?producer_id={producer_id}&{query}")


async def publish(producer: Peer, request: int | str, *events: Json) -> Json:
    """One publish and its ack."""
    answer = await producer.ask({"type": "publish", "id": request, "events": list(events)})
    assert answer["type"] == "ack", answer
    assert answer["id"] == request
    return answer


def node(project: str, node_id: str, **changes: Any) -> Json:
    """A ``node_update``."""
    return {"type": "node_update", "project_id": project, "data": {"node_id": node_id, "changes": changes}}


def events_in(messages: Iterable[Json]) -> list[Json]:
    """Those of them that are events of a project."""
    return [one for one in messages if "timestamp" in one and "seq" in one]


def position(message: Json) -> str:
    """Where a message stands."""
    return f"{message['epoch']}:{message['seq']}"


class EventStream(Listener):
    """A reader of ``GET …/stream``; remembers the last id as a browser does. Ends with its `leave`."""

    def __init__(self, connection: HttpConnection, last_id: str | None) -> None:
        self.last_id = last_id
        self._connection = connection
        self._data = b""

    @classmethod
    async def open(
        cls,
        hub: HubProcess,
        project: str,
        query: str = "",
        *,
        last_id: str | None = None,
        receive_buffer: int | None = None,
    ) -> EventStream:
        """Ask for a project's stream.

        Raises:
            Closed: the hub is not there.
        """
        headers = [("Last-Event-ID", last_id)] if last_id else []
        try:
            connection = await HttpConnection.open(hub.port, receive_buffer=receive_buffer)
            response = await connection.ask("GET", f"/api/v1/projects/{project}/stream?{query}", headers)
        except Gone as error:
            raise Closed(1006) from error
        assert response.status_code == 200, await connection.body()
        return cls(connection, last_id)

    def leave(self) -> None:
        """Close the socket."""
        self._connection.leave()

    async def half_close(self) -> None:
        """Send nothing more."""
        await self._connection.half_close()

    async def comment(self) -> None:
        """The next line that is not empty; it must be a comment: the hub's sign of life."""
        while not (line := await self._line()):
            pass
        assert line.startswith(":"), line

    async def hear(self) -> Json:
        """The next message.

        Raises:
            Closed: the stream is over; code 1000 if it ended in order.
        """
        data: list[str] = []
        given: str | None = None
        while (line := await self._line()) or not data:
            if line.startswith("data: "):
                data.append(line[6:])
            elif line.startswith("id: "):
                given = line[4:]
        self.last_id = given or self.last_id
        found: Json = json.loads("\n".join(data))
        return found

    async def _line(self) -> str:
        while b"\n" not in self._data:
            try:
                data = await self._connection.more()
            except Gone as error:
                raise Closed(1006) from error
            if not data:
                raise Closed(1000)
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        return line.decode()


class Picture:
    """One project as a watcher sees it: the naive tree, fed with what the watcher hears."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.tree = NaiveTree(project)
        self.position: str | None = None
        self.seq = 0
        self._parts: list[Json] = []

    def hear(self, message: Json) -> None:
        """Take in one message of this project."""
        kind = message["type"]
        if kind == "project_state":
            self._part(message)
        elif kind == "conflated":
            self._conflated(message)
        elif kind == "subscribed":
            self._parts.clear()
            if message["recovered"] is None and message["seq"] == 0:
                self.tree.clear()
        elif kind not in ("welcome", "heartbeat", "reply", "draining", "pong"):
            self.tree.apply(kind, message["data"])
            self._at(message)

    def _part(self, message: Json) -> None:
        if message["part"] == 1:
            self._parts = [message["data"]]
        else:
            self._parts.append(message["data"])
        assert message["part"] == len(self._parts)
        if message["part"] == message["parts"]:
            self.tree.clear()
            self._set(self._parts[0])
            for part in self._parts:
                self._put(part["nodes"])
            self._at(message)

    def _conflated(self, message: Json) -> None:
        assert message["after"] == self.seq, "a conflated message begins where the watcher stands"
        for node_id in message["removed"]:
            self.tree.nodes.pop(node_id, None)  # it may have come and gone in that stretch
        self._put(message["nodes"])
        self._set(message)
        self._at(message)

    def _set(self, fields: Json) -> None:
        for name in ("state", "project", "orchestrator", "coordination", "prompts"):
            if name in fields:
                setattr(self.tree, name, fields[name])

    def _put(self, nodes: list[Json]) -> None:
        for one in nodes:
            fields = dict(one)
            self.tree.nodes[fields.pop("node_id")] = fields

    def _at(self, message: Json) -> None:
        self.seq, self.position = message["seq"], position(message)

    def assert_is(self, state: Json) -> None:
        """It must be what ``GET …/state`` answered."""
        assert self.position == position(state)
        data = dict(state["data"])
        nodes = {one["node_id"]: one for one in data.pop("nodes")}
        mine = self.tree.picture()
        assert {name: {"node_id": name, **fields} for name, fields in mine.pop("nodes").items()} == nodes
        assert mine == data
