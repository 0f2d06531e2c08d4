"""Publishes: judged in order, committed in groups, kept once, all or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Key
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.publish import committer as ingest
from tasktree_rt.hub.publish import idempotency as producers
from tasktree_rt.hub.publish.idempotency import Ids
from tasktree_rt.settings import Limits, Settings
from tests.hub.world import World, a_world, made, run, small, update
from tests.model import NaiveTree


async def refusal(world: World, project: str, *events: dict[str, Any], key: Key | None = None) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await world.publish(project, *events, key=key)
    return caught.value


def picture(world: World, name: str) -> dict[str, Any]:
    project = world.hub.cache.get(name)
    assert project is not None
    nodes = {key: node.fields for key, node in project.tree.nodes.items()}
    staged = {key: node.fields for key, node in project.staged.nodes.items()}
    assert staged == nodes
    assert project.staged.top == project.tree.top
    return {**project.tree.top, "nodes": nodes}


def replayed(world: World, name: str) -> dict[str, Any]:
    """What the log of the present life says."""
    project = world.hub.cache.get(name)
    assert project is not None
    tree = NaiveTree(name)
    for kind, data in world.oracle.lives.get((name, project.epoch), []):
        tree.apply(kind, json.loads(json.dumps(data)))
    return tree.picture()


async def test_what_waits_together_is_committed_together_in_the_order_it_came(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        world.store.hold_appends()
        await world.submit("p", update("first"))
        await wait_all_tasks_blocked()
        for number in range(20):
            await world.submit(f"p{number % 3}", update(f"n{number}"))
        world.store.release_appends()
        await world.settle()
        lots = [[entry.drafts[0].node_id for entry in lot] for lot in world.store.appends]
        assert lots == [["first"], [f"n{number}" for number in range(20)]]


async def test_a_commit_waits_a_moment_for_as_many_as_came_before_and_not_longer(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        world.store.hold_appends()
        for number in range(ingest.MANY):
            await world.submit("p", update(f"n{number}"))
        await wait_all_tasks_blocked()
        world.store.release_appends()
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        for number in range(ingest.MANY - 1):
            await world.submit("p", update(f"m{number}"))
            await wait_all_tasks_blocked()
        assert len(world.store.appends) == 1, "the last of them may still come"
        await world.publish("p", update("last"))
        assert trio.current_time() == begun
        assert [len(lot) for lot in world.store.appends] == [ingest.MANY, ingest.MANY]
        await world.publish("p", update("alone"))
        assert 0 < trio.current_time() - begun <= ingest.GATHER


async def test_an_ack_follows_the_hand_over_to_the_outboxes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        await world.publish("p", update("n"))
        watchers = [world.plain() for _ in range(5)]
        published = await world.publish("p", update("n", a=1))
        assert published.first == published.last == 2
        assert all(one.transport.taken for one in watchers)


async def test_a_copy_of_one_in_flight_waits_for_its_hand_over(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        await world.publish("p", update("n"))
        watchers = [world.plain() for _ in range(30)]
        key = Key("", "producer", '"1"')
        await world.hub.publisher.submit(made("p", update("n", a=1)), key=key)
        while not world.hub.fanout.underway("p"):
            await trio.lowlevel.checkpoint()
        again = await world.publish("p", update("n", a=1), key=key)
        assert again.duplicate
        assert all(one.transport.taken for one in watchers)


async def test_the_same_id_is_kept_once_and_answered_the_same(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        key = Key("", "producer", "1")
        first = await world.publish("p", update("n"), update("m"), key=key)
        again = await world.publish("p", update("n"), update("m"), key=key)
        assert (again.epoch, again.first, again.last) == (first.epoch, 1, 2)
        assert (first.duplicate, again.duplicate) == (False, True)
        other = await refusal(world, "p", update("n", other=1), key=key)
        assert (other.code, other.field) == ("idempotency_conflict", "id")
        assert world.hub.cache.get("p").tree.head == 2  # type: ignore[union-attr]


async def test_a_conflict_with_one_in_flight_is_refused_at_once(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        key = Key("", "producer", "1")
        await world.publish("p", update("n"))
        world.store.hold_appends()
        await world.hub.publisher.submit(made("p", update("n", a=1)), key=key)
        assert (await refusal(world, "p", update("n", a=2), key=key)).code == "idempotency_conflict"
        world.store.release_appends()


async def test_a_publish_that_a_slow_look_at_the_store_overtakes_is_known_all_the_same(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "PRODUCERS", 1)
    async with a_world() as world:
        await world.publish("p", update("n", status="running"))
        key = Key("", "one", "1")
        world.store.hold_appends()
        await world.hub.publisher.submit(made("p", update("n", status="failed")), key=key)
        await world.hub.publisher.submit(
            made("q", update("x")), key=Key("", "two", "1")
        )  # "one" is forgotten here
        looked = trio.Event()
        found = world.store.producer_ids

        async def slowly(subject: str, producer_id: str) -> list[str]:
            ids = await found(subject, producer_id)
            await looked.wait()
            return ids

        monkeypatch.setattr(world.store, "producer_ids", slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.hub.committer.known, Key("", "one", "2"), b"")
            await wait_all_tasks_blocked()
            world.store.release_appends()
            await wait_all_tasks_blocked()
            looked.set()
        again = await world.publish("p", update("n", status="failed"), key=key)
        assert again.duplicate
        assert len(world.store.appends) == 3, "the store was not even asked to append it"


async def test_what_was_judged_on_a_publish_that_the_store_knew_already_is_found_anew(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        key = Key("", "producer", "1")
        await world.publish("p", update("n", status="running"), key=key)
        await world.publish("p", update("n", status="review", text="done"))
        # It has forgotten the id, the store has not.
        world.hub.committer._producers._known = {("", "producer"): Ids()}
        world.store.hold_appends()
        again = await world.hub.publisher.submit(made("p", update("n", status="running")), key=key)
        await world.submit("p", update("n", progress=5))
        world.store.release_appends()
        await world.settle()
        assert again is not None
        assert picture(world, "p")["nodes"]["n"] == {"status": "review", "text": "done", "progress": 5}
        assert picture(world, "p") == replayed(world, "p")


async def test_known_ids_of_a_producer_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "KEPT_IDS", 5)
    async with a_world() as world:
        for number in range(40):
            await world.publish("p", update("n", a=number), key=Key("", "producer", str(number)))
        assert len(world.hub.committer._producers._known["", "producer"]) <= 10
        again = await world.publish("p", update("n", a=0), key=Key("", "producer", "0"))
        assert again.duplicate
        assert picture(world, "p") == replayed(world, "p")


async def test_known_ids_of_all_producers_together_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "HELD", 30)
    async with a_world() as world:
        for number in range(100):
            name = f"producer {number % 10}"
            await world.publish("p", update("n", a=number), key=Key("", name, str(number)))
            held = world.hub.committer._producers
            assert held._held == sum(map(len, held._known.values())) <= 30
        for number in range(100):
            name = f"producer {number % 10}"
            again = await world.publish("p", update("n", a=number), key=Key("", name, str(number)))
            assert again.duplicate


async def test_one_producer_may_use_the_whole_room_for_known_ids(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers, "HELD", 3)
    async with a_world() as world:
        looked: list[str] = []
        found = world.store.producer_ids

        async def counting(subject: str, producer_id: str) -> list[str]:
            looked.append(producer_id)
            return await found(subject, producer_id)

        monkeypatch.setattr(world.store, "producer_ids", counting)
        for number in range(10):
            await world.publish("p", update("n", a=number), key=Key("", "one", str(number)))
        assert looked == ["one"]


async def test_enforce_judges_on_what_was_accepted_and_not_only_on_what_is_stored(
    autojump_clock: MockClock,
) -> None:
    async with a_world(small(lifecycle="enforce")) as world:
        await world.publish("p", update("n", status="ready"))
        world.store.hold_appends()
        await world.submit("p", update("n", status="running"))
        await world.submit("p", update("n", status="failed"))
        error = await refusal(world, "p", update("m", status="ready"), update("n", status="completed"))
        assert (error.code, error.field) == ("invalid_transition", "events[1]")
        await world.submit("p", update("n", status="ready"))
        world.store.release_appends()
        await world.settle()
        kept = {"ended_attempts": [{"status": "failed"}]}
        assert picture(world, "p")["nodes"] == {"n": {"status": "ready", **kept}}


async def test_observe_keeps_and_counts_what_cannot_be(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", status="completed"))
        await world.publish("p", update("n", status="running"))
        assert world.hub.cache.get("p").transitions_questioned == 1  # type: ignore[union-attr]


async def test_nothing_of_a_refused_publish_is_kept(autojump_clock: MockClock) -> None:
    limits = {"max_nodes": 3, "max_node_size": 1024}
    async with a_world(small(limits=limits)) as world:
        await world.publish("p", update("a", parent_id="r"), update("b", x=1))
        before = picture(world, "p")
        size = await refusal(
            world,
            "p",
            update("a", deleted=True),
            {"type": "project_update", "data": {"changes": {"title": "t"}}},
            update("b", x=None, text="y" * 2_000),
        )
        assert (size.code, size.field) == ("node_too_large", "events[2]")
        full = await refusal(world, "p", update("c"), update("d"))
        assert (full.code, full.field) == ("project_full", "events[1]")
        assert picture(world, "p") == before
        await world.publish("p", update("c"), update("a", deleted=True), update("d"))
        assert picture(world, "p") == replayed(world, "p")


async def test_a_failing_store_refuses_all_that_was_judged_on_top_and_recovers_by_itself(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", a=0))
        watcher = world.plain()
        world.store.hold_appends()
        world.store.failing = True
        outcomes: list[str] = []

        async def publish(number: int) -> None:
            error = await refusal(world, "p", update("n", a=number), key=Key("", "x", str(number)))
            outcomes.append(error.code)
            assert error.retry_after

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(publish, number)
            await wait_all_tasks_blocked()
            world.store.release_appends()
        assert outcomes == ["store_unavailable"] * 4
        assert world.hub.statistics().store_error == "disk full"
        assert (await refusal(world, "p", update("n", a=9))).code == "store_unavailable"
        assert picture(world, "p")["nodes"] == {"n": {"a": 0}}
        await trio.sleep(5)
        assert world.hub.statistics().store_error is not None
        world.store.failing = False
        await trio.sleep(3)
        assert world.hub.statistics().store_error is None
        kept = await world.publish("p", update("n", a=1), key=Key("", "x", "1"))
        assert not kept.duplicate
        assert [one["seq"] for one in watcher.received()] == [2]
        assert picture(world, "p") == replayed(world, "p")


async def test_a_failure_takes_along_what_was_judged_on_top_even_if_the_store_works_again(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", a=0))
        world.store.hold_appends()
        world.store.failing = True
        first = await world.hub.publisher.submit(made("p", update("n", a=1)))
        await wait_all_tasks_blocked()
        behind = await world.hub.publisher.submit(made("p", update("n", b=2)))
        world.store.release_one_append()
        await wait_all_tasks_blocked()
        world.store.failing = False
        world.store.release_appends()
        await wait_all_tasks_blocked()
        for accepted in (first, behind):
            assert accepted.error.code == "store_unavailable"  # type: ignore[union-attr]
        assert picture(world, "p") == replayed(world, "p")
        assert picture(world, "p")["nodes"] == {"n": {"a": 0}}


async def test_more_than_may_wait_is_refused_as_overloaded(autojump_clock: MockClock) -> None:
    limits = Limits(max_waiting_publishes=3)
    async with a_world(Settings(limits=limits)) as world:
        await world.publish("p", update("n"))
        world.store.hold_appends()
        for number in range(3):
            await world.submit("p", update("n", a=number))
        error = await refusal(world, "p", update("n", a=9))
        assert (error.code, bool(error.retry_after)) == ("overloaded", True)
        world.store.release_appends()
        await world.settle()
        await world.publish("p", update("n", a=9))


async def test_so_are_more_bytes(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_waiting_bytes=1_000))) as world:
        await world.publish("p", update("n", text="x" * 5_000))
        world.store.hold_appends()
        await world.submit("p", update("n", text="x" * 500))
        assert (await refusal(world, "p", update("n", text="x" * 500))).code == "overloaded"
        world.store.release_appends()


async def test_a_callback_that_fails_keeps_no_other_from_its_answer(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        accepted = await world.hub.publisher.submit(made("p", update("n")))

        def fail(_: object) -> None:
            raise RuntimeError("a bug")

        accepted.callbacks.append(fail)  # type: ignore[union-attr]
        await world.publish("p", update("n", a=1))
        assert world.faults == ["answer: RuntimeError('a bug')"]
        world.faults.clear()


# --- against a naive model ------------------------------------------------------------------------

ids = st.sampled_from(("1", "2", "3"))
bodies = st.sampled_from(
    (
        (update("n", status="running"),),
        (update("n", a=1), update("m", parent_id="n")),
        (update("n", deleted=True), update("o", b=2)),
        ({"type": "state_transition", "data": {"from": "?", "to": "on"}},),
        (update("n", text="x" * 3_000),),
        (update("q", c=1), {"type": "project_deleted", "data": {}}),
    )
)
moves = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(("p", "q")), st.none() | ids, bodies),
    st.tuples(st.just("publish"), st.sampled_from(("p", "q")), st.none() | ids, bodies),
    st.tuples(st.just("hold")),
    st.tuples(st.just("release")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("mend")),
    st.tuples(st.just("forget")),
    st.tuples(st.just("turns"), st.integers(0, 6)),
)


class Told:
    """What each publish was told, in the order of asking."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.first: dict[str, tuple[object, str, int, int]] = {}
        self.refused: set[str] = set()
        self.answers = self.asked = 0

    def mend(self) -> None:
        self.world.store.failing = False
        self.world.store.release_appends()

    async def move(self, nursery: trio.Nursery, what: str, *args: Any) -> None:
        store, hub = self.world.store, self.world.hub
        match what:
            case "publish":
                self.asked += 1
                nursery.start_soon(self.publish, *args)
                await wait_all_tasks_blocked()
            case "hold":
                store.hold_appends()
            case "release":
                store.release_appends()
            case "fail":
                store.failing = True
            case "mend":
                self.mend()
                await trio.sleep(3)
            case "forget":
                hub.committer._producers._known = {("", "x"): Ids()}
            case _:
                for _ in range(args[0]):
                    await trio.lowlevel.checkpoint()

    async def publish(self, name: str, number: str | None, body: tuple[dict[str, Any], ...]) -> None:
        key = None if number is None else Key("", "x", number)
        try:
            done = await self.world.publish(name, *body, key=key)
        except PeerError as error:
            self.refused.add(error.code)
            return
        finally:
            self.answers += 1
        place = (done.epoch, done.first, done.last)
        life = self.world.oracle.lives[done.project_id, done.epoch]
        assert len(life) >= done.last
        for event, (kind, data) in zip(body, life[done.first - 1 : done.last], strict=True):
            assert (event["type"], event.get("data", {})) == (kind, data)
        if number is not None:
            known = self.first.setdefault(number, (body, *place))
            assert known == (body, *place), "one id, one body, one place"


@given(st.lists(moves, min_size=5, max_size=40))
def test_any_interleaving_of_publishes_repeats_and_failures_is_what_the_model_says(
    plan: list[tuple[Any, ...]],
) -> None:
    async def body() -> None:
        async with a_world(small(limits={"max_node_size": 1024})) as world:
            told = Told(world)
            async with trio.open_nursery() as nursery:
                for what, *args in plan:
                    await told.move(nursery, what, *args)
                told.mend()
            await trio.sleep(3)
            assert told.answers == told.asked
            assert told.refused <= {"node_too_large", "store_unavailable", "idempotency_conflict"}
            assert world.hub.committer.waiting == 0
            assert not world.hub.committer._in_flight
            for name in ("p", "q"):
                if world.hub.cache.get(name) is not None:
                    assert picture(world, name) == replayed(world, name)
            await world.publish("p", update("last"))

    run(body)
