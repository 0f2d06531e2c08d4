"""Slow, stuck and vanished readers: they cost nobody else anything, and what they get in the end is right."""

from __future__ import annotations

import select
import socket
from pathlib import Path

import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.secure import assert_cut_off
from tests.server.peers import EventStream, Json, Peer, Picture, events_in, node, produce, watch, watch_plain
from tests.server.process import HubProcess, hub_process
from tests.wsclient import WsClient, request_head

pytestmark = pytest.mark.usefixtures("wire")

SMALL = (
    "limits.max_message_size=65536",
    "delivery.outbox_messages=16",
    "delivery.outbox_bytes=131072",
    "keep.max_events=10000",
)
PATIENT = "delivery.stall_timeout=600"
TINY = 4096
IN_FLIGHT = 3
"""Publishes that a healthy reader may be behind before the next one is sent. So one tick brings at most four:
8 messages of 123,000 bytes, which fit into the outbox of `SMALL`."""
EVENTS = 2
"""Events of one publish."""
MIB = 1024 * 1024


class Flood:
    """A producer of large events of project ``a``: lines of output, and a few nodes that change with each.

    It waits for the healthy readers: how fast the machine runs them does not matter.
    """

    def __init__(self, hub: HubProcess, producer: Peer) -> None:
        self._hub = hub
        self._producer = producer
        self.published = 0
        self.readers: list[Healthy] = []

    async def burst(self, count: int = 10) -> None:
        """Send `count` publishes of about 30 KB, until all are acked and the healthy readers have them."""
        goal = self.published + count
        for number in range(self.published + 1, goal + 1):
            line = {"node_id": "n1", "level": "info", "message": "x" * 30_000}
            change = node("a", f"n{number % 7}", progress=number % 100, parent_id="n0")
            events = [{"type": "log", "project_id": "a", "data": line}, change]
            await self._producer.say({"type": "publish", "id": number, "events": events})
            await self._acked(number - IN_FLIGHT)
        await self._acked(goal)

    async def _acked(self, number: int) -> None:
        while self.published < number:
            self.published += 1
            assert (await self._producer.hear_type("ack"))["id"] == self.published
        for reader in self.readers:
            await reader.until(EVENTS * number)

    async def until_shed(self, policy: str, count: int = 1) -> None:
        """Until so many subscribers had to be shed."""
        with trio.fail_after(PATIENCE):
            while await self._hub.metric("tasktree_sheds_total", policy=policy) < count:
                await self.burst()


async def _flood(hub: HubProcess) -> Flood:
    return Flood(hub, await produce(hub, "flood"))


class Healthy:
    """Reads all the time, under the strictest policy; it has seen what was published up to `seq`."""

    def __init__(self, peer: Peer | EventStream, seq: int = 0) -> None:
        self._peer = peer
        self._seq = seq
        self._moved = trio.lowlevel.ParkingLot()
        self.events: list[Json] = []

    async def run(self) -> None:
        while True:
            found = events_in([await self._peer.hear()])
            if found:
                self.events += found
                self._seq = found[-1]["seq"]
                self._moved.unpark_all()

    async def until(self, seq: int) -> None:
        with trio.fail_after(PATIENCE):
            while self._seq < seq:
                await self._moved.park()

    async def assert_has_all(self, hub: HubProcess) -> None:
        log = await hub.events("a")
        with trio.fail_after(PATIENCE):
            while len(self.events) < len(log):
                await trio.lowlevel.checkpoint()
        assert self.events == log


async def _healthy(hub: HubProcess, nursery: trio.Nursery, flood: Flood) -> list[Healthy]:
    flood.readers = [
        Healthy(await watch(hub, "project_id=a&since=:0&policy=disconnect")),
        Healthy(await watch_plain(hub, "project_id=a"), EVENTS * flood.published),
        Healthy(await EventStream.open(hub, "a", "since=:0&policy=disconnect")),
    ]
    for one in flood.readers:
        nursery.start_soon(one.run)
    return flood.readers


async def _shed_connection(hub: HubProcess) -> Json:
    (found,) = [one for one in await hub.connections() if one["sheds"]]
    assert found["waiting_messages"] <= 16
    assert found["waiting_bytes"] <= 131_072
    return found


