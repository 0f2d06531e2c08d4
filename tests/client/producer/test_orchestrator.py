import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.client import Backoff, Receipt, open_orchestrator
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import Position
from tasktree_rt.errors import PublishRefused
from tests.client.fakehub import Json, Peer, Refusal, Store, fake_hub, keeping, node_event

FAST = Backoff(base=0.01, cap=0.02)


async def test_a_publish_is_acknowledged_with_its_positions() -> None:
    store = Store()
    async with fake_hub(keeping(store)) as hub, open_orchestrator(hub.url, "prod", token="t") as hubward:
        receipt = await hubward.publish([node_event(1), node_event(2)])
        acked = await receipt.acked()
        assert acked.positions == (Position("e1", 1), Position("e1", 2))
        assert (acked.project_id, acked.duplicate, receipt.outcome) == ("p", False, acked)
    assert hub.peers[0].path == "/ws/orchestrator"
    assert hub.peers[0].query == {"producer_id": ["prod"]}
    assert hub.peers[0].token == "t"
    assert store.events == [node_event(1), node_event(2)]


async def test_events_may_be_objects_of_the_core_and_get_a_time_if_they_have_none() -> None:
    store = Store()
    async with fake_hub(keeping(store)) as hub, open_orchestrator(hub.url, "prod") as hubward:
        await hubward.publish(
            Event("log", ProjectId("p"), {"level": "info", "message": "m"}, "2026-01-01T00:00:00.000000Z")
        )
        await hubward.publish({"type": "x", "project_id": "p", "data": {}})
        await hubward.publish({"type": "x", "project_id": "p", "data": {}}, id="mine")
    assert store.events[0]["timestamp"] == "2026-01-01T00:00:00.000000Z"
    assert store.events[1]["timestamp"].endswith("Z")
    assert "timestamp" not in store.events[2]  # a repeat under the same id has to be the same


async def test_the_convenient_ways_make_the_events_of_the_protocol() -> None:
    store = Store()
    async with fake_hub(keeping(store)) as hub, open_orchestrator(hub.url, "prod") as hubward:
        await hubward.node_update("p", "n", title="T", progress=None)
        await hubward.state_transition("p", "running", before="ready", node_id="n", context={"a": 1})
        await hubward.state_transition("p", "done")
        await hubward.log("p", "line", level="warning", node_id="n", stream="stderr")
    assert [(one["type"], one["data"]) for one in store.events] == [
        ("node_update", {"node_id": "n", "changes": {"title": "T", "progress": None}}),
        ("state_transition", {"from": "ready", "to": "running", "context": {"a": 1}, "node_id": "n"}),
        ("state_transition", {"from": None, "to": "done", "context": {}}),
        ("log", {"level": "warning", "message": "line", "node_id": "n", "stream": "stderr"}),
    ]


async def test_publishes_are_pipelined_up_to_the_window(autojump_clock: MockClock) -> None:
    heard: list[Json] = []
    go_on = trio.Event()
    store = Store()

    async def script(peer: Peer) -> None:
        heard.extend([await peer.hear("publish") for _ in range(3)])
        await wait_all_tasks_blocked()
        await go_on.wait()
        for publish in heard:
            await peer.say("ack", **store.commit(publish))
        await keeping(store)(peer)

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "prod", max_in_flight=3) as hubward:
        for number in range(3):
            await hubward.publish(node_event(number))
        with trio.move_on_after(0.05) as waiting:
            await hubward.publish(node_event(99))
        assert waiting.cancelled_caught
        assert hubward.statistics().unacked == 3
        go_on.set()
        await hubward.publish(node_event(3))
    assert [one["data"]["node_id"] for one in store.events] == ["n0", "n1", "n2", "n3"]


