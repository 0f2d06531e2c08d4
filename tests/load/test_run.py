"""Whole load tests against a real hub."""

from __future__ import annotations

import pytest

from tests.load.running import load
from tests.web.realhub import real_hub

HUB = ("tasktree.v1", "plain", "sse")


@pytest.mark.parametrize("dialect", HUB)
async def test_every_delivery_of_a_quiet_run_is_accounted_for(dialect: str) -> None:
    async with real_hub() as hub:
        found = await load(hub.url, dialect=dialect, projects=2, nodes=7)
    assert found["published"] == 40
    assert found["acked"] == 42  # the first event of each project too
    assert found["delivered"] == 40 * 10
    assert not any(found["faults"].values()), found["examples"]
    assert found["errors"] == {}
    assert found["latency"]["connect"]["count"] == 20
    assert found["latency"]["delivery"]["count"] + found["latency"]["caught_up"]["count"] == 400
    assert [one["expected"] for one in found["trees"]] == [one["found"] for one in found["trees"]]
    assert len(found["trees"]) == 2


async def test_a_test_deletes_its_projects() -> None:
    async with real_hub() as hub:
        await load(hub.url)
        async with hub.http() as client:
            assert (await client.get("/api/v1/projects")).json()["projects"] == []