@pytest.mark.parametrize("reads", ["never", "a byte now and then"])
@pytest.mark.parametrize("policy", ["conflate", "resync"])
async def test_a_reader_that_lags_ends_at_the_right_tree(tmp_path: Path, policy: str, reads: str) -> None:
    async with hub_process(tmp_path, *SMALL, PATIENT) as hub, trio.open_nursery() as nursery:
        flood = await _flood(hub)
        slow = await watch(hub, f"project_id=a&since=:0&policy={policy}", receive_buffer=TINY)
        healthy = await _healthy(hub, nursery, flood)
        await flood.until_shed(policy)
        for _ in range(30):
            await flood.burst(1)
            if reads != "never":
                await slow.sip()
        shown = await _shed_connection(hub)
        assert set(shown["lagging"]) == {"a"}
        head = (await hub.state("a"))["seq"]
        kinds, picture = await _read_to(slow, head)
        picture.assert_is(await hub.state("a"))
        if policy == "conflate":
            assert kinds["conflated"] >= 1
            assert kinds["shed"] == 0
            assert await hub.metric("tasktree_catch_ups_total", kind="conflated") >= 1
        else:
            assert kinds["conflated"] == 0
            assert kinds["shed"] >= 1
        await flood.burst(3)  # it is live again: single events
        assert await _next_seqs(slow, 6) == list(range(head + 1, head + 7))
        for one in healthy:
            await one.assert_has_all(hub)
        assert await hub.metric("tasktree_sheds_total", policy="disconnect") == 0
        nursery.cancel_scope.cancel()


async def _next_seqs(slow: Peer, count: int) -> list[int]:
    """The seq of each of the next events; a heartbeat may come between them."""
    found: list[int] = []
    while len(found) < count:
        message = await slow.hear()
        if message["type"] != "heartbeat":
            assert "seq" in message, message
            found.append(message["seq"])
    return found


async def _read_to(slow: Peer, head: int) -> tuple[dict[str, int], Picture]:
    """Everything that waits for a native reader, and what it was: nothing may be missing in between."""
    kinds = {"conflated": 0, "shed": 0, "skipped": 0}
    picture = Picture("a")
    while picture.seq < head:
        message = await slow.hear()
        if message["type"] == "conflated":
            kinds["conflated"] += 1
            kinds["skipped"] += sum(message["logs_skipped"].values())
        elif message["type"] == "project_state":
            kinds["shed"] += message["reason"] == "shed"
        elif "timestamp" in message and "seq" in message:
            assert message["seq"] == picture.seq + 1
        picture.hear(message)
    return kinds, picture


@pytest.mark.parametrize("kind", ["plain", "native", "stream"])
async def test_disconnect_says_where_to_go_on_and_that_is_exact(tmp_path: Path, kind: str) -> None:
    async with hub_process(tmp_path, *SMALL, PATIENT) as hub, trio.open_nursery() as nursery:
        flood = await _flood(hub)
        await flood.burst(1)
        slow = await _slow_reader(hub, kind)
        healthy = await _healthy(hub, nursery, flood)
        await flood.until_shed("disconnect")
        await flood.burst(5)
        messages, closed = await slow.rest()
        heard = events_in(messages)
        log = await hub.events("a")
        assert heard == log[: len(heard)]
        assert len(heard) < len(log)
        since = f"{log[0]['epoch']}:{len(heard)}"
        if kind == "stream":
            assert isinstance(slow, EventStream)
            assert (closed.code, slow.last_id) == (1000, since)
        else:
            assert (closed.code, closed.reason) == (4008, f"slow consumer {since}")
        again = await watch_plain(hub, f"project_id=a&since={since}")
        assert [await again.hear() for _ in log[len(heard) :]] == log[len(heard) :]
        for one in healthy[1:2]:
            assert one.events, "the others went on"
        nursery.cancel_scope.cancel()


async def _slow_reader(hub: HubProcess, kind: str) -> Peer | EventStream:
    if kind == "stream":
        query = "since=:0&policy=disconnect"
        return await EventStream.open(hub, "a", query, receive_buffer=TINY)
    query = "project_id=a&since=:0&policy=disconnect"
    return await (watch if kind == "native" else watch_plain)(hub, query, receive_buffer=TINY)


async def test_those_who_never_read_cost_no_memory_and_are_ended(tmp_path: Path) -> None:
    count = 20
    async with (
        # The index of the search has a cache of 8 MiB, with and without readers.
        hub_process(tmp_path, *SMALL, "delivery.stall_timeout=2", "search.index=false") as hub,
        trio.open_nursery() as nursery,
    ):
        flood = await _flood(hub)
        await flood.burst(50)
        healthy = await _healthy(hub, nursery, flood)
        stuck = [await watch(hub, "project_id=a", receive_buffer=TINY) for _ in range(count)]
        stuck += [await watch(hub, "project_id=a&policy=resync", receive_buffer=TINY) for _ in range(count)]
        before = hub.memory()
        await flood.burst(1000)  # 30 MB
        assert hub.memory() - before < 24 * MIB, "far less than was published, however many do not read"
        for one in stuck:
            await _reset(one)
        assert await hub.metric("tasktree_stalled_total") == 2 * count
        assert {one["policy"] for one in await hub.connections()} == {"disconnect"}
        assert await hub.metric("tasktree_closes_total", dialect="native", code="1006") == 2 * count
        await healthy[0].assert_has_all(hub)
        nursery.cancel_scope.cancel()


