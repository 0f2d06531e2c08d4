from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import trio
from quart_trio import QuartTrio

from tasktree_rt.errors import SettingsError
from tasktree_rt.web.listeners import Gate, accept_from, close_listener, open_sockets, url_of
from tasktree_rt.web.server import LifespanEnded, raise_open_files_limit, serve, tune_gc
from tests.web.serving import Hub, Started, make_app, small
from tests.wsclient import CLOSE, WsClient, request_head

# --- listening ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "url"), [("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")]
)
def test_sockets_are_opened_on_any_free_port(bind: str, url: str) -> None:
    if ":1" in bind and not socket.has_ipv6:
        pytest.skip("no IPv6")
    (sock,) = open_sockets(bind)
    with sock:
        assert url_of(sock).startswith(url)
        assert sock.getsockname()[1] > 0


def test_a_name_is_bound_at_every_address_this_machine_has() -> None:
    sockets = open_sockets("localhost:0")
    assert {sock.getsockname()[0] for sock in sockets} <= {"127.0.0.1", "::1"}
    assert sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("8000", "expected HOST:PORT"),
        (":8000", "expected HOST:PORT"),
        ("", "expected HOST:PORT"),
        ("127.0.0.1:x", "'x' is not a port"),
        ("127.0.0.1:65536", "'65536' is not a port"),
        ("127.0.0.1:-1", "'-1' is not a port"),
        ("127.0.0.1:٣", "is not a port"),
        ("::1:8000", "in brackets"),
        ("203.0.113.7:0", "no such address"),
        ("unix:", "expected unix:/PATH"),
        ("unix:/no/such/folder/x", "no such folder"),
        ("unix:/" + "x" * 200, "too long"),
    ],
)
def test_a_bind_that_cannot_be_had_is_one_clear_sentence(bind: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        open_sockets(bind)
    assert repr(bind) in str(caught.value)


def test_a_port_that_is_taken_is_said_so() -> None:
    (sock,) = open_sockets("127.0.0.1:0")
    with sock, pytest.raises(SettingsError, match="in use by another program"):
        open_sockets(f"127.0.0.1:{sock.getsockname()[1]}")


async def test_a_unix_socket_is_taken_over_from_the_dead_but_not_from_the_living(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    bind = f"unix:{path}"
    (living,) = open_sockets(bind)
    assert url_of(living) == bind
    with pytest.raises(SettingsError, match="in use"):
        open_sockets(bind)
    living.close()  # as after kill -9: the name stays
    assert stat.S_ISSOCK(path.stat().st_mode)
    (heir,) = open_sockets(bind)
    close_listener(heir)
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(SettingsError, match="no socket"):
        open_sockets(bind)
    assert path.read_text() == "precious"


async def test_accepted_sockets_inherit_the_options_of_their_listener() -> None:
    (listener,) = open_sockets("127.0.0.1:0")
    arrived: list[socket.socket] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_from, listener, lambda sock, _: arrived.append(sock))
        async with await WsClient.dial(listener.getsockname()[1]):
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    listener.close()
    (sock,) = arrived
    with sock:
        tcp = socket.IPPROTO_TCP
        assert sock.getsockopt(tcp, socket.TCP_NODELAY)
        assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 30_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(tcp, socket.TCP_KEEPIDLE) == 60
        assert sock.getsockopt(tcp, socket.TCP_KEEPINTVL) == 10
        assert sock.getsockopt(tcp, socket.TCP_KEEPCNT) == 3
        assert not sock.getblocking()


# --- accepting ----------------------------------------------------------------------------------------------


class FailingListener(socket.socket):
    """A real listener that fails with the given errors first."""

    failures: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


async def test_running_out_of_descriptors_pauses_and_is_told_once(
    autojump_clock: trio.testing.MockClock, structlog_records: list[dict[str, object]]
) -> None:
    (plain,) = open_sockets("127.0.0.1:0")
    listener = FailingListener(fileno=plain.detach())
    listener.setblocking(False)
    listener.failures = [errno.EMFILE, errno.ENFILE, errno.EMFILE, errno.ECONNABORTED, errno.EPROTO]
    arrived: list[socket.socket] = []
    at: list[float] = []

    def note(sock: socket.socket, client: object) -> None:
        arrived.append(sock)
        at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_from, listener, note)
        async with await WsClient.dial(listener.getsockname()[1]):
            await trio.sleep(5)
        nursery.cancel_scope.cancel()
    listener.close()
    assert not listener.failures
    assert at == [pytest.approx(0.3)], "three pauses of 0.1 s, then the connection"
    arrived[0].close()
    assert [record["event"] for record in structlog_records] == ["cannot accept connections"]


