"""Slow readers, churn, storms, restarts and prompts: with all of them every delivery is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.processes import finished, hub
from tests.load.running import load
from tests.server.process import hub_process
from tests.web.realhub import real_hub


def accounted_for(found: dict[str, Any]) -> None:
    assert not any(found["faults"].values()), found["examples"]
    assert found["counts"]["reconciled"] == found["plan"]["watchers"] - sum(
        found["counts"].get(f"watchers_{kind}", 0) for kind in ("stalled", "half_open")
    )


@pytest.mark.parametrize("policy", ["conflate", "resync", "disconnect"])
async def test_slow_readers_end_at_the_hubs_tree_under_each_policy(policy: str) -> None:
    async with real_hub() as running:
        found = await load(
            running.url,
            policy=policy,
            watchers=6,
            duration=2,
            rate=200,
            size="32KB",
            nodes=10,
            slow=0.34,
            slow_rate="1MB",
            settle=120,
        )
    accounted_for(found)
    assert found["counts"]["watchers_slow"] == 2
    merged, states = found["counts"].get("merged", 0), found["counts"].get("states", 0)
    if policy == "disconnect":
        assert merged == 0
    else:
        assert merged or states
    assert found["latency"]["slow"]["count"] > 0


async def test_stalled_and_half_open_readers_are_not_reconciled_and_disturb_no_other() -> None:
    async with real_hub() as running:
        found = await load(running.url, stalled=0.1, half_open=0.1)
    accounted_for(found)
    assert (found["counts"]["watchers_stalled"], found["counts"]["watchers_half_open"]) == (2, 2)
    assert found["counts"]["reconciled"] == 16


@pytest.mark.parametrize("dialect", ["tasktree.v1", "plain", "sse", "execution", "autogpt", "aiecs"])
async def test_watchers_that_leave_come_back_to_where_they_were(dialect: str) -> None:
    async with real_hub() as running:
        found = await load(running.url, dialect=dialect, churn=20, duration=1.5)
    accounted_for(found)
    assert found["counts"]["left"] > 10
    assert found["counts"]["connected"] == 20 + found["counts"]["left"]
    assert found["errors"] == {}


async def test_a_storm_of_reconnects_loses_nothing() -> None:
    async with real_hub() as running:
        found = await load(running.url, watchers=100, storms=["300ms", "900ms"], duration=1.5)
    accounted_for(found)
    assert found["counts"]["left"] >= 100
    assert found["latency"]["connect"]["count"] == 100 + found["counts"]["left"]


async def test_prompts_are_opened_and_answered_between_the_events() -> None:
    async with real_hub() as running:
        found = await load(running.url, prompts=10, duration=1.5, dialect="tasktree.v1:1,sse:1")
    accounted_for(found)
    assert found["counts"]["prompts"] > 5
    assert found["errors"] == {}


async def test_a_restart_of_the_hub_loses_nothing(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as running:
        pid = running.process.pid
        script = tmp_path / "restart.sh"
        script.write_text(f"[ -e {tmp_path}/done ] || {{ touch {tmp_path}/done; kill -9 {pid}; }}\n")

        async def start_again() -> None:
            await running.ended()
            await running.start()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_again)
            found = await load(
                running.url,
                restart_command=f"sh {script}",
                restart_every="1s",
                duration=1.9,
                settle=120,
                dialect="tasktree.v1:1,plain:1,sse:1",
            )
    assert found["counts"]["restarts"] >= 1
    accounted_for(found)
    assert found["errors"]


async def test_several_processes_read(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        arguments = ("--watchers", "31", "--projects", "3", "--processes", "3", "--duration", "2s")
        more = ("--rate", "50", "--churn", "5", "--storms", "1s", "--json", "a.json")
        code, out, err = await finished(tmp_path, "load", address, *arguments, *more)
    assert code == 0, out + err
    assert "no fault: every delivery of 31 watchers is accounted for" in out