async def _reset(peer: Peer) -> None:
    """Wait for the RST, without reading a byte."""
    poller = select.poll()
    poller.register(peer.client.stream.socket.fileno(), 0)
    (found,) = await trio.to_thread.run_sync(poller.poll, 60_000)
    assert found[1] & select.POLLERR


async def test_a_reader_that_vanishes_with_an_rst_leaves_nothing_behind(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *SMALL, PATIENT) as hub, trio.open_nursery() as nursery:
        flood = await _flood(hub)
        healthy = await _healthy(hub, nursery, flood)
        gone = [await watch(hub, "project_id=a", receive_buffer=TINY) for _ in range(3)]
        gone += [await watch_plain(hub, "project_id=a") for _ in range(3)]
        await flood.burst(20)
        for one in gone:
            one.client.reset()
        await _only(hub, 4)
        await flood.burst(5)
        for reader in healthy[:1]:
            await reader.assert_has_all(hub)
        nursery.cancel_scope.cancel()


TCP_REPAIR = 19
"""As in linux/tcp.h. A socket that is closed under repair says nothing: no FIN, no RST."""


async def test_a_reader_that_vanishes_without_a_word_is_noticed_by_the_ping(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "delivery.ping_interval=1.5", "delivery.ping_timeout=60") as hub:
        gone, there = await watch_plain(hub, "project_id=a"), await watch_plain(hub, "project_id=a")
        sock = gone.client.stream.socket
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            pytest.skip("only root can make a socket vanish")
        sock.close()
        assert len(await hub.connections()) == 2  # nobody knows yet
        async with trio.open_nursery() as nursery:
            nursery.start_soon(there.hear)
            await _only(hub, 1)
            await hub.post("a", node("a", "n"))


async def _only(hub: HubProcess, count: int) -> None:
    """Wait until there are so many connections."""
    async with hub.http() as client:
        with trio.fail_after(PATIENCE):
            while len((await client.get("/api/v1/connections")).json()["connections"]) != count:
                pass


async def test_a_half_closed_watcher_gets_what_waits_and_then_the_end(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *SMALL, PATIENT, "delivery.close_timeout=2") as hub:
        flood = await _flood(hub)
        await flood.burst(8)
        watcher = await watch_plain(hub, "project_id=a&since=:0", receive_buffer=TINY)
        await watcher.client.eof()
        assert [(await watcher.hear())["seq"] for _ in range(16)] == list(range(1, 17))
        assert (await watcher.end()).code == 1006
        await _only(hub, 1)


async def test_a_half_closed_producer_may_miss_acks_and_finds_everything_when_it_comes_back(
    tmp_path: Path,
) -> None:
    async with hub_process(tmp_path, "delivery.close_timeout=2") as hub:
        requests: list[Json] = [
            {"type": "publish", "id": number, "events": [node("a", f"n{number}")]} for number in range(50)
        ]
        producer = await produce(hub, "p")
        for request in requests:
            await producer.say(request)
        await producer.client.eof()
        acked, _ = await producer.rest()
        assert [one["id"] for one in acked] == list(range(len(acked)))
        await _only(hub, 0)
        producer = await produce(hub, "p")
        for request in requests:
            await producer.say(request)
        again = [await producer.hear_type("ack") for _ in requests]
        assert [one["positions"] for one in again[: len(acked)]] == [one["positions"] for one in acked]
        assert [one["positions"][0]["seq"] for one in again] == list(range(1, 51))
        assert (await hub.state("a"))["seq"] == 50


async def test_a_half_closed_handshake_is_over_at_once(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.handshake_timeout=600") as hub:
        client = await WsClient.dial(hub.port)
        await client.raw(request_head("/ws/updates", host=hub.authority)[:-2])
        await client.eof()
        with trio.fail_after(PATIENCE):
            await assert_cut_off(client)


async def test_a_half_closed_stream_is_given_up(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        await hub.post("a", node("a", "n"))
        stream = await EventStream.open(hub, "a")
        await stream.hear()
        assert (await stream.hear())["type"] == "project_state"
        await stream.half_close()
        with trio.fail_after(PATIENCE):
            await stream.end()
            await _only(hub, 0)
