"""A project that cannot be read: it says so, harms nobody, is deleted, and goes on when it is recovered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tasktree_rt.brokers.base import Append, Checkpoint, Draft, Retention
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Conflated, Failure, Message, Reply, StatePart, Subscribed
from tasktree_rt.errors import PeerError, ProjectDamaged, Refused, StoreUnavailable
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.projects.repair import Lost, Recovered
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.settings import Settings
from tests.damage import BAD, EVENTS, GOOD, KINDS, body, damage, event, fill, made, make, statement

NEWEST = {f"n{number % 5}": number for number in range(8, EVENTS + 1)}
"""What each node says last."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def hub_on(path: Path) -> AsyncIterator[Hub]:
    async with open_hub(SqliteBroker(str(path)), Settings()) as hub:
        yield hub


async def nodes(hub: Hub, project: str) -> dict[str, int]:
    return {node_id: node.fields["newest"] for node_id, node in await hub.state(project)}


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_is_damaged_is_told_by_its_name_and_nothing_else_suffers(
    path: Path, kind: str
) -> None:
    await make(path, KINDS[kind])
    async with hub_on(path) as hub:
        with capture_logs() as lines:
            for _ in range(3):
                for call in (lambda: hub.state(BAD), lambda: hub.publish(made(hub, BAD, 13))):
                    with pytest.raises(ProjectDamaged) as caught:
                        await call()
                    assert (caught.value.code, caught.value.status) == ("project_damaged", 409)
                    assert caught.value.retry_after is None
        assert [one["event"] for one in lines] == ["project damaged"]
        await hub.publish(made(hub, GOOD, 13))
        assert (await hub.state(GOOD)).seq == 13
        assert hub.statistics().store_error is None


@pytest.mark.parametrize("kind", KINDS)
async def test_it_can_be_deleted_and_begun_anew(path: Path, kind: str) -> None:
    await make(path, KINDS[kind])
    async with hub_on(path) as hub:
        await hub.delete_project(BAD)
        with pytest.raises(Refused, match="there is no project"):
            await hub.state(BAD)
        assert [one.project_id for one in await hub.cache.page("")] == [GOOD]
        await hub.publish(made(hub, BAD, 1))
        assert await nodes(hub, BAD) == {"n1": 1}
        await hub._broker.trim(Retention(1_000, 1e9), hub.wall())
    async with hub_on(path) as hub:
        assert await nodes(hub, BAD) == {"n1": 1}
        assert await nodes(hub, GOOD) == NEWEST


@pytest.mark.parametrize("kind", KINDS)
async def test_it_goes_on_from_the_newest_good_checkpoint_and_what_can_be_read(path: Path, kind: str) -> None:
    await make(path, KINDS[kind])
    async with hub_on(path) as hub:
        before = next(one for one in await hub.cache.page("") if one.project_id == BAD).epoch
        found = await hub.recover(BAD)
        assert found.position.seq == EVENTS
        assert found.checkpoint == (4 if "checkpoint" in kind else 8)
        lost = {seq for one in found.lost for seq in range(one.first, one.last + 1)}
        assert found.position.epoch not in ("", before)
        assert set(NEWEST.values()) - set((await nodes(hub, BAD)).values()) <= lost
        await hub.publish(made(hub, BAD, 13))
        assert await hub.recover(BAD) == Recovered(
            Position(found.position.epoch, 13), (await hub.cache.load(BAD)).checkpointed, ()
        )
        there = await nodes(hub, BAD)
    async with hub_on(path) as hub:
        assert await nodes(hub, BAD) == there
        assert (await hub.state(BAD)).epoch == found.position.epoch


async def test_events_behind_the_damage_stay_in_the_log(path: Path) -> None:
    await make(path, body(10, "?"), statement(f"DELETE FROM event WHERE {event('= 6')}"))
    async with hub_on(path) as hub:
        found = await hub.recover(BAD)
        assert [(one.first, one.last) for one in found.lost] == [(10, 10)]
        epoch = found.position.epoch
        assert (await hub.state(BAD, 11)).seq == 11
        assert (await hub.state(BAD, 10)).seq == 10
        with pytest.raises(Refused) as caught:
            await hub.state(BAD, 9)
        assert caught.value.code == "gone"
        assert (await hub.cache.load(BAD)).position == Position(epoch, 12)


