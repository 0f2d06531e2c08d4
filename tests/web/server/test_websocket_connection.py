from __future__ import annotations

import gc
from collections.abc import Sequence

import pytest
import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked
from websockets.protocol import Protocol

from tasktree_rt.core import close_codes as closing
from tasktree_rt.web.server.syscalls import REAL
from tasktree_rt.web.server.websocket_connection import Connection
from tests.web.serving import EchoSession, Served, Started, frame
from tests.wsclient import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame, WsClient, masked, request_head
from tests.wsclient import closing as close_bytes

pytestmark = pytest.mark.usefixtures("wire")


async def opened(started: Started, **settings: object) -> tuple[Served, WsClient, EchoSession]:
    served = await started(**settings)
    client = await WsClient.open(served.port)
    return served, client, await served.session()


async def closed_by_server(client: WsClient) -> Frame:
    """The close frame that comes next, and then EOF, not RST."""
    last = await client.recv()
    assert last.opcode == CLOSE
    with pytest.raises(EOFError):
        await client.recv()
    return last


async def test_text_and_binary_come_and_go(started: Started) -> None:
    _, client, session = await opened(started)
    await client.text("grüß dich")
    await client.frame(BINARY, b"\x00\xff")
    assert await client.recv() == Frame(TEXT, "grüß dich".encode())
    assert await client.recv() == Frame(BINARY, b"\x00\xff")
    assert session.messages == ["grüß dich", b"\x00\xff"]


async def test_fragments_are_joined_with_control_frames_between_them(started: Started) -> None:
    _, client, session = await opened(started)
    euro = "€".encode()
    await client.raw(
        masked(TEXT, b"a" + euro[:1], fin=False)
        + masked(PING, b"p")
        + masked(CONT, b"", fin=False)
        + masked(PONG, b"unasked")
        + masked(CONT, euro[1:])
    )
    assert await client.recv() == Frame(PONG, b"p")
    assert await client.recv() == Frame(TEXT, b"a" + euro)
    assert session.messages == ["a€"]


async def test_a_byte_at_a_time_is_enough(started: Started) -> None:
    _, client, session = await opened(started)
    data = masked(TEXT, b"x" * 200, fin=False) + masked(CONT, b"y") + masked(BINARY, b"z" * 70_000)
    for at in range(220):
        await client.raw(data[at : at + 1])
        await wait_all_tasks_blocked()
    await client.raw(data[220:])
    assert (await client.recv()).data == b"x" * 200 + b"y"
    assert (await client.recv()).data == b"z" * 70_000
    assert len(session.messages) == 2


