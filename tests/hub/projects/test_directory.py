"""The list of projects, live: whole, then what changed; bounded, shared, and nobody else's trouble."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.access import EVERYTHING, OPEN, Scope
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects import cache as shelf
from tasktree_rt.hub.projects import directory as roster
from tasktree_rt.hub.projects.directory import PACE, DirectoryStream
from tasktree_rt.hub.projects.summary import SummaryEncoder
from tests.hub.world import Store, World, a_world, run, update

PATIENCE = 1_000.0


class Board:
    """A watcher that does with each message what docs/protocol.md says."""

    def __init__(self, viewer: DirectoryStream) -> None:
        self.viewer = viewer
        self.projects: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []

    async def take(self) -> dict[str, Any]:
        said = await self.viewer.next(PATIENCE)
        assert said
        message: dict[str, Any] = json.loads(said)
        assert message.keys() == {"projects", "removed", "whole"}
        if message["whole"]:
            self.projects.clear()
        for name in message["removed"]:
            self.projects.pop(name, None)
        for one in message["projects"]:
            self.projects[one["project_id"]] = one
        self.heard.append(message)
        return message

    async def take_all(self) -> None:
        """Until nothing comes for a while."""
        while True:
            with trio.move_on_after(3 * PACE) as silence:
                await self.take()
            if silence.cancelled_caught:
                return


def board(hub: Hub, scope: Scope = EVERYTHING) -> Board:
    return Board(hub.directory.open(scope))


async def everything(hub: Hub) -> dict[str, Any]:
    """The list as ``GET /projects`` gives it."""
    page = await hub.directory.page("", 1_000, EVERYTHING)
    return {name: json.loads(line) for name, line in page.lines}


async def test_first_the_whole_list_then_only_what_changed(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        for name in ("a", "b", "c"):
            await world.publish(name, update("n", status="ready"))
        seen = board(world.hub)
        first = await seen.take()
        assert first["whole"] is True
        assert [one["project_id"] for one in first["projects"]] == ["a", "b", "c"]
        await world.publish("b", update("n", status="running"))
        second = await seen.take()
        assert (second["whole"], second["removed"]) == (False, [])
        assert [(one["project_id"], one["seq"], one["counts"]) for one in second["projects"]] == [
            ("b", 2, {"running": 1})
        ]
        await world.publish("d", update("n"))
        await world.hub.delete_project("a")
        await seen.take_all()
        assert seen.projects.keys() == {"b", "c", "d"}
        assert seen.projects == await everything(world.hub)


async def test_an_empty_list_is_told_too() -> None:
    async with a_world() as world:
        assert await board(world.hub).take() == {"projects": [], "removed": [], "whole": True}


async def test_a_user_is_no_project(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        seen = board(world.hub)
        await seen.take()
        await world.hub.notifications.notify("ada", {"title": "T"}, grants=OPEN)
        await seen.take_all()
        assert len(seen.heard) == 1


async def test_however_much_happens_there_is_one_message_in_250_ms(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        seen = board(world.hub)
        await seen.take()
        async with trio.open_nursery() as nursery:

            async def publish() -> None:
                for number in range(400):
                    await world.publish(f"p{number % 3}", update("n", progress=number % 100))
                    await trio.sleep(0.01)

            begun = trio.current_time()
            nursery.start_soon(publish)
            times: list[float] = []
            while len(times) < 12:
                await seen.take()
                times.append(trio.current_time() - begun)
            nursery.cancel_scope.cancel()
    apart = [later - earlier for earlier, later in pairwise(times)]
    assert min(apart) >= PACE * 0.99
    assert max(apart) <= PACE * 1.2
    assert all(len(message["projects"]) <= 3 for message in seen.heard)


async def test_what_is_not_in_memory_is_listed_from_the_store_alone() -> None:
    async with a_world() as world:
        for name in ("a", "b"):
            await world.publish(
                name,
                {"type": "project_update", "data": {"changes": {"title": name.upper()}}},
                update("n", status="ready"),
            )
        before = await everything(world.hub)
        world.hub.cache._projects.clear()
        assert await everything(world.hub) == before
        assert before["a"]["title"] == "A"
        assert before["a"]["counts"] == {"ready": 1}
        assert len(world.hub.cache) == 0


class Forgetful(Store):
    """As a database from before there was more to a summary."""

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        return [evolve(one, about=b"") for one in await super().projects(after, limit)]


async def test_what_an_older_store_does_not_say_is_looked_up_and_then_put_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelf, "LOADED", 3)
    async with a_world(store=Forgetful()) as world:
        for number in range(9):
            await world.publish(f"p{number}", update("n", status="ready"))
        before = await everything(world.hub)
        world.hub.cache._projects.clear()
        assert await everything(world.hub) == before
        assert before["p8"]["counts"] == {"ready": 1}
        assert len(world.hub.cache) <= 3


async def test_shows_only_what_may_be_watched(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        for name in ("a1", "b1"):
            await world.publish(name, update("n"))
        seen = board(world.hub, Scope(("a*",)))
        nothing = board(world.hub, Scope(()))
        await seen.take()
        assert await nothing.take() == {"projects": [], "removed": [], "whole": True}
        for name in ("a2", "b2", "b1"):
            await world.publish(name, update("n"))
        await world.hub.delete_project("b1")
        await world.hub.delete_project("a1")
        await seen.take_all()
        await nothing.take_all()
        told = [
            name
            for message in seen.heard
            for name in (*message["removed"], *(one["project_id"] for one in message["projects"]))
        ]
        assert set(told) == {"a1", "a2"}
        assert len(nothing.heard) == 1


async def test_a_long_list_and_many_changes_come_in_bounded_messages(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "MOST", 4)
    async with a_world() as world:
        names = {f"p{number:02}" for number in range(11)}
        for name in names:
            await world.publish(name, update("n"))
        seen = board(world.hub)
        await seen.take_all()
        for name in names:
            await world.publish(name, update("n", a=1))
        await seen.take_all()
        assert [message["whole"] for message in seen.heard][:4] == [True, False, False, False]
        assert max(len(message["projects"]) for message in seen.heard) == 4
        assert seen.projects == await everything(world.hub)
        monkeypatch.setattr(roster, "ROOM", 1)
        few = board(world.hub)
        await few.take_all()
        assert {len(message["projects"]) for message in few.heard} == {1}
        assert few.projects.keys() == names


async def test_whoever_is_left_far_behind_gets_the_whole_list_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "KEPT", 3)
    async with a_world() as world:
        slow, quick = board(world.hub), board(world.hub)
        for one in (slow, quick):
            await one.take()
        for number in range(8):
            await world.publish(f"p{number}", update("n"))
            await quick.take_all()
        await world.hub.delete_project("p0")
        await slow.take_all()
        await quick.take_all()
        assert [message["whole"] for message in slow.heard] == [True, True]
        assert [message["whole"] for message in quick.heard][1:] == [False] * 9
        assert slow.projects == quick.projects == await everything(world.hub)


async def test_those_who_stand_at_the_same_place_share_one_message(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        viewers = [world.hub.directory.open(EVERYTHING) for _ in range(3)]
        for viewer in viewers:
            await viewer.next(PATIENCE)
        await world.publish("p", update("n"))
        said = [await viewer.next(PATIENCE) for viewer in viewers]
        assert said[0]
        assert said[0] is said[1] is said[2]


async def test_while_nobody_watches_nothing_is_noted(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        hub = world.hub
        await world.publish("p", update("n"))
        assert not hub.directory._dirty
        viewer = hub.directory.open(EVERYTHING)
        await world.publish("p", update("n"))
        await trio.sleep(2 * PACE)
        assert hub.directory._entries.keys() == {"p"}
        viewer.close()
        viewer.close()
        assert (hub.directory.watched, len(hub.directory._entries)) == (0, 0)
        await world.publish("p", update("n"))
        assert not hub.directory._dirty
        late = board(hub)
        await late.take_all()
        assert late.projects["p"]["seq"] == 3


async def test_silence_is_told_and_a_hub_that_stops_ends_it(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        viewer = world.hub.directory.open(EVERYTHING)
        assert await viewer.next(5)
        assert await viewer.next(5) == b""
        async with trio.open_nursery() as nursery:

            async def drain() -> None:
                await trio.sleep(1)
                await world.hub.drain()

            nursery.start_soon(drain)
            assert await viewer.next(PATIENCE) is None
        assert await world.hub.directory.open(EVERYTHING).next(PATIENCE) is None


async def test_a_list_that_cannot_be_read_goes_on_where_it_was() -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        seen = board(world.hub)
        world.store.failing_reads = True
        with pytest.raises((StoreUnavailable, Unavailable)):
            await seen.take()
        world.store.failing_reads = False
        assert (await seen.take())["whole"] is True
        assert seen.projects.keys() == {"p"}


async def test_a_fault_of_the_roster_is_told_and_it_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        seen = board(world.hub)
        await seen.take()

        def wrong(*_: object) -> bytes:
            raise ValueError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(SummaryEncoder, "encode", wrong)
            world.hub.directory.changed(await world.hub.cache.load("p"))
            patch.setattr(roster, "line", wrong)
            world.hub.directory._dirty["p"].epoch = "e"
            await trio.sleep(PACE)
        assert world.faults == ["roster: ValueError('a bug')"]
        world.faults.clear()
        world.hub.directory.changed(await world.hub.cache.load("q"))
        assert await seen.take() == {"projects": [], "removed": ["q"], "whole": False}


# --- by chance --------------------------------------------------------------------------------------------

NAMES = ["a", "b", "c", "d"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(NAMES)),
        st.tuples(st.just("delete"), st.sampled_from(NAMES)),
        st.tuples(st.just("take"), st.integers(0, 1)),
        st.tuples(st.just("sleep"), st.sampled_from([0.0, 0.1, 0.3])),
        st.tuples(st.just("put away"), st.none()),
        st.tuples(st.just("open"), st.none()),
    ),
    max_size=30,
)


async def step(world: World, boards: list[Board], what: str, which: Any, number: int) -> None:
    hub = world.hub
    if what == "publish":
        await world.publish(which, update(f"n{number % 3}", status=f"s{number % 2}"))
    elif what == "delete" and (await hub.cache.load(which)).epoch:
        await hub.delete_project(which)
    elif what == "take":
        with trio.move_on_after(0.01):
            await boards[which % len(boards)].take()
    elif what == "sleep":
        await trio.sleep(which)
    elif what == "put away":
        await wait_all_tasks_blocked()
        hub.cache._projects.clear()
    elif what == "open":
        boards.append(board(hub))


@given(steps, st.integers(1, 5), st.integers(1, 3))
def test_whatever_happens_every_board_ends_with_the_list_as_it_is(
    happening: list[tuple[str, Any]], kept: int, most: int
) -> None:
    async def body() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(roster, "KEPT", kept)
            patch.setattr(roster, "MOST", most)
            patch.setattr(roster, "SLICE", 1)
            async with a_world() as world:
                boards = [board(world.hub)]
                for number, (what, which) in enumerate(happening):
                    await step(world, boards, what, which, number)
                for one in boards:
                    await one.take_all()
                expected = await everything(world.hub)
                assert all(one.projects == expected for one in boards)

    run(body)
