"""A resume is part of `watch` as far as the hub has the events in memory; beyond that it needs `history`."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tasktree_rt.core.access import EVERYTHING, NOTHING, Grants
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Subscribe
from tasktree_rt.hub.projects import project
from tests.hub.people import answers, native
from tests.hub.world import World, a_world, run, update

WATCHES = Grants("ada", EVERYTHING, history=NOTHING)
READS = Grants("ada", EVERYTHING, history=EVERYTHING)


async def resumed(world: World, name: str, since: str, grants: Grants) -> list[Json]:
    """What a watcher is told that resumes by name, or with ``*``."""
    position: Any = {"p": since} if name == "*" else since
    carried = native(world, grants=grants)
    carried.received()
    said = await answers(carried, {"type": "subscribe", "project_id": name, "since": position})
    await world.settle()
    return [one for one in said + carried.received() if one["type"] not in ("reply", "heartbeat")]


@pytest.mark.parametrize("name", ["p", "*"])
def test_an_older_position_than_memory_has_is_a_gap_without_history(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "TAIL_EVENTS", 4)

    async def main() -> None:
        async with a_world() as world:
            for number in range(10):
                await world.publish("p", update(f"n{number}"))
            epoch = world.hub.cache.get("p").epoch  # type: ignore[union-attr]
            for grants, seq, exact in (
                (WATCHES, 6, True),
                (WATCHES, 5, False),
                (READS, 5, True),
                (READS, 0, True),
            ):
                first, *rest = await resumed(world, name, f"{epoch}:{seq}", grants)
                assert (first["type"], first["recovered"]) == ("subscribed", exact)
                kinds = [one["type"] for one in rest]
                assert kinds == (["node_update"] * (10 - seq) if exact else ["project_state"])

    run(main)


def test_a_plain_watcher_is_told_of_the_gap_before_any_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "TAIL_EVENTS", 4)

    async def main(grants: Grants, code: int | None) -> None:
        async with a_world() as world:
            for number in range(10):
                await world.publish("p", update(f"n{number}"))
            epoch = world.hub.cache.get("p").epoch  # type: ignore[union-attr]
            carried = world.plain(Subscribe("p", since=Position(epoch, 2)), grants=grants)
            await world.settle()
            assert len(carried.received()) == (0 if code else 8)
            closed = carried.transport.close_read
            assert (closed and closed[0]) == code

    run(partial(main, WATCHES, 4009))
    run(partial(main, READS, None))