async def test_only_the_newest_of_pings_read_together_is_answered(started: Started) -> None:
    _, client, _ = await opened(started)
    await client.raw(b"".join(masked(PING, bytes([n])) for n in range(100)) + masked(TEXT, b"end"))
    answers = []
    while (got := await client.recv()).opcode == PONG:
        answers.append(got.data)
    assert answers[-1] == bytes([99])
    assert len(answers) < 100


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(masked(TEXT, b"x", mask=False), 1002, id="unmasked"),
        pytest.param(masked(TEXT, b"x", rsv=4), 1002, id="rsv1"),
        pytest.param(masked(TEXT, b"x", rsv=1), 1002, id="rsv3"),
        pytest.param(masked(0x3, b"x"), 1002, id="reserved data opcode"),
        pytest.param(masked(0xB, b"x"), 1002, id="reserved control opcode"),
        pytest.param(masked(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(masked(PING, b"x", fin=False), 1002, id="fragmented ping"),
        pytest.param(masked(CONT, b"x"), 1002, id="continues nothing"),
        pytest.param(masked(TEXT, b"x", fin=False) + masked(TEXT, b"x"), 1002, id="new before the end"),
        pytest.param(close_bytes(1005), 1002, id="close with a reserved code"),
        pytest.param(close_bytes(999), 1002, id="close with an invalid code"),
        pytest.param(masked(CLOSE, b"\x03"), 1002, id="close of one byte"),
        pytest.param(masked(CLOSE, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
        pytest.param(masked(TEXT, b"\xc3("), 1007, id="text not UTF-8"),
        pytest.param(
            masked(TEXT, b"\xe2\x82", fin=False) + masked(CONT, b""), 1007, id="text cut in a character"
        ),
        pytest.param(masked(TEXT, b"\xff") + close_bytes(1000), 1007, id="not UTF-8, then a close"),
        pytest.param(masked(TEXT, b"x" * 2000), 1009, id="too large"),
        pytest.param(masked(BINARY, b"", size=1 << 62), 1009, id="announced too large"),
        pytest.param(
            masked(TEXT, b"x" * 1000, fin=False) + masked(CONT, b"x" * 25), 1009, id="too large in sum"
        ),
    ],
)
async def test_what_breaks_the_protocol_is_closed_with_its_code(
    started: Started, sent: bytes, code: int
) -> None:
    _, client, session = await opened(started, limits={"max_message_size": 1024})
    await client.raw(sent)
    await client.text("after the fault nothing counts")
    assert (await closed_by_server(client)).code == code
    await client.stream.aclose()
    await session.done.wait()
    assert not session.messages


async def test_messages_before_a_fault_in_the_same_read_are_delivered(started: Started) -> None:
    _, client, session = await opened(started)
    await client.raw(masked(TEXT, b"one") + masked(TEXT, b"two", rsv=1))
    assert (await client.recv()).data == b"one"
    assert (await closed_by_server(client)).code == 1002
    assert session.messages == ["one"]


async def test_a_message_of_exactly_the_limit_passes(started: Started) -> None:
    _, client, session = await opened(started, limits={"max_message_size": 1024})
    await client.raw(masked(TEXT, b"x" * 1000, fin=False) + masked(CONT, b"x" * 24))
    await client.recv()
    assert session.messages == ["x" * 1024]


@pytest.mark.parametrize(
    ("code", "reason", "known"), [(1000, "bye", 1000), (4321, "", 4321), (1001, "", 1001), (None, "", 1005)]
)
async def test_the_peers_close_is_echoed_after_what_it_said_and_told_to_the_session(
    started: Started, code: int | None, reason: str, known: int
) -> None:
    _, client, session = await opened(started)
    await client.raw(masked(TEXT, b"last words") + close_bytes(code, reason) + masked(TEXT, b"not this"))
    assert (await client.recv()).data == b"last words"
    echo = await closed_by_server(client)
    assert echo.data == (b"" if code is None else code.to_bytes(2, "big") + reason.encode())
    await client.stream.aclose()
    await session.done.wait()
    assert session.endings == [(known, reason)]
    assert session.messages == ["last words"]


async def test_a_close_of_ours_is_one_frame_then_eof_and_the_peer_may_take_its_time(started: Started) -> None:
    served, client, session = await opened(started)
    session.close(closing.RESTART, "back in " + "ä" * 200)
    last = await closed_by_server(client)
    assert last.code == 1012
    assert last.reason.startswith("back in ä")
    assert len(last.data) <= 125
    await client.raw(masked(TEXT, b"x" * 300_000))  # it was still talking: no RST may come of it
    await client.close(1012, "seen")
    await client.stream.aclose()
    await session.done.wait()
    assert session.endings == [(1012, "seen")]
    assert not session.messages
    assert served.edge.counts == {"handshakes accepted": 1}


async def test_a_peer_that_never_answers_a_close_is_left_after_close_timeout(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 3.0})
    began = trio.current_time()
    await client.text("close")
    assert (await client.recv()).opcode == CLOSE
    await session.done.wait()
    assert trio.current_time() - began == pytest.approx(3.0)
    assert session.endings == [(None, "")]


async def test_a_peer_that_keeps_talking_after_a_close_is_left_after_close_timeout(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 3.0})
    began = trio.current_time()
    await client.text("close")
    with trio.move_on_after(60):
        try:
            while True:
                await client.text("and another thing")
                await trio.sleep(0.5)
        except trio.BrokenResourceError:
            pass
    assert session.done.is_set()
    assert trio.current_time() - began < 5
    assert session.messages == ["close"]


async def test_a_peer_that_half_closes_still_gets_what_waits_and_then_eof(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started)
    session.send(frame(BINARY, b"x" * 20_000_000))
    assert session.waiting, "the socket took it all: nothing is tested"
    await client.eof()
    assert len((await client.recv()).data) == 20_000_000
    with pytest.raises(EOFError):
        await client.recv()
    await session.done.wait()
    assert session.endings == [(None, "")]
    assert trio.current_time() < 1


