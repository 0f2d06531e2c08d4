"""Frames that are no messages: counted, parsed in turns of the loop, and thrown away after a close.

What is counted here is frames and turns, never time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import trio

from tasktree_rt.core import close_codes as closing
from tasktree_rt.web.server.frames import TURN, Frames
from tasktree_rt.web.server.websocket_connection import LAST_BYTES, LAST_FRAMES, WEIGHTY
from tests.web.realhub import RealHub, auth, node_update, real_hub
from tests.web.serving import EchoSession, Served, Started
from tests.wsclient import CLOSE, CONT, PING, PONG, TEXT, Frame, WsClient, masked, request_head

pytestmark = pytest.mark.usefixtures("wire")

PATIENCE = 60
EMPTY_CONT = masked(CONT, b"", fin=False)
FLOODS = {
    "pings": masked(PING),
    "pongs": masked(PONG, b"x"),
    "empty continuations": masked(TEXT, b"{", fin=False) + EMPTY_CONT * 1000,
    "continuations of one byte": masked(TEXT, b"{", fin=False) + masked(CONT, b" ", fin=False) * 1000,
    "empty fragments of many messages": masked(TEXT, b"", fin=False) + masked(CONT, b"x"),
}


class Parsed:
    """How many frames the hub has parsed."""

    count = 0


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    found = Parsed()
    before = Frames.recv_frame

    def counted(self: Frames, frame: object) -> None:
        found.count += 1
        before(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(Frames, "recv_frame", counted)
    return found


@pytest.fixture(autouse=True)
def _no_socket_stays_open() -> Iterator[None]:
    yield
    WsClient.close_all()


async def opened(started: Started, **settings: object) -> tuple[Served, WsClient, EchoSession]:
    served = await started(**settings)
    client = await WsClient.open(served.port)
    return served, client, await served.session()


async def send(client: WsClient, data: bytes) -> None:
    """Send as much of it as the hub takes."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await client.raw(data)


async def close_frame(client: WsClient) -> Frame:
    """The next close frame."""
    with trio.fail_after(PATIENCE):
        while (frame := await client.recv()).opcode != CLOSE:
            pass
        return frame


MOST = 2 * (TURN + 1)
"""Frames between two looks of another task: of two turns in a row either task may be first, and in each a
read may bring the end of a frame that the read before has begun."""


# --- one connection -----------------------------------------------------------------------------------------


async def test_others_have_their_turns_while_frames_are_parsed(started: Started, parsed: Parsed) -> None:
    _, client, _ = await opened(started)
    most = before = 0
    total = 20_000

    async def others() -> None:
        nonlocal most, before
        while parsed.count < total:
            most, before = max(most, parsed.count - before), parsed.count
            await trio.lowlevel.checkpoint()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            nursery.start_soon(send, client, masked(PONG) * total)
    assert most <= MOST


async def test_messages_of_one_read_are_dealt_with_in_turns(started: Started) -> None:
    _, client, session = await opened(started)
    most = before = 0

    async def others() -> None:
        nonlocal most, before
        while len(session.messages) < 5_000:
            most, before = max(most, len(session.messages) - before), len(session.messages)
            await trio.lowlevel.checkpoint()

    async def reader() -> None:
        while len(session.messages) < 5_000:
            await client.stream.receive_some()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            nursery.start_soon(reader)
            await client.raw(masked(TEXT) * 5_000)
            await client.text("the last")
    assert most <= MOST


async def test_frames_that_complete_no_message_are_counted(started: Started) -> None:
    _, client, session = await opened(started)
    fragments = masked(TEXT, b"", fin=False) + masked(CONT, b"x", fin=False) * 2 + EMPTY_CONT + masked(CONT)
    await client.raw(masked(PING) + masked(PONG) + fragments + masked(TEXT, b"end"))
    while len(session.messages) < 2:
        await trio.testing.wait_all_tasks_blocked()
    assert session.messages == ["xx", "end"]
    assert session.small_frames == 2 + 4


async def test_fragments_that_carry_their_weight_are_not_counted(started: Started) -> None:
    _, client, session = await opened(started)
    heavy = masked(CONT, b"x" * WEIGHTY, fin=False)
    await client.raw(masked(TEXT, b"x" * WEIGHTY, fin=False) + heavy * 500 + masked(CONT, b"x"))
    while not session.messages:
        await trio.testing.wait_all_tasks_blocked()
    assert len(session.messages[0]) == 501 * WEIGHTY + 1
    assert session.small_frames == 0


