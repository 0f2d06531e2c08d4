"""Watching end to end: what each kind of watcher hears, from a hub that is a process of its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.server.peers import (
    Closed,
    EventStream,
    Peer,
    Picture,
    handshake,
    node,
    position,
    produce,
    publish,
    watch,
    watch_plain,
)
from tests.server.process import HubProcess, hub_process
from tests.wsclient import PING


async def _welcomed(hub: HubProcess, query: str = "") -> Peer:
    watcher = await watch(hub, query)
    await watcher.hear_type("welcome")
    return watcher


async def test_plain_and_native_hear_the_same_events_and_only_of_their_projects(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        plain, native = await watch_plain(hub, "project_id=a"), await _welcomed(hub, "project_id=a")
        both = await watch_plain(hub, "project_id=a&project_id=b")
        assert (await native.hear_type("subscribed"))["recovered"] is None
        producer = await produce(hub, "p")
        for number, project in enumerate("abcab"):
            await publish(producer, number, node(project, "n", progress=number))
        first = await native.hear_type("subscribed")  # a life begins
        assert (first["seq"], first["recovered"]) == (0, None)
        events = [await native.hear() for _ in range(2)]
        assert [(one["project_id"], one["seq"]) for one in events] == [("a", 1), ("a", 2)]
        assert [await plain.hear() for _ in range(2)] == events
        assert [(await both.hear())["project_id"] for _ in range(4)] == ["a", "b", "a", "b"]
        assert set(events[0]) == {"type", "project_id", "data", "timestamp", "seq", "epoch"}
        assert (await native.ask({"type": "ping", "id": 1})) == {"type": "pong", "id": 1}  # and nothing else


async def test_a_watcher_of_everything_hears_projects_to_come(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("old", "n"))
        plain, native = await watch_plain(hub), await _welcomed(hub)
        opened = await native.hear_type("subscribed")
        assert (opened["project_id"], opened["seq"], opened["recovered"]) == ("old", 1, None)
        await native.hear_type("reply")
        await publish(producer, 2, node("new", "n"))
        await publish(producer, 3, node("old", "n"))
        assert (await native.hear_type("subscribed"))["project_id"] == "new"
        heard = [await native.hear(), await native.hear()]
        assert [one["project_id"] for one in heard] == ["new", "old"]
        assert [await plain.hear(), await plain.hear()] == heard


async def test_subscribing_and_unsubscribing_while_connected(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("a", "n", title="A"))
        watcher = await _welcomed(hub, "project_id=b")
        await watcher.hear_type("subscribed")
        opened = await watcher.ask({"type": "subscribe", "id": "s", "project_id": "a", "state": True})
        assert (opened["type"], opened["id"], opened["seq"]) == ("subscribed", "s", 1)
        state = await watcher.hear_type("project_state")
        assert (state["reason"], state["part"], state["parts"]) == ("initial", 1, 1)
        assert state["data"]["nodes"] == [{"node_id": "n", "title": "A"}]
        await publish(producer, 2, node("a", "n", title="B"))
        assert (await watcher.hear())["seq"] == 2
        gone = await watcher.ask({"type": "unsubscribe", "id": "u", "project_id": "a"})
        assert gone == {"type": "unsubscribed", "project_id": "a", "id": "u"}
        await publish(producer, 3, node("a", "n", title="C"))
        again = await watcher.ask({"type": "subscribe", "id": 3, "project_id": "a", "since": position(state)})
        assert (again["recovered"], again["seq"]) == (True, 1)
        assert [(await watcher.hear())["seq"] for _ in range(2)] == [2, 3]


async def test_a_name_taken_out_of_everything_is_heard_no_more(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        watcher = await _welcomed(hub)
        await watcher.hear_type("reply")
        await watcher.ask({"type": "unsubscribe", "project_id": "noise"})
        await publish(producer, 1, node("noise", "n"))
        await publish(producer, 2, node("music", "n"))
        assert (await watcher.hear_type("subscribed"))["project_id"] == "music"


async def test_what_cannot_be_understood_is_told_and_the_connection_stays(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        watcher = await _welcomed(hub)
        await watcher.hear_type("reply")
        for request, code, field in (
            ({"type": "subscribe", "id": 1, "project_id": "no/slash"}, "invalid_project_id", "project_id"),
            ({"type": "subscribe", "id": 2, "project_id": "a", "since": "x"}, "invalid_position", "since"),
            ({"type": "publish", "id": 3, "events": []}, "invalid_message", "type"),
            ({"type": "subscribe", "id": 4}, "invalid_project_id", "project_id"),
        ):
            error = await watcher.ask(request)
            assert (error["type"], error["code"], error.get("field")) == ("error", code, field)
        await watcher.client.text("no json")
        assert (await watcher.hear_type("error"))["code"] == "invalid_json"
        assert (await watcher.ask({"type": "ping"}))["type"] == "pong"


@pytest.mark.parametrize("query", ["project_id=a/b", "since=x:1&project_id=a%20", "since=e:1", "policy=none"])
async def test_a_query_that_cannot_be_understood_is_a_400(tmp_path: Path, query: str) -> None:
    async with hub_process(tmp_path, store="memory:") as hub:
        _, answer = await handshake(hub, f"/ws/updates?{query}", [("Sec-WebSocket-Protocol", "tasktree.v1")])
        assert answer.status == 400
        assert answer.headers["content-type"] == "application/problem+json"


async def test_resuming_from_every_position_gives_exactly_the_rest(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        for number in range(1, 8):
            await publish(producer, number, node("a", f"n{number}"))
        log = await hub.events("a")
        for since in [":0", *map(position, log)]:
            native = await _welcomed(hub, f"project_id=a&since={since}")
            plain = await watch_plain(hub, f"project_id=a&since={since}")
            rest = log[int(since.rpartition(":")[2]) :]
            assert (await native.hear_type("subscribed"))["recovered"] is True
            assert [await native.hear() for _ in rest] == rest
            assert [await plain.hear() for _ in rest] == rest
            assert (await native.ask({"type": "ping"}))["type"] == "pong"


async def test_resuming_all_projects_at_once_with_an_object_of_positions(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        for number, project in enumerate("abcabc"):
            await publish(producer, number, node(project, "n", progress=number))
        epochs = {project: (await hub.state(project))["epoch"] for project in "ab"}
        since = {"a": f"{epochs['a']}:1", "b": f"{epochs['b']}:2", "gone": "0123:7"}
        watcher = await _welcomed(hub, "project_id=other")
        await watcher.hear_type("subscribed")
        await watcher.say({"type": "subscribe", "id": "all", "project_id": "*", "since": since})
        heard = []
        while (message := await watcher.hear())["type"] != "reply":
            told = message["type"], message["project_id"], message.get("seq"), message.get("recovered")
            heard.append(told)
        assert message["id"] == "all"
        assert [one for one in heard if one[1] == "a"] == [
            ("subscribed", "a", 1, True),
            ("node_update", "a", 2, None),
        ]
        assert [one for one in heard if one[1] == "b"] == [("subscribed", "b", 2, True)]
        assert [one[:3] for one in heard if one[1] == "c"] == [
            ("subscribed", "c", 0),
            ("node_update", "c", 1),
            ("node_update", "c", 2),
        ]
        assert next(one for one in heard if one[1] == "gone")[3] is False


@pytest.mark.parametrize("since", ["unknown:3", "HEAD+1", "TRIMMED"])
async def test_a_gap_is_told_natively_with_the_state_and_closes_plain_before_any_event(
    tmp_path: Path, since: str
) -> None:
    async with hub_process(
        tmp_path, "keep.max_events=5", "keep.checkpoint_events=4", "keep.sweep_interval=0.05"
    ) as hub:
        epoch, head = await _publish_until_trimmed(hub)
        asked = {"HEAD+1": f"{epoch}:{head + 1}", "TRIMMED": f"{epoch}:0"}.get(since, since)
        native = await _welcomed(hub, f"project_id=a&since={asked}")
        assert (await native.hear_type("subscribed"))["recovered"] is False
        state = await native.hear_type("project_state")
        assert (state["reason"], state["seq"]) == ("gap", head)
        picture = Picture("a")
        picture.hear(state)
        picture.assert_is(await hub.state("a"))
        plain = await watch_plain(hub, f"project_id=a&since={asked}")
        with pytest.raises(Closed) as closed:
            await plain.hear()
        assert closed.value.code == 4009
        assert f"{epoch}:{head}" in closed.value.reason
        stream = await EventStream.open(hub, "a", last_id=asked)
        while (await stream.hear())["type"] != "project_state":
            assert stream.last_id == asked  # it has not got anywhere yet
        assert stream.last_id == f"{epoch}:{head}"


async def _publish_until_trimmed(hub: HubProcess) -> tuple[str, int]:
    """Publish until a sweep has dropped the first event, which a watcher who wants it is told.

    Returns the epoch and the head then. (The store has trimmed a moment before the hub's memory has.)
    """
    producer = await produce(hub, "p")
    head, recovered = 0, True
    with trio.fail_after(PATIENCE):
        while recovered:
            head += 1
            await publish(producer, head, node("a", f"n{head % 7}", progress=head % 100))
            watcher = await _welcomed(hub, "project_id=a&since=:0")
            recovered = (await watcher.hear_type("subscribed"))["recovered"]
            watcher.leave()
    return (await hub.state("a"))["epoch"], head


async def test_an_idle_native_watcher_gets_heartbeats_with_its_positions(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "delivery.heartbeat_interval=0.01") as hub:
        producer = await produce(hub, "p")
        at = (await publish(producer, 1, node("a", "n")))["positions"][0]
        watcher = await watch(hub, "project_id=a&project_id=b")
        assert (await watcher.hear_type("welcome"))["data"]["heartbeat_interval"] == 0.01
        await watcher.hear_type("subscribed")
        await watcher.hear_type("subscribed")
        beat = await watcher.hear_type("heartbeat")
        assert set(beat) == {"type", "timestamp", "positions"}
        assert beat["positions"]["a"] == position(at)
        everything = await _welcomed(hub)
        await everything.skip_to("reply")
        assert (await everything.hear_type("heartbeat"))["positions"] == {"a": position(at)}
        stream = await EventStream.open(hub, "a", f"since={position(at)}")
        assert (await stream.hear())["type"] == "subscribed"
        await stream.comment()


async def test_a_silent_peer_is_pinged_and_then_given_up(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "delivery.ping_interval=1.5", "delivery.ping_timeout=1") as hub:
        answering, silent = await watch_plain(hub, "project_id=a"), await watch_plain(hub, "project_id=a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answering.hear)
            with trio.fail_after(PATIENCE):
                assert (await silent.client.recv()).opcode == PING
                with pytest.raises(trio.BrokenResourceError):
                    await silent.client.recv()
            assert await hub.metric("tasktree_stalled_total") == 1
            assert len(await hub.connections()) == 1
            await hub.post("a", node("a", "n"))  # the other one is there and hears it


async def test_watermarks_are_shown_among_the_connections(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        watcher = await watch(hub, "project_id=a&project_id=b")
        name = (await watcher.hear_type("welcome"))["data"]["connection_id"]
        for _ in range(2):
            await watcher.hear_type("subscribed")
        await watcher.say({"type": "ack", "project_id": "a", "seq": 7})
        await watcher.say({"type": "ack", "project_id": "b", "seq": 1})
        await watcher.say({"type": "ack", "project_id": "a", "seq": 9})
        assert (await watcher.ask({"type": "ping"}))["type"] == "pong"
        (shown,) = await hub.connections()
        assert shown["connection_id"] == name
        assert shown["acked"] == {"a": 9, "b": 1}
        assert shown["subscriptions"] == ["a", "b"]
        assert shown["dialect"] == "native"
        assert shown["lagging"] == {}


@pytest.mark.parametrize("by", ["DELETE", "event"])
async def test_a_project_ends_and_is_born_again(tmp_path: Path, by: str) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("a", "n"))
        native, plain = await _welcomed(hub, "project_id=a"), await watch_plain(hub, "project_id=a")
        first = await native.hear_type("subscribed")
        if by == "DELETE":
            async with hub.http() as client:
                assert (await client.delete("/api/v1/projects/a")).status_code == 200
        else:
            await publish(producer, 2, {"type": "project_deleted", "project_id": "a", "data": {}})
        last = await native.hear_type("project_deleted")
        assert (last["epoch"], last["seq"]) == (first["epoch"], 2)
        assert await plain.hear() == last
        await hub.get("/api/v1/projects/a/state", status=404)
        assert (await hub.get("/api/v1/projects"))["projects"] == []
        await publish(producer, 3, node("a", "m"))
        born = await native.hear_type("subscribed")
        assert (born["seq"], born["recovered"]) == (0, None)
        assert born["epoch"] not in ("", first["epoch"])
        event = await native.hear_type("node_update")
        assert (event["epoch"], event["seq"]) == (born["epoch"], 1)
        assert await plain.hear() == event
        # Whoever comes back from the dead life is told so, and given the new one.
        late = await _welcomed(hub, f"project_id=a&since={position(first)}")
        assert (await late.hear_type("subscribed"))["recovered"] is False
        told = await late.hear()
        assert told["type"] in ("project_deleted", "project_state")
        picture = Picture("a")
        while picture.position != position(event):
            picture.hear(told)
            if picture.position != position(event):
                told = await late.hear()
        picture.assert_is(await hub.state("a"))


async def test_a_restart_in_good_order_loses_nobodys_place(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "drain.window=0") as hub:
        producer = await produce(hub, "p")
        await publish(producer, 1, node("a", "n"))
        watcher = await _welcomed(hub, "project_id=a&since=:0")
        await watcher.hear_type("subscribed")
        at = position(await watcher.hear_type("node_update"))
        hub.signal(signal.SIGTERM)
        await _leave_as_told(watcher)
        await _leave_as_told(producer)
        assert await hub.ended() == 0
        await hub.start()
        producer = await produce(hub, "p")
        await publish(producer, 2, node("a", "m"))
        watcher = await _welcomed(hub, f"project_id=a&since={at}")
        assert (await watcher.hear_type("subscribed"))["recovered"] is True
        event = await watcher.hear_type("node_update")
        assert (event["seq"], event["data"]["node_id"]) == (2, "m")


async def _leave_as_told(peer: Peer) -> None:
    assert (await peer.end()).code == 1012
    peer.leave()


async def test_history_is_whole_though_its_pages_are_bounded_in_bytes(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        producer = await produce(hub, "p")
        for number in range(24):
            message = "x" * 500_000
            data = {"node_id": f"n{number % 2}", "level": "info", "message": message}
            await publish(producer, number, {"type": "log", "project_id": "a", "data": data})
        assert [one["seq"] for one in await hub.events("a")] == list(range(1, 25))
        found, since = [], ":0"
        while since:
            page = await hub.get(f"/api/v1/projects/a/events?since={since}&node_id=n1&type=log")
            found += page["events"]
            since = page["next"]
        assert [one["seq"] for one in found] == list(range(2, 25, 2))
