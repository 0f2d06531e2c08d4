"""A producer at full speed: what others publish is in the next group, over every way in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.errors import PeerError
from tasktree_rt.hub.publish.committer import GROUP
from tasktree_rt.hub.publish.pending_publish import cost_of
from tasktree_rt.settings import Limits, Settings
from tests.hub.world import Store, World, a_world, made, run, update
from tests.web.realhub import RealHub, node_update, real_hub

EVENTS = 100
PUBLISHES = 40


def lots(store: Store) -> list[list[str]]:
    """The projects of each commit's publishes."""
    return [[entry.project_id for entry in lot] for lot in store.appends]


def events_before(store: Store, project: str) -> int:
    """Events of others that were committed before the first of `project`, the group of the hold aside."""
    found = 0
    for lot in store.appends[1:]:
        for entry in lot:
            if entry.project_id == project:
                return found
            found += len(entry.drafts)
    raise AssertionError(f"nothing of {project} was committed")


async def flood_by_socket(running: RealHub, number: int, nursery: trio.Nursery) -> None:
    async def produce(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with running.socket("/ws/orchestrator", native=False) as socket:
            for count in range(PUBLISHES):
                await socket.send_message(json.dumps(publish(f"flood{number}", count, EVENTS)))
            task_status.started()
            await trio.sleep_forever()

    await nursery.start(produce)


async def flood_by_http(running: RealHub, number: int, nursery: trio.Nursery) -> None:
    body = json.dumps([node_update(f"n{one}") for one in range(EVENTS)]).encode()
    path = f"/api/v1/projects/flood{number}/events"

    async def post_all() -> None:
        limits = httpx.Limits(max_connections=None)
        async with running.http(limits=limits) as http, trio.open_nursery() as posting:
            for _ in range(PUBLISHES):
                posting.start_soon(lambda: http.post(path, content=body))

    nursery.start_soon(post_all)


def publish(project: str, number: int, events: int) -> dict[str, Any]:
    said = [{"project_id": project, **node_update(f"n{one}")} for one in range(events)]
    return {"type": "publish", "id": number, "events": said}


async def accepted(running: RealHub, count: int) -> None:
    with trio.fail_after(60):
        while running.hub.committer.waiting < count:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("flooders", [1, 4])
@pytest.mark.parametrize("flood", [flood_by_socket, flood_by_http])
@pytest.mark.parametrize("quiet", ["socket", "http"])
async def test_a_quiet_project_is_in_the_next_group_whoever_floods_others(
    flooders: int, flood: Callable[..., Any], quiet: str
) -> None:
    store = Store()
    async with real_hub(store) as running, trio.open_nursery() as nursery:
        store.hold_appends()
        for number in range(flooders):
            await flood(running, number, nursery)
        await accepted(running, flooders * PUBLISHES)
        async with running.socket("/ws/orchestrator", native=False) as socket, running.http() as http:
            if quiet == "socket":
                await socket.send_message(json.dumps(publish("quiet", 1, 1)))
            else:
                nursery.start_soon(lambda: http.post("/api/v1/projects/quiet/events", json=node_update("n")))
            await accepted(running, flooders * PUBLISHES + 1)
            store.release_appends()
            await running.hub.committer.quiet()
        nursery.cancel_scope.cancel()
    assert sum(map(len, store.appends)) == flooders * PUBLISHES + 1
    assert "quiet" in lots(store)[1]
    assert events_before(store, "quiet") <= EVENTS
    most = max(sum(len(entry.drafts) for entry in lot) for lot in store.appends)
    assert most <= GROUP + EVENTS


async def test_one_producer_of_many_projects_waits_behind_itself(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        store, hub = world.store, world.hub
        store.hold_appends()
        await world.submit("first", update("n"))
        await wait_all_tasks_blocked()
        flooder = object()
        for number in range(200):
            await hub.publisher.submit(made(f"p{number}", *[update("n")] * EVENTS), producer=flooder)
        await hub.publisher.submit(made("quiet", update("n")), producer=object())
        store.release_appends()
        await world.hub.committer.quiet()
        assert events_before(store, "quiet") <= EVENTS
        order = [name for lot in lots(store) for name in lot if name.startswith("p")]
        assert order == [f"p{number}" for number in range(200)]


async def test_many_producers_of_one_project_have_one_projects_turns(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        store, hub = world.store, world.hub
        await world.publish("quiet", update("n"))
        store.hold_appends()
        await world.submit("first", update("n"))
        await wait_all_tasks_blocked()
        for _ in range(20):
            for producer in range(50):
                await hub.publisher.submit(made("p", *[update("n")] * 10), producer=producer)
        for _ in range(20):
            await hub.publisher.submit(made("quiet", *[update("n")] * 10), producer="quiet")
        store.appends.clear()
        store.release_appends()
        await world.hub.committer.quiet()
        taken = [name for lot in lots(store)[1:] for name in lot]
        last = max(index for index, name in enumerate(taken) if name == "quiet")
        assert last <= 50, "half of the turns, though there are fifty others"


async def test_large_publishes_go_two_in_a_group_and_by_turns(autojump_clock: MockClock) -> None:
    async with a_world(Settings()) as world:
        store = world.store
        store.hold_appends()
        await world.submit("first", update("n"))
        await wait_all_tasks_blocked()
        for _ in range(10):
            await world.submit("large", *[update("n", text="x" * 200_000)] * 4)
        await world.submit("quiet", update("n"))
        store.release_appends()
        await world.hub.committer.quiet()
        assert max(map(len, lots(store))) <= 3
        assert "quiet" in lots(store)[1]


async def test_the_committer_is_one_group_ahead_of_the_fan_out_and_not_more(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        go = trio.Event()

        async def deliver(_: object) -> None:
            await go.wait()

        monkeypatch.setattr(world.hub.fanout, "_deliver", deliver)
        for number in range(20):
            await world.submit(f"p{number}", *[update("n")] * 1_000)
        await world.settle()
        assert len(world.store.appends) <= 3
        go.set()
        await world.hub.committer.quiet()
        assert sum(map(len, world.store.appends)) == 20


async def taken(world: World, projects: list[str]) -> int:
    """How many of so many publishes are not refused as ``overloaded``."""
    refused = 0
    for name in projects:
        try:
            await world.submit(name, update("n", text="x" * 500))
        except PeerError:
            refused += 1
    return len(projects) - refused


async def test_a_project_of_which_nothing_waits_has_room_where_others_have_left_none(
    autojump_clock: MockClock,
) -> None:
    async with a_world(Settings(limits=Limits(max_waiting_bytes=10_000, max_waiting_publishes=100))) as world:
        world.store.hold_appends()
        assert await taken(world, ["flood"] * 200) < 20
        await world.submit("quiet", update("n"))
        assert await taken(world, [f"another{number}" for number in range(200)]) < 20
        assert world.hub.committer._unfinished_bytes <= 20_000, "and even that is bounded"
        world.store.release_appends()


# --- against a naive model ------------------------------------------------------------------------

moves = st.one_of(
    *[st.tuples(st.just("publish"), st.integers(0, 3), st.integers(0, 3), st.integers(1, 40))] * 3,
    st.tuples(st.sampled_from(("hold", "release", "one", "settle")), *[st.just(0)] * 3),
)


class Told:
    """What was accepted, in order, by producer and by project."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.accepted: list[tuple[int, int, str]] = []

    async def move(self, what: str, producer: int, project: int, events: int) -> None:
        store = self.world.store
        match what:
            case "publish":
                name = f"e{len(self.accepted)}"
                said = made(f"p{project}", *[update(name)] * events)
                await self.world.hub.publisher.submit(said, producer=producer or None)
                self.accepted.append((producer, project, name))
            case "hold":
                store.hold_appends()
            case "release":
                store.release_appends()
            case "one":
                store.release_one_append()
                await wait_all_tasks_blocked()
            case _:
                await wait_all_tasks_blocked()

    def check(self) -> None:
        entries = [entry for lot in self.world.store.appends for entry in lot]
        names = [str(entry.drafts[0].node_id) for entry in entries]
        assert sorted(names) == sorted(name for *_, name in self.accepted), "none lost, none doubled"
        place = {name: index for index, name in enumerate(names)}
        for by in range(2):
            for key in range(4):
                mine = [one[2] for one in self.accepted if one[by] == key and (by or key)]
                assert mine == sorted(mine, key=place.__getitem__)


@given(st.lists(moves, max_size=60))
def test_any_flood_keeps_the_order_of_each_producer_and_project(
    plan: list[tuple[str, int, int, int]],
) -> None:
    async def body() -> None:
        async with a_world(Settings()) as world:
            told = Told(world)
            for move in plan:
                await told.move(*move)
            world.store.release_appends()
            await world.settle()
            told.check()

    run(body)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), min_size=1, max_size=60))
def test_whatever_waits_a_newcomer_is_in_the_next_group_and_the_oldest_too(
    flood: list[tuple[int, int]],
) -> None:
    async def body() -> None:
        async with a_world(Settings()) as world:
            world.store.hold_appends()
            await world.submit("first", update("n"))
            await wait_all_tasks_blocked()
            for project, events in flood:
                await world.submit(f"p{project}", *[update("n")] * events)
            await world.submit("quiet", update("n"))
            ingest = world.hub.committer
            group = ingest._take()
            assert {str(one.project.project_id) for one in group} >= {"quiet", f"p{flood[0][0]}"}
            assert cost_of(group) < GROUP + 2 * 100 * 2
            ingest._waiting.push(group, 1, ())
            world.store.release_appends()

    run(body)