async def test_a_close_that_cannot_be_written_ends_after_close_timeout_and_nothing_prolongs_it(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 3.0})
    session.send(frame(BINARY, b"x" * 20_000_000))
    assert session.waiting
    session.close(closing.NORMAL)
    await trio.sleep(2)
    await client.eof()
    await session.done.wait()
    assert trio.current_time() == pytest.approx(3.0, abs=0.1)


async def test_a_peer_that_half_closes_and_reads_nothing_is_left_after_close_timeout(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started, delivery={"close_timeout": 3.0})
    session.send(frame(BINARY, b"x" * 20_000_000))
    await client.eof()
    await session.done.wait()
    assert trio.current_time() == pytest.approx(3.0, abs=0.1)


async def test_a_peer_that_vanishes_ends_the_session(started: Started) -> None:
    _, client, session = await opened(started)
    client.reset()
    await session.done.wait()
    assert session.endings == [(None, "")]


async def test_a_peer_that_vanishes_while_something_waits_ends_the_writer_too(started: Started) -> None:
    _, client, session = await opened(started)
    session.send(frame(BINARY, b"x" * 20_000_000))
    assert session.waiting
    client.reset()
    await session.done.wait()
    assert session.endings == [(None, "")]


async def test_a_write_to_a_peer_that_vanished_ends_the_connection_though_a_message_is_awaited(
    started: Started,
) -> None:
    _, client, session = await opened(started)

    async def never_done(message: str | bytes) -> None:
        await trio.sleep_forever()

    session.message = never_done  # type: ignore[method-assign]
    await client.text("hold")
    await wait_all_tasks_blocked()
    client.reset()
    assert session.transport.write_nowait(b"x") == 0
    await session.done.wait()


async def test_abort_resets_the_connection_at_once(started: Started) -> None:
    _, client, session = await opened(started)
    session.transport.abort()
    with pytest.raises(trio.BrokenResourceError):
        await client.recv()
    assert session.endings == [(None, "")]


async def test_after_the_end_nothing_is_written_to_the_number_of_the_socket(started: Started) -> None:
    served, client, session = await opened(started)
    transport = session.transport
    await client.stream.aclose()
    await session.done.wait()
    other = await WsClient.open(served.port)  # gets the same number
    assert transport.write_nowait(b"stray") == 0
    transport.shutdown()
    transport.abort()
    assert transport.close_frame(closing.NORMAL, "") is not None
    session.start(trio.sleep_forever)
    with pytest.raises(trio.ClosedResourceError):
        await transport.writable()
    await other.text("still here")
    assert (await other.recv()).data == b"still here"


async def test_after_shutdown_nothing_is_written_but_reading_goes_on(started: Started) -> None:
    _, client, session = await opened(started)
    session.transport.shutdown()
    assert session.transport.write_nowait(b"x") == 0
    await client.text("heard")
    await wait_all_tasks_blocked()
    assert session.messages == ["heard"]
    with pytest.raises(trio.ClosedResourceError):
        await session.transport.writable()


async def test_a_full_socket_takes_nothing_and_is_not_dead(started: Started) -> None:
    _, client, session = await opened(started)
    rest = memoryview(frame(BINARY, b"x" * 20_000_000))
    while taken := session.transport.write_nowait(rest):
        rest = rest[taken:]
    assert rest, "the socket was never full"
    session.send(bytes(rest))
    assert len((await client.recv()).data) == 20_000_000
    await client.text("and on")
    assert (await client.recv()).data == b"and on"


