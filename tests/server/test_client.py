"""The Python client against real hubs: what it promises holds over ``kill -9``, restarts and slow hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.client import (
    Backoff,
    Conflated,
    Disconnected,
    ProjectDeleted,
    ProjectEvent,
    Publisher,
    PublishRefused,
    StateReplaced,
    Subscribed,
    TreeView,
    Watcher,
    open_orchestrator,
    open_watcher,
)
from tests.cli.processes import PATIENCE
from tests.server.process import HubProcess, hub_process

SOON = Backoff(base=0.01, cap=0.1)


async def _until(watcher: Watcher, project: str, seq: int) -> list[Any]:
    """Everything a watcher is told until it is there."""
    told: list[Any] = []
    with trio.fail_after(PATIENCE):
        async for message in watcher:
            told.append(message)
            at = watcher.positions.get(project)
            if at is not None and at.seq >= seq:
                break
    return told


async def _assert_same(hub: HubProcess, view: TreeView) -> None:
    state = await hub.state(view.project_id)
    assert view.exact
    assert str(view.position) == f"{state['epoch']}:{state['seq']}"
    data = state["data"]
    assert {name: {"node_id": name, **fields} for name, fields in view.nodes.items()} == {
        one["node_id"]: one for one in data["nodes"]
    }
    assert (view.state, view.project) == (data["state"], data["project"])
    assert (view.orchestrator, view.coordination) == (data["orchestrator"], data["coordination"])


async def test_an_orchestrator_and_a_watcher_meet_at_a_hub(tmp_path: Path) -> None:
    async with (
        hub_process(tmp_path) as hub,
        open_orchestrator(hub.url, "builder") as orchestrator,
        open_watcher(hub.url, "build-7") as watcher,
    ):
        receipt = await orchestrator.node_update("build-7", "compile", status="running", progress=40)
        await receipt.acked()
        await orchestrator.state_transition("build-7", "running")
        await orchestrator.log("build-7", "hello", node_id="compile")
        await _until(watcher, "build-7", 3)
        view = watcher.view("build-7")
        assert view.nodes["compile"] == {"status": "running", "progress": 40}
        assert view.state == "running"
        await _assert_same(hub, view)


@pytest.mark.parametrize("spooled", [False, True])
async def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, spooled: bool) -> None:
    spool = tmp_path / "spool" if spooled else None
    async with (
        hub_process(tmp_path) as hub,
        open_orchestrator(hub.url, "builder", spool=spool, backoff=SOON) as orchestrator,
        open_watcher(hub.url, "a", ":0", policy="disconnect", backoff=SOON) as watcher,
    ):
        told: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                told.extend(await _until(watcher, "a", 900))

            nursery.start_soon(watch)
            for part in range(3):
                async with trio.open_nursery() as meanwhile:
                    for number in range(300):
                        await orchestrator.node_update("a", f"n{number % 50}", title=f"{part}-{number}")
                        if number == 100 * part + 50:
                            await hub.kill()
                            meanwhile.start_soon(hub.start)
            await orchestrator.flush()
        log = await hub.events("a")
        titles = [one["data"]["changes"]["title"] for one in log]
        assert titles == [f"{part}-{number}" for part in range(3) for number in range(300)]
        events = [one for one in told if isinstance(one, ProjectEvent)]
        assert [one.position.seq for one in events] == list(range(1, 901))
        assert [one.data["changes"]["title"] for one in events] == titles
        assert any(isinstance(one, Disconnected) for one in told)
        assert all(one.recovered is not False for one in told if isinstance(one, Subscribed))
        await _assert_same(hub, watcher.view("a"))
        assert orchestrator.statistics().unacked == 0
        assert orchestrator.statistics().connections > 1


async def test_a_spool_carries_over_the_producers_own_death(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        await hub.kill()
        options: dict[str, Any] = {"spool": tmp_path / "spool", "backoff": SOON}
        async with open_orchestrator(hub.url, "builder", flush_timeout=0, **options) as orchestrator:
            for number in range(50):
                await orchestrator.node_update("a", f"n{number}")
        await hub.start()
        async with open_orchestrator(hub.url, "builder", **options) as orchestrator:
            await orchestrator.node_update("a", "n50")
            await orchestrator.flush()
        assert [one["data"]["node_id"] for one in await hub.events("a")] == [f"n{n}" for n in range(51)]


async def test_a_restart_in_order_is_followed_at_the_advised_time(tmp_path: Path) -> None:
    async with (
        hub_process(tmp_path, "drain.window=0.2") as hub,
        open_orchestrator(hub.url, "builder", backoff=SOON) as orchestrator,
        open_watcher(hub.url, "a", ":0", backoff=SOON) as watcher,
    ):
        told: list[Any] = []
        for number in range(5):
            if number in (2, 4):
                told += await _until(watcher, "a", number - 1)  # it is connected to the hub that stops
                assert await hub.stop() == 0
                await hub.start()
            await orchestrator.node_update("a", f"n{number}")
        await orchestrator.flush()
        told += await _until(watcher, "a", 5)
        events = [one for one in told if isinstance(one, ProjectEvent)]
        assert [one.position.seq for one in events] == [1, 2, 3, 4, 5]
        assert 1012 in [one.code for one in told if isinstance(one, Disconnected)]
        await _assert_same(hub, watcher.view("a"))


async def test_a_program_that_is_slow_to_iterate_ends_at_the_hubs_tree(tmp_path: Path) -> None:
    small = ("limits.max_message_size=65536", "delivery.outbox_messages=16", "delivery.outbox_bytes=131072")
    async with (
        hub_process(tmp_path, *small, "delivery.stall_timeout=600") as hub,
        open_orchestrator(hub.url, "builder", max_message_size=65536) as orchestrator,
        open_watcher(hub.url, "a") as watcher,
    ):
        await orchestrator.node_update("a", "n0", title="first")
        await _until(watcher, "a", 1)
        number = 0
        while not await hub.metric("tasktree_sheds_total", policy="conflate"):
            for _ in range(20):
                number += 1
                await orchestrator.node_update("a", f"n{number % 9}", parent_id="n0", progress=number % 100)
                await orchestrator.log("a", "x" * 30_000)
            await orchestrator.flush()
        await orchestrator.node_update("a", "n0", deleted=True)
        await orchestrator.node_update("a", "n0", title="last")
        await orchestrator.flush()
        told = await _until(watcher, "a", (await hub.state("a"))["seq"])
        assert any(isinstance(one, (Conflated, StateReplaced)) for one in told)
        assert dict(watcher.view("a").nodes) == {"n0": {"title": "last"}}
        await _assert_same(hub, watcher.view("a"))


async def test_everything_is_watched_and_projects_end_and_begin(tmp_path: Path) -> None:
    async with (
        hub_process(tmp_path) as hub,
        open_orchestrator(hub.url, "builder") as orchestrator,
        open_watcher(hub.url) as watcher,
    ):
        for project in "ab":
            await (await orchestrator.node_update(project, "n", title=project)).acked()
        await _until(watcher, "b", 1)
        async with hub.http() as client:
            assert (await client.delete("/api/v1/projects/a")).status_code == 200
        deleted = False
        with trio.fail_after(PATIENCE):
            while not deleted:
                deleted = isinstance(await anext(watcher), ProjectDeleted)
        assert dict(watcher.view("a").nodes) == {}
        await (await orchestrator.node_update("a", "m")).acked()
        await _until(watcher, "a", 1)
        assert list(watcher.view("a").nodes) == ["m"]
        for project in "ab":
            await _assert_same(hub, watcher.view(project))


async def test_a_refused_publish_is_told_to_its_receipt_and_the_rest_goes_on(tmp_path: Path) -> None:
    refused: list[str] = []
    async with (
        hub_process(tmp_path, "limits.max_nodes=1") as hub,
        open_orchestrator(
            hub.url, "builder", on_refused=lambda receipt, error: refused.append(error.code)
        ) as orchestrator,
    ):
        good = [await orchestrator.node_update("a", "n", progress=number) for number in range(3)]
        bad = await orchestrator.node_update("a", "m")
        good.append(await orchestrator.node_update("a", "n", progress=4))
        for one in good:
            await one.acked()
        with pytest.raises(PublishRefused) as error:
            await bad.acked()
        assert (error.value.code, refused) == ("project_full", ["project_full"])
        assert (await hub.state("a"))["seq"] == 4


async def test_a_publisher_without_trio_outlives_kill_9(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        publisher = Publisher(hub.url, "sync", backoff=SOON)

        def push(first: int) -> None:
            for number in range(first, first + 200):
                publisher.node_update("a", f"n{number}", title=str(number))

        await trio.to_thread.run_sync(push, 0)
        await hub.kill()
        await trio.to_thread.run_sync(push, 200)
        await hub.start()
        assert await trio.to_thread.run_sync(publisher.flush, 60)
        await trio.to_thread.run_sync(publisher.close)
        assert [one["data"]["node_id"] for one in await hub.events("a")] == [f"n{n}" for n in range(400)]
        statistics = publisher.statistics()
        assert (statistics.delivered, statistics.lost, statistics.waiting) == (400, 0, 0)
