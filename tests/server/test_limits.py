"""Every limit at a whole hub: what is answered, that nothing beyond it is kept, and that it is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.server.peers import (
    Json,
    Peer,
    handshake,
    node,
    produce,
    publish,
    watch,
    watch_plain,
)
from tests.server.process import HubProcess, hub_process, samples
from tests.wsclient import CONT, TEXT, WsClient, masked, request_head

MIB = 1024 * 1024
QUICK = "delivery.close_timeout=1"


async def _count(hub: HubProcess, name: str, **labels: str) -> float:
    return await hub.metric(f"tasktree_{name}_total", **labels)


@pytest.mark.parametrize("fragmented", [False, True])
@pytest.mark.parametrize("path", ["/ws/updates", "/ws/orchestrator?producer_id=p"])
async def test_a_message_over_the_limit_closes_1009_before_it_is_buffered(
    tmp_path: Path, path: str, fragmented: bool
) -> None:
    async with hub_process(tmp_path, QUICK, store="memory:") as hub:
        client, answer = await handshake(hub, path)
        assert answer.status == 101
        before = hub.memory()
        closed: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_note_close, Peer(client), closed)
            try:
                if fragmented:
                    await client.frame(TEXT, b"x" * 60_000, fin=False)
                    for _ in range(1000):
                        await client.frame(CONT, b"x" * 60_000, fin=False)
                else:
                    await client.raw(masked(TEXT, b"x" * 60_000, size=500 * MIB))
                    for _ in range(1000):
                        await client.raw(b"x" * 60_000)
            except trio.BrokenResourceError:
                pass  # 60 MB are refused long before their end
        assert closed == [1009]
        assert hub.memory() - before < 16 * MIB
        client.stream.socket.close()
        dialect = "plain" if "updates" in path else "orchestrator"
        with trio.fail_after(PATIENCE):
            while not await _count(hub, "closes", dialect=dialect, code="1009"):
                assert len(await hub.connections()) <= 1


async def _note_close(peer: Peer, closed: list[int]) -> None:
    closed.append((await peer.end()).code)


async def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_message_size=20000", QUICK) as hub:
        shell = json.dumps(_line(""))
        for more, kind in ((0, "ack"), (1, "closed")):
            producer = await produce(hub, "p")
            await producer.client.text(json.dumps(_line("x" * (20_000 - len(shell) + more))))
            if kind == "ack":
                await producer.hear_type("ack")
            else:
                assert (await producer.end()).code == 1009
            producer.leave()
        assert (await hub.state("a"))["seq"] == 1


def _line(message: str) -> Json:
    data = {"level": "info", "message": message}
    return {"type": "publish", "id": 1, "events": [{"type": "log", "project_id": "a", "data": data}]}


async def test_a_body_over_the_limit_is_413(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_message_size=20000") as hub, hub.http() as client:
        before = hub.memory()
        answer = await _post(client, b" " * 20_001)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

        async def chunks() -> Any:
            for _ in range(1000):
                yield b" " * 60_000

        # Without a length told beforehand; the hub may hang up on the rest.
        try:
            answer = await _post(client, chunks())
            assert answer.status_code == 413
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass
        assert hub.memory() - before < 16 * MIB
        assert (await hub.get("/api/v1/projects"))["projects"] == []


async def _post(client: httpx.AsyncClient, content: Any, project: str = "a") -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await client.post(f"/api/v1/projects/{project}/events", content=content, headers=headers)


async def test_too_many_events_in_a_publish_are_refused_whole(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_events_per_publish=3") as hub, hub.http() as client:
        events = [node("a", f"n{number}") for number in range(4)]
        producer = await produce(hub, "p")
        answer = await producer.ask({"type": "publish", "id": 1, "events": events})
        assert (answer["code"], answer["field"]) == ("too_large", "events")
        response = await _post(client, json.dumps(events))
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert await _count(hub, "refusals", code="too_large") == 2
        assert len((await publish(producer, 2, *events[:3]))["positions"]) == 3
        assert (await hub.state("a"))["seq"] == 3


async def test_connections_in_all_are_bounded_and_a_place_is_free_again(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_connections=5", store="memory:") as hub:
        inside = [await watch_plain(hub) for _ in range(5)]
        _, answer = await handshake(hub, "/ws/updates")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        inside[0].client.reset()
        refused = await _metrics_once_let_in(hub)
        assert refused['tasktree_connections_refused_total{reason="max_connections"}'] >= 1


async def test_connections_of_one_address_are_bounded(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_connections_per_address=3", store="memory:") as hub:
        inside = [await watch_plain(hub) for _ in range(3)]
        _, answer = await handshake(hub, "/ws/updates")
        assert answer.status == 503
        sock = trio.socket.socket()
        await sock.bind(("127.0.0.2", 0))
        await sock.connect(("127.0.0.1", hub.port))
        other = WsClient(trio.SocketStream(sock))
        await other.raw(request_head("/ws/updates", host=hub.authority))
        assert (await other.answer()).status == 101
        inside[0].client.reset()
        refused = await _metrics_once_let_in(hub)
        assert refused['tasktree_connections_refused_total{reason="max_connections_per_address"}'] >= 1


async def _metrics_once_let_in(hub: HubProcess) -> dict[str, float]:
    """A place is free again as soon as the hub notices that somebody left."""
    async with hub.http() as client:
        with trio.fail_after(PATIENCE):
            while (answer := await client.get("/metrics")).status_code != 200:
                assert answer.status_code == 503
    return samples(answer.text)


async def test_subscriptions_of_a_connection_are_bounded(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_subscriptions=3") as hub:
        watcher = await watch(hub, "project_id=a&project_id=b&project_id=c&project_id=d")
        await watcher.hear_type("welcome")
        assert [(await watcher.hear_type("subscribed"))["project_id"] for _ in range(3)] == ["a", "b", "c"]
        error = await watcher.hear_type("error")
        assert error["code"] == "too_many_subscriptions"
        assert error["retry_after_ms"] > 0
        refused = await watcher.ask({"type": "subscribe", "id": 1, "project_id": "d"})
        assert (refused["id"], refused["code"]) == (1, "too_many_subscriptions")
        assert await _count(hub, "refusals", code="too_many_subscriptions") == 2
        assert (await watcher.ask({"type": "subscribe", "project_id": "a"}))["type"] == "subscribed"
        await watcher.ask({"type": "unsubscribe", "project_id": "a"})
        assert (await watcher.ask({"type": "subscribe", "project_id": "d"}))["type"] == "subscribed"


async def test_a_handshake_that_is_not_finished_in_time_is_ended(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.handshake_timeout=0.5", store="memory:") as hub:
        silent, half = await WsClient.dial(hub.port), await WsClient.dial(hub.port)
        await half.raw(request_head("/ws/updates", host=hub.authority)[:-2])
        with trio.fail_after(PATIENCE):
            assert await silent.rest() == b""
            assert (await half.answer()).status == 408
        assert await _count(hub, "handshakes", outcome="timeout") == 2


async def test_a_watcher_that_says_too_much_is_told_and_then_closed_4029(tmp_path: Path) -> None:
    limits = ("limits.max_messages_per_second=0.001", "limits.message_burst=5")
    async with hub_process(tmp_path, *limits, QUICK) as hub:
        native, plain = await watch(hub, "project_id=a"), await watch_plain(hub, "project_id=a")
        await native.hear_type("welcome")
        await native.hear_type("subscribed")
        for number in range(5):
            assert await native.ask({"type": "ping", "id": number}) == {"type": "pong", "id": number}
        error = await native.ask({"type": "ping", "id": 6})
        assert (error["code"], error["retry_after_ms"] > 0) == ("rate_limited", True)
        for peer in (native, plain):
            for _ in range(20):
                await peer.client.text("{}")
            assert (await peer.end()).code == 4029
            peer.leave()
        assert await _count(hub, "refusals", code="rate_limited") >= 1
        assert await _count(hub, "closes", dialect="native", code="4029") == 1
        assert await _count(hub, "closes", dialect="plain", code="4029") == 1
        producer = await produce(hub, "p")  # has flow control instead
        for number in range(30):
            await publish(producer, number, node("a", "n"))


async def test_projects_are_bounded(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_projects=2", QUICK) as hub, hub.http() as client:
        producer = await produce(hub, "p")
        for number, project in enumerate("ab"):
            await publish(producer, number, node(project, "n"))
        for number, events in enumerate([[node("c", "n")], [node("d", "n")]], 10):
            answer = await producer.ask({"type": "publish", "id": number, "events": events})
            assert (answer["code"], answer["field"]) == ("project_full", "project_id")
        response = await _post(client, json.dumps(node("e", "n")), "e")
        assert (response.status_code, response.json()["code"]) == (409, "project_full")
        assert await _count(hub, "refusals", code="project_full") == 3
        await publish(producer, 20, node("a", "n"))
        assert await hub.stop() == 0
        await hub.start()  # it still knows how many there are
        producer = await produce(hub, "p")
        answer = await producer.ask({"type": "publish", "id": 21, "events": [node("c", "n")]})
        assert answer["code"] == "project_full"
        await publish(producer, 22, {"type": "project_deleted", "project_id": "a", "data": {}})
        await publish(producer, 23, node("c", "n"))


async def test_nodes_of_a_project_are_bounded(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_nodes=3") as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("a", "n1"), node("a", "n2"))
        events = [node("a", "n3"), node("a", "n4")]
        answer = await producer.ask({"type": "publish", "id": 2, "events": events})
        assert (answer["code"], answer["field"]) == ("project_full", "events[1]")
        assert (await hub.state("a"))["seq"] == 2
        await publish(producer, 3, node("a", "n3"), node("a", "n1", progress=5))
        await publish(producer, 4, node("a", "n1", deleted=True), node("a", "n4"))
        assert await _count(hub, "refusals", code="project_full") == 1


async def test_the_size_of_a_node_is_bounded(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "limits.max_node_size=2000") as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("a", "n", a="x" * 1500))
        answer = await producer.ask({"type": "publish", "id": 2, "events": [node("a", "n", b="x" * 800)]})
        assert answer["code"] == "node_too_large"
        await publish(producer, 3, node("a", "n", a=None, b="x" * 800))
        assert await _count(hub, "refusals", code="node_too_large") == 1
