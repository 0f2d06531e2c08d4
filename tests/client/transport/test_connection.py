from contextlib import AbstractAsyncContextManager

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.client.transport.connection import Connection, ConnectionOptions, open_connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tests.client.fakehub import Peer, Refusal, fake_hub, raw_hub, tcp_server

OPTIONS = ConnectionOptions(connect_timeout=10, close_timeout=2, max_message_size=1024)


def link_to(url: str, options: ConnectionOptions = OPTIONS) -> AbstractAsyncContextManager[Connection]:
    return open_connection(url.replace("http", "ws", 1) + "/ws/x?a=1", options)


async def ending_of(
    url: str, options: ConnectionOptions = OPTIONS, heard: list[object] | None = None
) -> ConnectionEnded:
    """How a link ends that only listens."""

    async def listen() -> None:
        async with link_to(url, options) as link:
            while True:
                message = await link.receive()
                if heard is not None:
                    heard.append(message)

    with pytest.raises(ConnectionEnded) as caught:
        await listen()
    return caught.value


async def test_messages_go_both_ways() -> None:
    async def echo(peer: Peer) -> None:
        assert (peer.path, peer.query) == ("/ws/x", {"a": ["1"]})
        await peer.say("echo", of=await peer.hear())

    async with fake_hub(echo) as hub, link_to(hub.url) as link:
        await link.send(b'{"type":"hi"}')
        assert await link.receive() == {"type": "echo", "of": {"type": "hi"}}


async def test_when_the_hub_closes_first_the_client_closes_its_end_of_the_tcp_connection() -> None:
    eof = trio.Event()

    async def close_and_read_on(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\x88\x02\x03\xf4")  # close 1012
        while await stream.receive_some():
            pass
        eof.set()

    async with raw_hub(close_and_read_on) as url:
        assert (await ending_of(url)).code == 1012
        with trio.fail_after(10):
            await eof.wait()


async def test_leaving_says_goodbye() -> None:
    heard = bytearray()
    eof = trio.Event()

    async def listen(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some():
            heard.extend(data)
            await stream.send_all(b"\x88\x02\x03\xe8")
        eof.set()

    async with raw_hub(listen) as url:
        async with link_to(url):
            pass
        await eof.wait()
    mask = heard[2:6]
    assert heard[:2] == b"\x88\x82"
    assert bytes(one ^ key for one, key in zip(heard[6:], mask, strict=False)) == b"\x03\xe8"  # 1000


async def test_leaving_a_hub_that_does_not_answer_takes_no_longer_than_the_close_timeout(
    autojump_clock: MockClock,
) -> None:
    async with raw_hub(deaf) as url:
        async with link_to(url):
            begun = trio.current_time()
        assert trio.current_time() - begun == pytest.approx(2)


async def deaf(stream: trio.SocketStream) -> None:
    """Reads nothing, says nothing, keeps the connection."""
    await trio.sleep_forever()


CLOSES = {1000: True, 1001: False, 1002: True, 1007: True, 1009: True, 1011: False, 1012: False, 1013: False}
CLOSES |= {4001: True, 4002: True, 4003: True, 4008: False, 4009: False, 4010: True, 4029: True, 4999: False}


@pytest.mark.parametrize(("code", "final"), CLOSES.items())
async def test_a_close_is_final_where_its_advice_says_so(code: int, final: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.close(code, "why")

    async with fake_hub(script) as hub:
        end = await ending_of(hub.url)
    assert (end.code, type(end.code), end.final) == (code, int, final)
    assert f"{code} why" in str(end)


async def test_messages_before_the_close_are_received() -> None:
    async def script(peer: Peer) -> None:
        await peer.say("last words")
        await peer.close(1012)

    heard: list[object] = []
    async with fake_hub(script) as hub:
        await ending_of(hub.url, heard=heard)
    assert heard == [{"type": "last words"}]


async def test_a_connection_that_breaks_off_may_be_tried_again() -> None:
    async with fake_hub(Peer.drop) as hub:
        end = await ending_of(hub.url)
    assert (end.code, end.final, str(end)) == (1006, False, "the connection broke off")


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (401, True), (404, True), (426, True), (429, False), (503, False)]
)
async def test_a_refused_handshake_is_final_unless_it_is_for_now(status: int, final: bool) -> None:
    refusal = Refusal(status, b'{"title":"no","detail":"not here"}', ((b"Retry-After", b"7"),))
    async with fake_hub(Peer.drop, refuse=lambda knock: refusal) as hub:
        end = await ending_of(hub.url)
    assert (end.final, end.retry_after) == (final, 7.0)
    assert str(end) == f"the hub refused the connection: HTTP {status}, not here"


async def test_a_handshake_that_is_cut_off_ends_at_once(autojump_clock: MockClock) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with tcp_server(hang_up) as url:
        end = await ending_of(url)
    assert not end.final
    assert "during the handshake" in str(end)
    assert trio.current_time() == 0


async def test_something_that_is_no_web_server_is_noticed(autojump_clock: MockClock) -> None:
    async def smtp(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail ready\r\n\r\n")
        await trio.sleep_forever()

    async with tcp_server(smtp) as url:
        end = await ending_of(url)
    assert "during the handshake" in str(end)
    assert trio.current_time() == 0


async def test_a_hub_that_accepts_and_says_nothing_is_given_up(autojump_clock: MockClock) -> None:
    async with tcp_server(deaf) as url:
        end = await ending_of(url)
    assert str(end) == "no answer within 10 s"
    assert trio.current_time() == pytest.approx(10)


async def test_nobody_listening_may_be_tried_again() -> None:
    async with tcp_server(deaf) as url:
        pass
    end = await ending_of(url)
    assert not end.final
    assert "cannot connect" in str(end)


@pytest.mark.parametrize("text", ["not json", "[1]", '"x"', ""])
async def test_a_peer_that_does_not_speak_json_objects_is_no_hub(text: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.say_text(text)
        await peer.silent()

    async with fake_hub(script) as hub:
        end = await ending_of(hub.url)
    assert end.final
    assert "not a hub" in str(end)


async def test_a_message_above_the_bound_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.say("big", x="y" * 2000)
        await peer.silent()

    async with fake_hub(script) as hub:
        end = await ending_of(hub.url)
    assert end.code == 1009


async def test_a_peer_without_tls_is_told_apart_from_one_that_is_away() -> None:
    async def not_tls(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with tcp_server(not_tls) as url:
        end = await ending_of(url.replace("http", "https"))
    assert str(end) == "the hub speaks no TLS at this address: use http:// or ws://"
    assert end.final


async def test_the_bodys_own_exception_leaves_a_link_as_it_is() -> None:
    async with fake_hub(Peer.silent) as hub:
        with pytest.raises(KeyError, match="mine") as caught:
            async with link_to(hub.url):
                raise KeyError("mine")
        assert not isinstance(caught.value, BaseExceptionGroup)


async def test_a_link_that_is_aborted_tells_why() -> None:
    async with fake_hub(Peer.silent) as hub, link_to(hub.url) as link:
        await link.abort("had enough")
        with pytest.raises(ConnectionEnded, match="had enough"):
            await link.receive()


async def test_a_hub_without_the_subprotocol_is_no_place_for_a_watcher() -> None:
    options = ConnectionOptions(10, 2, 1024, subprotocol="tasktree.v1")
    async with raw_hub(deaf) as url:
        end = await ending_of(url, options)
    assert end.final
    assert "does not speak tasktree.v1" in str(end)
