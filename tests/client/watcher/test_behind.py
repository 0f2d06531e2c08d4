"""A watcher notices that a project stands still while the hub is further, says so, and asks again."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.client import Behind, open_watcher
from tasktree_rt.client.watcher.messages import Disconnected, ProjectEvent, StateReplaced, Subscribed
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.core.log import Position
from tests.client.fakehub import Json, Peer, fake_hub
from tests.client.following import asks, event, heartbeat, sent, state, subscribed, unasked
from tests.client.watching import say_event, say_state, until

PATIENCE = 12.0


class Timed:
    """A follower of ``p`` with a clock that the test moves."""

    def __init__(self, *, begun: bool = True) -> None:
        self.now = 0.0
        self.follower = SubscriptionState("conflate", lambda: self.now)
        self.follower.subscribe("p", None, True)
        self.follower.opening()
        if begun:
            subscribed(self.follower, at="e:5")
            self.follower.receive(state("e:5"))
            sent(self.follower)

    def tend(self, now: float) -> list[object]:
        self.now = now
        return list(self.follower.tend(PATIENCE))


def test_one_that_is_where_the_hub_says_is_never_late() -> None:
    timed = Timed()
    timed.follower.receive(heartbeat(p="e:5"))
    assert timed.tend(1e9) == []
    assert timed.follower.late == frozenset()
    assert sent(timed.follower) == []


def test_one_that_gets_no_further_to_a_position_it_was_told_is_late_and_asked_for_again() -> None:
    timed = Timed()
    made = timed.follower
    timed.now = 1.0
    made.receive(heartbeat(p="e:7"))
    assert asks(made) == [("subscribe", "p", "e:5")]
    assert made.due(PATIENCE) == 13.0
    assert timed.tend(12.9) == []
    assert timed.tend(13.0) == [Behind("p", Position("e", 7))]
    assert made.late == {"p"}
    assert timed.tend(25.0) == [], "it was told already"
    subscribed(made, at="e:5", recovered=True)
    assert asks(made)[-1] == ("subscribe", "p", "e:5")
    made.receive(event("e:6"))
    assert made.late == {"p"}
    made.receive(event("e:7"))
    assert made.late == frozenset()
    assert timed.tend(1e9) == []


def test_one_that_is_told_again_and_again_is_late_as_of_the_first_time() -> None:
    timed = Timed()
    for now in (0.0, 8.0):
        timed.now = now
        timed.follower.receive(heartbeat(p="e:7"))
        timed.now += 1.0
        request = timed.follower.take()
        assert request is not None
        unasked(timed.follower, at="e:5", recovered=True, id=request["id"])
    assert timed.tend(12.0) == [Behind("p", Position("e", 7))]


def test_requests_that_wait_for_their_turn_here_make_nothing_late() -> None:
    timed = Timed(begun=False)
    made = timed.follower
    made.subscribe("q", None, True)
    made.ask_for("q")
    assert made.take() is not None
    assert timed.tend(11.0) == []
    assert timed.tend(12.0) == [Behind("p", None)], "its request was sent at the beginning"
    assert [one["project_id"] for one in made.requests] == ["q", "p"]
    assert timed.tend(100.0) == []
    assert [one["project_id"] for one in sent(made)] == ["q", "p"], "none is asked for twice"


def test_one_that_was_sent_late_has_its_time_from_then_on() -> None:
    timed = Timed(begun=False)
    timed.now = 10.0
    assert timed.follower.take() is not None
    assert timed.tend(21.9) == []
    assert timed.tend(22.0) == [Behind("p", None)]


def test_one_that_gets_further_is_not_late_however_long_it_takes() -> None:
    timed = Timed()
    timed.follower.receive(heartbeat(p="e:9"))
    subscribed(timed.follower, at="e:5", recovered=True)
    for seq in (6, 7, 8, 9):
        timed.now += 10.0
        timed.follower.receive(event(f"e:{seq}"))
        assert timed.tend(timed.now) == []


@pytest.mark.parametrize("said", ["nothing", "an answer without the state", "a state that breaks off"])
def test_one_that_is_owed_something_is_late(said: str) -> None:
    timed = Timed(begun=False)
    if said != "nothing":
        subscribed(timed.follower, at="e:5")
    if said == "a state that breaks off":
        timed.follower.receive(state("e:5", 1, 3))
    sent(timed.follower)
    assert timed.tend(12.0) == [Behind("p", None)]
    assert asks(timed.follower) == [("subscribe", "p", True)]


async def test_a_busy_project_hides_none_that_stands_still(autojump_clock: MockClock) -> None:
    asked: list[Json] = []

    async def script(peer: Peer) -> None:
        await peer.welcome(heartbeat=8)
        first = [await peer.hear("subscribe"), await peer.hear("subscribe")]
        for request in first:
            await peer.subscribed(request, "e", 5, None)
            await say_state(peer, 5, request["project_id"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy, peer)
            asked.extend([await peer.hear("subscribe") for _ in range(2)])
            await peer.subscribed(asked[-1], "e", 5, True)
            asked.append(await peer.hear("subscribe"))
            await peer.subscribed(asked[-1], "e", 5, True)
            await say_event(peer, 6)
            nursery.cancel_scope.cancel()
        await peer.silent()

    async def busy(peer: Peer) -> None:
        for seq in range(6, 1000):
            await trio.sleep(1)
            place = {"project_id": "busy", "seq": seq, "epoch": "e"}
            await peer.say("x", **place, data={}, timestamp="T")
            if seq % 8 == 0:
                positions = {"busy": f"e:{seq}", "p": "e:6"}
                await peer.say("heartbeat", timestamp="T", positions=positions)

    async with fake_hub(script) as hub, open_watcher(hub.url, ["busy", "p"]) as watcher:
        await until(watcher, StateReplaced, 2)
        told = await until(watcher, Behind)
        assert told[-1] == Behind("p", Position("e", 6))
        assert watcher.behind == {"p"}
        while not isinstance(message := await anext(watcher), ProjectEvent) or message.project_id != "p":
            assert not isinstance(message, Disconnected)
        assert watcher.behind == frozenset()
    assert {(one["project_id"], one["since"]) for one in asked} == {("p", "e:5")}


async def test_a_program_that_is_busy_itself_makes_no_project_late(autojump_clock: MockClock) -> None:
    requests: list[Json] = []

    async def script(peer: Peer) -> None:
        await peer.welcome(heartbeat=8)
        await peer.subscribed(await peer.hear("subscribe"), "e", 0, None)
        await say_state(peer, 0)
        for seq in range(1, 201):
            await say_event(peer, seq)
        await peer.say("heartbeat", timestamp="T", positions={"p": "e:200"})
        while True:
            requests.append(await peer.hear())

    async with fake_hub(script) as hub, open_watcher(hub.url, "p") as watcher:
        await until(watcher, Subscribed)
        for _ in range(200):
            await trio.sleep(5)
            assert not isinstance(await anext(watcher), Behind | Disconnected)
    assert requests == []
