"""A user's log is watched as a project is; its read marks arrive whatever is lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tasktree_rt.client import (
    Backoff,
    Conflated,
    Position,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    SubscriptionRefused,
    TreeView,
    open_api_client,
    open_watcher,
)
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tests.client.fakehub import Json, Peer, fake_hub
from tests.client.following import conflated, event, heartbeat, state
from tests.client.watching import until
from tests.web.realhub import auth, real_hub, token

AT_ONCE = Backoff(base=0.0, cap=0.0)


def of_user(message: Json, user: str = "anna") -> Json:
    """The same said of a user's log."""
    found = {key: value for key, value in message.items() if key != "project_id"} | {"user_id": user}
    if "events" in found:
        found["events"] = [of_user(one, user) for one in found["events"]]
    return found


@pytest.fixture
def follower() -> SubscriptionState:
    made = SubscriptionState("conflate")
    made.subscribe("@anna", None, state=True)
    made.opening()
    [request] = made.requests
    said = {"type": "subscribed", "id": request["id"], "seq": 1, "epoch": "e", "recovered": None}
    assert made.receive({**said, "user_id": "anna"}) == [Subscribed("@anna", Position("e", 1), None)]
    made.requests.clear()
    return made


def test_a_user_is_asked_for_by_name() -> None:
    made = SubscriptionState("conflate")
    made.subscribe("@anna", None, state=True)
    made.subscribe("*", None, state=True)
    made.opening()
    asked = [(one["type"], one.get("user_id"), one.get("project_id")) for one in made.requests]
    assert asked == [
        ("unsubscribe", None, "*"),
        ("subscribe", "anna", None),
        ("subscribe", None, "*"),
    ]


def test_messages_of_a_user_move_the_position_of_the_topic(follower: SubscriptionState) -> None:
    [replaced] = follower.receive(of_user(state("e:1")))
    assert isinstance(replaced, StateReplaced)
    [told] = follower.receive(of_user(event("e:2", kind="notification")))
    assert isinstance(told, ProjectEvent)
    assert (told.project_id, told.type) == ("@anna", "notification")
    [step] = follower.receive(of_user({**conflated(2, "e:4"), "read": 3}))
    assert isinstance(step, Conflated)
    assert (step.events[0].project_id, step.top["read"]) == ("@anna", 3)
    assert follower.positions == {"@anna": Position("e", 4)}


def test_a_heartbeat_names_users_beside_projects(follower: SubscriptionState) -> None:
    follower.receive(of_user(state("e:1")))
    assert follower.receive({**heartbeat(), "user_positions": {"anna": "e:1"}}) == []
    assert follower.requests == []
    follower.receive({**heartbeat(), "user_positions": {"anna": "e:9"}})
    [again] = follower.requests
    assert (again["user_id"], again["since"]) == ("anna", "e:1")


def test_a_user_that_is_no_text_is_of_no_hub(follower: SubscriptionState) -> None:
    with pytest.raises(ConnectionEnded, match="not a hub"):
        follower.receive({**of_user(event("e:2")), "user_id": 5})


def test_any_other_message_with_a_user_is_left_as_it_is(follower: SubscriptionState) -> None:
    [personal] = follower.receive({"type": "hello", "user_id": "anna"})
    assert personal.message == {"type": "hello", "user_id": "anna"}  # type: ignore[union-attr]


def test_a_view_has_the_prompts_and_how_far_was_read() -> None:
    view = TreeView("@anna")
    prompts: list[Json] = [{"prompt_id": "x"}]
    view.apply(StateReplaced("@anna", Position("e", 3), "initial", None, {}, None, None, prompts, {}, 2))
    assert (view.prompts, view.read) == (prompts, 2)
    view.apply(ProjectEvent("@anna", Position("e", 4), "prompt", {"prompt_id": "y"}, "T"))
    view.apply(ProjectEvent("@anna", Position("e", 5), "prompt_resolved", {"prompt_id": "x"}, "T"))
    view.apply(ProjectEvent("@anna", Position("e", 6), "notifications_read", {"seq": 5}, "T"))
    assert (view.prompts, view.read) == ([{"prompt_id": "y"}], 5)


