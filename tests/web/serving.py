"""What the tests of transport and server share: a small app, its sessions, and `start`."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from quart import Response, request, websocket
from quart_trio import QuartTrio
from structlog.testing import capture_logs

from tasktree_rt.core import close_codes as closing
from tasktree_rt.core.close_codes import Closing
from tasktree_rt.hub.transport import Transport
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery, Drain, Limits, Settings
from tasktree_rt.web.server.server import serve
from tasktree_rt.web.server.syscalls import REAL, Syscalls
from tests.secure import secure
from tests.wsclient import WsClient

Start = Callable[[Callable[[], Awaitable[None]]], None]
EDGE = {"tasktree_handshakes", "tasktree_connections_refused", "tasktree_http_stalled"}


def frame(opcode: int, data: bytes) -> bytes:
    """A server's frame."""
    size = struct.pack("!B", len(data)) if len(data) < 126 else struct.pack("!BQ", 127, len(data))
    return bytes([0x80 | opcode]) + size + data


class EchoSession:
    """Says what it is told; writes like the hub's: at once what the socket takes, the rest from a task."""

    def __init__(self) -> None:
        self.last_received = 0.0
        self.messages: list[str | bytes] = []
        self.controls: list[bytes] = []
        self.small_frames = 0
        self.endings: list[tuple[int | None, str]] = []
        self.done = trio.Event()
        self.transport: Transport
        self.start: Start
        self.waiting = bytearray()
        self._closing = self._eof = self._writing = False

    def opened(self, transport: Transport, start: Start) -> None:
        self.transport, self.start = transport, start

    async def message(self, message: str | bytes) -> None:
        self.messages.append(message)
        if message == "crash":
            raise RuntimeError("the session is broken")
        if message == "close":
            self.close(closing.NORMAL, "as you wish")
        elif isinstance(message, str):
            self.send(frame(1, message.encode()))
        else:
            self.send(frame(2, message))

    def send(self, data: bytes) -> None:
        if not self._closing:
            self._put(data)

    def frames(self, count: int) -> None:
        self.small_frames += count

    def control(self, data: bytes) -> None:
        self.controls.append(data)
        if not data:
            self._eof = True
            self._put(b"")
        elif not self._closing:
            self._closing = data[0] & 0x0F == 8
            self._put(data)

    def close(self, closing: Closing, reason: str = "") -> None:
        if not self._closing:
            self._closing = self._eof = True
            self._put(self.transport.close_frame(closing, reason or closing.reason))

    def ended(self, code: int | None, reason: str) -> None:
        self.endings.append((code, reason))
        self.done.set()

    def _put(self, data: bytes) -> None:
        self.waiting += data
        if not self._writing:
            self._flush()
            if self.waiting:
                self._writing = True
                self.start(self._write)

    def _flush(self) -> None:
        del self.waiting[: self.transport.write_nowait(bytes(self.waiting))]
        if self._eof and not self.waiting:
            self.transport.shutdown()

    async def _write(self) -> None:
        while self.waiting:
            await self.transport.writable()
            self._flush()
        self._writing = False


@define
class Hub:
    """A hub of which the server knows only how to drain it."""

    sessions: list[EchoSession] = field(factory=list)
    drained: int = 0

    async def drain(self) -> None:
        self.drained += 1
        for session in self.sessions:
            if not session.done.is_set():
                session.close(closing.RESTART)


@define
class EdgeCounts:
    """What a server's metrics count at its edge."""

    metrics: Metrics = field(factory=Metrics)

    @property
    def counts(self) -> dict[str, float]:
        """Counts by the metric's name and its label, those above 0."""
        found: dict[str, float] = {}
        for family in self.metrics.registry.collect():
            for one in family.samples if family.name in EDGE else ():
                if one.name.endswith("_total") and one.value:
                    name = family.name.removeprefix("tasktree_")
                    found[" ".join((name, *one.labels.values()))] = one.value
        return found


def make_app(hub: Hub) -> QuartTrio:
    """Routes that accept, refuse, crash, hang, and stream without end."""
    app = QuartTrio("tests")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024

    def leave_session() -> None:
        session = EchoSession()
        hub.sessions.append(session)
        scope: Any = websocket.scope
        assert scope["tasktree_rt.websocket_supported"] is True
        scope["tasktree_rt.session"] = session

    _accepting(app, leave_session)
    _failing(app, leave_session)
    _refusing(app)
    _http(app)
    return app


