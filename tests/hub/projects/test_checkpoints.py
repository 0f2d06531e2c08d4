"""`Hub.state`: a project as it was at any position that the store still reaches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trio.testing import MockClock

from tasktree_rt.brokers.base import Retention
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.errors import PeerError, Unavailable
from tests.hub.world import World, a_world, update
from tests.model import NaiveTree


def picture(found: Snapshot) -> dict[str, Any]:
    return {**found.top, "nodes": {name: node.fields for name, node in found.nodes}}


def naive(*events: dict[str, Any]) -> dict[str, Any]:
    tree = NaiveTree("p")
    for event in events:
        tree.apply(event["type"], json.loads(json.dumps(event["data"])))
    return tree.picture()


async def refusal(call: Any) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await call
    return caught.value


async def sweep(world: World, most: int) -> None:
    """As the keeper does it: a checkpoint now, and then a trim."""
    project = world.hub.cache.get("p")
    assert project is not None
    await world.hub.checkpoints.save(project)
    for floor in (await world.store.trim(Retention(most, 1e9), world.hub.wall())).values():
        project.trimmed(floor.seq)


async def test_the_state_at_every_position_is_what_its_events_say(autojump_clock: MockClock) -> None:
    events = [update("a", x=1), update("b", parent_id="a"), update("a", deleted=True), update("c", x=2)]
    events += [{"type": "state_transition", "data": {"from": "", "to": "on"}}, update("c", x=None)]
    async with a_world() as world:
        for index, event in enumerate(events):
            await world.publish("p", event)
            if index == 2:
                await sweep(world, 100)
        for seq in range(len(events) + 1):
            found = await world.hub.state("p", seq)
            assert (found.seq, picture(found)) == (seq, naive(*events[:seq]))
        for seq in (-1, len(events) + 1):
            error = await refusal(world.hub.state("p", seq))
            assert (error.code, error.field) == ("invalid_position", "at")
        await sweep(world, 2)
        for seq in (3, 4, 5, 6):
            found = await world.hub.state("p", seq)
            assert (found.seq, picture(found)) == (seq, naive(*events[:seq])), "every position that is left"
        gone = await refusal(world.hub.state("p", 2))
        assert (gone.code, gone.field) == ("gone", "at")
        assert gone.message.endswith(":3"), "the oldest position"


async def test_an_older_state_needs_the_store_and_the_present_one_does_not(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"), update("m"))
        world.store.failing_reads = True
        assert (await world.hub.state("p")).seq == 2
        with pytest.raises(Unavailable) as caught:
            await world.hub.state("p", 1)
        assert caught.value.retry_after