async def test_the_window_is_bounded_in_bytes_too(autojump_clock: MockClock) -> None:
    go_on = trio.Event()
    store = Store()

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await keeping(store)(peer)

    async with (
        fake_hub(script) as hub,
        open_orchestrator(hub.url, "prod", max_in_flight_bytes=1000) as hubward,
    ):
        large = {"type": "log", "project_id": "p", "data": {"level": "info", "message": "x" * 800}}
        await hubward.publish(large)
        with trio.move_on_after(0.05) as waiting:
            await hubward.publish(large)
        assert waiting.cancelled_caught
        go_on.set()
        await hubward.publish(large)
    assert len(store.events) == 2


async def test_what_is_refused_for_good_fails_alone_and_the_rest_goes_on() -> None:
    store = Store()
    told: list[tuple[Receipt, PublishRefused]] = []

    async def script(peer: Peer) -> None:
        while True:
            publish = await peer.hear("publish")
            if "bad" in publish["events"][0]["data"]:
                fault = {"code": "invalid_event", "message": "no", "field": "events[0].data.x"}
                await peer.say("error", id=publish["id"], **fault)
            else:
                await peer.say("ack", **store.commit(publish))

    async with (
        fake_hub(script) as hub,
        open_orchestrator(hub.url, "prod", on_refused=lambda *one: told.append(one)) as hubward,
    ):
        good = await hubward.publish(node_event(1))
        bad = await hubward.publish({"type": "x", "project_id": "p", "data": {"bad": 1}})
        also_good = await hubward.publish(node_event(2))
        await good.acked()
        await also_good.acked()
        with pytest.raises(PublishRefused, match="invalid_event: no") as caught:
            await bad.acked()
        assert caught.value.field == "events[0].data.x"
        await hubward.flush()
        assert (hubward.statistics().acked, hubward.statistics().refused) == (2, 1)
    assert told == [(bad, caught.value)]
    assert len(store.events) == 2


async def test_a_refusal_nobody_asked_about_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: Peer) -> None:
        publish = await peer.hear("publish")
        await peer.say("error", id=publish["id"], code="project_full", message="too many nodes")
        await peer.silent()

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "prod") as hubward:
        await hubward.publish(node_event(1))
    assert "project_full: too many nodes" in caplog.text


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ([], "invalid_event"),
        ({"x": object()}, "invalid_event"),
        ({"type": "x", "project_id": "p", "data": {"x": "y" * 2000}}, "too_large"),
    ],
)
async def test_what_no_hub_would_take_is_refused_at_once(event: Json, code: str) -> None:
    async with (
        fake_hub(Peer.silent) as hub,
        open_orchestrator(hub.url, "prod", max_message_size=1000) as hubward,
    ):
        with pytest.raises(PublishRefused) as caught:
            await hubward.publish(event)
        assert caught.value.code == code


async def test_an_id_that_is_unanswered_gives_the_same_receipt_or_a_conflict() -> None:
    go_on = trio.Event()
    store = Store()

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await keeping(store)(peer)

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "prod") as hubward:
        first = await hubward.publish(node_event(1), id="a")
        assert await hubward.publish(node_event(1), id="a") is first
        with pytest.raises(PublishRefused, match="idempotency_conflict"):
            await hubward.publish(node_event(2), id="a")
        go_on.set()
    assert store.ids == ["a"]


