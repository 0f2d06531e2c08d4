from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.client import (
    Backoff,
    Connected,
    Disconnected,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    Unsubscribed,
    open_watcher,
)
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ConnectionLost
from tests.client.fakehub import Json, Peer, fake_hub
from tests.client.watching import say_event, say_state, until

FAST = Backoff(base=0.01, cap=0.02)


async def test_it_begins_with_the_state_and_goes_on_with_events() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await say_state(peer, 5)
        await say_event(peer, 6)
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", token="t") as watcher:
        told = await until(watcher, ProjectEvent)
        assert [type(one) for one in told] == [Connected, Subscribed, StateReplaced, ProjectEvent]
        view = watcher.view("p")
        assert dict(view.nodes) == {"root": {"title": "R"}, "n6": {"progress": 6}}
        assert (view.state, view.project, view.position) == ("running", {"title": "P"}, Position("e", 6))
        assert watcher.positions == {"p": Position("e", 6)}
        assert watcher.connected
    [peer] = hub.peers
    assert (peer.path, peer.subprotocol) == ("/ws/updates", "tasktree.v1")
    assert (peer.query, peer.token) == ({"project_id": ["p"], "policy": ["conflate"]}, "t")


async def test_what_is_asked_says_project_policy_and_state_or_since() -> None:
    asked: list[Json] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        asked.append(await peer.hear())
        asked.append(await peer.hear())
        await peer.close(4003)

    async with fake_hub(script) as hub:
        since = {"q": "e:7"}
        async with open_watcher(hub.url, ["p", "q"], since, policy="resync") as watcher:
            with pytest.raises(ConnectionLost):
                await until(watcher, StateReplaced)
    assert asked == [
        {"type": "subscribe", "id": 1, "project_id": "p", "policy": "resync", "state": True},
        {"type": "subscribe", "id": 2, "project_id": "q", "policy": "resync", "since": "e:7"},
    ]


async def test_after_a_drop_it_resumes_and_nothing_is_told_twice_or_left_out() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await say_state(peer, 5)
        await say_event(peer, 6)
        await say_event(peer, 7)

    asked: list[Json] = []

    async def second(peer: Peer) -> None:
        await peer.welcome()
        asked.append(await peer.hear("subscribe"))
        await say_event(peer, 9)  # of the subscription that the connection began with
        await peer.subscribed(asked[0], "e", 7, True)
        await say_event(peer, 8)
        await say_event(peer, 9)
        await peer.silent()

    async with fake_hub(first, second) as hub, open_watcher(hub.url, "p", backoff=FAST) as watcher:
        told = await until(watcher, ProjectEvent, 4)
        seqs = [one.position.seq for one in told if isinstance(one, ProjectEvent)]
        assert seqs == [6, 7, 8, 9]
        [gone] = [one for one in told if isinstance(one, Disconnected)]
        assert gone.reason == "the connection broke off"
        assert sorted(watcher.view("p").nodes) == ["n6", "n7", "n8", "n9", "root"]
    assert asked[0]["since"] == "e:7"
    assert "state" not in asked[0]


async def test_a_state_half_received_before_a_drop_is_asked_for_again() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        place = {"project_id": "p", "seq": 5, "epoch": "e"}
        await peer.say("project_state", **place, reason="initial", part=1, parts=2, data={"nodes": []})

    async def second(peer: Peer) -> None:
        await peer.welcome()
        request = await peer.hear("subscribe")
        assert request["state"] is True
        await peer.subscribed(request, "e", 6, None)
        await say_state(peer, 6)
        await peer.silent()

    async with fake_hub(first, second) as hub, open_watcher(hub.url, "p", backoff=FAST) as watcher:
        await until(watcher, StateReplaced)
        assert watcher.view("p").position == Position("e", 6)


async def test_positions_are_those_of_what_was_given_not_of_what_was_received() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, True)
        for seq in (6, 7, 8):
            await say_event(peer, seq)
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", "e:5") as watcher:
        await until(watcher, ProjectEvent)
        await wait_all_tasks_blocked()
        assert watcher.positions == {"p": Position("e", 6)}
        assert watcher.view("p").position == Position("e", 6)


