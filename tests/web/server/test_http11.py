from __future__ import annotations

import gc
from contextlib import suppress

import h11
import pytest
import trio
from quart import request
from quart_trio import QuartTrio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.web.server.http11 import SPARE_READS
from tasktree_rt.web.server.websocket_connection import LAST_BYTES
from tests.web.serving import Served, Started
from tests.wsclient import TEXT, Answer, WsClient, masked, request_head

pytestmark = pytest.mark.usefixtures("wire")

HELLO = b"GET /hello HTTP/1.1\r\nHost: hub\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
POST = b"POST /size HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n"


async def last_answer(client: WsClient) -> Answer:
    """The answer that comes next, behind which the connection ends."""
    answer = await client.answer()
    await client.eof()
    with trio.fail_after(5):
        assert await client.rest() == b""
    return answer


@pytest.mark.parametrize("before", [0, 1, 2], ids=["first", "later", "pipelined"])
async def test_the_preface_of_http_2_is_answered_505_and_the_connection_ends(
    started: Started, before: int
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    if before == 1:
        await client.raw(HELLO)
        assert (await client.answer()).body == b"hello"
    await client.raw((HELLO if before == 2 else b"") + PREFACE)
    if before == 2:
        assert (await client.answer()).body == b"hello"
    answer = await last_answer(client)
    assert answer.status == 505
    assert answer.headers["connection"] == "close"
    assert b"HTTP/1.1" in answer.body


@pytest.mark.parametrize("body", [b"", b"12345"])
async def test_an_upgrade_to_http_2_is_not_looked_at(started: Started, body: bytes) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    for protocol in (b"h2c", b"H2C, websocket2", b"TLS/1.0"):
        head = HELLO if not body else b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\n"
        asks = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol
        await client.raw(head[:-2] + asks + b"\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + body)
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"5" if body else b"hello")
        assert "upgrade" not in answer.headers
    await client.raw(PREFACE)
    assert (await last_answer(client)).status == 505


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (HELLO.replace(b"\r\n", b"\n"), 400),
        (HELLO.replace(b"hub", b"hub\r\n folded"), 400),
        (HELLO.replace(b"hub", b"user@hub"), 400),
        (b"POST /size HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        (request_head(host="user@hub"), 400),
        (request_head().replace(b"\r\n", b"\n"), 400),
    ],
)
@pytest.mark.parametrize("later", [False, True])
async def test_a_head_that_is_refused_is_the_last_of_its_connection(
    started: Started, structlog_records: list[dict[str, object]], head: bytes, status: int, later: bool
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    if later:
        await client.raw(HELLO)
        assert (await client.answer()).body == b"hello"
    await client.raw(head + b"0\r\n\r\n" + HELLO)
    answer = await last_answer(client)
    assert answer.status == status
    assert answer.body.endswith(b".")
    assert not structlog_records


async def test_an_absolute_target_is_answered_as_its_path(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(HELLO.replace(b"/hello", b"http://HUB:80/hello"))
    assert (await client.answer()).body == b"hello"


# --- a WebSocket behind another request ------------------------------------------------------------------


def get(size: int) -> bytes:
    return b"POST /size HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


@pytest.mark.parametrize("first", [HELLO, HELLO * 3, get(5), get(100_000), POST + b"1\r\nx\r\n0\r\n\r\n"])
async def test_an_upgrade_pipelined_behind_other_requests_is_accepted(
    started: Started, structlog_records: list[dict[str, object]], first: bytes
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(first + request_head() + masked(TEXT, b"early"))
    for _ in range(first.count(b"HTTP/1.1")):
        assert (await client.answer()).status == 200
    assert (await client.answer()).status == 101
    assert (await client.recv()).data == b"early"
    await client.text("later")
    assert (await client.recv()).data == b"later"
    assert served.edge.counts["handshakes accepted"] == 1
    assert not structlog_records


@pytest.mark.parametrize(
    ("asked", "status"),
    [(request_head("/no"), 401), (request_head("/x", without=["Sec-WebSocket-Key"]), 400)],
)
async def test_an_upgrade_pipelined_behind_another_request_may_be_refused(
    started: Started, structlog_records: list[dict[str, object]], asked: bytes, status: int
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(HELLO + asked)
    assert (await client.answer()).body == b"hello"
    assert (await last_answer(client)).status == status
    assert not structlog_records


async def test_an_upgrade_behind_a_request_that_ends_its_connection_is_not_looked_at(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(HELLO[:-2] + b"Connection: close\r\n\r\n" + request_head())
    assert (await last_answer(client)).body == b"hello"
    assert not served.hub.sessions
    assert not structlog_records


async def test_what_comes_behind_a_last_request_is_thrown_away(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(b"GET /wait HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
    await wait_all_tasks_blocked()
    await client.raw(b"x" * 3_000_000)
    await wait_all_tasks_blocked()
    kept = [len(one._receive_buffer) for one in gc.get_objects() if type(one) is h11.Connection]
    assert sum(kept) < 100_000
    client.reset()
    await wait_all_tasks_blocked()


# --- bodies in chunks ------------------------------------------------------------------------------------


def counting(served: Served) -> list[int]:
    """How many bytes each piece has that the app is given from now on."""
    sizes: list[int] = []
    body_class = served.app.request_class.body_class

    class Counting(body_class):  # type: ignore[misc, valid-type]
        def append(self, data: bytes) -> None:
            if data:
                sizes.append(len(data))
            super().append(data)

    class Counted(served.app.request_class):  # type: ignore[misc, name-defined]
        body_class = Counting

    served.app.request_class = Counted
    return sizes


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5])
async def test_a_body_in_chunks_ends_in_one_way_wherever_it_is_cut(started: Started, cut: int) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    for _ in range(2):
        whole = POST + b"5\r\n12345\r\n0\r\n\r\n"
        await client.raw(whole[: len(whole) - cut])
        await wait_all_tasks_blocked()
        await client.raw(whole[len(whole) - cut :] + HELLO)
        assert (await client.answer()).body == b"5"
        assert (await client.answer()).body == b"hello"


@pytest.mark.parametrize(
    "end",
    [
        b"0\r\n\n",
        b"0\r\nX: y\r\n\r\n",
        b"0\r\nX: y\n\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\n\n",
        b"00\r\nHost: b\r\n\r\n",
    ],
)
@pytest.mark.parametrize("apart", [False, True])
async def test_a_body_in_chunks_that_ends_otherwise_is_refused(
    started: Started, end: bytes, apart: bool
) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(POST + b"5\r\n12345\r\n" + (b"" if apart else end + HELLO))
    if apart:
        await wait_all_tasks_blocked()
        await client.raw(end + HELLO)
    assert (await last_answer(client)).status == 400


async def test_chunks_read_together_are_given_to_the_app_as_one(started: Started) -> None:
    served = await started()
    sizes = counting(served)
    client = await WsClient.dial(served.port)
    await client.raw(POST + b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n")
    assert (await client.answer()).body == b"5000"
    assert sum(sizes) == 5_000
    assert len(sizes) < 50


async def test_a_body_in_chunks_of_48_bytes_may_be_as_large_as_any(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(POST + (b"30\r\n" + b"x" * 48 + b"\r\n") * 20_000 + b"0\r\n\r\n" + HELLO)
    assert (await client.answer()).body == b"960000"
    assert (await client.answer()).body == b"hello"


@pytest.mark.parametrize(
    "chunk",
    [b"1\r\nx\r\n", b"0001\r\nx\r\n", b"1;" + b"e" * 5_000 + b"\r\nx\r\n"],
    ids=["small", "zeros", "extension"],
)
async def test_a_body_of_chunks_with_next_to_nothing_in_them_is_refused_early(
    started: Started, chunk: bytes
) -> None:
    served = await started()
    sizes = counting(served)
    client = await WsClient.dial(served.port)
    sent = chunk * (3_000_000 // len(chunk))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, client, POST + sent)
        answer = await client.answer()
        assert answer.status == 400
        assert b"too small" in answer.body
        nursery.cancel_scope.cancel()
    assert sum(sizes) < 10_000
    client.reset()
    await wait_all_tasks_blocked()


async def send_all(client: WsClient, data: bytes) -> None:
    with suppress(trio.BrokenResourceError):
        await client.raw(data)


@pytest.mark.parametrize("framed", ["Transfer-Encoding: chunked", "Content-Length: 1000000"])
async def test_a_body_that_drips_in_is_refused_after_so_many_reads(started: Started, framed: str) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(f"POST /size HTTP/1.1\r\nHost: hub\r\n{framed}\r\n\r\n".encode())
    if "chunked" in framed:
        await client.raw(b"10000\r\n")
    for _ in range(SPARE_READS + 100):
        with suppress(trio.BrokenResourceError):
            await client.raw(b"x")
        await wait_all_tasks_blocked()
    answer = await client.answer()
    assert answer.status == 400
    assert b"pieces" in answer.body


async def test_a_body_that_no_route_reads_ends_its_connection(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port, receive_buffer=4096)
    await client.raw(b"GET /wait HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, client, chunk * 200)
        answer = await client.answer()
        nursery.cancel_scope.cancel()
    assert answer.status == 413


async def test_what_is_sent_on_and_on_behind_an_answer_is_reset(started: Started) -> None:
    served = await started(delivery={"close_timeout": 1e6})
    client = await WsClient.dial(served.port)
    await client.raw(PREFACE)
    assert (await client.answer()).status == 505
    sent = 0
    with trio.fail_after(60), suppress(trio.BrokenResourceError):
        while sent < LAST_BYTES + 100_000_000:
            await client.raw(bytes(1_000_000))
            sent += 1_000_000
    assert sent < LAST_BYTES + 100_000_000


async def test_others_have_their_turns_while_small_chunks_are_read(started: Started) -> None:
    served = await started()
    turns = 0
    done = trio.Event()

    async def others() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await trio.lowlevel.checkpoint()

    client = await WsClient.dial(served.port)
    async with trio.open_nursery() as nursery:
        await client.raw(POST + b"1\r\nx\r\n" * 5_000)
        nursery.start_soon(others)
        await client.raw(b"0\r\n\r\n")
        assert (await client.answer()).body == b"5000"
        done.set()
    assert turns > 5_000 / 64


async def test_a_body_whose_sender_is_gone_is_read_no_more(started: Started) -> None:
    ended: list[str] = []

    def edit(app: QuartTrio) -> None:
        @app.post("/waits")
        async def waits() -> str:
            try:
                await request.get_data()
            finally:
                ended.append("gone")
            return ""

    served = await started(edit=edit)
    client = await WsClient.dial(served.port)
    await client.raw(POST.replace(b"/size", b"/waits") + b"1\r\nx\r\n" * 1_000)
    await wait_all_tasks_blocked()
    client.reset()
    await wait_all_tasks_blocked()
    assert ended == ["gone"]