def test_the_gate_counts_in_all_and_by_address() -> None:
    gate = Gate(3, 2)
    a, b = ("10.0.0.1", 1), ("10.0.0.2", 1)
    assert [gate.enter(a), gate.enter(a), gate.enter(a)] == [None, None, "max_connections_per_address"]
    assert [gate.enter(b), gate.enter(b)] == [None, "max_connections"]
    gate.leave(a)
    assert gate.enter(None) is None
    assert gate.enter(None) == "max_connections"
    for client in (a, b, None):
        gate.leave(client)
    assert gate.inside == 0
    assert not gate._by_address, "an address that left must not be kept"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("max_connections", "max_connections"), ("max_connections_per_address", "max_connections_per_address")],
)
async def test_a_connection_over_the_limit_gets_503_and_a_place_once_one_is_free(
    started: Started, limit: str, reason: str
) -> None:
    served = await started(limits={limit: 2})
    first, _ = [await WsClient.open(served.port) for _ in range(2)]
    refused = await WsClient.dial(served.port)
    await refused.raw(request_head())
    answer = await refused.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    await refused.eof()
    assert await refused.rest() == b""
    assert served.meter.counts[f"refused {reason}"] == 1
    await first.stream.aclose()
    await served.hub.sessions[0].done.wait()
    await trio.testing.wait_all_tasks_blocked()
    await WsClient.open(served.port)


async def test_a_flood_over_the_limit_is_bounded_too(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(limits={"max_connections": 1})
    kept = await WsClient.open(served.port)
    tasks = trio.lowlevel.current_statistics().tasks_living
    flood = [await WsClient.dial(served.port) for _ in range(200)]
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living <= tasks + 128
    assert served.meter.counts["refused max_connections"] == len(flood)
    await trio.sleep(2)
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    refused = await WsClient.dial(served.port)
    assert (await refused.answer()).status == 503
    await kept.text("still served")
    assert (await kept.recv()).data == b"still served"


# --- lifespan and supervision -------------------------------------------------------------------------------


async def test_the_app_starts_before_the_first_connection_and_ends_after_the_last() -> None:
    hub, order = Hub(), list[str]()
    app = make_app(hub)

    @app.before_serving
    async def begin() -> None:
        order.append("start")

    @app.after_serving
    async def end() -> None:
        order.append(f"end, hub drained {hub.drained} times")

    stop = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve(app, hub, small(), shutdown=stop.wait, task_status=task_status)

        urls = await nursery.start(run)
        assert order == ["start"]
        assert len(urls) == 1
        stop.set()
    assert order == ["start", "end, hub drained 1 times"]


async def test_an_app_that_cannot_start_ends_the_server_with_its_error() -> None:
    app = make_app(Hub())

    @app.before_serving
    async def begin() -> None:
        raise RuntimeError("no database")

    (sock,) = open_sockets("127.0.0.1:0")
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="no database"), flatten_subgroups=True):
        await serve(app, Hub(), small(), sockets=[sock])
    assert sock.fileno() == -1, "the listener must be closed"


async def test_a_crash_of_a_background_task_ends_the_server_with_its_error(
    structlog_records: list[dict[str, object]],
) -> None:
    app = make_app(Hub())

    @app.before_serving
    async def begin() -> None:
        app.nursery.start_soon(breaks)

    async def breaks() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("the work is broken")

    with pytest.RaisesGroup(LifespanEnded, flatten_subgroups=True) as caught:
        await serve(app, Hub(), small())
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert "the work is broken" in repr(error.__cause__)


