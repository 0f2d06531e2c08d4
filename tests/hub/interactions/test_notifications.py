"""Users' logs: notifications, how far they are read, and watching them as a project is watched."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Retention
from tasktree_rt.core.access import EVERYTHING, OPEN, Grants, Scope
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Conflated, Message, Policy, StatePart, Subscribed
from tasktree_rt.errors import InvalidInput, PeerError, Refused
from tasktree_rt.hub.resume.feed import Events
from tests.hub.office import Office, an_office

MANY = 400


async def tell(office: Office, title: str = "hello", **more: Any) -> int:
    return (await office.hub.notifications.notify("anna", {"title": title, **more}, grants=OPEN)).first


def types(office_log: list[dict[str, Any]]) -> list[str]:
    return [one["type"] for one in office_log]


async def test_a_notification_is_stored_in_the_users_log_alone(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        given = {"title": "t", "body": "b", "level": "warning", "url": "https://x", "data": {"a": 1}}
        found = await office.hub.notifications.notify("anna", given, grants=OPEN)
        assert (found.project_id, found.first) == ("@anna", 1)
        (event,) = await office.log("@anna")
        assert (event["type"], event["user_id"], event["data"]) == ("notification", "anna", given)
        assert await office.broker.projects() == []
        assert office.hub.health.stored_projects == 0
        await office.restart()
        assert await tell(office) == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 257}, "title"),
        ({"title": 1}, "title"),
        ({"title": "t", "body": "x" * 5_000}, "body"),
        ({"title": "t", "data": []}, "data"),
        ({"title": "t", "data": {"a": "x" * 20_000}}, "data"),
        ({"title": "t", "titel": "t"}, "titel"),
    ],
)
async def test_what_is_wrong_is_named(autojump_clock: MockClock, given: dict[str, Any], field: str) -> None:
    async with an_office() as office:
        with pytest.raises(InvalidInput) as caught:
            await office.hub.notifications.notify("anna", given, grants=OPEN)
        assert caught.value.field == field
        assert await office.log("@anna") == []


async def test_who_may_call_and_who_may_read(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        for grants in (Grants("anna"), Grants("ci", push=EVERYTHING), OPEN):
            await office.hub.notifications.notify("anna", {"title": "t"}, grants=grants)
        for grants in (Grants("bert", push=Scope(("p", "@*"))), Grants("")):
            with pytest.raises(Refused):
                await office.hub.notifications.notify("anna", {"title": "t"}, grants=grants)
        with pytest.raises(Refused):
            await office.hub.notifications.read_up_to("anna", 1, grants=Grants("ci", push=EVERYTHING))
        with pytest.raises(InvalidInput):
            await office.hub.notifications.notify("", {"title": "t"}, grants=OPEN)
        assert await office.hub.notifications.read_up_to("anna", 1, grants=Grants("anna")) == 1


async def test_what_is_read_stays_read(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        assert await office.hub.notifications.read_up_to("anna", 5, grants=OPEN) == 0
        for _ in range(3):
            await tell(office)
        for seq, read in ((2, 2), (1, 2), (2, 2), (-5, 2), (99, 3)):
            assert await office.hub.notifications.read_up_to("anna", seq, grants=OPEN) == read
        assert types(await office.log("@anna")).count("notifications_read") == 2
        await office.restart()
        assert await office.hub.notifications.read_up_to("anna", 0, grants=OPEN) == 3
        project = await office.hub.cache.load("@anna")
        await office.hub.checkpoints.save(project)
        await office.restart()
        assert await office.hub.notifications.read_up_to("anna", 0, grants=OPEN) == 3


async def test_who_acknowledges_every_event_is_done_at_some_time(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await tell(office)
        acknowledged = 0
        while acknowledged < (head := len(await office.log("@anna"))):
            assert head < 5
            acknowledged = head
            await office.hub.notifications.read_up_to("anna", head, grants=OPEN)
        assert types(await office.log("@anna")) == ["notification", "notifications_read"]
        await tell(office)
        assert await office.hub.notifications.read_up_to("anna", 3, grants=OPEN) == 3


async def test_reading_goes_on_when_what_was_told_is_no_longer_in_memory(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        for _ in range(5):
            await tell(office)
        project = await office.hub.cache.load("@anna")
        await office.hub.checkpoints.save(project)
        floors = await office.broker.trim(Retention(0, 1e9), office.wall())
        project.trimmed(floors["@anna"].seq)
        assert await office.hub.notifications.read_up_to("anna", 4, grants=OPEN) == 4
        assert await office.hub.notifications.read_up_to("anna", 9, grants=OPEN) == 5


# --- watched as a project is ----------------------------------------------------------------------


async def given(messages: Any, wanted: int) -> list[Message | Events]:
    found: list[Message | Events] = []
    with trio.move_on_after(1):
        async for message in messages:
            found.append(message)
            if len(found) == wanted:
                break
    return found


async def test_a_users_log_is_watched_by_name_only(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await tell(office)
        async with office.hub.subscribe() as everything, office.hub.subscribe("@anna", state=True) as mine:
            assert [type(one) for one in await given(mine, 9)] == [Subscribed, StatePart]
            await tell(office)
            await office.hub.prompts.ask({"project_id": "p", "user_id": "anna", "message": "?"}, grants=OPEN)
            assert [type(one) for one in await given(mine, 2)] == [Events, Events]
            told = {getattr(one, "project_id", "p") for one in await given(everything, 9)}
            assert told == {"p"}


async def test_nobody_watches_another_users_log(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await tell(office)
        bert = Grants("bert", watch=EVERYTHING, push=EVERYTHING)
        with pytest.raises(PeerError) as caught:
            async with office.hub.subscribe("@anna", grants=bert):
                pass
        assert caught.value.code == "forbidden"


async def test_a_user_who_comes_back_goes_on_where_they_stood(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        for _ in range(3):
            await tell(office)
        epoch = (await office.hub.cache.load("@anna")).epoch
        await office.restart()
        async with office.hub.subscribe("@anna", since=Position(epoch, 1)) as mine:
            subscribed, events = await given(mine, 2)
        assert isinstance(subscribed, Subscribed)
        assert subscribed.recovered is True
        assert isinstance(events, Events)
        assert [one.seq for one in events.records] == [2, 3]


@pytest.mark.parametrize("policy", [Policy.CONFLATE, Policy.RESYNC])
async def test_one_who_falls_behind_gets_the_open_prompts_as_they_are(
    autojump_clock: MockClock, policy: Policy
) -> None:
    async with an_office() as office:
        await tell(office)
        async with office.hub.subscribe("@anna", state=True, policy=policy) as mine:
            await given(mine, 9)
            for name in "abc":
                await office.hub.prompts.ask(
                    {"user_id": "anna", "prompt_id": name, "message": "?"}, grants=OPEN
                )
            await office.hub.prompts.answer("b", {"proceed": True}, grants=OPEN, via={})
            for _ in range(MANY):
                await tell(office, body="x" * 100)
            assert await office.hub.notifications.read_up_to("anna", 10, grants=OPEN) == 10
            await wait_all_tasks_blocked()
            found = await given(mine, MANY)
        tree = (await office.hub.cache.load("@anna")).tree
        kind = Conflated if policy is Policy.CONFLATE else StatePart
        (last,) = [one for one in found if isinstance(one, kind)]
        top = last.top
        assert top is not None
        assert [one["prompt_id"] for one in top["prompts"]] == ["a", "c"]
        assert top["read"] == 10
        assert last.position == Position(tree.epoch, tree.head)


async def test_a_trimmed_users_log_keeps_its_open_prompts(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        await office.hub.prompts.ask({"user_id": "anna", "prompt_id": "a", "message": "?"}, grants=OPEN)
        for _ in range(10):
            await tell(office)
        await office.hub.checkpoints.save(await office.hub.cache.load("@anna"))
        for _ in range(10):
            await tell(office)
        await office.broker.trim(Retention(5, 1e9), office.wall())
        await office.restart()
        project = await office.hub.cache.load("@anna")
        assert [one["prompt_id"] for one in project.tree.top["prompts"]] == ["a"]
        assert project.floor > 0
        outcome = await office.hub.prompts.answer("a", {"proceed": True}, grants=OPEN, via={})
        assert outcome["how"] == "answered"
        assert project.tree.top["prompts"] == []
