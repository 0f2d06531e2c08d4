"""Targets that need a hub: one runs in a thread of its own, and outlasts every input."""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

import h11
import trio
from quart.typing import TestClientProtocol
from quart_trio import QuartTrio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.composition.compose import foreign_systems
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Event, ProjectId, parse_event
from tasktree_rt.core.executions import STATUSES
from tasktree_rt.core.log import BEGINNING, Recovered
from tasktree_rt.dialects.base import decode_body, decode_object
from tasktree_rt.dialects.tasktree import Orchestrator
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.sessions.producer import ProducerSession
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Limits, Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.server.handshake import Answered, Gone, Handshake, Other, Upgraded
from tasktree_rt.web.server.request_head import end_of_head, fault, websocket_head
from tasktree_rt.web.server.syscalls import Syscalls
from tests.fuzz.target import told_well_on_the_wire
from tests.fuzz.words import NOW
from tests.hub.transport import Carried
from tests.model import NaiveTree
from tests.wsclient import ACCEPT, KEY

_SETTINGS: Final = Settings(limits=Limits(max_events_per_publish=20, max_nodes=50, max_node_size=2048))
HTTP_WORDS: Final = (
    *(b"application/json", b"application/x-ndjson", b"application/jsonl", b"text/plain", b"; charset=utf-16"),
    *(b"\n", b"\r\n", b"[", b"]", b",", b'{"type":"x"}', b'"at":', b'"name":', b"snapshots", b"events"),
)
QUERY_WORDS: Final = (
    *(b"project_id=", b"since=", b"policy=", b"token=", b"limit=", b"at=", b"type=", b"node_id=", b"after="),
    *(
        b"&",
        b"=",
        b"%",
        b"%00",
        b"%ff",
        b"%e2%82%ac",
        b"+",
        b"e:1",
        b":0",
        b"conflate",
        b"1" * 20,
        b"\xc2\xb2",
    ),
)


class Stage:
    """A hub that lasts; `shared` is the one of this process."""

    _one: Stage | None = None

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.hub: Hub
        self.app: QuartTrio
        self.http: TestClientProtocol
        self._token: trio.lowlevel.TrioToken
        self._ready, self._end = threading.Event(), trio.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)
        self._thread.start()
        self._ready.wait()

    @classmethod
    def shared(cls) -> Stage:
        """Started at its first use."""
        if cls._one is None:
            cls._one = cls()
            atexit.register(cls.close)
        return cls._one

    @classmethod
    def close(cls) -> None:
        """End it, if it runs."""
        stage, cls._one = cls._one, None
        if stage is not None:
            stage._token.run_sync_soon(stage._end.set)
            stage._thread.join()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with open_hub(MemoryBroker(), _SETTINGS, on_error=self._failed) as self.hub:
            self.app = create_app(_SETTINGS, self.hub, compat=foreign_systems())
            self.http = self.app.test_client()
            self._ready.set()
            await self._end.wait()

    def _failed(self, where: str, error: BaseException) -> None:
        self.faults.append(f"{where}: {error!r}")

    def play(self, scene: Callable[[Stage, bytes], Awaitable[None]], data: bytes) -> None:
        """Run `scene` beside the hub; a fault of the hub's own is a find."""
        trio.from_thread.run(scene, self, data, trio_token=self._token)
        faults, self.faults[:] = list(self.faults), []
        assert not faults, faults

    async def forget(self, *projects: str) -> None:
        """The next input begins without them."""
        for name in projects:
            project = self.hub.cache.get(name)
            if project is not None and project.epoch:
                await self.hub.delete_project(name)


# --- publishes ------------------------------------------------------------------------------------


def run_publish(data: bytes) -> None:
    """What a producer sends, a message a line: an answer to each; log and tree are what was acked."""
    Stage.shared().play(_publish, data)


