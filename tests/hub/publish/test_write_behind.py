"""The mirror: changes are merged until they are written, and what cannot be written is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.nodes import wholes
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.publish import write_behind as mirror
from tasktree_rt.hub.publish.write_behind import Waiting
from tasktree_rt.settings import Settings
from tests.hub.world import Store


@asynccontextmanager
async def a_hub(store: Store, **settings: Any) -> AsyncIterator[Hub]:
    async with open_hub(store, Settings(**settings)) as hub:
        yield hub


async def written(hub: Hub) -> None:
    while not hub.write_behind.quiet:  # noqa: ASYNC110 - it is idle, not an event
        await trio.sleep(0.1)


async def nodes_of(hub: Hub, name: str) -> dict[str, Any]:
    return {one["node_id"]: one for one in wholes((await hub.state(name)).nodes)}


async def events_of(hub: Hub, name: str) -> int:
    return (await hub.cache.load(name)).tree.head


async def test_what_changes_while_the_store_is_busy_is_written_once(autojump_clock: MockClock) -> None:
    store = Store()
    async with a_hub(store) as hub:
        store.hold_appends()
        hub.write_behind.put("p", {"title": "P"}, state="running")
        await wait_all_tasks_blocked()
        for value in range(1_000):
            hub.write_behind.put("p", {"value": value}, node_id="n")
        hub.write_behind.put("p", {"status": "completed"}, node_id="n")
        hub.write_behind.put("p", {}, state="completed")
        store.release_appends()
        await written(hub)
        state = await hub.state("p")
        assert state.top["state"] == "completed"
        assert (await nodes_of(hub, "p"))["n"].items() >= {"value": 999, "status": "completed"}.items()
        assert await events_of(hub, "p") == 4
        assert hub.write_behind.lost == 0


async def test_a_store_that_fails_is_asked_again_and_the_newest_wins(autojump_clock: MockClock) -> None:
    store = Store()
    async with a_hub(store) as hub:
        store.failing = True
        hub.write_behind.put("p", {"a": 1, "b": 1}, node_id="n")
        await trio.sleep(2.5)
        hub.write_behind.put("p", {"a": 2}, node_id="n")
        store.failing = False
        await written(hub)
        node = (await nodes_of(hub, "p"))["n"]
        assert (node["a"], node["b"]) == (2, 1)
        assert hub.write_behind.lost == 0


async def test_a_refused_change_takes_no_other_with_it(autojump_clock: MockClock) -> None:
    async with a_hub(Store(), lifecycle="enforce") as hub:
        hub.write_behind.put("p", {"status": "completed"}, node_id="done")
        await written(hub)
        hub.write_behind.put("p", {"status": "running"}, node_id="done")
        hub.write_behind.put("p", {"status": "running"}, node_id="other")
        await written(hub)
        nodes = await nodes_of(hub, "p")
        assert (nodes["done"]["status"], nodes["other"]["status"]) == ("completed", "running")
        assert hub.write_behind.lost == 1


async def test_more_than_may_wait_is_counted_and_the_rest_is_written(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MOST", 10)
    store = Store()
    async with a_hub(store) as hub:
        for number in range(20):
            hub.write_behind.put("p", {"status": "ready"}, node_id=f"n{number}")
        hub.write_behind.put("p", {"status": "running"}, node_id="n0")
        await written(hub)
        nodes = await nodes_of(hub, "p")
        assert len(nodes) == 9  # the project itself counts too
        assert nodes["n0"]["status"] == "running"
        assert hub.write_behind.lost > 0


async def test_a_project_that_stays_as_it_is_gets_no_transition(autojump_clock: MockClock) -> None:
    async with a_hub(Store()) as hub:
        for _ in range(3):
            hub.write_behind.put("p", {}, state="running")
            await written(hub)
        assert await events_of(hub, "p") == 1


CHANGES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3))
PUTS = st.lists(
    st.tuples(st.none() | st.sampled_from("xy"), CHANGES, st.none() | st.sampled_from(["s", "t"]))
)


@given(PUTS)
def test_merging_in_any_order_of_halves_comes_to_the_same(puts: list[Any]) -> None:
    def one(node_id: str | None, changes: dict[str, int], state: str | None) -> Waiting:
        return Waiting({}, None, {node_id: changes}) if node_id is not None else Waiting(changes, state)

    def merged(some: list[Any]) -> Waiting:
        whole = Waiting()
        for put in some:
            whole = whole.under(one(*put))
        return whole

    for cut in range(len(puts) + 1):
        assert merged(puts[:cut]).under(merged(puts[cut:])) == merged(puts)