async def test_without_a_good_checkpoint_everything_that_is_left_is_reduced(path: Path) -> None:
    await make(path, statement("UPDATE part SET body = x'00'"), body(3, "?"), body(4, "!"))
    async with hub_on(path) as hub:
        found = await hub.recover(BAD)
        assert found.checkpoint == 0
        assert [(one.first, one.last) for one in found.lost] == [(3, 3), (4, 4)]
        assert await nodes(hub, BAD) == NEWEST


async def test_a_trimmed_log_without_a_good_checkpoint_goes_on_with_what_is_left(path: Path) -> None:
    await make(path)
    broker = SqliteBroker(str(path))
    await broker.open()
    await broker.trim(Retention(5, 1e9), 0)
    await broker.aclose()
    damage(path, statement("UPDATE part SET body = x'00'"))
    async with hub_on(path) as hub:
        found = await hub.recover(BAD)
        assert found.lost == (Lost(1, 4, "no stored state can be read"),)
        assert await nodes(hub, BAD) == NEWEST
        assert (await hub.cache.load(BAD)).floor == 4


async def test_damage_behind_a_checkpoint_is_a_gap_to_who_resumes_there(path: Path) -> None:
    await make(path, body(3, "?"), statement(f"DELETE FROM event WHERE {event('= 6')}"))
    async with hub_on(path) as hub:
        project = await hub.cache.load(BAD)
        assert await nodes(hub, BAD) == NEWEST
        for seq in (0, 2, 5):
            async with hub.subscribe(BAD, since=project.position_at(seq)) as messages:
                told = [await anext(messages) for _ in range(2)]
                assert isinstance(told[0], Subscribed)
                assert isinstance(told[1], StatePart)
        async with hub.subscribe(BAD, since=project.position_at(9)) as messages:
            told = [await anext(messages) for _ in range(2)]
            assert isinstance(told[1], Events)


async def test_who_watches_all_is_told_which_cannot_be_read_and_goes_on(path: Path) -> None:
    await make(path, body(10, "?"))
    async with hub_on(path) as hub, hub.subscribe("*", state=True) as messages:
        told = await until(messages, Reply)
        failures = [one for one in told if isinstance(one, Failure)]
        assert [(one.code, one.topic) for one in failures] == [("project_damaged", BAD)]
        assert {one.project_id for one in told if isinstance(one, Subscribed)} == {GOOD}
        await hub.publish(made(hub, GOOD, 13))
        assert (await until(messages, Events, Conflated))[-1].project_id == GOOD  # type: ignore[union-attr]
        found = await hub.recover(BAD)
        told = await until(messages, StatePart)
        assert told[0] == Subscribed(BAD, Position(found.position.epoch, 0), None)
        assert isinstance(told[-1], StatePart)
        assert told[-1].position == found.position
        await hub.publish(made(hub, BAD, 13))
        assert (await until(messages, Events, Conflated))[-1].project_id == BAD  # type: ignore[union-attr]
        await hub.delete_project(BAD)
        assert (await until(messages, Events))[-1].records[-1].type == "project_deleted"  # type: ignore[union-attr]


async def test_who_watches_all_is_told_of_the_end_of_what_could_not_be_read(path: Path) -> None:
    await make(path, body(10, "?"))
    async with hub_on(path) as hub, hub.subscribe("*", state=True) as messages:
        await until(messages, Reply)
        await hub.delete_project(BAD)
        told = (await until(messages, Events))[-1]
        assert isinstance(told, Events)
        assert (told.project_id, told.records[-1].type) == (BAD, "project_deleted")


async def until(messages: AsyncIterator[Message | Events], *kinds: type) -> list[Message | Events]:
    told: list[Message | Events] = []
    with trio.fail_after(60):
        while not told or not isinstance(told[-1], kinds):
            told.append(await anext(messages))
    return told


async def test_the_list_shows_it_as_damaged_once_it_is_known(path: Path) -> None:
    await make(path, body(10, "?"))
    async with hub_on(path) as hub:
        viewer = hub.directory.open(OPEN.watch)
        assert b"damaged" not in (await viewer.next(1.0) or b"")
        with pytest.raises(ProjectDamaged):
            await hub.state(BAD)
        assert b'"damaged":true' in (await viewer.next(60.0) or b"")
        page = await hub.directory.page("", 10, OPEN.watch)
        assert [b'"damaged":true' in said for _, said in page.lines] == [True, False]
        assert [b'"nodes":5' in said for _, said in page.lines] == [True, True]
        await hub.recover(BAD)
        assert b"damaged" not in (await viewer.next(60.0) or b"")
        viewer.close()


