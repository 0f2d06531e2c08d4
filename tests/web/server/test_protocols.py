"""What the hub promises of connections, on every address it listens on, whatever is spoken there.

The table is `SPOKEN` × the tests below × `PLACES`: silence ends, readers that stall cost no memory and are
cut off, limits hold before anything is understood, and a drain leaves nobody behind. What is spoken includes
what the hub refuses to speak (HTTP/2), so that no promise depends on the peer's choice of a protocol.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from attrs import evolve, frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.settings import Aiecs
from tests.web.realhub import RealHub, node_update, real_hub
from tests.wsclient import CLOSE, Answer, WsClient, request_head

PLACES: Final = ("main", "aiecs", "unix")
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
H2C: Final = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAAAA\r\n"
STALL: Final = 7.0
PING: Final = 11.0


def get(path: str, version: str = "1.1", more: str = "") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: localhost\r\n{more}\r\n".encode()


STREAM: Final = "/api/v1/projects/p/stream"


@frozen
class Spoken:
    """What a peer says first; `status` is that of the answer, and `ends` whether the connection ends with
    it."""

    said: bytes
    status: int
    ends: bool = False
    lasts: bool = False


SPOKEN: Final = {
    "HTTP/1.1": Spoken(get("/healthz"), 200),
    "HTTP/1.0": Spoken(get("/healthz", "1.0"), 200, ends=True),
    "HTTP/1.1, asks for h2c": Spoken(get("/healthz", more=H2C), 200),
    "HTTP/2's preface": Spoken(PREFACE, 505, ends=True),
    "events": Spoken(get(STREAM), 200, lasts=True),
    "events, asked for with h2c": Spoken(get(STREAM, more=H2C), 200, lasts=True),
    "a WebSocket": Spoken(request_head("/ws/updates?project_id=p", host="localhost"), 101, lasts=True),
}


@frozen
class Place:
    """A hub and one of its addresses."""

    hub: RealHub
    dial: Callable[[], Awaitable[WsClient]]

    async def say(self, spoken: Spoken) -> tuple[WsClient, Answer]:
        """Say it on a new connection; the answer's head."""
        client = await self.dial()
        await client.raw(spoken.said)
        return client, await client.answer()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def _connected(family: int, address: Any) -> WsClient:
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(address)
    return WsClient(trio.SocketStream(sock))


@asynccontextmanager
async def placed(where: str, folder: Path, **settings: Any) -> AsyncIterator[Place]:
    """A real hub, and how to connect to that address of it."""
    port = _free_port() if where == "aiecs" else 0
    path = str(folder / "s")
    bind = f"unix:{path}" if where == "unix" else "127.0.0.1:0"
    aiecs = evolve(Aiecs(), port=port, ping_interval=PING, ping_timeout=STALL)
    async with real_hub(bind=bind, aiecs=aiecs, **settings) as hub:

        async def dial() -> WsClient:
            if where == "unix":
                return await _connected(socket.AF_UNIX, path)
            return await _connected(socket.AF_INET, ("127.0.0.1", port or int(hub.url.rpartition(":")[2])))

        try:
            yield Place(hub, dial)
        finally:
            WsClient.close_all()


async def gone(client: WsClient) -> None:
    """Read until the hub has ended the connection, in whatever way."""
    with suppress(trio.BrokenResourceError):
        await client.rest()


@pytest.mark.parametrize("where", PLACES)
async def test_each_is_answered_so_or_refused_in_words(tmp_path: Path, where: str) -> None:
    async with placed(where, tmp_path) as place:
        for name, spoken in SPOKEN.items():
            client, answer = await place.say(spoken)
            assert answer.status == spoken.status, name
            assert answer.headers.get("upgrade") == ("websocket" if answer.status == 101 else None), name
            if spoken.ends:
                await client.eof()
                await gone(client)
            client.reset()