async def test_projects_and_users_are_watched_on_one_connection() -> None:
    async with (
        real_hub() as running,
        open_watcher(running.url, users=["anna", "bob"]) as watcher,
        open_api_client(running.url) as desk,
    ):
        with trio.fail_after(30):
            async for _ in watcher:
                if {"@anna", "@bob"} <= watcher.positions.keys():
                    break
            await desk.notify("anna", "hello")
            await running.publish("p", {"type": "log", "data": {"level": "info", "message": "m"}})
            seen = [one for one in await until(watcher, ProjectEvent, 2) if isinstance(one, ProjectEvent)]
    assert {one.project_id for one in seen} == {"@anna", "p"}


async def test_one_position_is_for_one_user() -> None:
    with pytest.raises(ValueError, match="one position for several"):
        async with open_watcher("http://x", ["p"], "e:1", users="anna"):
            pass
    async with open_watcher("http://x", (), "e:1", users="anna") as watcher:
        assert watcher._subscriptions.positions == {"@anna": Position("e", 1)}


async def test_who_may_not_read_for_a_user_is_told_so() -> None:
    async with (
        real_hub(auth=auth()) as running,
        open_watcher(running.url, (), users="bob", token=token(watch=["*"])) as watcher,
    ):
        refused = (await until(watcher, SubscriptionRefused))[-1]
    assert isinstance(refused, SubscriptionRefused)
    assert (refused.project_id, refused.code) == ("@bob", "forbidden")


# --- read marks -------------------------------------------------------------------------------------------


async def greet(peer: Peer) -> None:
    """Welcome, and the answer to the subscription."""
    await peer.welcome()
    request = await peer.hear("subscribe")
    said: dict[str, Any] = {"id": request["id"], "user_id": "anna", "seq": 7, "epoch": "e"}
    await peer.say("subscribed", **said, recovered=None)
    await peer.say_text('{"type":"heartbeat","timestamp":"T","positions":{}}')


async def test_a_read_mark_is_said_until_the_hub_has_it() -> None:
    marks: list[Json] = []
    done = trio.Event()

    async def loses(peer: Peer) -> None:
        await greet(peer)
        marks.append(await peer.hear("ack"))
        await peer.drop()

    async def keeps(peer: Peer) -> None:
        await greet(peer)
        marks.append(await peer.hear("ack"))
        await peer.say("reply", id=marks[-1]["id"])
        marks.append(await peer.hear("ack"))
        done.set()
        await peer.silent()

    async with (
        fake_hub(loses, keeps) as hub,
        open_watcher(hub.url, (), users="anna", state=False, backoff=AT_ONCE) as watcher,
    ):
        watcher.mark_read("anna")  # nothing was given yet
        await until(watcher, Subscribed)
        watcher.mark_read("anna")
        watcher.mark_read("anna", 5)  # less than that says nothing
        await until(watcher, Subscribed)
        watcher.mark_read("anna", 9)
        with trio.fail_after(30):
            await done.wait()
    assert [(one["user_id"], one["seq"]) for one in marks] == [("anna", 7), ("anna", 7), ("anna", 9)]


async def test_a_read_mark_that_is_refused_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    marks: list[Json] = []

    async def refuses(peer: Peer) -> None:
        await greet(peer)
        marks.append(await peer.hear("ack"))
        await peer.say("error", id=marks[-1]["id"], code="forbidden", message="not yours")
        await peer.drop()

    async def silent(peer: Peer) -> None:
        await greet(peer)
        marks.append(await peer.hear())

    async with (
        fake_hub(refuses, silent) as hub,
        open_watcher(hub.url, (), users="anna", state=False, backoff=AT_ONCE) as watcher,
    ):
        watcher.mark_read("anna", 3)
        await until(watcher, Subscribed, 2)
    assert [one["seq"] for one in marks] == [3]
    assert "cannot mark @anna read: not yours" in caplog.text
