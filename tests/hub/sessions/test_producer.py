"""An orchestrator: every publish answered, in order, after the hand-over, or refused with its field."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import Grants, Scope
from tasktree_rt.settings import Limits, Settings
from tests.hub.transport import Carried
from tests.hub.world import a_world, small


def event(node_id: object = "n", project: object = "p", **changes: Any) -> dict[str, Any]:
    data = {"node_id": node_id, "changes": changes}
    return {"type": "node_update", "project_id": project, "data": data}


def publish(number: object, *events: Any) -> dict[str, Any]:
    return {"type": "publish", "id": number, "events": list(events)}


async def answers(carried: Carried, *messages: Any) -> list[dict[str, Any]]:
    for message in messages:
        carried.send(message)
    await wait_all_tasks_blocked()
    return carried.received()


async def test_an_ack_names_one_position_for_each_event_in_the_order_sent(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        first, second = await answers(orchestrator, publish(1, event(), event("m")), publish("b", event(a=1)))
        epoch = first["positions"][0]["epoch"]
        assert first == {
            "type": "ack",
            "id": 1,
            "positions": [{"project_id": "p", "epoch": epoch, "seq": seq} for seq in (1, 2)],
            "duplicate": False,
        }
        assert second["id"] == "b"
        assert [one["seq"] for one in second["positions"]] == [3]


async def test_a_repeat_gets_the_first_answer_marked_as_duplicate(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        first = await answers(world.orchestrator("x"), publish(1, event(a=1)))
        # Key order does not make another body, and 1 is not "1".
        reordered = {"events": [dict(reversed(event(a=1).items()))], "id": 1, "type": "publish"}
        again = await answers(world.orchestrator("x"), reordered, publish("1", event(a=2)))
        assert again[0] == {**first[0], "duplicate": True}
        assert again[1]["duplicate"] is False
        other = await answers(world.orchestrator("y"), publish(1, event(a=3)))
        assert other[0]["duplicate"] is False
        conflict = await answers(world.orchestrator("x"), publish(1, event(a=9)))
        assert (conflict[0]["code"], conflict[0]["field"]) == ("idempotency_conflict", "id")


async def test_without_a_producer_id_nothing_is_a_repeat(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        said = await answers(world.orchestrator(""), publish(1, event()), publish(1, event()))
        assert [one["positions"][0]["seq"] for one in said] == [1, 2]


async def test_one_producer_id_of_two_subjects_is_two_producers(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        everything = Scope(("*",))
        for subject in ("anna", "bert"):
            orchestrator = world.orchestrator("x", Grants(subject, push=everything))
            assert (await answers(orchestrator, publish(1, event(by=subject))))[0]["duplicate"] is False


async def test_answers_keep_the_order_of_the_requests_whatever_is_settled_first(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(0, event()))
        world.store.hold_appends()
        messages = [publish(1, event(a=1)), "no json", {"type": "ping", "id": 3}, publish(4, event(a=2))]
        assert await answers(orchestrator, *messages) == []
        world.store.release_appends()
        assert [one.get("id") for one in await answers(orchestrator)] == [1, None, 3, 4]


async def test_an_ack_never_waits_for_a_readers_socket_but_for_every_outbox(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        watchers = [world.plain() for _ in range(6)]
        watchers[3].transport.allow(0)
        orchestrator = world.orchestrator("x")
        orchestrator.send(publish(1, event()))
        waiting: list[Carried] = []
        while not orchestrator.transport.taken:
            waiting = [one for one in watchers if one is not watchers[3] and not one.transport.taken]
            await trio.lowlevel.checkpoint()
        assert not [one for one in waiting if not one.transport.taken]
        assert watchers[3].session.subscriber.outbox.waiting + (not watchers[3].session.subscriber.idle) >= 1


async def test_a_bare_event_without_an_id_gets_errors_only(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        assert await answers(orchestrator, event()) == []
        assert (await answers(orchestrator, {**event(a=1), "id": 5}))[0]["positions"][0]["seq"] == 2
        (error,) = await answers(orchestrator, event(5))
        assert (error["type"], error["code"], error["field"]) == (
            "error",
            "invalid_event",
            "events[0].data.node_id",
        )
        assert "id" not in error


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("{", "invalid_json", None),
        (b"\xff", "invalid_json", None),
        ("[]", "invalid_message", None),
        ({"type": "publish", "id": [], "events": []}, "invalid_message", "id"),
        ({"type": "publish", "id": "x" * 129, "events": []}, "invalid_message", "id"),
        ({"type": "publish", "id": 1}, "invalid_message", "events"),
        ({"id": 1}, "invalid_message", "type"),
        (publish(1), "invalid_event", "events"),
        (publish(1, 5), "invalid_event", "events[0]"),
        (publish(1, event(), event(5)), "invalid_event", "events[1].data.node_id"),
        (publish(1, event(project="no such!")), "invalid_project_id", "events[0].project_id"),
        (publish(1, event(), event(project="q")), "mixed_projects", "events[1].project_id"),
        (publish(1, *[event()] * 6), "too_large", "events"),
        (publish(1, event(progress="x")), "invalid_event", "events[0].data.changes.progress"),
        (
            publish(1, {"type": "project_deleted", "project_id": "p"}, event()),
            "invalid_event",
            "events[0].type",
        ),
        (publish(1, event(project="secret")), "forbidden", None),
    ],
)
async def test_every_fault_is_named_with_its_place_and_nothing_is_kept(
    autojump_clock: MockClock, message: object, code: str, field: str | None
) -> None:
    async with a_world(Settings(limits=Limits(max_events_per_publish=5))) as world:
        grants = Grants("anna", push=Scope(("p", "q", "no such!")))
        orchestrator = world.orchestrator("x", grants)
        (error,) = await answers(orchestrator, message)
        assert (error["type"], error["code"], error.get("field")) == ("error", code, field)
        assert world.oracle.lives == {}
        (ack,) = await answers(orchestrator, publish(2, event()))
        assert ack["type"] == "ack", "it may go on"


async def test_reading_pauses_at_so_many_unacked_and_goes_on(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_unacked=4))) as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish("first", event()))
        world.store.hold_appends()
        assert await answers(orchestrator, *[publish(number, event(a=number)) for number in range(10)]) == []
        assert world.hub.committer.waiting == 4
        world.store.release_appends()
        assert [one["id"] for one in await answers(orchestrator)] == list(range(10))


async def test_and_at_so_many_bytes(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_unacked_bytes=1024))) as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish("first", event()))
        world.store.hold_appends()
        await answers(orchestrator, *[publish(number, event(text="x" * 500)) for number in range(5)])
        assert world.hub.committer.waiting == 2
        world.store.release_appends()
        assert len(await answers(orchestrator)) == 5


async def test_a_producer_that_reads_no_acks_is_read_no_more(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        orchestrator.transport.allow(0)
        for number in range(500):
            orchestrator.send(publish(number, event(a=number)))
        await wait_all_tasks_blocked()
        assert world.hub.cache.get("p").tree.head < 200  # type: ignore[union-attr]
        orchestrator.transport.allow(None)
        await world.settle()
        assert [one["id"] for one in await answers(orchestrator)] == list(range(500))


async def test_after_one_that_the_store_cannot_take_every_later_one_is_refused_and_it_closes_1013(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(0, event()))
        world.store.hold_appends()
        world.store.failing = True
        await answers(orchestrator, publish(1, event(a=1)), publish(2, event(a=2)))
        world.store.release_appends()
        said = await answers(orchestrator)
        assert [(one["id"], one["code"]) for one in said] == [
            (1, "store_unavailable"),
            (2, "store_unavailable"),
        ]
        assert all(one["retry_after_ms"] > 0 for one in said)
        assert orchestrator.transport.close_read == (1013, "try again later")


async def test_overloaded_keeps_the_order_too(autojump_clock: MockClock) -> None:
    async with a_world(small(limits={"max_waiting_publishes": 2})) as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(0, event()))
        world.store.hold_appends()
        sent = [publish(number, event(a=number)) for number in range(1, 6)]
        await answers(orchestrator, *sent)
        world.store.release_appends()
        said = await answers(orchestrator)
        assert [one["type"] for one in said] == ["ack", "ack", "error", "error", "error"]
        assert {one["code"] for one in said[2:]} == {"overloaded"}
        assert orchestrator.transport.close_read == (1013, "try again later")
        again = await answers(world.orchestrator("x"), *sent)
        assert [one["duplicate"] for one in again[:2]] == [True, True]


async def test_one_that_comes_when_there_is_room_again_is_refused_too(autojump_clock: MockClock) -> None:
    async with a_world(small(limits={"max_waiting_publishes": 2})) as world:
        await world.publish("p", event())
        orchestrator = world.orchestrator("x")
        world.store.hold_appends()
        await world.submit("p", event())  # somebody else's, committed first
        await wait_all_tasks_blocked()
        await answers(orchestrator, publish(1, event(a=1)), publish(2, event(a=2)))
        world.store.release_one_append()
        await wait_all_tasks_blocked()
        assert world.hub.committer.waiting == 1
        await answers(orchestrator, publish(3, event(a=3)))
        world.store.release_appends()
        said = await answers(orchestrator)
        assert [(one["id"], one.get("code")) for one in said] == [
            (1, None),
            (2, "overloaded"),
            (3, "overloaded"),
        ]
        assert orchestrator.transport.close_read == (1013, "try again later")


async def test_one_that_was_read_when_draining_began_is_kept_and_acked_too(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", event())
        world.store.hold_appends()
        await world.submit("p", event())
        world.store.hold()
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(1, event(project="unread")))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.hub.drain)
            await wait_all_tasks_blocked()
            world.store.release()
            assert await answers(orchestrator) == []
            world.store.release_appends()
        said = await answers(orchestrator)
        assert [one["type"] for one in said] == ["ack", "draining"]
        assert orchestrator.transport.close_read == (1012, "service restart")


async def test_draining_acks_what_was_read_then_says_so_and_closes_1012(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(0, event()))
        world.store.hold_appends()
        await answers(orchestrator, publish(1, event(a=1)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.hub.drain)
            await wait_all_tasks_blocked()
            assert await answers(orchestrator, publish(2, event(a=2))) == []
            world.store.release_appends()
        said = await answers(orchestrator)
        assert [one["type"] for one in said] == ["ack", "draining"]
        assert 0 <= said[1]["data"]["reconnect_after_ms"] <= 5_000
        assert orchestrator.transport.close_read == (1012, "service restart")
        assert world.hub.cache.get("p").tree.head == 2  # type: ignore[union-attr]


async def test_acks_that_wait_when_it_drains_are_still_sent(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        orchestrator.transport.allow(5)
        await answers(orchestrator, *[publish(number, event(a=number)) for number in range(5)])
        await world.hub.drain()
        orchestrator.transport.allow(None)
        said = await answers(orchestrator)
        assert [one["type"] for one in said] == ["ack"] * 5 + ["draining"]
        assert orchestrator.transport.close_read is not None


async def test_what_arrives_for_a_producer_that_is_gone_is_kept_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator("x")
        await answers(orchestrator, publish(0, event()))
        world.store.hold_appends()
        await answers(orchestrator, publish(1, event(a=1)))
        orchestrator.end()
        world.store.release_appends()
        await wait_all_tasks_blocked()
        assert json.dumps(world.hub.cache.get("p").tree.fields("n")) == '{"a": 1}'  # type: ignore[union-attr]


async def test_a_request_that_is_no_json_is_answered_under_its_id_where_that_can_be_read(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        carried = world.orchestrator()
        broken = '{"type":"publish","id":"r1","events":[{"type":"x","project_id":"p","data":{"a":NaN}}]}'
        (error,) = await answers(carried, broken)
        assert (error["id"], error["code"]) == ("r1", "invalid_json")
        (error,) = await answers(carried, '{"type":"publish","events":[')
        assert (error.get("id"), error["code"]) == (None, "invalid_json")
        (error,) = await answers(carried, '\ufeff{"type":"ping","id":4}')
        assert (error["id"], error["code"]) == (4, "invalid_json")
        assert "byte order mark" in error["message"]
