"""Compressed messages from a peer: negotiation, frames, bounds, codes (RFC 7692)."""

from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest
import trio
import trio.lowlevel

from tasktree_rt.settings import Compression
from tests.web.server.test_websocket_connection import closed_by_server
from tests.web.serving import EchoSession, Served, Started
from tests.wsclient import (
    BINARY,
    CONT,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    Frame,
    WsClient,
    bomb,
    closing,
    deflated,
    masked,
    request_head,
)

pytestmark = pytest.mark.usefixtures("wire")
MIB = 1024 * 1024
RSV1 = 4
LONG = b"the same words again, " * 400


async def opened(started: Started, **settings: object) -> tuple[Served, WsClient, EchoSession]:
    served = await started(**settings)
    client = await WsClient.open(served.port, headers=DEFLATE)
    assert client.extension == ("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    return served, client, await served.session()


async def test_compressed_and_plain_messages_come_in_any_order(started: Started) -> None:
    _, client, session = await opened(started)
    await client.frame(TEXT, deflated("grüß dich".encode()), rsv=RSV1)
    await client.text("plain")
    await client.frame(BINARY, deflated(LONG), rsv=RSV1)
    await client.frame(TEXT, deflated(b""), rsv=RSV1)
    for expected in (
        Frame(TEXT, "grüß dich".encode()),
        Frame(TEXT, b"plain"),
        Frame(BINARY, LONG),
        Frame(TEXT, b""),
    ):
        assert await client.recv() == expected
    assert session.messages == ["grüß dich", "plain", LONG, ""]


async def test_a_compressed_message_comes_in_fragments_with_control_frames_between_them(
    started: Started,
) -> None:
    _, client, session = await opened(started)
    packed = deflated(LONG)
    await client.raw(
        masked(TEXT, packed[:1], fin=False, rsv=RSV1)
        + masked(PING, b"p")
        + masked(CONT, b"", fin=False)
        + b"".join(masked(CONT, packed[at : at + 7], fin=False) for at in range(1, len(packed), 7))
        + masked(CONT, b"")
        + masked(TEXT, b"then", fin=False)
        + masked(CONT, b" plain")
    )
    assert await client.recv() == Frame(PONG, b"p")
    assert await client.recv() == Frame(TEXT, LONG)
    assert (await client.recv()).data == b"then plain"
    assert session.messages == [LONG.decode(), "then plain"]


async def test_every_form_of_deflate_data_is_taken(started: Started) -> None:
    """Stored, fixed, dynamic blocks; a last block of the sender's own, with and without a byte behind it."""
    _, client, session = await opened(started)
    last = zlib.compressobj(6, zlib.DEFLATED, -15)
    ended = last.compress(LONG) + last.flush(zlib.Z_FINISH)
    flushed = zlib.compressobj(6, zlib.DEFLATED, -9)
    twice = flushed.compress(LONG[:99]) + flushed.flush(zlib.Z_SYNC_FLUSH) + flushed.compress(LONG[99:])
    twice += flushed.flush(zlib.Z_SYNC_FLUSH)
    forms = [deflated(LONG, level=0), deflated(LONG, level=1), ended, ended + b"\x00", twice[:-4]]
    for form in forms:
        await client.frame(TEXT, form, rsv=RSV1)
        assert (await client.recv()).data == LONG
    # The example of RFC 7692, 7.2.3.4.
    await client.frame(TEXT, bytes.fromhex("f348cdc9c90700 00"), rsv=RSV1)
    assert (await client.recv()).data == b"Hello"
    assert len(session.messages) == len(forms) + 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(masked(TEXT, b"\xff\xff\xff", rsv=RSV1), 1007, id="no deflate data"),
        pytest.param(masked(TEXT, b"", rsv=RSV1), 1007, id="nothing at all"),
        pytest.param(masked(TEXT, deflated(LONG)[:20], rsv=RSV1), 1007, id="cut in a block"),
        pytest.param(masked(TEXT, zlib.compress(LONG), rsv=RSV1), 1007, id="with zlib's head"),
        pytest.param(
            masked(TEXT, b"\x03\x00" + deflated(b"more"), rsv=RSV1), 1007, id="behind the last block"
        ),
        pytest.param(masked(TEXT, b"\x03\x00" * 400, rsv=RSV1), 1007, id="many last blocks"),
        pytest.param(masked(TEXT, deflated(b"\xc3("), rsv=RSV1), 1007, id="text not UTF-8"),
        pytest.param(masked(TEXT, deflated(b"\xe2\x82"), rsv=RSV1), 1007, id="text cut in a character"),
        pytest.param(masked(TEXT, b"x", rsv=2), 1002, id="rsv2"),
        pytest.param(masked(TEXT, deflated(b"x"), rsv=RSV1 | 1), 1002, id="rsv1 and rsv3"),
        pytest.param(masked(PING, b"x", rsv=RSV1), 1002, id="a compressed ping"),
        pytest.param(masked(8, b"\x03\xe8", rsv=RSV1), 1002, id="a compressed close"),
        pytest.param(
            masked(TEXT, b"x", fin=False) + masked(CONT, b"x", rsv=RSV1), 1002, id="rsv1 on a later frame"
        ),
        pytest.param(
            masked(TEXT, deflated(LONG)[:5], fin=False, rsv=RSV1) + masked(CONT, b"", rsv=RSV1),
            1002,
            id="rsv1 on both frames",
        ),
        pytest.param(masked(TEXT, deflated(bytes(10_001)), rsv=RSV1), 1009, id="a byte too large"),
        pytest.param(masked(TEXT, bomb(50 * MIB), rsv=RSV1), 1009, id="a bomb beyond the limit twice"),
        pytest.param(masked(TEXT, b"", rsv=RSV1, size=1 << 40), 1009, id="announced too large"),
        pytest.param(
            masked(TEXT, deflated(os.urandom(9_000)), fin=False, rsv=RSV1) + masked(CONT, bytes(2_000)),
            1009,
            id="too large as it came",
        ),
        pytest.param(masked(TEXT, deflated(b"\xff"), rsv=RSV1) + closing(1000), 1007, id="then a close"),
    ],
)
async def test_what_breaks_the_rules_is_closed_with_its_code(
    started: Started, sent: bytes, code: int
) -> None:
    _, client, session = await opened(started, limits={"max_message_size": 10_000})
    await client.raw(sent)
    await client.text("after the fault nothing counts")
    assert (await closed_by_server(client)).code == code
    await client.stream.aclose()
    await session.done.wait()
    assert not session.messages