async def test_cancelling_serve_ends_everything_at_once(started: Started) -> None:
    hub = Hub()
    (sock,) = open_sockets("127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve(make_app(hub), hub, small(), sockets=[sock]))
        await trio.testing.wait_all_tasks_blocked()
        await WsClient.open(sock.getsockname()[1])
        nursery.cancel_scope.cancel()
    assert hub.drained == 0
    assert hub.sessions[0].endings == [(None, "")]
    assert sock.fileno() == -1


# --- drain --------------------------------------------------------------------------------------------------


async def test_a_drain_stops_accepting_closes_with_1012_and_ends(started: Started) -> None:
    served = await started()
    clients = [await WsClient.open(served.port) for _ in range(3)]
    served.stop.set()
    for client in clients:
        last = await client.recv()
        assert (last.opcode, last.code) == (CLOSE, 1012)
    assert not served.ended.is_set()
    with pytest.raises(OSError, match="refused"):
        await WsClient.dial(served.port)
    for client in clients:
        await client.close(1012)
        await client.stream.aclose()
    await served.ended.wait()
    assert served.hub.drained == 1


async def test_a_response_in_flight_is_finished_before_the_end(started: Started) -> None:
    go_on = trio.Event()

    def edit(app: QuartTrio) -> None:
        @app.get("/slow")
        async def slow() -> str:
            await go_on.wait()
            return "done"

    class Waits(Hub):
        async def drain(self) -> None:
            go_on.set()

    served = await started(hub=Waits(), edit=edit)
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /slow HTTP/1.1\r\nHost: hub\r\n\r\n")
    await trio.testing.wait_all_tasks_blocked()
    served.stop.set()
    assert (await client.answer()).body == b"done"
    await client.stream.aclose()
    await served.ended.wait()


async def test_an_idle_kept_connection_does_not_hold_the_end_up(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
    await client.answer()
    served.stop.set()
    assert await client.rest() == b""
    await client.stream.aclose()
    await served.ended.wait()
    assert trio.current_time() < 1


async def test_a_drain_ends_in_time_whatever_the_peers_do(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(
        drain={"timeout": 8.0},
        delivery={"close_timeout": 60.0, "stall_timeout": 60.0},
        limits={"handshake_timeout": 60.0},
    )
    never_reads = await WsClient.open(served.port, receive_buffer=4096)
    (await served.session()).send(b"\x82\x7f" + (20_000_000).to_bytes(8, "big") + b"x" * 20_000_000)
    never_closes = await WsClient.open(served.port)
    streams = await WsClient.dial(served.port, receive_buffer=4096)
    await streams.raw(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n")
    waits = await WsClient.dial(served.port)
    await waits.raw(b"GET /wait HTTP/1.1\r\nHost: hub\r\n\r\n")
    uploads = await WsClient.dial(served.port)
    await uploads.raw(b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: 10\r\n\r\n12345")
    silent = await WsClient.dial(served.port)
    half_open = await WsClient.dial(served.port)
    await half_open.raw(b"GET /echo HT")
    hangs = await WsClient.dial(served.port)
    await hangs.raw(request_head("/hang"))
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    served.stop.set()
    await served.ended.wait()
    assert trio.current_time() - began <= 8.0
    assert all(session.done.is_set() for session in served.hub.sessions)
    del never_reads, never_closes, streams, waits, uploads, silent, half_open, hangs


async def test_a_hub_that_never_finishes_draining_is_cut_short(
    started: Started, autojump_clock: trio.testing.MockClock, structlog_records: list[dict[str, object]]
) -> None:
    class Stuck(Hub):
        async def drain(self) -> None:
            await trio.sleep_forever()

    served = await started(hub=Stuck(), drain={"timeout": 8.0})
    await WsClient.open(served.port)
    served.stop.set()
    await served.ended.wait()
    assert trio.current_time() <= 8.0
    assert "drain cut short" in [record["event"] for record in structlog_records]


async def test_a_hub_that_fails_to_drain_does_not_keep_the_server(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    class Broken(Hub):
        async def drain(self) -> None:
            raise RuntimeError("the hub is broken")

    served = await started(hub=Broken())
    served.stop.set()
    await served.ended.wait()
    assert "drain failed" in [record["event"] for record in structlog_records]


async def test_an_app_that_hangs_at_its_end_is_left(
    started: Started, autojump_clock: trio.testing.MockClock, structlog_records: list[dict[str, object]]
) -> None:
    def edit(app: QuartTrio) -> None:
        @app.after_serving
        async def end() -> None:
            await trio.sleep_forever()

    served = await started(edit=edit, drain={"timeout": 5.0})
    served.stop.set()
    await served.ended.wait()
    assert trio.current_time() <= 5.0
    assert "the app did not end in order" in [record["event"] for record in structlog_records]


async def test_a_unix_socket_serves_and_goes(tmp_path: Path) -> None:
    path, hub, stop = tmp_path / "hub.sock", Hub(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            settings = small(limits={"max_connections_per_address": 1})
            sockets = open_sockets(f"unix:{path}")
            await serve(
                make_app(hub), hub, settings, sockets=sockets, shutdown=stop.wait, task_status=task_status
            )

        assert await nursery.start(run) == [f"unix:{path}"]
        for _ in range(2):
            client = WsClient(await trio.open_unix_socket(path))
            await client.raw(request_head())
            assert (await client.answer()).status == 101
        client = WsClient(await trio.open_unix_socket(path))
        await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert (await client.answer()).body == b"hello"
        WsClient.close_all()
        stop.set()
    assert not path.exists()


# --- the process --------------------------------------------------------------------------------------------


def test_the_collector_is_tuned() -> None:
    before = gc.get_threshold()
    try:
        tune_gc()
        assert gc.get_threshold() == (50_000, 20, 100)
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowered = min(256, hard if hard != resource.RLIM_INFINITY else 256)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowered, hard))
    try:
        limit = raise_open_files_limit()
        assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert limit == (hard if hard != resource.RLIM_INFINITY else 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
