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


@pytest.mark.parametrize("dialect", ["autogpt", "aiecs"])
async def test_a_foreign_language_is_reconciled_by_number(dialect: str) -> None:
    async with real_hub() as hub:
        found = await load(hub.url, dialect=dialect, projects=1 if dialect == "aiecs" else 2)
    assert found["acked"] == 40
    assert found["delivered"] == (800 if dialect == "aiecs" else 400)
    assert not any(found["faults"].values()), found["examples"]
    assert found["errors"] == {}


async def test_an_execution_is_reconciled_by_order_and_last_value() -> None:
    async with real_hub() as hub:
        found = await load(hub.url, dialect="execution", projects=2)
    assert 20 <= found["delivered"] < 400  # the hub merges
    assert not any(found["faults"].values()), found["examples"]
    assert "by order and by the last value" in found["methods"]["execution"]
    assert found["errors"] == {}


async def test_dialects_are_mixed() -> None:
    async with real_hub() as hub:
        found = await load(hub.url, dialect="tasktree.v1:2,plain:1,sse:1", projects=3, watchers=24)
    assert found["delivered"] == 320
    assert not any(found["faults"].values()), found["examples"]