async def _publish(stage: Stage, data: bytes) -> None:
    await stage.forget("p", "q")
    messages = [line for line in data.split(b"\n") if line]
    async with trio.open_nursery() as nursery:
        session = ProducerSession(stage.hub, Orchestrator(), "fuzz", grants=OPEN)
        carried = Carried(session, nursery)
        for message in messages:
            carried.send(message)
        await wait_all_tasks_blocked()
        answers = carried.received()
        carried.end()
        nursery.cancel_scope.cancel()
    wanted = [message for message in messages if not _is_bare(message)]
    assert len(wanted) <= len(answers) <= len(messages)
    for answer in answers:
        assert answer["type"] in ("ack", "error", "pong")
        if answer["type"] == "error":
            told_well_on_the_wire(answer["code"], answer["message"], answer.get("field"))
    for name in ("p", "q"):
        await _assert_kept(stage, name, answers)


def _is_bare(message: bytes) -> bool:
    """An event without an id, of which only errors are told."""
    try:
        value = decode_object(message)
    except InvalidInput:
        return False
    return value.get("type") not in ("publish", "ping") and value.get("id") is None


async def _assert_kept(stage: Stage, name: str, answers: list[Any]) -> None:
    project = await stage.hub.cache.load(name)
    acked = [
        place["seq"]
        for answer in answers
        if answer["type"] == "ack"
        for place in answer["positions"]
        if place["project_id"] == name and place["epoch"] == project.epoch
    ]
    found = await stage.hub._broker.read(name, BEGINNING, limit=10_000)
    assert isinstance(found, Recovered)
    records = found.records
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    assert set(acked) <= {one.seq for one in records}
    model = NaiveTree(name)
    for record in records:
        event = decode_body(record.body)
        assert parse_event(json.loads(record.body), now=NOW, project=ProjectId(name)) == event
        model.apply(event.type, event.data)
    tree = project.tree
    assert {**tree.top, "nodes": {one: node.fields for one, node in tree.nodes.items()}} == model.picture()


# --- HTTP -----------------------------------------------------------------------------------------


def run_http(data: bytes) -> None:
    """A body: its first line is the content type and ``events`` or ``snapshots``, the rest the body."""
    Stage.shared().play(_http, data)


async def _http(stage: Stage, data: bytes) -> None:
    await stage.forget("p")
    first, _, body = data.partition(b"\n")
    kind, _, route = first.decode("latin-1").rpartition(" ")
    path = "/api/v1/projects/p/" + ("snapshots" if route == "snapshots" else "events")
    headers = {"Content-Type": _printable(kind), "Host": "localhost"}
    if route == "keyed":
        headers["Idempotency-Key"] = str(len(body))
    response = await stage.http.post(path, data=body, headers=headers)
    answer = await response.get_json(force=True)
    if response.status_code in (200, 201):
        assert "positions" in answer or "snapshot_id" in answer
    else:
        _problem(response.status_code, answer)
    await _assert_kept(stage, "p", [{"type": "ack", **answer}] if "positions" in answer else [])


def run_work(data: bytes) -> None:
    """Requests about one execution, a line each: ``start``, ``change`` or ``claim``, a tab, and a body."""
    Stage.shared().play(_work, data)


async def _work(stage: Stage, data: bytes) -> None:
    await stage.forget("execution:e")
    project, path = ProjectId("execution:e"), "/api/v1/executions"
    await stage.hub.publish(Event("state_transition", project, {"to": "pending"}, NOW))
    routes = {b"start": path, b"claim": f"{path}/e/claim"}
    for line in data.split(b"\n")[:8]:
        kind, _, body = line.partition(b"\t")
        ask = stage.http.post if kind in routes else stage.http.patch
        response = await ask(routes.get(kind, f"{path}/e"), data=body, headers={"Host": "localhost"})
        answer = await response.get_json(force=True)
        if response.status_code not in (200, 201):
            _problem(response.status_code, answer)
            continue
        assert answer["status"] in STATUSES
        if kind == b"start":
            await stage.forget(f"execution:{answer['id']}")
        else:
            shown = await stage.http.get(f"{path}/e", headers={"Host": "localhost"})
            assert await shown.get_json() == answer


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _problem(status: int, answer: Any) -> None:
    assert 400 <= status < 500, answer
    assert answer["status"] == status
    if answer["title"] not in ("Method Not Allowed", "Unsupported Media Type"):
        told_well_on_the_wire(answer["code"], answer["detail"], answer.get("field") or "the request")


