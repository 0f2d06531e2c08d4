"""TLS handshakes over real sockets: what is offered, what is refused, and what a bad peer can hold up."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.settings import Settings, Tls
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.server.server import serve
from tasktree_rt.web.server.tls.certificates import Certificates
from tests.certificates import Authority, Pair
from tests.secure import TlsStream
from tests.web.serving import EdgeCounts, Hub, Served, Started, make_app, small
from tests.wsclient import TEXT, WsClient, request_head

Dial = Callable[..., Awaitable[WsClient]]
HELLO = bytes.fromhex("16030100") + b"\xc8"
"""How a TLS record of 200 bytes begins."""


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue()


@pytest.fixture
def tls(pair: Pair) -> Tls:
    return Tls(certfile=str(pair.cert), keyfile=str(pair.key))


def handshakes(served: Served) -> dict[str, float]:
    """TLS handshakes by outcome."""
    found = {}
    for family in served.edge.metrics.registry.collect():
        for one in family.samples:
            if one.name in ("tasktree_tls_handshakes_total", "tasktree_tls_clients_total"):
                found.update(dict.fromkeys(one.labels.values(), one.value))
    return found


async def plain(port: int) -> trio.SocketStream:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    WsClient(stream)  # closes it at the test's end
    return stream


async def encrypted(port: int, context: ssl.SSLContext) -> WsClient:
    stream = TlsStream(await plain(port), context)
    await stream.shake_hands()
    return WsClient(stream)


async def watcher(port: int, context: ssl.SSLContext) -> WsClient:
    """An open WebSocket."""
    client = await encrypted(port, context)
    await client.raw(request_head())
    assert (await client.answer()).status == 101
    return client


async def assert_echoes(client: WsClient) -> None:
    await client.text("well")
    frame = await client.recv()
    assert (frame.opcode, frame.data) == (TEXT, b"well")


async def test_a_request_without_tls_is_answered_that_it_needs_it(started: Started, tls: Tls) -> None:
    served = await started(tls=tls)
    stream = await plain(served.port)
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
    answer = await WsClient(stream).answer()
    assert (answer.status, answer.body) == (400, b"This port speaks TLS: use https:// or wss://.\n")
    assert handshakes(served) == {"plain": 1}


async def test_tls_at_a_port_without_it_is_answered_at_once(started: Started, authority: Authority) -> None:
    served = await started(limits={"handshake_timeout": 1e6})
    with trio.fail_after(60), pytest.raises(ssl.SSLError, match=r"(?i)wrong.version"):
        await encrypted(served.port, authority.client())
    assert handshakes(served) == {"no_tls": 1}


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], ["h2"], []])
async def test_only_http_1_1_is_chosen(
    started: Started, authority: Authority, tls: Tls, offered: list[str]
) -> None:
    served = await started(tls=tls)
    context = authority.client()
    context.set_alpn_protocols(offered)
    client = await encrypted(served.port, context)
    assert isinstance(client.stream, TlsStream)
    chosen = client.stream.tls.selected_alpn_protocol()
    assert chosen == ("http/1.1" if "http/1.1" in offered else None)
    if chosen is None and offered:  # a client of HTTP/2 alone goes on with it
        await client.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await client.answer()).status == 505
        assert await client.rest() == b""


async def test_old_versions_are_refused(started: Started, authority: Authority, tls: Tls) -> None:
    served = await started(tls=tls)
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        await encrypted(served.port, context)
    assert handshakes(served) == {"failed": 1}


async def test_a_resumed_session_is_taken(started: Started, authority: Authority, tls: Tls) -> None:
    served = await started(tls=tls)
    context, session = authority.client(), None
    for expected in (False, True):
        stream = TlsStream(await plain(served.port), context)
        if session is not None:
            stream.tls.session = session
        await stream.shake_hands()
        client = WsClient(stream)
        await client.raw(request_head())
        await client.answer()  # the tickets came before it
        assert stream.tls.session_reused is expected
        session = stream.tls.session
        await assert_echoes(client)


@pytest.mark.parametrize("auth", ["required", "optional"])
async def test_a_clients_certificate_is_asked_for(
    started: Started, authority: Authority, tmp_path: Path, auth: str, pair: Pair
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "unknown").issue("stranger")
    tls = Tls(certfile=str(pair.cert), keyfile=str(pair.key), client_ca=str(authority.file), client_auth=auth)
    served = await started(tls=tls)
    known = await watcher(served.port, authority.client(authority.issue("client")))
    await assert_echoes(known)
    if auth == "optional":
        await assert_echoes(await watcher(served.port, authority.client()))
        assert handshakes(served) == {"completed": 2, "yes": 1, "no": 1}
    else:
        with pytest.raises(trio.BrokenResourceError, match=r"(?i)certificate.required"):
            await watcher(served.port, authority.client())
    with pytest.raises(trio.BrokenResourceError, match=r"(?i)unknown.ca"):
        await watcher(served.port, authority.client(stranger))
    await assert_echoes(known)


GARBAGE = {
    "nothing but zeros": bytes(1000),
    "noise": b"\xfe" + os.urandom(5000),
    "a record and noise": HELLO + os.urandom(200),
    "a record too large": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "an old hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0")
    + bytes(32),
    "an alert": bytes.fromhex("15030100020228"),
    "data without a handshake": bytes.fromhex("1703030020") + bytes(32),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_ends_its_own_connection_only(
    started: Started, authority: Authority, tls: Tls, garbage: bytes, structlog_records: list[Any]
) -> None:
    served = await started(tls=tls)
    healthy = await watcher(served.port, authority.client())
    for _ in range(10):
        stream = await plain(served.port)
        with trio.fail_after(60):
            with suppress(trio.BrokenResourceError):
                await stream.send_all(garbage)
                while await stream.receive_some(65536):
                    pass
        await stream.aclose()
        await assert_echoes(healthy)
    assert handshakes(served) == {"completed": 1, "failed": 10}
    assert not [one for one in structlog_records if one["log_level"] == "error"]


async def test_a_handshake_of_a_byte_now_and_then_ends_in_time(
    started: Started, tls: Tls, autojump_clock: trio.testing.MockClock
) -> None:
    served = await started(tls=tls, limits={"handshake_timeout": 10.0})
    stream = await plain(served.port)
    with suppress(trio.BrokenResourceError):
        for byte in HELLO + bytes(200):
            await stream.send_all(bytes([byte]))
            await trio.sleep(1)
    assert trio.current_time() < 13
    assert handshakes(served) == {"timeout": 1}


async def test_a_thousand_half_handshakes_cost_a_watcher_nothing_and_end(
    started: Started, authority: Authority, tls: Tls, mock_clock: trio.testing.MockClock
) -> None:
    served = await started(tls=tls, limits={"handshake_timeout": 10.0})
    healthy = await watcher(served.port, authority.client())
    before = trio.lowlevel.current_statistics().tasks_living
    peers = [await plain(served.port) for _ in range(1000)]
    for number, peer in enumerate(peers):
        if number % 2:
            await peer.send_all(HELLO)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert trio.lowlevel.current_statistics().tasks_living == before + 1000, "one task each"
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await assert_echoes(healthy)
        nursery.cancel_scope.cancel()
    assert turns < 50, "turns of the loop until the watcher had its answer"
    mock_clock.jump(10.0)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert handshakes(served) == {"completed": 1, "timeout": 1000}
    assert trio.lowlevel.current_statistics().tasks_living == before
    await assert_echoes(healthy)
    for peer in peers:
        await peer.aclose()


async def test_handshakes_count_as_connections(started: Started, authority: Authority, tls: Tls) -> None:
    served = await started(tls=tls, limits={"max_connections": 3})
    half = [await plain(served.port) for _ in range(3)]
    await trio.testing.wait_all_tasks_blocked(0.02)
    with pytest.raises((trio.BrokenResourceError, OSError)):
        await encrypted(served.port, authority.client())
    assert served.edge.counts == {"connections_refused max_connections": 1}
    await half.pop().aclose()
    await trio.testing.wait_all_tasks_blocked(0.02)
    await assert_echoes(await watcher(served.port, authority.client()))


async def test_a_peer_that_goes_during_the_handshake_is_forgotten(started: Started, tls: Tls) -> None:
    served = await started(tls=tls)
    before = trio.lowlevel.current_statistics().tasks_living
    for data in (b"", HELLO):
        stream = await plain(served.port)
        await stream.send_all(data)
        await trio.testing.wait_all_tasks_blocked(0.02)
        await stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.02)
    assert handshakes(served) == {"lost": 2}
    assert trio.lowlevel.current_statistics().tasks_living == before


@asynccontextmanager
async def served_with(certificates: Certificates, tls: Tls) -> AsyncIterator[Served]:
    hub, edge, stop = Hub(), EdgeCounts(), trio.Event()
    app = make_app(hub)
    settings = small(tls=tls)

    async def run(task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        await serve(
            app, hub, settings, shutdown=stop.wait, certificates=certificates, task_status=task_status
        )

    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(run)
        assert url.startswith("https://")
        yield Served(int(url.rpartition(":")[2]), hub, edge, app, stop, trio.Event())
        nursery.cancel_scope.cancel()
    WsClient.close_all()


async def test_a_reload_is_for_new_connections_and_ends_no_running_one(
    authority: Authority, pair: Pair, tls: Tls, tmp_path: Path
) -> None:
    certificates = Certificates(tls, EdgeCounts().metrics)
    async with served_with(certificates, tls) as served:
        (tmp_path / "new").mkdir()
        successor = Authority(tmp_path / "new", "successor")
        old = await watcher(served.port, authority.client())
        new = successor.issue()
        pair.cert.write_bytes(new.cert.read_bytes())
        pair.key.write_bytes(new.key.read_bytes())
        await certificates.reload()
        with pytest.raises(ssl.SSLCertVerificationError):
            await encrypted(served.port, authority.client())
        await assert_echoes(await watcher(served.port, successor.client()))
        await assert_echoes(old)


async def test_a_page_without_tls_may_not_use_a_hub_with_it() -> None:
    policy = OriginPolicy(Settings(tls=Tls(certfile="/hub.pem")))
    assert policy.admits("https://localhost:8000", "localhost:8000")
    assert not policy.admits("http://localhost:8000", "localhost:8000")
    listed = OriginPolicy(Settings(tls=Tls(certfile="/hub.pem"), cors_origins=("http://board:80",)))
    assert listed.admits("http://board:80", "localhost:8000")
