from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest
import trio
from quart_trio import QuartTrio

from tasktree_rt.web.server.listeners import Listener, open_sockets
from tasktree_rt.web.server.server import LifespanEnded, raise_open_files_limit, serve, tune_gc
from tests.web.serving import Hub, Started, make_app, small
from tests.wsclient import CLOSE, WsClient, request_head

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
        await serve(app, Hub(), small(), sockets=[Listener(sock)])
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
        nursery.start_soon(lambda: serve(make_app(hub), hub, small(), sockets=[Listener(sock)]))
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
    assert "the app's shutdown failed" in [record["event"] for record in structlog_records]


async def test_a_unix_socket_serves_and_goes(tmp_path: Path) -> None:
    path, hub, stop = tmp_path / "hub.sock", Hub(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            settings = small(limits={"max_connections_per_address": 1})
            sockets = open_sockets(f"unix:{path}")
            await serve(
                make_app(hub),
                hub,
                settings,
                sockets=[Listener(one) for one in sockets],
                shutdown=stop.wait,
                task_status=task_status,
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
        assert gc.get_threshold() == (10_000, 100, 100)
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