@pytest.mark.parametrize("how", ["not offered", "declined", "off"])
async def test_a_compressed_frame_that_was_not_agreed_to_is_a_breach(started: Started, how: str) -> None:
    served = await started(compression=Compression(websocket=how != "off"))
    offer = "permessage-deflate; server_max_window_bits=9" if how == "declined" else "permessage-deflate"
    headers = [] if how == "not offered" else [("Sec-WebSocket-Extensions", offer)]
    client = await WsClient.open(served.port, headers=headers)
    assert client.extension == ""
    await client.frame(TEXT, deflated(b"x"), rsv=RSV1)
    assert (await closed_by_server(client)).code == 1002


async def test_a_malformed_offer_is_answered_by_a_sentence(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(request_head("/echo", [("Sec-WebSocket-Extensions", "permessage-deflate; =")]))
    answer = await client.answer()
    assert answer.status == 400
    assert b"Sec-WebSocket-Extensions is malformed" in answer.body
    assert served.edge.counts == {"handshakes invalid": 1}


async def test_a_message_of_exactly_the_limit_passes(started: Started) -> None:
    _, client, session = await opened(started, limits={"max_message_size": 10_000})
    await client.frame(TEXT, deflated(b"x" * 10_000), rsv=RSV1)
    await client.recv()
    assert session.messages == ["x" * 10_000]


async def test_bombs_leave_the_memory_as_it_was(started: Started) -> None:
    """Twenty in one read, each of which would be 200 MiB: one is inflated, up to the limit."""
    _, client, _ = await opened(started)
    packed = masked(TEXT, bomb(200 * MIB), rsv=RSV1)
    tracemalloc.start()
    try:
        await client.raw(packed * 20)
        assert (await closed_by_server(client)).code == 1009
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()


async def test_others_have_their_turns_while_a_message_is_inflated(started: Started) -> None:
    _, client, session = await opened(
        started, limits={"max_message_size": 40 * MIB}, delivery={"outbox_bytes": 80 * MIB}
    )
    turns, done = 0, trio.Event()

    async def others() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await trio.lowlevel.checkpoint()

    await client.frame(BINARY, deflated(bytes(40 * MIB)), rsv=RSV1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        while not session.messages:
            await trio.lowlevel.checkpoint()
        done.set()
    assert len(session.messages[0]) == 40 * MIB
    assert turns > 20
    session.waiting.clear()
