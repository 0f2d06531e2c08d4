"""Staying connected: when the client tries again, and when it gives up."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.connection import Connection, ConnectionOptions, open_connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.reconnect import stay_connected
from tests.client.fakehub import Peer, Refusal, fake_hub


class Attempts:
    """Notes when each try began and what was waited for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.began: list[float] = []
        self.delays: list[float] = []

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        self.began.append(trio.current_time())
        return open_connection(
            self.url.replace("http", "ws", 1),
            ConnectionOptions(connect_timeout=10, close_timeout=2, max_message_size=1024),
        )

    async def serve(self, link: Connection) -> None:
        while True:
            await link.receive()

    async def dropped(self, end: ConnectionEnded, delay: float) -> None:
        self.delays.append(delay)

    async def run(self, patience: float = 1e9) -> ConnectionEnded:
        retry = Retry(Backoff(base=1.0, cap=8.0), draw=lambda: 1.0)
        with pytest.raises(ConnectionEnded) as caught:
            await stay_connected(self.connect, self.serve, self.dropped, retry, patience)
        return caught.value


async def test_failures_in_a_row_are_spaced_by_the_back_off(autojump_clock: MockClock) -> None:
    async def stop(peer: Peer) -> None:
        await peer.close(4001)

    refused = Refusal(503)
    async with fake_hub(stop, refuse=lambda knock: refused if knock < 6 else None) as hub:
        attempts = Attempts(hub.url)
        await attempts.run()
    assert attempts.delays == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert attempts.began == pytest.approx([0.0, 1.0, 3.0, 7.0, 15.0, 23.0])


async def test_what_the_hub_advises_is_waited_for_first(autojump_clock: MockClock) -> None:
    refusals = {1: Refusal(503, headers=((b"Retry-After", b"60"),)), 2: Refusal(401)}
    async with fake_hub(Peer.drop, refuse=refusals.get) as hub:
        attempts = Attempts(hub.url)
        end = await attempts.run()
    assert attempts.delays == [61.0]
    assert end.final


async def test_a_hub_that_accepts_and_drops_is_not_hammered(autojump_clock: MockClock) -> None:
    async def stop(peer: Peer) -> None:
        await peer.close(4001)

    async with fake_hub(Peer.drop, Peer.drop, Peer.drop, stop) as hub:
        attempts = Attempts(hub.url)
        await attempts.run()
    assert attempts.delays == [1.0, 2.0, 4.0]


async def test_a_hub_that_begins_well_and_fails_soon_is_not_hammered(autojump_clock: MockClock) -> None:
    async def begin_well(peer: Peer) -> None:
        await trio.sleep(4)

    async def stop(peer: Peer) -> None:
        await peer.close(4001)

    class Contented(Attempts):
        async def serve(self, link: Connection) -> None:
            link.good = True
            await super().serve(link)

    async with fake_hub(begin_well, begin_well, begin_well, stop) as hub:
        attempts = Contented(hub.url)
        await attempts.run()
    assert attempts.delays == [1.0, 2.0, 4.0]


async def test_a_connection_that_lasted_begins_the_back_off_anew(autojump_clock: MockClock) -> None:
    async def last(peer: Peer) -> None:
        await trio.sleep(100)

    async def stop(peer: Peer) -> None:
        await peer.close(4001)

    async with fake_hub(Peer.drop, Peer.drop, last, stop) as hub:
        attempts = Attempts(hub.url)
        await attempts.run()
    assert attempts.delays == [1.0, 2.0, 1.0]


async def test_patience_ends(autojump_clock: MockClock) -> None:
    async with fake_hub(Peer.drop, refuse=lambda knock: Refusal(503)) as hub:
        end = await Attempts(hub.url).run(patience=20)
    assert end.final
    assert "gave up after 20 s: the hub refused the connection: HTTP 503" in str(end)
