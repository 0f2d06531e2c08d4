"""What one subject makes is bounded, durable or not, and counts until it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.access import EVERYTHING, OPEN, Grants
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.errors import PeerError, Refused, Unavailable
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.projects.quotas import OPEN as OPEN_KIND
from tasktree_rt.hub.projects.quotas import PROJECT, SNAPSHOT, USER_LOG
from tasktree_rt.settings import Limits, Settings
from tests.hub.world import Store

ADA, BOB = "sub:ada", "sub:bob"
CI = Grants("ci", push=EVERYTHING, answer=EVERYTHING, watch=EVERYTHING)


@asynccontextmanager
async def a_hub(broker: Broker | None = None, **limits: int) -> AsyncIterator[Hub]:
    async with open_hub(broker or MemoryBroker(), Settings(limits=Limits(**limits))) as hub:
        yield hub


async def say(
    hub: Hub, project: str, owner: str, kind: str = "x", data: dict[str, Any] | None = None
) -> None:
    await hub.publish(Event(kind, ProjectId(project), data or {}, hub.timestamp()), owner=owner)


async def full(hub: Hub, project: str, owner: str) -> str:
    with pytest.raises(Refused) as caught:
        await say(hub, project, owner)
    return caught.value.code


async def test_projects_by_one_producer_leave_room_for_everybody_else() -> None:
    async with a_hub(max_per_subject=3, max_projects=5) as hub:
        for number in range(3):
            await say(hub, f"a{number}", ADA)
        assert await full(hub, "a3", ADA) == "subject_full"
        await say(hub, "a0", ADA)  # it may go on with what it has
        await say(hub, "b0", BOB)
        await say(hub, "a0", BOB)
        await say(hub, "b1", BOB)
        assert await full(hub, "b2", BOB) == "project_full"
        await hub.delete_project("a1")
        await say(hub, "a3", ADA)
        assert (hub.quotas.of(ADA), hub.quotas.of(BOB), hub.health.stored_projects) == (3, 2, 5)


async def test_whose_a_project_is_survives_the_hub(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.db")
    async with a_hub(SqliteBroker(path), max_per_subject=4) as hub:
        await say(hub, "a", ADA)
        await say(hub, "b", ADA)
        await hub.notifications.notify("anna", {"title": "T"}, grants=CI)
        await hub.prompts.ask({"project_id": "a", "message": "?"}, grants=CI)
        await hub.snapshots.keep("a", "s", ADA, lambda: hub.state("a"))
    async with a_hub(SqliteBroker(path), max_per_subject=3) as hub:
        assert (hub.quotas.of(ADA, PROJECT), hub.quotas.of(ADA, SNAPSHOT)) == (2, 1)
        assert (hub.quotas.of("sub:ci", USER_LOG), hub.quotas.of("sub:ci", OPEN_KIND)) == (1, 1)
        assert await full(hub, "c", ADA) == "subject_full"
        await hub.delete_project("a")  # and with it its snapshot and its prompt
        assert (hub.quotas.of(ADA), hub.quotas.of("sub:ci")) == (1, 1)


async def test_publishes_on_their_way_count_and_those_that_fail_do_not(autojump_clock: MockClock) -> None:
    store = Store()
    async with a_hub(store, max_per_subject=2) as hub, trio.open_nursery() as nursery:
        store.hold_appends()
        nursery.start_soon(say, hub, "a", ADA)
        nursery.start_soon(say, hub, "b", ADA)
        await wait_all_tasks_blocked()
        assert await full(hub, "c", ADA) == "subject_full"
        store.release_appends()
        await wait_all_tasks_blocked()
        await hub.delete_project("a")
        await hub.delete_project("b")
        store.failing = True
        for _ in range(5):
            with pytest.raises(Unavailable):
                await say(hub, "d", ADA)
        assert hub.quotas.of(ADA) == 0
        store.failing = False
        await trio.sleep(60)  # the hub finds out
        await say(hub, "d", ADA)
        await say(hub, "e", ADA)


async def test_a_project_that_begins_anew_counts_as_whose_it_is_then() -> None:
    store = Store()
    async with a_hub(store) as hub:
        await say(hub, "p", ADA)
        async with trio.open_nursery() as nursery:
            store.hold_appends()
            nursery.start_soon(hub.delete_project, "p")
            await wait_all_tasks_blocked()
            nursery.start_soon(say, hub, "p", BOB)
            await wait_all_tasks_blocked()
            store.release_appends()
        assert (hub.quotas.of(ADA), hub.quotas.of(BOB), hub.health.stored_projects) == (0, 1, 1)
        gone = {"project_id": "q"}
        now = hub.timestamp()
        both = [Event("x", ProjectId("q"), {}, now), Event("project_deleted", ProjectId("q"), gone, now)]
        await hub.publish(both, owner=ADA)  # a whole life in one publish
        assert hub.quotas.of(ADA) == 0


async def test_users_logs_are_bounded() -> None:
    async with a_hub(max_user_logs=3, max_per_subject=2) as hub:
        await hub.notifications.notify("anna", {"title": "T"}, grants=CI)
        await hub.prompts.ask({"user_id": "bert", "message": "?", "prompt_id": "q"}, grants=CI)
        await hub.notifications.notify("anna", {"title": "again"}, grants=CI)
        with pytest.raises(Refused, match="max_per_subject"):
            await hub.notifications.notify("carl", {"title": "T"}, grants=CI)
        await hub.notifications.notify("carl", {"title": "T"}, grants=OPEN)
        with pytest.raises(Refused, match="max_user_logs"):
            await hub.notifications.notify("dora", {"title": "T"}, grants=OPEN)


async def test_prompts_that_are_open_are_bounded_over_all_projects() -> None:
    async with a_hub(max_open=4) as hub:
        for number in range(2):
            await hub.prompts.ask(
                {"project_id": f"p{number}", "message": "?", "prompt_id": f"q{number}"}, grants=CI
            )
        with pytest.raises(Refused) as caught:
            await hub.prompts.ask({"project_id": "p3", "message": "?"}, grants=CI)
        assert (caught.value.code, caught.value.retry_after) == ("rate_limited", 1.0)
        await hub.prompts.ask({"project_id": "p0", "message": "?"}, grants=OPEN.at("10.0.0.1"))
        await hub.prompts.answer("q0", {"proceed": True}, grants=CI, via={})
        await hub.prompts.ask({"project_id": "p3", "message": "?"}, grants=CI)


# --- snapshots ---------------------------------------------------------------------------------------


async def keep(hub: Hub, project: str, owner: str = ADA) -> str:
    return (await hub.snapshots.keep(project, "", owner, lambda: hub.state(project))).snapshot_id


async def test_a_project_has_so_many_snapshots_and_deleting_one_makes_room() -> None:
    async with a_hub(max_snapshots_per_project=2, max_snapshots=100) as hub:
        for project in ("p", "q"):
            await say(hub, project, ADA)
        first, _ = await keep(hub, "p"), await keep(hub, "p")
        with pytest.raises(Refused, match="max_snapshots_per_project") as caught:
            await keep(hub, "p")
        assert (caught.value.code, caught.value.field) == ("project_full", "project_id")
        await keep(hub, "q")
        await hub.snapshots.delete("p", first)
        with pytest.raises(Refused, match=f"no snapshot '{first}'"):
            await hub.snapshots.delete("p", first)
        await keep(hub, "p")
        assert (len(await hub.snapshots.of("p")), hub.quotas.total(SNAPSHOT)) == (2, 3)


async def test_snapshots_by_one_subject_leave_room_for_others_and_end_with_their_project() -> None:
    async with a_hub(max_snapshots=4) as hub:
        await say(hub, "p", ADA)
        await say(hub, "q", ADA)
        await keep(hub, "p")
        await keep(hub, "q")
        with pytest.raises(Refused) as caught:
            await keep(hub, "p")
        assert caught.value.code == "subject_full"
        await keep(hub, "p", BOB)
        await hub.delete_project("p")
        assert (hub.quotas.of(ADA, SNAPSHOT), hub.quotas.of(BOB, SNAPSHOT)) == (1, 0)


async def test_a_snapshot_that_is_not_kept_does_not_count() -> None:
    async with a_hub(max_snapshots_per_project=1) as hub:
        await say(hub, "p", ADA)
        for at in (99, -1):
            with pytest.raises(PeerError):
                await hub.snapshots.keep("p", "", ADA, lambda at=at: hub.state("p", at))  # type: ignore[misc]
        with pytest.raises(Refused):
            await keep(hub, "none")
        assert hub.quotas.total(SNAPSHOT) == 0

        async def ends_meanwhile() -> Any:
            found = await hub.state("p")
            await hub.delete_project("p")
            return found

        with pytest.raises(Refused, match="deleted meanwhile"):
            await hub.snapshots.keep("p", "", ADA, ends_meanwhile)
        assert (hub.quotas.total(SNAPSHOT), await hub._broker.snapshots(None)) == (0, [])