async def test_reads_that_complete_no_frame_are_counted(started: Started) -> None:
    _, client, session = await opened(started)
    frame = masked(TEXT, b"x" * 20)
    for at in range(len(frame)):
        await client.raw(frame[at : at + 1])
        await trio.testing.wait_all_tasks_blocked()
    assert session.messages == ["x" * 20]
    assert session.small_frames == len(frame) - 1
    await client.raw(masked(TEXT, b"y" * 300)[:100])  # as a slow line may bring it
    await trio.testing.wait_all_tasks_blocked()
    assert session.small_frames == len(frame) - 1


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_after_a_close_of_ours_what_comes_is_thrown_away_unparsed(
    started: Started, parsed: Parsed, flood: bytes
) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 60.0})
    session.close(closing.NORMAL)
    assert (await close_frame(client)).code == 1000
    await client.raw(flood * (2_000_000 // len(flood)))
    await client.stream.aclose()
    with trio.fail_after(PATIENCE):
        await session.done.wait()
    assert parsed.count <= LAST_FRAMES + TURN
    assert not session.messages


@pytest.mark.parametrize(
    "broken", [masked(TEXT, b"x", rsv=4), masked(TEXT, b"\xff")], ids=["reserved bit", "not UTF-8"]
)
async def test_after_a_fault_of_the_peers_nothing_is_parsed(
    started: Started, parsed: Parsed, broken: bytes
) -> None:
    _, client, session = await opened(started)
    await client.raw(broken)
    assert (await close_frame(client)).code in (1002, 1007)
    before = parsed.count
    await client.raw(masked(PING) * 100_000)
    await client.stream.aclose()
    await session.done.wait()
    assert parsed.count == before


async def test_a_peer_that_sends_on_and_on_after_a_close_is_reset(started: Started) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 1e6})
    session.close(closing.NORMAL)
    assert (await close_frame(client)).code == 1000
    sent = 0
    with trio.fail_after(PATIENCE), suppress(trio.BrokenResourceError):
        while sent < LAST_BYTES + 100_000_000:
            await client.raw(bytes(1_000_000))
            sent += 1_000_000
    assert sent < LAST_BYTES + 100_000_000
    await session.done.wait()


# --- every language -----------------------------------------------------------------------------------------

BURST = 20
NATIVE = [("Sec-WebSocket-Protocol", "tasktree.v1")]
PATHS = {
    "plain": ("/ws/updates", []),
    "native": ("/ws/updates", NATIVE),
    "orchestrator": ("/ws/orchestrator?producer_id=p", NATIVE),
    "execution": ("/api/v1/ws/executions/e", []),
    "autogpt": ("/ws", []),
    "aiecs": ("/ws/aiecs", []),
}


async def connected(hub: RealHub, path: str, headers: list[tuple[str, str]]) -> WsClient:
    port = int(hub.url.rpartition(":")[2])
    client = await WsClient.dial(port)
    await client.raw(request_head(path, headers, host=f"127.0.0.1:{port}"))
    answer = await client.answer()
    assert answer.status == 101, answer
    return client


LIMITS = {"message_burst": BURST, "max_messages_per_second": 0.001}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize(("path", "headers"), PATHS.values(), ids=PATHS)
async def test_frames_count_against_the_rate_of_every_connection(
    parsed: Parsed, path: str, headers: list[tuple[str, str]], flood: bytes
) -> None:
    if path == "/ws" and flood == FLOODS["empty fragments of many messages"]:
        pytest.skip("AutoGPT's clients are heard more slowly instead")
    async with real_hub(limits=LIMITS) as hub, trio.open_nursery() as nursery:
        await hub.publish("execution:e", node_update("n"))
        client = await connected(hub, path, headers)
        nursery.start_soon(send, client, flood * (400_000 // len(flood)))
        assert (await close_frame(client)).code == 4029
        client.reset()
        nursery.cancel_scope.cancel()
    assert parsed.count <= 2 * BURST + LAST_FRAMES + 2 * TURN


async def test_a_peer_that_pings_now_and_then_is_never_refused(parsed: Parsed) -> None:
    async with real_hub() as hub:
        client = await connected(hub, *PATHS["native"])
        for number in range(150):
            await client.frame(PING, b"%d" % number)
            while (await client.recv()).opcode != PONG:
                pass
        assert len(hub.hub.connections) == 1
        client.reset()


@pytest.mark.parametrize("path", ["plain", "native", "orchestrator", "aiecs"])
async def test_after_a_refused_token_what_comes_is_thrown_away_unparsed(parsed: Parsed, path: str) -> None:
    where, headers = PATHS[path]
    async with real_hub(auth=auth()) as hub, trio.open_nursery() as nursery:
        client = await connected(hub, where, [*headers, ("Authorization", "Bearer none")])
        nursery.start_soon(send, client, masked(PING) * 100_000)
        assert (await close_frame(client)).code == 4003
        with suppress(EOFError, trio.BrokenResourceError):
            await client.recv()
        client.reset()
        nursery.cancel_scope.cancel()
    assert parsed.count <= LAST_FRAMES + TURN
