"""Who watches an execution: how often they are told, what a slow one gets, and what it costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json, parse_event
from tasktree_rt.core.executions import ExecutionStatus
from tasktree_rt.core.protocol import Message
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.hub.executions import status_feed as board
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.settings import Delivery, Limits, Settings
from tasktree_rt.settings import Execution as Timing
from tests.dialects.execution_golden import NAME, PROJECT, TRANSCRIPT
from tests.hub.transport import Carried
from tests.hub.world import Store, World, a_world, run, small, update

STEP = 0.2


class Counting(Execution):
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: Counter[type] = Counter()

    def encode(self, message: Message) -> bytes | None:
        self.encoded[type(message)] += 1
        return super().encode(message)


def spectator(world: World, query: str = "", dialect: Execution | None = None, **more: Any) -> Carried:
    session = ExecutionSession(
        world.hub,
        dialect or Execution(),
        more.pop("execution", NAME),
        nodes="nodes" in query,
        logs="logs" in query,
        grants=OPEN,
    )
    return Carried(session, world.nursery, more.pop("room", None))


@asynccontextmanager
async def world_with(interval: float = STEP, **kept: Any) -> AsyncIterator[World]:
    """A hub with one execution."""
    async with a_world(small(execution=Timing(status_interval=interval), **kept)) as world:
        await world.publish(PROJECT, progress(0))
        yield world
        assert world.faults == []


def progress(value: float, **more: Any) -> Json:
    return {"type": "project_update", "data": {"changes": {"progress": value, **more}}}


def line(text: str) -> Json:
    return {"type": "log", "data": {"level": "info", "message": text}}


def seen(carried: Carried) -> list[Any]:
    """The progress of each status that came; of another message what it is."""
    return [one.get("progress", one["type"]) for one in carried.received()]


# --- the transcript ---------------------------------------------------------------------------------------


def test_the_transcript_is_played_by_the_hub() -> None:
    async def body() -> None:
        async with a_world(Settings(execution=Timing(status_interval=0))) as world:
            first = TRANSCRIPT[0]
            await world.publish(PROJECT, *first["push"])
            short, full = spectator(world), spectator(world, "nodes logs")
            await world.settle()
            assert (short.received(), full.received()) == (first["hear"], first["full"])
            for exchange in TRANSCRIPT[1:]:
                if "push" in exchange:
                    now = world.hub.timestamp()
                    events = [{"timestamp": now, **one} for one in exchange["push"]]
                    await publish_at(world, events)
                else:
                    short.send(exchange["say"])
                    full.send(exchange["say"])
                await world.settle()
                assert short.received() == exchange["hear"], exchange["why"]
                assert full.received() == exchange["full"], exchange["why"]
                close = exchange.get("close")
                for one in (short, full):
                    assert one.transport.close_read == (close and tuple(close)), exchange["why"]

    run(body)


async def publish_at(world: World, events: list[Json]) -> None:
    """Publish with the timestamps that are given."""
    parsed = [parse_event(one, now=one["timestamp"], project=PROJECT) for one in events]
    await world.hub.publish(parsed)


# --- how often --------------------------------------------------------------------------------------------


def test_the_first_change_is_told_at_once_the_others_together_and_always_the_last() -> None:
    async def body() -> None:
        async with world_with() as world:
            one = spectator(world)
            await world.settle()
            assert seen(one) == [0]
            await trio.sleep(STEP)
            for value in range(1, 6):
                await world.publish(PROJECT, progress(value))
            await world.settle()
            assert seen(one) == [1]
            await trio.sleep(STEP / 2)
            assert seen(one) == []
            await trio.sleep(STEP / 2)
            assert seen(one) == [5]
            await trio.sleep(10 * STEP)
            assert seen(one) == []

    run(body)


@pytest.mark.parametrize("seed", range(20))
def test_whenever_changes_come_the_rhythm_holds_and_the_last_is_told_in_time(seed: int) -> None:
    async def body() -> None:
        rng = random.Random(seed)
        async with world_with() as world:
            one = spectator(world)
            await world.settle()
            told = [trio.current_time()]
            heard: list[int] = seen(one)

            async def listen(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
                with trio.CancelScope() as scope:
                    task_status.started(scope)
                    while True:
                        await trio.sleep(0.005)
                        if one.transport.unread:
                            told.append(trio.current_time())
                            (last,) = seen(one)
                            heard.append(last)

            scope = await world.nursery.start(listen)
            for value in range(1, 30):
                await world.publish(PROJECT, progress(value))
                await trio.sleep(rng.choice([0, 0.01, 0.1, 0.3]))
            await trio.sleep(STEP + 0.01)
            scope.cancel()
            assert heard[0] == 0
            assert heard[-1] == 29
            assert heard == sorted(heard)
            assert all(after - before >= STEP - 0.01 for before, after in pairwise(told))

    run(body)


def test_with_no_interval_every_change_is_told() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            one = spectator(world)
            for value in range(1, 6):
                await world.publish(PROJECT, progress(value))
                await world.settle()
            assert seen(one) == [0, 1, 2, 3, 4, 5]

    run(body)


def test_a_newcomer_is_told_what_is_true_now_and_the_others_keep_their_rhythm() -> None:
    async def body() -> None:
        async with world_with() as world:
            one = spectator(world)
            await trio.sleep(STEP)
            await world.publish(PROJECT, progress(1))
            await world.publish(PROJECT, progress(2))
            await world.settle()
            assert seen(one) == [0, 1]
            another = spectator(world)
            await world.settle()
            assert (seen(one), seen(another)) == ([], [2])
            await trio.sleep(STEP)
            assert (seen(one), seen(another)) == ([2], [])

    run(body)


def test_what_leaves_the_status_as_it_is_is_not_told() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            one = spectator(world)
            await world.publish(PROJECT, progress(0, title="T"), line("l"), {"type": "x"})
            await world.settle()
            assert seen(one) == [0]

    run(body)


def test_a_slow_reader_is_not_told_again_what_is_once_more_as_it_was_told_last() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            one, quick = spectator(world), spectator(world)
            await world.settle()
            one.transport.allow(0)
            for value in (5, 6, 5):
                await world.publish(PROJECT, progress(value))
                await world.settle()
            one.transport.allow(None)
            await world.settle()
            assert (seen(one), seen(quick)) == ([0, 5], [0, 5, 6, 5])

    run(body)


# --- once for everybody -----------------------------------------------------------------------------------


def test_a_status_is_encoded_once_however_many_watch() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            dialect = Counting()
            everybody = [spectator(world, dialect=dialect) for _ in range(250)]
            await world.settle()
            dialect.encoded.clear()
            for value in range(1, 4):
                await world.publish(PROJECT, progress(value))
                await world.settle()
            assert dialect.encoded == {ExecutionStatus: 3}
            assert all(seen(one) == [0, 1, 2, 3] for one in everybody)

    run(body)


def test_nodes_and_lines_are_encoded_once_for_those_who_stand_at_the_same_place() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            dialect = Counting()
            everybody = [spectator(world, "nodes logs", dialect) for _ in range(20)]
            await world.settle()
            dialect.encoded.clear()
            await world.publish(PROJECT, update("a", status="ready"), update("b"), line("l"))
            await world.settle()
            assert sum(dialect.encoded.values()) == 4
            assert all(seen(one)[1:] == ["log", "node", "node"] for one in everybody)

    run(body)


def test_when_nobody_watches_any_more_nothing_is_kept() -> None:
    async def body() -> None:
        async with world_with(0.0) as world:
            some = [spectator(world) for _ in range(3)]
            assert world.hub.status_notifier.watched(PROJECT)
            assert world.hub.idle_projects.is_needed(PROJECT)
            for one in some:
                one.end()
            assert not world.hub.status_notifier.watched(PROJECT)
            assert not world.hub.idle_projects.is_needed(PROJECT)
            await world.publish(PROJECT, progress(1))
            await world.settle()
            assert spectator(world).received()[0]["progress"] == 1

    run(body)


# --- slow readers -----------------------------------------------------------------------------------------


def test_a_reader_that_takes_nothing_costs_no_queue_and_then_gets_only_the_newest() -> None:
    async def body() -> None:
        async with world_with(0.0, delivery={"stall_timeout": 1e6}) as world:
            slow, quick = spectator(world), spectator(world)
            await world.settle()
            slow.transport.allow(0)
            for value in range(1, 101):
                await world.publish(PROJECT, progress(value % 100, message="m" * value))
                await world.settle()
                assert slow.session.subscriber.outbox.waiting_bytes == 0
            slow.transport.allow(None)
            await world.settle()
            assert len(seen(quick)) == 101
            first, begun, last = slow.received()
            assert (first["progress"], begun["progress"], len(last["message"])) == (0, 1, 100)

    run(body)


def test_a_status_that_was_begun_is_finished_wherever_it_was_broken_off() -> None:
    async def body(room: int) -> None:
        async with world_with(0.0, delivery={"stall_timeout": 1e6}) as world:
            slow = spectator(world)
            await world.settle()
            slow.transport.allow(room)
            for value in range(1, 4):
                await world.publish(PROJECT, progress(value))
                await world.settle()
            slow.transport.allow(None)
            await world.settle()
            got = seen(slow)
            assert got[0] == 0
            assert got[-1] == 3
            assert got == sorted(got)
            await world.publish(PROJECT, progress(4))
            await world.settle()
            assert seen(slow) == [4]

    for room in (0, 1, 50, 150, 300, 400):
        run(lambda room=room: body(room))  # type: ignore[misc]


def test_a_reader_that_comes_late_still_gets_the_last_status_before_the_close() -> None:
    async def body() -> None:
        async with world_with(0.0, delivery={"stall_timeout": 1e6}) as world:
            slow = spectator(world, "nodes logs")
            await world.settle()
            slow.transport.allow(0)
            for number in range(50):
                await world.publish(PROJECT, update(f"n{number % 5}", order=number), line(f"{number}"))
            await world.publish(
                PROJECT, {"type": "state_transition", "data": {"from": None, "to": "completed"}}
            )
            await world.settle()
            assert slow.transport.close_read is None
            slow.transport.allow(None)
            await world.settle()
            said = slow.received()
            kinds = Counter(one["type"] for one in said)
            # The first line and node were under way when the socket took no more.
            assert kinds == {"status": 2, "node": 6, "log": 50}
            assert said[-1]["status"] == "completed"
            assert slow.transport.close_read == (1000, "")

    run(body)


def test_lines_that_are_no_more_in_memory_are_said_to_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasktree_rt.hub.projects.project.TAIL_EVENTS", 8)

    async def body() -> None:
        async with world_with(0.0, delivery={"stall_timeout": 1e6}) as world:
            slow = spectator(world, "logs")
            await world.publish(PROJECT, line("first"))
            await world.settle()
            slow.transport.allow(0)
            await world.publish(PROJECT, line("begun"))
            await world.settle()
            for number in range(20):
                await world.publish(PROJECT, line(f"{number}"))
                await world.settle()
            slow.transport.allow(None)
            await world.settle()
            messages = [one["message"] for one in slow.received() if one["type"] == "log"]
            assert messages == ["first", "begun", board.SKIPPED, *(f"{number}" for number in range(12, 20))]

    run(body)


def test_a_large_tree_goes_in_pieces_as_the_socket_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "CHUNK", 400)

    async def body() -> None:
        settings = Settings(execution=Timing(status_interval=0), delivery=Delivery(stall_timeout=1e6))
        async with a_world(settings) as world:
            await world.publish(PROJECT, *(update(f"n{number}", text="x" * 100) for number in range(100)))
            dialect = Counting()
            slow = spectator(world, "nodes", dialect, room=1_000)
            await world.settle()
            assert sum(dialect.encoded.values()) < 20
            await world.publish(PROJECT, update("n1", text="new"), update("n2", deleted=True))
            slow.transport.allow(None)
            await world.settle()
            nodes: Json = {}
            for one in slow.received()[1:]:
                nodes[one["node_id"]] = None if one.get("deleted") else one.get("text")
            assert nodes.pop("n2") is None
            assert nodes.pop("n1") == "new"
            assert len(nodes) == 98

    run(body)


@pytest.mark.parametrize("seed", range(15))
def test_whatever_the_socket_takes_a_reader_ends_with_the_tree_and_the_status(seed: int) -> None:
    async def body() -> None:
        rng = random.Random(seed)
        async with world_with(rng.choice([0.0, STEP]), delivery={"stall_timeout": 1e6}) as world:
            reader, nodes, last = spectator(world, "nodes"), dict[str, Json](), Json()

            def take() -> None:
                for one in reader.received():
                    if one["type"] == "status":
                        last.update(one)
                    elif one.get("deleted"):
                        nodes.pop(one["node_id"], None)
                    else:
                        nodes[one["node_id"]] = one

            for number in range(60):
                node_id = f"n{rng.randrange(6)}"
                fields = {"deleted": True} if rng.random() < 0.2 else {"order": number, "status": "running"}
                await world.publish(PROJECT, update(node_id, **fields), progress(number))
                reader.transport.allow(rng.choice([None, 0, rng.randrange(500)]))
                await trio.sleep(rng.choice([0, STEP / 2]))
                take()
            reader.transport.allow(None)
            await trio.sleep(2 * STEP)
            take()
            tree = (await world.hub.state(PROJECT)).nodes
            assert {name: one["order"] for name, one in nodes.items()} == {
                name: node.fields["order"] for name, node in tree
            }
            assert last["progress"] == 59

    run(body)


# --- beginnings and ends ----------------------------------------------------------------------------------


def test_an_execution_that_is_made_again_is_another_one() -> None:
    async def body() -> None:
        async with world_with() as world:
            one = spectator(world)
            await world.settle()
            await world.submit(PROJECT, {"type": "project_deleted"})
            await world.publish(PROJECT, progress(7))
            another = spectator(world)
            await trio.sleep(2 * STEP)
            assert seen(one) == [0, "error"]
            assert one.transport.close_read == (4004, "no such execution")
            assert seen(another) == [7]
            await world.publish(PROJECT, progress(8))
            await trio.sleep(2 * STEP)
            assert seen(another) == [8]
            one.end()
            assert world.hub.status_notifier.watched(PROJECT)

    run(body)


def test_a_reader_that_wakes_after_the_deletion_and_before_it_is_told_is_told_then() -> None:
    async def body() -> None:
        async with world_with(1.0) as world:
            one = spectator(world, "nodes logs")
            await world.settle()
            one.transport.allow(0)
            for value in (5, 6):
                await trio.sleep(2)
                await world.publish(PROJECT, progress(value), line("l"))
                await world.settle()
            await world.publish(PROJECT, {"type": "project_deleted"})
            one.transport.allow(None)
            await world.settle()
            assert seen(one)[-1] == "error"
            assert one.transport.close_read == (4004, "no such execution")

    run(body)


def test_one_that_is_not_in_memory_is_read_from_the_store_first() -> None:
    async def body() -> None:
        store = Store()
        async with a_world(store=store) as world:
            store.hold()
            one = spectator(world)
            one.send({"type": "ping"})
            await world.settle()
            assert one.received() == []
            store.failing_reads = True
            store.release()
            await world.settle()
            assert [said["type"] for said in one.received()] == ["error"]
            assert one.transport.close_read is not None
            assert one.transport.close_read[0] == 1013
            store.failing_reads = False
            other = spectator(world)
            await world.settle()
            assert seen(other) == ["error"]
            assert other.transport.close_read == (4004, "no such execution")

    run(body)


def test_a_large_tree_is_counted_in_slices_before_anything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasktree_rt.hub.executions.status_notifier.AT_ONCE", 10)
    monkeypatch.setattr("tasktree_rt.hub.sessions.execution_status.AT_ONCE", 10)
    monkeypatch.setattr("tasktree_rt.core.executions._SLICE", 2)

    async def body() -> None:
        async with a_world(Settings(execution=Timing(status_interval=0))) as world:
            await world.publish(PROJECT, *(update(f"n{number}", status="running") for number in range(40)))
            one = spectator(world)
            one.send({"type": "ping"})
            await trio.lowlevel.checkpoint()
            assert one.received() == []
            await world.submit(PROJECT, *(update(f"n{number}", status="completed") for number in range(10)))
            await world.settle()
            told = seen(one)
            assert told.index("pong") > 0
            assert [one for one in told if one != "pong"][-1] == 25
            gone = spectator(world)
            gone.end()
            await world.settle()
            assert len(world.hub.connections) == 1

    run(body)


def test_who_talks_too_much_is_told_so_and_then_closed() -> None:
    async def body() -> None:
        limits = Limits(max_messages_per_second=1.0, message_burst=3)
        async with a_world(Settings(limits=limits)) as world:
            await world.publish(PROJECT, progress(0))
            one = spectator(world)
            for _ in range(10):
                one.send({"type": "ping"})
            await world.settle()
            kinds = [said["type"] for said in one.received()]
            assert kinds[:5] == ["status", "pong", "pong", "pong", "error"]
            assert one.transport.close_read == (4029, "rate limited")

    run(body)


def test_who_asks_and_does_not_read_is_not_read_any_more() -> None:
    async def body() -> None:
        limits = Limits(max_messages_per_second=1e6, message_burst=100_000)
        settings = Settings(limits=limits, delivery=Delivery(stall_timeout=1e6))
        async with a_world(settings) as world:
            await world.publish(PROJECT, progress(0))
            one = spectator(world)
            one.transport.allow(0)
            for _ in range(1_000):
                one.send({"type": "ping"})
            await world.settle()
            assert one.session.subscriber.outbox.waiting <= 65
            one.transport.allow(None)
            await world.settle()
            assert Counter(said["type"] for said in one.received()) == {"status": 1, "pong": 1_000}

    run(body)


# --- the observer's seam ----------------------------------------------------------------------------------


def test_an_observer_is_told_of_every_project_that_changed_and_its_faults_harm_nobody() -> None:
    async def body() -> None:
        async with a_world() as world:
            told: list[tuple[str, int]] = []

            def bad(project: object) -> None:
                raise ValueError("a bug")

            world.hub.observe(bad)
            world.hub.observe(lambda project: told.append((project.project_id, project.tree.head)))
            await world.publish("p", update("a"), update("b"))
            await world.publish("q", update("a"))
            await world.hub.notifications.notify("ada", {"title": "T"}, grants=OPEN)
            assert told == [("p", 2), ("q", 1)]
            assert world.faults == ["observe: ValueError('a bug')"] * 2
            world.faults.clear()

    run(body)
