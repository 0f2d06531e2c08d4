"""Stopping: everybody is told, nothing acked is lost, and nobody can hold it up."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.server.peers import (
    Closed,
    EventStream,
    Json,
    Peer,
    node,
    produce,
    publish,
    watch,
    watch_plain,
)
from tests.server.process import HubProcess, hub_process
from tests.wsclient import WsClient, request_head

pytestmark = pytest.mark.usefixtures("wire")

QUICK = ("drain.window=3", "drain.timeout=20", "delivery.close_timeout=1", "delivery.stall_timeout=600")
SMALL = ("limits.max_message_size=65536", "delivery.outbox_messages=16", "delivery.outbox_bytes=131072")
TINY = 4096


async def test_every_kind_of_watcher_is_told_and_then_closed(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *QUICK) as hub:
        await hub.post("a", node("a", "n"))
        native, plain = await watch(hub, "project_id=a"), await watch_plain(hub, "project_id=a")
        stream = await EventStream.open(hub, "a", "since=:0")
        await native.hear_type("welcome")
        await native.hear_type("subscribed")
        assert (await stream.hear())["type"] == "subscribed"
        assert (await stream.hear())["type"] == "node_update"
        hub.signal(signal.SIGTERM)
        told = await native.hear_type("draining")
        assert 0 <= told["data"]["reconnect_after_ms"] <= 3000
        assert (await native.end()).code == 1012
        assert (await plain.end()).code == 1012
        told = await stream.hear()
        assert (told["type"], *told["data"]) == ("draining", "reconnect_after_ms")
        assert (await stream.end()).code == 1000  # in order
        for one in (native, plain, stream):
            one.leave()
        assert await hub.ended() == 0


async def test_the_time_to_come_back_differs_from_one_to_the_next(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *QUICK) as hub:
        watchers = [await watch(hub, "project_id=a") for _ in range(12)]
        hub.signal(signal.SIGTERM)
        slots = [(await one.skip_to("draining"))["data"]["reconnect_after_ms"] for one in watchers]
        assert len(set(slots)) > 4
        for one in watchers:
            one.leave()
        assert await hub.ended() == 0


async def test_readyz_says_draining_and_nothing_new_is_taken_in(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *QUICK, "delivery.close_timeout=5") as hub:
        watcher = await watch(hub, "project_id=a")
        half = [await WsClient.dial(hub.port) for _ in range(3)]
        heads = (
            f"GET /readyz HTTP/1.1\r\nHost: {hub.authority}\r\n\r\n".encode(),
            _post(hub, "a", b'{"type":"log","data":{"level":"info","message":"late"}}'),
            request_head("/ws/updates", host=hub.authority),
        )
        for client, head in zip(half, heads, strict=True):
            await client.raw(head[:20])
        # A request behind them is answered, so those have arrived before the signal does.
        assert (await hub.get("/readyz"))["status"] == "ready"
        hub.signal(signal.SIGTERM)
        await watcher.skip_to("draining")
        for client, head in zip(half, heads, strict=True):
            await client.raw(head[20:])
        ready, post, late = half
        with trio.fail_after(PATIENCE):
            answer = await ready.answer()
            assert (answer.status, b"draining" in answer.body) == (503, True)
            answer = await post.answer()
            assert (answer.status, b'"code":"draining"' in answer.body) == (503, True)
            assert (await late.answer()).status in (101, 503)
            assert (await Peer(late).end()).code in (1012, 1013)
        with pytest.raises(Closed):
            await watch(hub)
        for client in (*half, watcher.client):
            client.stream.socket.close()
        assert await hub.ended() == 0


def _post(hub: HubProcess, project: str, body: bytes) -> bytes:
    return (
        f"POST /api/v1/projects/{project}/events HTTP/1.1\r\nHost: {hub.authority}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def test_publishes_in_flight_are_acked_and_what_was_stored_was_acked(tmp_path: Path) -> None:
    async with hub_process(tmp_path, *QUICK) as hub:
        producer = await produce(hub, "p")
        await publish(producer, "first", node("a", "n0"))
        acked: dict[str, int] = {"n0": 1}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_publish_until_closed, producer)
            while len(acked) < 300:
                await _note_ack(producer, acked)
            hub.signal(signal.SIGTERM)
            messages, closed = await producer.rest()
        for answer in messages:
            if answer["type"] == "ack":
                acked[f"n{answer['id']}"] = answer["positions"][0]["seq"]
        assert closed.code == 1012
        producer.leave()
        assert await hub.ended() == 0
        await hub.start()
        stored = {one["data"]["node_id"]: one["seq"] for one in await hub.events("a")}
        assert stored == acked


async def _publish_until_closed(producer: Peer) -> None:
    number = 0
    try:
        while True:
            number += 1
            request: Json = {"type": "publish", "id": number, "events": [node("a", f"n{number}")]}
            await producer.say(request)
    except Closed:
        return


async def _note_ack(producer: Peer, acked: dict[str, int]) -> None:
    answer = await producer.skip_to("ack")
    acked[f"n{answer['id']}"] = answer["positions"][0]["seq"]


async def test_peers_that_do_not_read_or_never_finish_their_handshake_do_not_hold_it_up(
    tmp_path: Path,
) -> None:
    patient = ("limits.handshake_timeout=600", "drain.timeout=600")
    async with hub_process(tmp_path, *QUICK, *SMALL, *patient) as hub:
        stuck = [
            await watch(hub, "project_id=a", receive_buffer=TINY),
            await watch(hub, "project_id=a&policy=resync", receive_buffer=TINY),
            await watch_plain(hub, receive_buffer=TINY),
        ]
        stream = await EventStream.open(hub, "a", "since=:0", receive_buffer=TINY)
        half = await WsClient.dial(hub.port)
        await half.raw(request_head("/ws/updates", host=hub.authority)[:-2])
        request = await WsClient.dial(hub.port)
        await request.raw(_post(hub, "a", b"x" * 1000)[:-500])
        await _fill_everything(hub)
        polite = await watch(hub, "project_id=a")
        hub.signal(signal.SIGTERM)
        await polite.skip_to("draining")
        with trio.fail_after(PATIENCE):  # far less than drain.timeout
            assert await hub.ended() == 0
        stream.leave()
        assert len(stuck) == 3


async def _fill_everything(hub: HubProcess) -> None:
    """Publish until all four who do not read have more waiting than they may."""
    producer = await produce(hub, "p")
    number = 0
    async with hub.http() as client:
        with trio.fail_after(PATIENCE):
            while await _keeping_up(client):
                for _ in range(10):
                    number += 1
                    data = {"level": "info", "message": "x" * 60_000}
                    await publish(producer, number, {"type": "log", "project_id": "a", "data": data})


async def _keeping_up(client: httpx.AsyncClient) -> int:
    """How many watchers have not been shed."""
    found = (await client.get("/api/v1/connections")).json()["connections"]
    return sum(1 for one in found if one["dialect"] != "orchestrator" and not one["sheds"])


async def test_a_second_signal_does_not_wait_for_anything(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "drain.timeout=600", "delivery.close_timeout=600") as hub:
        watcher = await watch(hub, "project_id=a")
        hub.signal(signal.SIGTERM)
        await watcher.skip_to("draining")  # and from here on it waits for the echo of its close
        hub.signal(signal.SIGINT)
        with trio.fail_after(PATIENCE):
            assert await hub.ended() == 1


async def test_acked_events_are_there_after_a_stop_and_after_a_forced_one(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "drain.timeout=600", "delivery.close_timeout=600") as hub:
        for forced in (True, False):
            before = len(await hub.events("a")) if not forced else 0
            producer = await produce(hub, f"p{forced}")
            for number in range(20):
                await publish(producer, number, node("a", f"{forced}{number}"))
            hub.signal(signal.SIGTERM)
            assert (await producer.end()).code == 1012
            if forced:
                hub.signal(signal.SIGTERM)
            producer.leave()
            assert await hub.ended() in ((0, 1) if forced else (0,))
            await hub.start()
            assert len(await hub.events("a")) == before + 20