def _accepting(app: QuartTrio, leave_session: Callable[[], None]) -> None:
    @app.websocket("/echo")
    async def echo() -> None:
        offered = websocket.requested_subprotocols
        chosen = offered[-1] if offered else None
        await websocket.accept(headers={"X-Path": websocket.path}, subprotocol=chosen)
        leave_session()

    @app.websocket("/bad-header/<name>")
    async def bad_header(name: str) -> None:
        await websocket.accept(headers={name: "x"})
        leave_session()

    @app.websocket("/other-protocol")
    async def other_protocol() -> None:
        await websocket.accept(subprotocol="never.offered")
        leave_session()

    @app.websocket("/sessionless")
    async def sessionless() -> None:
        await websocket.accept()

    @app.websocket("/thinks-better")
    async def thinks_better() -> None:
        await websocket.accept()
        leave_session()
        await websocket.close(1008)


def _failing(app: QuartTrio, leave_session: Callable[[], None]) -> None:
    @app.websocket("/crash")
    async def crash() -> None:
        raise RuntimeError("the view is broken")

    @app.websocket("/crash-later")
    async def crash_later() -> None:
        await websocket.accept()
        leave_session()
        raise RuntimeError("the view is broken")

    @app.websocket("/hang")
    async def hang() -> None:
        leave_session()
        await trio.sleep_forever()

    @app.websocket("/receives")
    async def receives() -> None:
        leave_session()
        await websocket.receive()


def _refusing(app: QuartTrio) -> None:
    @app.websocket("/see")
    async def see() -> tuple[dict[str, Any], int]:
        scope: Any = websocket.scope
        client, server = scope["client"], scope["server"]
        same = {key: scope[key] for key in ("path", "scheme", "http_version", "subprotocols", "extensions")}
        return {**same, "client": client[0], "server": server[1], "args": websocket.args.to_dict()}, 418

    @app.websocket("/no")
    async def no() -> tuple[str, int, dict[str, str]]:
        return "not you", 401, {"WWW-Authenticate": "Bearer"}

    @app.websocket("/shut")
    async def shut() -> None:
        await websocket.close(4003)


def _http(app: QuartTrio) -> None:
    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.post("/size")
    async def size() -> str:
        return str(len(await request.get_data(as_text=False)))

    @app.get("/stream")
    async def stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield b"data: " + b"x" * 10_000 + b"\n\n"
                await trio.lowlevel.checkpoint()

        response = Response(chunks(), mimetype="text/event-stream")
        response.timeout = None
        return response

    @app.get("/wait")
    async def wait() -> str:
        await trio.Event().wait()
        return ""


@define
class Served:
    """A running server."""

    port: int
    hub: Hub
    edge: EdgeCounts
    app: QuartTrio
    stop: trio.Event
    ended: trio.Event

    async def session(self) -> EchoSession:
        """The newest session."""
        return self.hub.sessions[-1]


Started = Callable[..., Awaitable[Served]]


def small(
    *,
    limits: dict[str, Any] | None = None,
    delivery: dict[str, Any] | None = None,
    drain: dict[str, Any] | None = None,
    **others: Any,
) -> Settings:
    """Settings on a free port, with some changed."""
    others.setdefault("tls", secure.tls)
    base = Settings(bind="127.0.0.1:0")
    return evolve(
        base,
        limits=evolve(Limits(), **limits or {}),
        delivery=evolve(Delivery(), **delivery or {}),
        drain=evolve(Drain(), **drain or {}),
        **others,
    )


@pytest.fixture
async def started(nursery: trio.Nursery) -> AsyncIterator[Started]:
    """Start servers: ``await started(limits=..., app=..., hub=...)``; they end with the test."""

    async def start(
        *,
        hub: Hub | None = None,
        app: QuartTrio | None = None,
        syscalls: Syscalls = REAL,
        edit: Callable[[QuartTrio], None] | None = None,
        **settings: Any,
    ) -> Served:
        hub = hub or Hub()
        app = app or make_app(hub)
        if edit is not None:
            edit(app)
        edge, stop, ended = EdgeCounts(), trio.Event(), trio.Event()

        async def run(task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED) -> None:
            try:
                await serve(
                    app,
                    hub,
                    small(**settings),
                    shutdown=stop.wait,
                    meter=edge.metrics,
                    syscalls=syscalls,
                    task_status=task_status,
                )
            finally:
                ended.set()

        urls = await nursery.start(run)
        return Served(int(urls[0].rsplit(":", 1)[1]), hub, edge, app, stop, ended)

    yield start
    nursery.cancel_scope.cancel()
    WsClient.close_all()


@pytest.fixture
def structlog_records() -> Iterator[list[Any]]:
    """What was logged."""
    with capture_logs() as records:
        yield records