def run_query(data: bytes) -> None:
    """A query string, at every route that reads one."""
    Stage.shared().play(_query, data)


async def _query(stage: Stage, data: bytes) -> None:
    query = bytes(byte for byte in data if 0x21 <= byte <= 0x7E and byte != 0x23)
    text = query.decode()
    for path in ("/projects", "/projects/p/events", "/projects/p/state", "/connections"):
        response = await stage.http.get(f"/api/v1{path}?{text}", headers={"Host": "localhost"})
        answer = await response.get_json(force=True)
        if response.status_code != 200:
            _problem(response.status_code, answer)
    for head in (b"GET /ws/updates?", b"GET /ws/orchestrator?"):
        request = head + query + _HEADERS
        await _shake_hands(stage, request if len(request) < 8_000 else head + _HEADERS)


# --- handshakes -----------------------------------------------------------------------------------

_HEADERS: Final = (
    b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n\r\n"
)


class _Socket:
    """A socket's name, and what a handshake reads and writes."""

    family = 2

    def __init__(self, data: bytes) -> None:
        self._pieces = [data[:700], data[700:701], data[701:]]
        self.written = bytearray()

    def fileno(self) -> int:
        return 1_000_000

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 8000

    def readv(self, _: int, into: tuple[bytearray]) -> int:
        while self._pieces:
            piece = self._pieces.pop(0)[: len(into[0])]
            if piece:
                into[0][: len(piece)] = piece
                return len(piece)
        return 0

    def write(self, _: int, data: bytes | memoryview) -> int:
        self.written += data
        return len(data)


def run_handshake(data: bytes) -> None:
    """What comes before a WebSocket: one well-formed answer, the tail untouched, or it is left to others."""
    Stage.shared().play(_shake_hands, data)


async def _shake_hands(stage: Stage, data: bytes) -> None:
    sock = _Socket(data)
    io = Syscalls(sock.readv, sock.write, _at_once, _at_once)
    handshake = Handshake(stage.app, {}, 5.0, io, Metrics())
    outcome = await handshake.run(sock, ("127.0.0.1", 5))  # type: ignore[arg-type]
    written = bytes(sock.written)
    end = end_of_head(data)
    if isinstance(outcome, Gone | Other):
        assert not written
        if isinstance(outcome, Other):
            assert data.startswith(outcome.received)
            assert len(outcome.received) >= end > 0
        return
    response = _response(written)
    assert response.status_code < 500
    if isinstance(outcome, Answered):
        assert response.status_code >= 300  # a redirect where slashes were doubled
        return
    assert isinstance(outcome, Upgraded)
    assert response.status_code == 101
    head = websocket_head(data[: end + 100])
    assert head is not None
    assert fault(head) is None
    assert data[head.size :].startswith(outcome.received)
    answered = dict(response.headers)
    assert (answered[b"sec-websocket-accept"] == ACCEPT.encode()) is (
        head.values(b"sec-websocket-key") == [KEY.encode()]
    )


async def _at_once(_: int) -> None:
    await trio.lowlevel.checkpoint()


def _response(data: bytes) -> h11.Response | h11.InformationalResponse:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a"), ("Upgrade", "websocket")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    found = connection.next_event()
    assert isinstance(found, h11.Response | h11.InformationalResponse)
    if isinstance(found, h11.Response):
        while isinstance(connection.next_event(), h11.Data):
            pass
        assert not connection.trailing_data[0]
    return found