async def test_a_crash_of_the_session_is_logged_and_closes_1011(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    served, client, session = await opened(started)
    await client.raw(masked(TEXT, b"crash") + masked(TEXT, b"never seen"))
    assert (await closed_by_server(client)).code == 1011
    assert session.messages == ["crash"]
    (record,) = structlog_records
    assert (record["event"], record["log_level"]) == ("session failed", "error")
    async with await WsClient.open(served.port) as other:
        await other.text("others are served on")
        assert (await other.recv()).data == b"others are served on"


async def test_a_crash_of_a_task_of_the_session_is_logged_and_closes_1011(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    _, client, session = await opened(started)

    async def broken() -> None:
        raise RuntimeError("the task is broken")

    session.start(broken)
    assert (await closed_by_server(client)).code == 1011
    assert [record["event"] for record in structlog_records] == ["session failed"]


async def test_a_crash_beside_a_cancellation_does_not_vanish(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    _, _, session = await opened(started)

    async def breaks_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while being cancelled")

    session.start(breaks_at_the_end)
    await wait_all_tasks_blocked()
    session.transport.abort()
    await session.done.wait()
    assert [record["event"] for record in structlog_records] == ["session failed"]


async def test_a_crash_in_a_nursery_of_the_session_does_not_vanish_beside_a_cancellation(
    started: Started, structlog_records: list[dict[str, object]]
) -> None:
    _, client, session = await opened(started)

    async def breaks_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while being cancelled")

    async def in_a_nursery(message: str | bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(breaks_at_the_end)
            nursery.start_soon(trio.sleep_forever)

    session.message = in_a_nursery  # type: ignore[method-assign]
    await client.text("go")
    await wait_all_tasks_blocked()
    session.transport.abort()
    await session.done.wait()
    assert [record["event"] for record in structlog_records] == ["session failed"]


async def test_nothing_is_read_while_a_message_is_awaited(
    started: Started, autojump_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started)
    go_on = trio.Event()
    busy: list[str | bytes] = []

    async def slow(message: str | bytes) -> None:
        busy.append(message)
        await go_on.wait()

    session.message = slow  # type: ignore[method-assign]
    await client.text("first")
    await wait_all_tasks_blocked()
    with trio.move_on_after(1) as stuck:
        await client.raw(masked(BINARY, b"x" * 1_000_000) * 20)
    assert stuck.cancelled_caught, "everything was read: no back-pressure"
    assert busy == ["first"]


async def test_last_received_moves_with_any_byte(
    started: Started, mock_clock: trio.testing.MockClock
) -> None:
    _, client, session = await opened(started)
    frame_bytes = masked(PONG)
    for at, byte in enumerate(frame_bytes):
        mock_clock.jump(5.0)
        await client.raw(bytes([byte]))
        await wait_all_tasks_blocked()
        assert session.last_received == 5.0 * (at + 1)


async def test_bytes_that_came_with_the_request_are_frames(started: Started) -> None:
    served = await started()
    client = await WsClient.dial(served.port)
    await client.raw(request_head() + masked(TEXT, b"hasty"))
    assert (await client.answer()).status == 101
    assert await client.recv() == Frame(TEXT, b"hasty")


@pytest.mark.parametrize("wire", ["plain"], indirect=True)
async def test_the_system_calls_can_be_replaced(started: Started) -> None:
    written: list[bytes] = []

    def counted(fd: int, data: bytes | memoryview) -> int:
        written.append(bytes(data))
        return REAL.write(fd, data)

    _, client, _ = await opened(started, syscalls=evolve(REAL, write=counted))
    await client.text("hello")
    await client.recv()
    assert written[-1] == frame(TEXT, b"hello")


async def test_an_idle_connection_is_one_task_and_its_end_leaves_nothing(started: Started) -> None:
    served = await started()
    await wait_all_tasks_blocked()
    gc.collect()
    foreign = [*living(Protocol), *living(Connection)]  # of other tests of this process
    before = trio.lowlevel.current_statistics().tasks_living
    clients = [await WsClient.open(served.port) for _ in range(10)]
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before + 10
    gc.collect()
    gc.disable()
    try:
        mine = [living(kind, without=foreign) for kind in (Connection, Protocol)]
        assert [len(one) for one in mine] == [10, 10]
        del mine
        for client in clients:
            await client.stream.aclose()
        for session in served.hub.sessions:
            await session.done.wait()
        served.hub.sessions.clear()
        del session
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert not living(Connection, without=foreign), "reference cycles"
        assert not living(Protocol, without=foreign), "reference cycles"
    finally:
        gc.enable()


def living(kind: type, without: Sequence[object] = ()) -> list[object]:
    """The objects of `kind` that the collector knows, but for those of `without`."""
    known = {id(thing) for thing in without}
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind) and id(thing) not in known]