async def test_after_a_drop_everything_unanswered_is_sent_again_in_order_under_the_same_ids() -> None:
    store = Store()

    async def lose_the_acks(peer: Peer) -> None:
        for keep in (True, True, False):
            publish = await peer.hear("publish")
            if keep:
                store.commit(publish)

    async with (
        fake_hub(lose_the_acks, keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", backoff=FAST) as hubward,
    ):
        receipts = [await hubward.publish(node_event(number)) for number in range(4)]
        outcomes = [await receipt.acked() for receipt in receipts]
        counts = hubward.statistics()
    assert [one.duplicate for one in outcomes] == [True, True, False, False]
    assert store.ids == [receipt.id for receipt in receipts]
    assert (counts.connections, counts.resent >= 3, counts.duplicates) == (2, True, 2)


async def test_publishing_may_begin_before_there_is_a_hub(autojump_clock: MockClock) -> None:
    store = Store()
    refusals = {1: Refusal(503), 2: Refusal(502)}
    async with (
        fake_hub(keeping(store), refuse=refusals.get) as hub,
        open_orchestrator(hub.url, "prod", flush_timeout=1000) as hubward,
    ):
        await hubward.publish(node_event(1))
        assert not hubward.statistics().connected
    assert len(store.events) == 1


@pytest.mark.parametrize("code", ["overloaded", "store_unavailable", "draining", "internal"])
async def test_a_refusal_for_now_is_sent_again_in_order_after_the_advised_time(
    code: str, autojump_clock: MockClock
) -> None:
    store = Store()
    began: list[float] = []

    async def refuse_from_the_second_on(peer: Peer) -> None:
        await peer.say("ack", **store.commit(await peer.hear("publish")))
        while True:
            publish = await peer.hear("publish")
            await peer.say("error", id=publish["id"], code=code, message="later", retry_after_ms=40_000)

    async def keep(peer: Peer) -> None:
        began.append(trio.current_time())
        await keeping(store)(peer)

    async with (
        fake_hub(refuse_from_the_second_on, keep) as hub,
        open_orchestrator(hub.url, "prod", flush_timeout=1000) as hubward,
    ):
        receipts = [await hubward.publish(node_event(number)) for number in range(5)]
    assert store.ids == [receipt.id for receipt in receipts]
    assert 40 <= began[0] < 47  # the advice, the jitter, and at most 5 s for answers on their way


async def test_after_a_refusal_for_now_nothing_more_is_sent_on_that_connection(
    autojump_clock: MockClock,
) -> None:
    store, heard_late = Store(), list[Json]()

    async def script(peer: Peer) -> None:
        publish = await peer.hear("publish")
        await peer.say("error", id=publish["id"], code="overloaded", message="no", retry_after_ms=0)
        with trio.move_on_after(2):
            while True:
                heard_late.append(await peer.hear())
        await peer.close(1013)

    async with (
        fake_hub(script, keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", backoff=FAST) as hubward,
    ):
        ids = [(await hubward.publish(node_event(number))).id for number in range(2)]
        await trio.sleep(1)
        ids.append((await hubward.publish(node_event(2))).id)
        await hubward.flush()
    assert [one["id"] for one in heard_late] == ids[1:2]
    assert store.ids == ids


async def test_a_draining_hub_is_left_in_peace_for_the_time_it_says(autojump_clock: MockClock) -> None:
    store, began = Store(), list[float]()

    async def drain(peer: Peer) -> None:
        await peer.say("draining", data={"reconnect_after_ms": 3000})
        await peer.close(1012)

    async def keep(peer: Peer) -> None:
        began.append(trio.current_time())
        await keeping(store)(peer)

    async with (
        fake_hub(drain, keep) as hub,
        open_orchestrator(hub.url, "prod", flush_timeout=1000) as hubward,
    ):
        await hubward.publish(node_event(1))
    assert 3.0 <= began[0] <= 3.25
    assert len(store.events) == 1


async def test_a_publish_too_large_for_the_hub_fails_alone() -> None:
    store = Store()

    async def bounded(peer: Peer) -> None:
        while True:
            publish = await peer.hear("publish")
            if len(str(publish)) > 1000:
                await peer.close(1009, "message too large")
                return
            await peer.say("ack", **store.commit(publish))

    async with (
        fake_hub(bounded) as hub,
        open_orchestrator(hub.url, "prod", backoff=FAST, on_refused=lambda *_: None) as hubward,
    ):
        receipts = [await hubward.publish(node_event(1))]
        large = await hubward.publish({"type": "x", "project_id": "p", "data": {"x": "y" * 2000}})
        receipts.append(await hubward.publish(node_event(2)))
        for receipt in receipts:
            await receipt.acked()
        with pytest.raises(PublishRefused, match="too_large"):
            await large.acked()
    assert store.ids == [receipt.id for receipt in receipts]