@pytest.mark.parametrize("where", PLACES)
async def test_silence_ends_before_the_head_and_within_it(
    tmp_path: Path, where: str, autojump_clock: MockClock
) -> None:
    async with placed(where, tmp_path, limits={"handshake_timeout": 4.0}) as place:
        for name, spoken in {"nothing": Spoken(b"", 0), **SPOKEN}.items():
            client = await place.dial()
            await client.raw(spoken.said[:14])
            began = trio.current_time()
            await gone(client)
            assert trio.current_time() - began == pytest.approx(4.0, abs=1.5), name


@pytest.mark.parametrize("where", PLACES)
async def test_silence_after_the_answer_ends_too(
    tmp_path: Path, where: str, autojump_clock: MockClock
) -> None:
    delivery = {"ping_interval": PING, "ping_timeout": STALL, "heartbeat_interval": 3600.0}
    async with placed(where, tmp_path, delivery=delivery) as place:
        for name, spoken in SPOKEN.items():
            if spoken.lasts and spoken.status == 200:
                continue  # an event stream hears nothing of its reader: what it writes tells (below)
            client, _ = await place.say(spoken)
            began = trio.current_time()
            await gone(client)
            assert trio.current_time() - began < 25.0, name
        await wait_all_tasks_blocked()
        assert not place.hub.hub.connections


@pytest.mark.parametrize("where", PLACES)
async def test_readers_that_stall_cost_a_bounded_memory_and_are_cut_off(
    tmp_path: Path, where: str, autojump_clock: MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.02  # the kernel takes its time
    delivery = {"stall_timeout": STALL, "outbox_bytes": 65_536, "outbox_messages": 16}
    limits = {"max_message_size": 20_000}
    async with placed(where, tmp_path, delivery=delivery, limits=limits) as place:
        hub = place.hub.hub
        await place.hub.publish("p", node_update("n"))
        for spoken in SPOKEN.values():
            client = await place.dial()
            await client.raw(spoken.said)
        await wait_all_tasks_blocked()
        readers = list(hub.connections.values())
        assert len(readers) == sum(spoken.lasts for spoken in SPOKEN.values())
        for number in range(300):
            await place.hub.publish("p", *[node_update(f"n{number % 9}", title="x" * 15_000)] * 4)
            # A message that is begun is finished, and those of an answer under way are kept.
            assert all(one.outbox.waiting_bytes <= 65_536 + 20_000 for one in readers)
            await trio.sleep(0.1)
        assert not hub.connections


@pytest.mark.parametrize("where", PLACES)
async def test_the_limit_of_connections_holds_before_anything_is_understood(
    tmp_path: Path, where: str
) -> None:
    async with placed(where, tmp_path, limits={"max_connections": 2}) as place:
        inside = [await place.say(SPOKEN["a WebSocket"]) for _ in range(2)]
        assert [answer.status for _, answer in inside] == [101, 101]
        for name, spoken in SPOKEN.items():
            client = await place.dial()
            with suppress(trio.BrokenResourceError):
                await client.raw(spoken.said)
            answer = await client.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1"), name


@pytest.mark.parametrize("where", PLACES)
async def test_a_drain_leaves_nobody_behind(tmp_path: Path, where: str, autojump_clock: MockClock) -> None:
    drain = {"window": 1.0, "timeout": 5.0}
    async with placed(where, tmp_path, drain=drain, delivery={"close_timeout": 1.0}) as place:
        await place.hub.publish("p", node_update("n"))
        open_ones = {name: await place.say(spoken) for name, spoken in SPOKEN.items()}
        silent = await place.dial()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        place.hub.stop.set()
        for name, (client, answer) in open_ones.items():
            if answer.status == 101:
                while (frame := await client.recv()).opcode != CLOSE:
                    pass
                assert frame.code in (1001, 1012), name
            await gone(client)
        await gone(silent)
        assert trio.current_time() - began <= 6.0
