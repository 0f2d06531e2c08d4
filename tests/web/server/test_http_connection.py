from __future__ import annotations

import socket

import pytest
import trio

from tasktree_rt.metrics import Metrics
from tasktree_rt.web.server.http_connection import Replay
from tests.web.serving import EdgeCounts, Started
from tests.wsclient import TEXT, WsClient, masked, request_head

pytestmark = pytest.mark.usefixtures("wire")


async def test_http_is_served_by_hypercorn_with_keep_alive_and_pipelining(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    get = b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n"
    await client.raw(get + get)
    assert (await client.answer()).body == b"hello"
    assert (await client.answer()).body == b"hello"
    body = b"y" * 300_000
    await client.raw(b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: 300000\r\n\r\n" + body)
    answer = await client.answer()
    assert answer.body == b"300000"
    assert "server" not in answer.headers


async def test_an_answer_before_the_end_of_the_request_is_not_lost_to_a_reset(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: 9000000\r\n\r\n" + b"y" * 500_000)
    assert (await client.answer()).status == 413
    await client.raw(b"y" * 2_000_000)
    await client.eof()
    assert await client.rest() == b""


async def test_a_stream_that_is_not_read_is_reset_after_stall_timeout_and_counted(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(delivery={"stall_timeout": 7.0})
    client = await WsClient.dial(served.port, receive_buffer=4096)
    await client.raw(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n")
    await trio.sleep(6.9)
    assert not served.edge.counts
    await trio.sleep(0.2)
    assert served.edge.counts == {"http_stalled": 1}
    with pytest.raises(trio.BrokenResourceError):
        await client.rest()


async def test_a_write_ends_stall_timeout_after_the_last_byte_that_was_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = socket.socketpair()
    edge = EdgeCounts()
    with ours, theirs:
        ours.setblocking(False)
        stream = Replay(ours, b"", stall_timeout=7.0, meter=edge.metrics)
        fill(ours)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle, theirs)
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"y" * 50_000_000)
            assert trio.current_time() == pytest.approx(5 * 5 + 7)
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"y")
        assert edge.counts == {"http_stalled": 1}


async def test_a_write_of_which_nothing_is_taken_ends_after_stall_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        fill(ours)
        with pytest.raises(trio.BrokenResourceError):
            await Replay(ours, b"", stall_timeout=7.0, meter=Metrics()).send_all(b"y")
        assert trio.current_time() == pytest.approx(7)


def fill(sock: socket.socket) -> None:
    try:
        while True:
            sock.send(b"x" * 1000)
    except BlockingIOError:
        pass


async def trickle(sock: socket.socket) -> None:
    for _ in range(5):
        await trio.sleep(5)
        sock.recv(1_000_000)


async def test_a_cancelled_write_resets_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        stream = Replay(ours, b"", stall_timeout=7.0, meter=Metrics())
        with trio.move_on_after(1):
            await stream.send_all(b"y" * 50_000_000)
        assert stream.aborted
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"the rest")


async def test_a_stream_that_is_read_slowly_lives(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.1  # the kernel is given time to tell that there is room again
    served = await started(delivery={"stall_timeout": 7.0})
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n")
    for _ in range(20):
        await trio.sleep(5)
        got = 0
        while got < 4_000_000:
            got += len(await client.stream.receive_some(1_000_000))
    assert not served.edge.counts


async def test_a_stream_ends_when_its_reader_goes(started: Started) -> None:
    served = await started()
    before = trio.lowlevel.current_statistics().tasks_living
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n")
    await client.answer()
    client.reset()
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_an_idle_kept_connection_is_ended(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
    await client.answer()
    assert await client.rest() == b""
    assert trio.current_time() == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("cut", [None, 1, 30])
async def test_a_later_request_on_a_kept_connection_may_ask_for_a_websocket(
    started: Started, cut: int | None
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    for _ in range(2):
        await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert (await client.answer()).body == b"hello"
    await trio.testing.wait_all_tasks_blocked()
    asked = request_head() + masked(TEXT, b"early")
    await client.raw(asked[:cut])
    await trio.testing.wait_all_tasks_blocked()
    if cut is not None:
        await client.raw(asked[cut:])
    assert (await client.answer()).status == 101
    assert (await client.recv()).data == b"early"
    await client.text("later")
    assert (await client.recv()).data == b"later"
    assert served.edge.counts["handshakes accepted"] == 1


async def test_a_later_request_that_is_refused_a_websocket_gets_the_answer_of_the_first(
    started: Started,
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
    assert (await client.answer()).body == b"hello"
    await trio.testing.wait_all_tasks_blocked()
    await client.raw(request_head("/nowhere"))
    assert (await client.answer()).status == 404


async def test_later_requests_in_pieces_are_put_together(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    for _ in range(3):
        for piece in (b"GE", b"T /hello HTTP/1.1\r\nHo", b"st: hub\r\n", b"\r\n"):
            await client.raw(piece)
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.answer()).body == b"hello"
    await trio.testing.wait_all_tasks_blocked()
    await client.raw(b"GET /hello HTTP/1.1\r\nx: " + b"y" * 20_000)
    assert (await client.answer()).status == 431


async def test_a_kept_connection_whose_peer_goes_is_over_at_once(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started()
    before = trio.lowlevel.current_statistics().tasks_living
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n")
    await client.answer()
    await client.eof()
    assert await client.rest() == b""
    assert trio.current_time() < 1
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before
