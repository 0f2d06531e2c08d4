"""A client that subscribes once goes on hearing over every close that it did not ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.compat.autogpt import remembered_views as returning
from tasktree_rt.compat.autogpt.channels import EXECUTION as EXECUTION_KIND
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.payloads import read_execution
from tasktree_rt.compat.autogpt.remembered_views import hidden_topic, remembered_views
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.close_codes import INTERNAL, RESTART, TOKEN_INVALID, Closing
from tasktree_rt.core.topics import live_topic, user_id
from tasktree_rt.errors import InvalidInput, PeerError, ProjectDamaged, Unavailable
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.settings import AutoGpt as Chosen
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.hub.transport import Carried
from tests.hub.world import Store, small

WINDOW = 60.0
EXECUTION = {"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}}
EXECUTIONS = {"method": "subscribe_graph_executions", "data": {"graph_id": "g"}}


class House:
    def __init__(self, hub: Hub, nursery: trio.Nursery) -> None:
        self.hub = hub
        self.nursery = nursery
        self.intake = Intake(hub, mirror=False)

    def comes(self, user: str = "u", **more: Any) -> Carried:
        return Carried(ViewSession(self.hub, AutoGpt(), user, **more), self.nursery)

    async def watches(self, *wishes: Any, user: str = "u", **more: Any) -> Carried:
        """One that has subscribed."""
        found = self.comes(user, **more)
        for one in wishes:
            found.send(one)
        await wait_all_tasks_blocked()
        assert [one["success"] for one in found.received()] == [True] * len(wishes)
        return found

    def event(self, payload: dict[str, Any], **more: Any) -> int:
        return self.intake.event(read_execution(body({**payload, **more})))


@asynccontextmanager
async def house(window: float = WINDOW, broker: MemoryBroker | None = None) -> AsyncIterator[House]:
    settings = small(autogpt=Chosen(inherit_window=window), limits={"max_subscriptions": 20})
    async with open_hub(broker or MemoryBroker(), settings) as hub, trio.open_nursery() as nursery:
        yield House(hub, nursery)
        nursery.cancel_scope.cancel()


async def shown(carried: Carried) -> list[tuple[str, Any]]:
    """The channels of what was shown, and its mark."""
    await wait_all_tasks_blocked()
    return [(one["channel"], one["data"].get("mark")) for one in carried.received() if one["data"]]


@pytest.mark.parametrize("closing", [TOKEN_INVALID, RESTART, INTERNAL])
async def test_what_the_hub_closed_goes_on_in_the_next_connection(
    autojump_clock: MockClock, closing: Closing
) -> None:
    async with house() as world:
        before = await world.watches(EXECUTIONS)
        before.session.close(closing)
        before.end(1000)
        after = world.comes()
        assert world.event(GRAPH, mark=1) == 2, "it, and whoever comes next"
        assert await shown(after) == [("u|graph#g|executions", 1)]


async def test_a_connection_that_broke_off_goes_on_and_one_that_left_does_not(
    autojump_clock: MockClock,
) -> None:
    async with house() as world:
        for code, goes_on in ((None, True), (1000, False), (1001, False), (1005, False)):
            user = f"u{code}"
            (await world.watches(EXECUTION, user=user)).end(code)
            after = world.comes(user)
            world.event(NODE, user_id=user, mark=code)
            assert await shown(after) == [(f"{user}|graph_exec#e", code)] * goes_on


async def test_what_came_in_between_is_shown_the_newest_of_each_execution_and_node(
    autojump_clock: MockClock,
) -> None:
    async with house() as world:
        before = await world.watches(EXECUTION, EXECUTIONS)
        before.session.close(RESTART)  # and the peer is slow to go
        for mark in range(3):
            world.event(GRAPH, mark=mark)
            world.event(NODE, mark=mark, node_exec_id="x1")
        world.event(NODE, mark=9, node_exec_id="x2")
        await world.hub.notifications.notify("u", {"title": "once"}, grants=OPEN)
        before.end(1000)
        for after in (world.comes(), world.comes()):
            assert await shown(after) == [
                ("u|graph_exec#e", 2),
                ("u|graph#g|executions", 2),
                ("u|graph_exec#e", 2),
                ("u|graph_exec#e", 9),
            ]


async def test_every_connection_of_the_user_inherits_and_nobody_elses(autojump_clock: MockClock) -> None:
    """Two tabs are closed and come back in any order: each hears what either asked for."""
    async with house() as world:
        for wish in (EXECUTION, EXECUTIONS):
            one = await world.watches(wish)
            one.session.close(RESTART)
            one.end(1000)
        stranger = world.comes("v")
        tabs = [world.comes(), world.comes()]
        world.event(GRAPH, mark=1)
        world.event(GRAPH, user_id="v", mark=2)
        for tab in tabs:
            assert sorted(await shown(tab)) == [("u|graph#g|executions", 1), ("u|graph_exec#e", 1)]
        assert await shown(stranger) == []


async def test_after_a_while_nothing_is_left_and_nothing_is_held(autojump_clock: MockClock) -> None:
    async with house() as world:
        before = await world.watches(EXECUTIONS)
        before.session.close(RESTART)
        before.end(1000)
        await trio.sleep(WINDOW + 2)
        assert world.event(GRAPH) == 0
        assert await shown(world.comes()) == []


async def test_it_can_be_switched_off(autojump_clock: MockClock) -> None:
    async with house(window=0) as world:
        before = await world.watches(EXECUTIONS)
        before.session.close(RESTART)
        before.end(1000)
        assert world.event(GRAPH) == 0


async def test_an_expired_token_ends_the_connection_and_the_next_one_hears_on(
    autojump_clock: MockClock,
) -> None:
    async with house() as world:
        soon = world.hub.wall() / 1_000_000 - 1
        before = await world.watches(EXECUTIONS, expires=soon)
        await trio.sleep(2)
        assert before.received() == []
        assert before.transport.close_read == (4003, "token invalid or expired")
        before.end(1000)
        after = world.comes(expires=soon + 1e6)
        world.event(GRAPH, mark=1)
        assert await shown(after) == [("u|graph#g|executions", 1)]


async def test_more_than_may_wait_is_told_and_the_subscriptions_go_on(autojump_clock: MockClock) -> None:
    async with house() as world:
        before = await world.watches(EXECUTION)
        before.session.close(RESTART)
        before.end(1000)
        for number in range(40):
            world.event(NODE, node_exec_id=f"x{number}")
        after = world.comes()
        await wait_all_tasks_blocked()
        assert [one["error"] for one in after.received()] == [returning.MISSED]
        world.event(NODE, mark=1)
        assert await shown(after) == [("u|graph_exec#e", 1)]


async def test_what_waits_for_all_together_is_bounded_and_the_first_to_go_are_given_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returning, "MOST_BYTES", 1_500)
    monkeypatch.setattr(returning, "MOST_USERS", 3)
    async with house() as world:
        for number in range(5):
            one = await world.watches(EXECUTION, user=f"u{number}")
            one.session.close(RESTART)
            one.end(1000)
            assert world.event(NODE, user_id=f"u{number}", mark="x" * 600) == 1
        await trio.sleep(2 * returning.ROUND)
        heard = []
        for number in range(5):
            after = world.comes(f"u{number}")
            await wait_all_tasks_blocked()
            heard.append([one["method"] for one in after.received()])
        assert heard == [[], [], ["error"], ["error"], ["node_execution_event"]]


async def test_the_subscriptions_of_all_who_left_are_bounded_together(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returning, "MOST_TOPICS", 7)
    async with house() as world:
        wishes = [{**EXECUTION, "data": {"graph_exec_id": f"e{number}"}} for number in range(3)]
        for user in ("first", "second", "second", "third"):
            one = await world.watches(*wishes, user=user)
            one.session.close(RESTART)
            one.end(1000)
        left = {
            user: len(world.hub.ephemeral_topics.topics(world.comes(user).session.subscriber)) - 1
            for user in ("first", "second", "third")
        }
        assert left == {"first": 0, "second": 3, "third": 3}
        await trio.sleep(WINDOW + 2)
        for user in ("fourth", "fifth"):
            one = await world.watches(*wishes, user=user)
            one.session.close(RESTART)
            one.end(1000)
        assert len(world.hub.ephemeral_topics.topics(world.comes("fourth").session.subscriber)) == 4, (
            "nothing else counts"
        )


async def test_what_is_inherited_leaves_room_for_what_is_asked_for(autojump_clock: MockClock) -> None:
    async with house() as world:
        half = world.hub.settings.limits.max_subscriptions // 2
        for first in (0, half, 2 * half):
            one = world.comes()
            for number in range(first, first + half - 1):
                one.send({**EXECUTION, "data": {"graph_exec_id": f"e{number}"}})
            await wait_all_tasks_blocked()
            assert all(said["success"] for said in one.received())
            one.session.close(RESTART)
            one.end(1000)
        topics = world.hub.ephemeral_topics.topics(world.comes().session.subscriber)
        assert len(topics) == half + 1
        assert {live_topic(EXECUTION_KIND, "u", f"e{2 * half + n}") for n in range(half - 1)} <= topics


# --- over a restart -------------------------------------------------------------------------------------


async def test_a_hub_that_stops_leaves_it_to_the_next_one(autojump_clock: MockClock) -> None:
    broker = MemoryBroker()
    async with house(broker=broker) as world:
        await world.watches(EXECUTION, EXECUTIONS)
        await world.watches(EXECUTIONS, user="v")
        await world.hub.drain()
    async with house(broker=broker) as world:
        for user in ("u", "v"):
            after = world.comes(user)
            await wait_all_tasks_blocked()
            world.event(GRAPH, user_id=user, mark=1)
            expected = [(f"{user}|graph#g|executions", 1)]
            assert sorted(await shown(after)) == [
                *expected,
                *([("u|graph_exec#e", 1)] if user == "u" else []),
            ]
        assert await shown(world.comes("w")) == []


async def test_what_was_written_down_is_only_for_a_while_and_for_nobodys_eyes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = MemoryBroker()
    async with house(broker=broker) as world:
        await world.watches(EXECUTIONS)
        await world.hub.drain()
    topic = hidden_topic("u")
    with pytest.raises(InvalidInput):
        user_id(topic[1:])
    async with house(broker=broker) as world:
        project = await world.hub.cache.load(topic)
        assert project.tree.head == 1
        assert await broker.projects() == []
        assert await remembered_views(world.hub).recall("u") == [("autogpt.graph", "g")]
    async with house(broker=broker, window=0.001) as world:
        await world.watches(EXECUTIONS, user="v")
        await world.hub.drain()
        later = world.hub.wall() + 1_001
        monkeypatch.setattr(world.hub.context, "wall", lambda: later)
        assert await remembered_views(world.hub).recall("v") == []


async def test_a_store_that_fails_or_hangs_then_harms_nothing_else_and_it_is_said(
    autojump_clock: MockClock,
) -> None:
    for fault in ("fails", "hangs"):
        store = Store()
        async with house(broker=store) as world:
            await world.watches(EXECUTIONS)
            with capture_logs() as lines:
                store.failing = fault == "fails"
                if fault == "hangs":
                    store.hold_appends()
                await world.hub.drain()
            store.release_appends()
            store.failing = False
        said = [one for one in lines if one["event"] == "subscriptions not kept over the restart"]
        assert [one["users"] for one in said] == [1]


@pytest.mark.parametrize(
    "error", [Unavailable("the disk is gone"), ProjectDamaged("@u", "its last row is missing")]
)
async def test_a_connection_whose_subscriptions_cannot_be_read_stays_and_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, error: PeerError
) -> None:
    async with house() as world:

        async def load(_: str) -> None:
            raise error

        monkeypatch.setattr(world.hub.cache, "load", load)
        after = world.comes()
        await wait_all_tasks_blocked()
        assert [one["error"] for one in after.received()] == [returning.MISSED]
        after.send(EXECUTION)
        await wait_all_tasks_blocked()
        assert [one["success"] for one in after.received()] == [True]