async def test_silence_for_half_as_long_again_as_a_heartbeat_reconnects(autojump_clock: MockClock) -> None:
    async def mute(peer: Peer) -> None:
        await peer.welcome(heartbeat=10)
        await peer.silent()

    async def live(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await peer.silent()

    async with fake_hub(mute, live) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        told = await until(watcher, Subscribed)
    [gone] = [one for one in told if isinstance(one, Disconnected)]
    assert gone.reason == "nothing heard from the hub for 15 s"
    assert 15 <= trio.current_time() < 16


async def test_heartbeats_are_enough_to_stay(autojump_clock: MockClock) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(heartbeat=10)
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        for _ in range(20):
            await trio.sleep(10)
            await peer.say("heartbeat", timestamp="T", positions={"p": "e:5"})
        await say_event(peer, 6)
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        told = await until(watcher, ProjectEvent)
    assert not any(isinstance(one, Disconnected) for one in told)


async def test_a_slow_program_is_not_silence(autojump_clock: MockClock) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(heartbeat=10)
        await peer.subscribed(await peer.hear("subscribe"), "e", 0, None)
        for seq in range(1, 301):
            await say_event(peer, seq)
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        await trio.sleep(1000)
        told = await until(watcher, ProjectEvent, 300)
    assert not any(isinstance(one, Disconnected) for one in told)


async def test_a_heartbeat_at_another_position_subscribes_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await peer.say("heartbeat", timestamp="T", positions={"p": "e:6"})
        again = await peer.hear("subscribe")
        assert again["since"] == "e:5"
        await peer.subscribed(again, "e", 5, True)
        await say_event(peer, 6)
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        await until(watcher, ProjectEvent)


async def test_a_draining_hub_is_left_in_peace_for_the_time_it_says(autojump_clock: MockClock) -> None:
    came_back: list[float] = []

    async def drain(peer: Peer) -> None:
        await peer.welcome()
        await peer.say("draining", data={"reconnect_after_ms": 4000})
        await peer.close(1012)

    async def live(peer: Peer) -> None:
        came_back.append(trio.current_time())
        await peer.welcome()
        await peer.silent()

    async with fake_hub(drain, live) as hub, open_watcher(hub.url, "p") as watcher:
        await until(watcher, Connected, 2)
    assert 4 <= came_back[0] <= 4.25


async def test_subscriptions_come_and_go_while_connected_and_hold_over_a_drop() -> None:
    asked: list[tuple[str, str, Any]] = []

    async def note(peer: Peer, times: int) -> None:
        await peer.welcome()
        for _ in range(times):
            request = await peer.hear()
            asked.append((request["type"], request["project_id"], request.get("since")))
            if request["type"] == "subscribe":
                await peer.subscribed(request, "e", 5, True if "since" in request else None)

    async def first(peer: Peer) -> None:
        await note(peer, 4)

    async def second(peer: Peer) -> None:
        await note(peer, 2)
        await peer.silent()

    async with (
        fake_hub(first, second) as hub,
        open_watcher(hub.url, "p", state=False, backoff=FAST) as watcher,
    ):
        await until(watcher, Subscribed)
        watcher.subscribe("q", since="e:5")
        watcher.subscribe("r", state=False)
        watcher.unsubscribe("p")
        await until(watcher, Subscribed, 4)
    assert asked == [
        ("subscribe", "p", None),
        ("subscribe", "q", "e:5"),
        ("subscribe", "r", None),
        ("unsubscribe", "p", None),
        ("subscribe", "q", "e:5"),
        ("subscribe", "r", "e:5"),
    ]


async def test_a_watermark_tells_the_newest_only() -> None:
    go_on, acks = trio.Event(), list[Json]()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        acks.append(await peer.hear("ack"))
        go_on.set()
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        watcher.ack("p")  # nothing was given yet: nothing to tell
        await until(watcher, Subscribed)
        watcher.ack("p", 3)
        watcher.ack("p")
        await go_on.wait()
    assert acks == [{"type": "ack", "project_id": "p", "seq": 5}]


async def test_many_subscriptions_keep_below_the_hubs_rate(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(400):
            await peer.hear("subscribe")
            times.append(trio.current_time())
        await peer.close(4003)

    projects = [f"p{number}" for number in range(400)]
    async with fake_hub(script) as hub, open_watcher(hub.url, projects) as watcher:
        with pytest.raises(ConnectionLost):
            await until(watcher, StateReplaced)
    tokens, filled = 200.0, times[0]  # the hub's default bucket: 200 at once, 50 a second
    for at in times:
        tokens, filled = min(200.0, tokens + (at - filled) * 50.0) - 1, at
        assert tokens >= 0


async def test_the_position_of_a_subscription_that_ended_is_forgotten() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await peer.say("unsubscribed", project_id="p")
        await peer.silent()

    async with fake_hub(script) as hub, open_watcher(hub.url, "p", state=False) as watcher:
        await until(watcher, Subscribed)
        assert watcher.positions == {"p": Position("e", 5)}
        await until(watcher, Unsubscribed)
        assert watcher.positions == {}
