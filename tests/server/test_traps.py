"""The traps of Hypercorn 0.18 under trio (DESIGN.md), each at a whole server with real sockets.

Trap 9 is trio-websocket's and stands with the client.
"""

from __future__ import annotations

import tracemalloc

import pytest
import trio
from quart import websocket
from quart_trio import QuartTrio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.settings import Compression
from tasktree_rt.web.server.server import LifespanEnded, serve
from tests.web.serving import Hub, Started, frame, make_app, small, started, structlog_records
from tests.wsclient import BINARY, CLOSE, CONT, PONG, TEXT, WsClient, masked, request_head

__all__ = ["started", "structlog_records"]  # fixtures


async def test_trap_1_a_websocket_that_does_not_read_wedges_neither_its_end_nor_the_servers(
    started: Started, autojump_clock: MockClock
) -> None:
    served = await started(delivery={"close_timeout": 2.0}, drain={"timeout": 10.0})
    stalled = await WsClient.open(served.port, receive_buffer=4096)
    stalled_session = await served.session()
    stalled_session.send(frame(BINARY, b"x" * 20_000_000))
    assert stalled_session.waiting
    other = await WsClient.open(served.port)
    await other.text("not held up")
    assert (await other.recv()).data == b"not held up"
    served.stop.set()
    await served.ended.wait()
    assert trio.current_time() <= 2.1
    assert stalled_session.done.is_set()
    await stalled.stream.aclose()


async def test_trap_1_a_response_that_is_not_read_wedges_neither_its_end_nor_the_servers(
    started: Started, autojump_clock: MockClock
) -> None:
    served = await started(delivery={"stall_timeout": 30.0, "close_timeout": 2.0})
    stalled = await WsClient.dial(served.port, receive_buffer=4096)
    await stalled.raw(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n")
    await wait_all_tasks_blocked()
    served.stop.set()
    await served.ended.wait()
    assert trio.current_time() <= 2.1


@pytest.mark.parametrize("fragmented", [False, True])
async def test_trap_2_a_message_over_the_limit_is_refused_before_it_is_buffered(
    started: Started, fragmented: bool
) -> None:
    served = await started(limits={"max_message_size": 1024 * 1024}, delivery={"close_timeout": 60.0})
    client = await WsClient.open(served.port)
    first, more = masked(BINARY, size=500 * 1024 * 1024), b"x" * 60_000
    if fragmented:
        first, more = masked(BINARY, more, fin=False), masked(CONT, more, fin=False)
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        await client.raw(first)
        for _ in range(1000):
            await client.raw(more)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    last = await client.recv()
    assert (last.opcode, last.code) == (CLOSE, 1009)
    assert peak - before < 5 * 1024 * 1024
    assert not (await served.session()).messages


async def test_trap_3_without_compression_no_extension_is_negotiated_and_a_compressed_frame_is_refused(
    started: Started,
) -> None:
    served = await started(compression=Compression(websocket=False))
    client = await WsClient.dial(served.port)
    await client.raw(request_head(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]))
    answer = await client.answer()
    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers
    await client.frame(TEXT, b"\xca\x48\xcd\x04\x00", rsv=4)
    assert (await client.recv()).code == 1002


async def test_trap_4_a_pong_is_life_and_so_is_half_a_frame(started: Started, mock_clock: MockClock) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    session = await served.session()
    mock_clock.jump(20)
    await client.frame(PONG)
    await wait_all_tasks_blocked()
    assert session.last_received == 20
    mock_clock.jump(20)
    await client.raw(masked(TEXT, b"a large message that takes its time")[:3])
    await wait_all_tasks_blocked()
    assert session.last_received == 40


async def test_trap_5_open_sockets_are_closed_with_1012_when_the_server_ends(started: Started) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    served.stop.set()
    last = await client.recv()
    assert (last.opcode, last.code) == (CLOSE, 1012)
    with pytest.raises(EOFError):
        await client.recv()
    await client.stream.aclose()
    await served.ended.wait()


async def test_trap_6_the_peers_close_code_is_known_and_an_error_closes_1011(started: Started) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    await client.close(4321, "my reason")
    await client.stream.aclose()
    await (await served.session()).done.wait()
    assert (await served.session()).endings == [(4321, "my reason")]
    broken = await WsClient.open(served.port)
    await broken.text("crash")
    assert (await broken.recv()).code == 1011


async def test_trap_7_writing_to_a_dead_socket_ends_the_writer(
    started: Started, autojump_clock: MockClock
) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    session = await served.session()
    rounds = 0

    async def writes_for_ever() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            session.transport.write_nowait(b"\x82\x00")
            await session.transport.writable()

    session.start(writes_for_ever)
    while rounds < 10:
        await trio.lowlevel.checkpoint()
    client.reset()
    with trio.fail_after(5):
        await session.done.wait()
    ended_at = rounds
    await trio.sleep(1)
    assert rounds == ended_at


async def test_trap_8_an_empty_binary_message_is_a_message(started: Started) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    await client.frame(BINARY, b"")
    assert (await client.recv()).data == b""
    assert (await served.session()).messages == [b""]


async def test_trap_8_an_error_is_logged_though_the_peer_left_at_the_same_moment(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    served = await started()
    client = await WsClient.open(served.port)
    session = await served.session()

    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("a real error")

    session.start(fails_when_cancelled)
    await wait_all_tasks_blocked()
    client.reset()
    await session.done.wait()
    assert [record["event"] for record in structlog_records] == ["session failed"]


async def test_trap_8_an_error_in_the_view_is_logged(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    def edit(app: QuartTrio) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = True

        @app.websocket("/group")
        async def group() -> None:
            await websocket.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                raise ValueError("a real error")

    served = await started(edit=edit)
    client = await WsClient.dial(served.port)
    await client.raw(request_head("/group"))
    assert (await client.answer()).status == 500
    assert [record["event"] for record in structlog_records] == ["websocket view failed"]


async def test_trap_8_a_crash_of_background_work_ends_the_server() -> None:
    app = make_app(Hub())

    @app.before_serving
    async def begin() -> None:
        async def breaks() -> None:
            raise ValueError("the work is broken")

        app.nursery.start_soon(breaks)

    with trio.fail_after(10), pytest.RaisesGroup(LifespanEnded, flatten_subgroups=True):
        await serve(app, Hub(), small())


async def test_a_kept_connection_ends_though_quart_trio_cancels_the_task_that_sets_its_timeout(
    started: Started, autojump_clock: MockClock
) -> None:
    """Not among the nine: without its own shield Hypercorn's idle timeout is never set after a response."""
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
    await client.answer()
    with trio.fail_after(60):
        assert await client.rest() == b""
