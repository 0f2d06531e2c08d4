"""What a subject's and a project's events take in the store: counted as the store has it, and bounded."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.settings import NO_RATES, Keep, Limits, Settings

ADA, BOB = Grants("ada").owner, Grants("bob").owner


@asynccontextmanager
async def a_hub(
    path: Path | None = None, limits: dict[str, Any] | None = None, keep: dict[str, Any] | None = None
) -> AsyncIterator[Hub]:
    broker: Broker = MemoryBroker() if path is None else SqliteBroker(str(path))
    settings = Settings(limits=Limits(**limits or {}), keep=Keep(**keep or {}), rates=NO_RATES)
    async with open_hub(broker, settings) as hub:
        yield hub


def an_event(hub: Hub, project: str, size: int = 100) -> Event:
    data = {"level": "info", "message": "x" * size}
    return Event("log", ProjectId(project), data, hub.timestamp())


def in_database(path: Path) -> dict[str, int]:
    """The bytes of each owner's events, counted event by event."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT owner, sum(length(body)) FROM life JOIN event "
            "ON key > (life << 36 | floor) AND key <= (life << 36 | head) GROUP BY owner"
        )
        return {owner: size for owner, size in rows if size}


def counted(hub: Hub) -> Counter[str]:
    """The bytes of each owner's events, as the hub counts them."""
    return +Counter({one: hub.stored_bytes.of(one) for one in (ADA, BOB)})


async def refusal(hub: Hub, project: str, owner: str) -> tuple[str, str | None]:
    with pytest.raises(PeerError) as refused:
        await hub.publish(an_event(hub, project), owner=owner)
    assert "limits.max_" in refused.value.message
    return refused.value.code, refused.value.field


@pytest.mark.parametrize("seed", range(6))
async def test_every_count_is_the_stores_over_publishes_deletions_retention_and_restarts(
    tmp_path: Path, seed: int
) -> None:
    chance, path = random.Random(seed), tmp_path / "hub.db"
    keep = {"max_events": 20, "max_bytes": 6_000, "checkpoint_events": 8}
    for _ in range(4):
        async with a_hub(path, keep=keep) as hub:
            assert Counter(in_database(path)) == +Counter(
                {one: hub.stored_bytes.of(one) for one in (ADA, BOB)}
            )
            for _ in range(60):
                name, owner = chance.choice("pqr"), chance.choice([ADA, BOB])
                match chance.choice(["publish"] * 8 + ["delete", "sweep", "checkpoint"]):
                    case "publish":
                        events = [
                            an_event(hub, name, chance.randrange(600)) for _ in range(chance.randrange(1, 4))
                        ]
                        await hub.publish(events, owner=owner)
                    case "delete":
                        project = await hub.cache.load(name)
                        if project.epoch:
                            await hub.delete_project(name)
                    case "sweep":
                        await hub.retention.sweep()
                    case "checkpoint":
                        project = await hub.cache.load(name)
                        if project.epoch:
                            await hub.checkpoints.save(project)
            found = counted(hub)
            loaded = [await hub.cache.load(name) for name in "pqr"]
            assert sum(one.stored_bytes for one in loaded) == found.total()
        assert in_database(path) == found


async def test_a_full_project_takes_nothing_but_its_end_and_no_other_is_full() -> None:
    async with a_hub(limits={"max_project_bytes": 2_000}) as hub:
        while (await hub.cache.load("p")).stored_bytes < 2_000:
            await hub.publish(an_event(hub, "p"), owner=ADA)
        assert await refusal(hub, "p", ADA) == ("project_full", "project_id")
        assert await refusal(hub, "p", BOB) == ("project_full", "project_id")
        await hub.publish(an_event(hub, "q"), owner=ADA)
        await hub.delete_project("p")
        await hub.publish(an_event(hub, "p"), owner=ADA)


async def test_a_full_subject_makes_room_by_deleting_and_no_other_subject_is_full(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with a_hub(path, {"max_bytes_per_subject": 3_000}) as hub:
        for name in "pqpqpq":
            await hub.publish(an_event(hub, name, 1_000), owner=ADA)
            if hub.stored_bytes.of(ADA) >= 3_000:
                break
        assert await refusal(hub, "p", ADA) == ("subject_full", "project_id")
    async with a_hub(path, {"max_bytes_per_subject": 3_000}) as hub:
        assert await refusal(hub, "r", ADA) == ("subject_full", "project_id")
        assert await refusal(hub, "p", BOB) == ("subject_full", "project_id"), "the project is ada's"
        await hub.publish(an_event(hub, "b"), owner=BOB)
        await hub.publish(an_event(hub, "own"))  # the hub's own counts for no subject
        await hub.delete_project("q")
        await hub.publish(an_event(hub, "r"), owner=ADA)


async def test_retention_keeps_a_project_below_its_limit(tmp_path: Path) -> None:
    keep = {"max_bytes": 3_000, "checkpoint_events": 4}
    async with a_hub(tmp_path / "hub.db", {"max_project_bytes": 6_000}, keep) as hub:
        project = await hub.cache.load("p")
        for number in range(60):
            await hub.publish(an_event(hub, "p", 200), owner=ADA)
            project = await hub.cache.load("p")
            if number % 4 == 3:
                await hub.checkpoints.save(project)
                await hub.retention.sweep()
                assert project.stored_bytes <= 3_000 + 4 * 400
        assert project.floor > 0
        assert (await hub.state("p")).seq == 60