async def test_a_deletion_that_fails_leaves_it_as_damaged_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def full(*_: Any) -> Any:
        raise StoreUnavailable("full")

    await make(path, body(10, "?"))
    async with hub_on(path) as hub:
        with monkeypatch.context() as patched:
            patched.setattr(hub._broker, "append", full)
            with pytest.raises(PeerError, match="full"):
                await hub.delete_project(BAD)
            patched.setattr(hub._broker, "save_checkpoint", full)
            patched.setattr(hub._broker, "recover", full)
            with pytest.raises(PeerError, match="full"):
                await hub.recover(BAD)
        with pytest.raises(ProjectDamaged):
            await hub.state(BAD)
        await hub.recover(BAD)
        assert (await hub.state(BAD)).seq == EVENTS


async def test_retention_spares_what_is_known_to_be_damaged(path: Path) -> None:
    await make(path, statement("UPDATE part SET body = x'00'"))
    async with hub_on(path) as hub:
        with pytest.raises(ProjectDamaged):
            await hub.state(BAD)
        await hub._broker.trim(Retention(1, 1.0), hub.wall() * 2, spared=hub.cache.damaged)
        assert (await hub.recover(BAD)).lost == ()


async def test_what_is_not_damaged_is_not_recovered(path: Path) -> None:
    async with open_hub(MemoryBroker(), Settings()) as hub:
        await fill(hub)
        project = await hub.cache.load(BAD)
        assert (await hub.recover(BAD)).position == project.position
        with pytest.raises(Refused, match="there is no project"):
            await hub.recover("none")


async def test_a_users_log_is_recovered_as_a_projects(path: Path) -> None:
    await make(path)
    async with hub_on(path) as hub:
        for number in range(3):
            await hub.notifications.notify("ada", {"title": f"t{number}"}, grants=OPEN)
    life = "(SELECT life FROM life WHERE project LIKE '@%')"
    damage(path, statement(f"UPDATE event SET body = x'00' WHERE key >> 36 = {life} AND key & 3 = 2"))
    async with hub_on(path) as hub:
        with pytest.raises(ProjectDamaged):
            await hub.notifications.notify("ada", {"title": "t"}, grants=OPEN)
        await hub.notifications.notify("bob", {"title": "t"}, grants=OPEN)
        (topic,) = hub.cache.damaged
        await hub.recover(topic)
        assert (await hub.notifications.notify("ada", {"title": "t"}, grants=OPEN)).first == 4


async def test_a_prompt_that_cannot_be_read_keeps_neither_the_hub_nor_its_project_from_working(
    path: Path,
) -> None:
    await make(path)
    async with hub_on(path) as hub:
        for name in ("x1", "x2"):
            given = {"project_id": GOOD, "message": "go?", "prompt_id": name}
            await hub.prompts.ask(given, grants=OPEN)
    damage(path, statement("UPDATE matter SET body = x'7b' WHERE name = 'x1'"))
    with capture_logs() as lines:
        async with hub_on(path) as hub:
            with pytest.raises(ProjectDamaged, match="the prompt 'x1' cannot be read"):
                await hub.prompts.find("x1", grants=OPEN)
            assert (await hub.prompts.find("x2", grants=OPEN)).data["message"] == "go?"
            assert (await hub.state(GOOD)).seq == EVENTS + 2
            await hub.delete_project(GOOD)
    assert [one["event"] for one in lines if not one["event"].startswith("older copy")] == ["record damaged"]
    with capture_logs() as lines:
        async with hub_on(path) as hub:
            assert await hub._broker.interactions(open=True) == []
    assert lines == []


async def test_a_state_without_a_broker_that_knows_damage_is_read_as_ever() -> None:
    broker = MemoryBroker()
    await broker.append([Append("p", (Draft("log", None, b"?"),), 1, "e1")])
    await broker.save_checkpoint("p", Checkpoint("e1", 1, (b"{",)))
    async with open_hub(broker, Settings()) as hub:
        with pytest.raises(ProjectDamaged):
            await hub.state("p")
        found = await hub.recover("p")
        assert [(one.first, one.last) for one in found.lost] == [(1, 1)]
        assert (await hub.state("p")).seq == 1
