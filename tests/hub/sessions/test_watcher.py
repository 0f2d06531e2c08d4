"""Watchers' requests with their answers, and what a watcher may not do."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.tasktree import Native
from tasktree_rt.errors import Refused
from tasktree_rt.hub.sessions.watcher import NativeSession
from tasktree_rt.settings import Limits, Settings
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, small, update

ALL = Grants("anna", watch=EVERYTHING)
TEAM = Grants("anna", watch=Scope(("team.*",)))


async def authenticate(token: str) -> Grants:
    if token == "bad":
        raise Refused("token invalid", code="unauthorized")
    return {"open": OPEN, "all": ALL, "none": Grants("anna"), "team": TEAM}[token]


def native(
    world: World, *wishes: Subscribe, grants: Grants = OPEN, policy: Policy = Policy.CONFLATE
) -> Carried:
    session = NativeSession(
        world.hub, Native(), wishes, grants=grants, policy=policy, authenticate=authenticate
    )
    return Carried(session, world.nursery)


async def answers(carried: Carried, *messages: Any) -> list[dict[str, Any]]:
    for message in messages:
        carried.send(message)
    await wait_all_tasks_blocked()
    return carried.received()


async def greeted(world: World, *wishes: Subscribe, grants: Grants = OPEN) -> Carried:
    carried = native(world, *wishes, grants=grants)
    (welcome,) = await answers(carried)
    assert welcome["type"] == "welcome"
    return carried


async def test_the_first_message_is_the_welcome(autojump_clock: MockClock) -> None:
    async with a_world(small()) as world:
        carried = native(world, Subscribe("p"))
        welcome, subscribed = await answers(carried)
        data = welcome.pop("data")
        assert welcome == {"type": "welcome"}
        assert data.pop("server_time").endswith("Z")
        assert data == {
            "connection_id": carried.session.subscriber.id,
            "heartbeat_interval": 8.0,
            "max_message_size": 1024,
        }
        assert subscribed == {
            "type": "subscribed",
            "project_id": "p",
            "seq": 0,
            "epoch": "",
            "recovered": None,
        }


async def test_each_request_has_its_answer(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n", a=1))
        carried = await greeted(world)
        epoch = world.hub.cache.get("p").epoch  # type: ignore[union-attr]
        assert await answers(carried, {"type": "ping", "id": "x"}, {"type": "ping"}) == [
            {"type": "pong", "id": "x"},
            {"type": "pong"},
        ]
        subscribed, state = await answers(
            carried, {"type": "subscribe", "id": 1, "project_id": "p", "state": True}
        )
        assert subscribed == {
            "type": "subscribed",
            "id": 1,
            "project_id": "p",
            "seq": 1,
            "epoch": epoch,
            "recovered": None,
        }
        assert state == {
            "type": "project_state",
            "project_id": "p",
            "seq": 1,
            "epoch": epoch,
            "reason": "initial",
            "part": 1,
            "parts": 1,
            "data": {
                "state": None,
                "project": {},
                "orchestrator": None,
                "coordination": None,
                "prompts": [],
                "nodes": [{"node_id": "n", "a": 1}],
            },
        }
        recovered, event = await answers(
            carried, {"type": "subscribe", "id": 2, "project_id": "p", "since": ":0"}
        )
        assert (recovered["seq"], recovered["recovered"]) == (0, True)
        assert (event["seq"], event["epoch"], event["type"]) == (1, epoch, "node_update")
        gap, state = await answers(
            carried, {"type": "subscribe", "id": 3, "project_id": "p", "since": f"{epoch}:9"}
        )
        assert (gap["seq"], gap["recovered"]) == (1, False)
        assert (state["reason"], state["seq"]) == ("gap", 1)
        assert await answers(carried, {"type": "ack", "project_id": "p", "seq": 1}) == []
        assert carried.session.subscriber.acked == {"p": 1}
        assert await answers(carried, {"type": "unsubscribe", "id": 4, "project_id": "p"}) == [
            {"type": "unsubscribed", "project_id": "p", "id": 4}
        ]
        *_, reply = await answers(carried, {"type": "subscribe", "id": 5, "project_id": "*"})
        assert reply == {"type": "reply", "id": 5}
        assert await answers(carried, {"type": "refresh", "id": 6, "token": "open"}) == [
            {"type": "reply", "id": 6}
        ]


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("{", "invalid_json", None),
        ("5", "invalid_message", None),
        ({"type": "subscrib", "id": 1}, "invalid_message", "type"),
        ({"type": "subscribe", "id": {}}, "invalid_message", "id"),
        ({"type": "subscribe", "id": 1}, "invalid_project_id", "project_id"),
        ({"type": "subscribe", "id": 1, "project_id": "a b"}, "invalid_project_id", "project_id"),
        (
            {"type": "subscribe", "id": 1, "project_id": "team.p", "since": "x"},
            "invalid_position",
            "since",
        ),
        ({"type": "subscribe", "id": 1, "project_id": "*", "since": "a:1"}, "invalid_position", "since"),
        (
            {"type": "subscribe", "id": 1, "project_id": "*", "since": {"a": 5}},
            "invalid_position",
            "since.a",
        ),
        ({"type": "subscribe", "id": 1, "project_id": "team.p", "state": 1}, "invalid_message", "state"),
        (
            {"type": "subscribe", "id": 1, "project_id": "team.p", "state": True, "since": ":0"},
            "invalid_message",
            "state",
        ),
        ({"type": "subscribe", "id": 1, "project_id": "team.p", "policy": "x"}, "invalid_message", "policy"),
        ({"type": "subscribe", "id": 1, "project_id": "other"}, "forbidden", "project_id"),
        ({"type": "ack", "project_id": "team.p", "seq": -1}, "invalid_message", "seq"),
        ({"type": "refresh", "id": 1, "token": "bad"}, "unauthorized", None),
        ({"type": "refresh", "id": 1}, "invalid_message", "token"),
        ({"type": "publish", "id": 1, "events": []}, "invalid_message", "type"),
    ],
)
async def test_a_request_that_cannot_be_met_is_answered_with_its_id_and_place(
    autojump_clock: MockClock, message: object, code: str, field: str | None
) -> None:
    async with a_world() as world:
        carried = await greeted(world, grants=TEAM)
        (error,) = await answers(carried, message)
        assert (error["type"], error["code"], error.get("field")) == ("error", code, field)
        if isinstance(message, dict) and message.get("id") == 1:
            assert error["id"] == 1
        assert (await answers(carried, {"type": "ping"}))[0]["type"] == "pong"


async def test_too_many_subscriptions_are_refused_and_one_less_makes_room(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_subscriptions=2))) as world:
        carried = await greeted(world)
        subscribe = {"type": "subscribe", "id": 1}
        said = await answers(carried, *[{**subscribe, "project_id": name} for name in "abc"])
        assert [one["type"] for one in said] == ["subscribed", "subscribed", "error"]
        assert (said[2]["code"], said[2]["retry_after_ms"]) == ("too_many_subscriptions", 1000)
        said = await answers(
            carried,
            {**subscribe, "project_id": "a"},
            {"type": "unsubscribe", "project_id": "a"},
            {**subscribe, "project_id": "c"},
        )
        assert [one["type"] for one in said] == ["subscribed", "unsubscribed", "subscribed"]


async def test_so_are_too_many_names_taken_out_of_everything(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_subscriptions=2))) as world:
        carried = native(world, Subscribe("*"))
        await answers(carried)
        said = await answers(carried, *[{"type": "unsubscribe", "project_id": name} for name in "abca"])
        assert [one.get("code") for one in said] == [None, None, "too_many_subscriptions", None]


async def test_who_asks_too_fast_is_told_and_who_goes_on_is_closed(autojump_clock: MockClock) -> None:
    limits = Limits(max_messages_per_second=10, message_burst=5)
    async with a_world(Settings(limits=limits)) as world:
        carried = await greeted(world)
        said = await answers(carried, *[{"type": "ping"}] * 7)
        assert [one["type"] for one in said] == ["pong"] * 5 + ["error"] * 2
        assert (said[5]["code"], said[5]["retry_after_ms"]) == ("rate_limited", 100)
        await trio.sleep(0.1)
        assert [one["type"] for one in await answers(carried, {"type": "ping"})] == ["pong"]
        await answers(carried, *[{"type": "ping"}] * 6)
        assert carried.transport.close_read == (4029, "rate limited")


async def test_a_plain_peer_that_talks_too_fast_is_closed(autojump_clock: MockClock) -> None:
    limits = Limits(max_messages_per_second=10, message_burst=5)
    async with a_world(Settings(limits=limits)) as world:
        plain = world.plain()
        assert await answers(plain, *["whatever"] * 10) == []
        assert plain.transport.close_read is None
        await answers(plain, b"\0")
        assert plain.transport.close_read == (4029, "rate limited")


async def test_a_plain_watcher_hears_events_only(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain()
        await world.publish("p", update("n"), update("m"))
        await world.publish("p", {"type": "project_deleted"})
        await world.publish("p", update("o"))
        said = await answers(plain)
        assert [one["type"] for one in said] == [
            "node_update",
            "node_update",
            "project_deleted",
            "node_update",
        ]
        assert set(said[0]) == {"type", "project_id", "data", "timestamp", "seq", "epoch"}
        assert said[3]["seq"] == 1
        assert said[3]["epoch"] != said[0]["epoch"]


async def test_a_plain_watcher_resumes_or_is_closed_4009_before_any_event(autojump_clock: MockClock) -> None:
    async with a_world(small(delivery={"max_replay": 5})) as world:
        for value in range(8):
            await world.publish("p", update("n", a=value))
        epoch = world.hub.cache.get("p").epoch  # type: ignore[union-attr]
        resumed = world.plain(Subscribe("p", since=Position(epoch, 5)))
        assert [one["seq"] for one in await answers(resumed)] == [6, 7, 8]
        for gone in (Position(epoch, 2), Position(epoch, 9), Position("other", 1)):
            closed = world.plain(Subscribe("p", since=gone))
            await world.publish("q", update("n"))
            assert await answers(closed) == []
            assert closed.transport.close_read == (4009, f"gap: reload the state, which is at {epoch}:8")


async def test_what_one_may_not_watch_never_comes(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("team.a", update("n"))
        await world.publish("other", update("n"))
        session = NativeSession(
            world.hub,
            Native(),
            (Subscribe("*"), Subscribe("other")),
            grants=TEAM,
            policy=Policy.CONFLATE,
            authenticate=authenticate,
        )
        carried = Carried(session, world.nursery)
        await wait_all_tasks_blocked()
        await world.publish("other", update("n", a=1))
        await world.publish("team.b", update("n", a=1))
        said = await answers(carried)
        assert {one["project_id"] for one in said if one.get("project_id")} == {"team.a", "team.b"}
        assert [one["code"] for one in said if one["type"] == "error"] == ["forbidden"]


async def test_a_refreshed_token_ends_what_it_no_longer_covers(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        for name in ("team.a", "other", "third"):
            await world.publish(name, update("n"))
        carried = await greeted(world, grants=ALL)
        await answers(
            carried,
            {"type": "subscribe", "project_id": "*"},
            {"type": "subscribe", "project_id": "other"},
        )
        said = await answers(carried, {"type": "refresh", "id": 1, "token": "team"})
        assert said == [{"type": "unsubscribed", "project_id": "other"}, {"type": "reply", "id": 1}]
        for name in ("other", "third", "team.a"):
            await world.publish(name, update("n", a=1))
        assert [one["project_id"] for one in await answers(carried)] == ["team.a"]
        await answers(carried, {"type": "refresh", "token": "all"})
        await world.publish("third", update("n", a=2))
        assert [one["project_id"] for one in await answers(carried)] == ["third"]


async def test_requests_wait_for_the_subscriptions_of_the_query(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.store.hold()
        carried = native(world, Subscribe("p"))
        assert [one["type"] for one in await answers(carried, {"type": "ping"})] == ["welcome"]
        world.store.release()
        assert [one["type"] for one in await answers(carried)] == ["subscribed", "pong"]


async def test_a_store_that_cannot_be_read_refuses_the_subscription(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.store.failing_reads = True
        carried = await greeted(world)
        (error,) = await answers(carried, {"type": "subscribe", "id": 1, "project_id": "p"})
        assert (error["code"], error["id"]) == ("store_unavailable", 1)
        assert error["retry_after_ms"] > 0
        world.store.failing_reads = False
        (subscribed,) = await answers(carried, {"type": "subscribe", "id": 2, "project_id": "p"})
        assert subscribed["type"] == "subscribed"


async def test_watermarks_are_kept_for_so_many_projects(autojump_clock: MockClock) -> None:
    async with a_world(Settings(limits=Limits(max_subscriptions=3))) as world:
        carried = await greeted(world)
        await answers(carried, *[{"type": "ack", "project_id": f"p{n}", "seq": n} for n in range(10)])
        assert json.dumps(carried.session.subscriber.acked) == '{"p7": 7, "p8": 8, "p9": 9}'


async def test_nobody_may_watch_with_grants_for_nothing(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        carried = native(world, Subscribe("*"), grants=Grants("anna", watch=NOTHING))
        await world.publish("p", update("n", a=1))
        assert [one["type"] for one in await answers(carried)] == ["welcome", "reply"]


async def test_a_plain_watcher_of_what_it_may_not_watch_is_sent_away(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        plain = world.plain(Subscribe("other"), grants=TEAM)
        assert await answers(plain) == []
        assert plain.transport.close_read == (4003, "you may not watch 'other'")


async def test_a_plain_watcher_that_cannot_be_served_now_is_sent_away(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        world.store.failing_reads = True
        plain = world.plain(Subscribe("p"))
        assert await answers(plain) == []
        assert plain.transport.close_read is not None
        assert plain.transport.close_read[0] == 1013


async def test_a_request_that_is_no_json_is_answered_under_its_id_where_that_can_be_read(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        carried = await greeted(world)
        (error,) = await answers(carried, '{"type":"subscribe","id":3,"project_id":p}')
        assert (error["id"], error["code"]) == (3, "invalid_json")
        (error,) = await answers(carried, '\ufeff{"type":"ping","id":"x"}')
        assert (error["id"], error["code"]) == ("x", "invalid_json")
        assert "byte order mark (U+FEFF)" in error["message"]
        (error,) = await answers(carried, "{")
        assert (error.get("id"), error["code"]) == (None, "invalid_json")
