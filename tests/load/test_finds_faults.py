"""A proxy plants one fault; the test finds it, in every language."""

from __future__ import annotations

import random

import pytest

from tests.load.faulty_proxy import FAULTS, faulty_proxy
from tests.load.running import load
from tests.web.realhub import real_hub

FOUND_AS = {"drop": "lost", "double": "doubled", "swap": "out_of_order"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", ["tasktree.v1", "plain", "sse"])
async def test_a_planted_fault_is_found(dialect: str, fault: str) -> None:
    at = random.randrange(1, 100)  # of 800 events; the last of a connection cannot be swapped
    async with real_hub() as hub, faulty_proxy(hub.url, fault, {at}, b"node_update") as proxy:
        settle = 3 if fault == "drop" else 60
        found = await load(f"http://127.0.0.1:{proxy.port}", dialect=dialect, settle=settle)
    assert proxy.done == 1, proxy.frames
    faults = {name: count for name, count in found["faults"].items() if count}
    assert set(faults) == {FOUND_AS[fault]}, (found["examples"], found["trees"], found["errors"])
    assert found["examples"]


MARKS = {"autogpt": b"node_execution_event", "aiecs": b"load_test"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", MARKS)
async def test_a_planted_fault_is_found_by_number(dialect: str, fault: str) -> None:
    at = random.randrange(1, 700)
    async with real_hub() as hub, faulty_proxy(hub.url, fault, {at}, MARKS[dialect]) as proxy:
        settle = 3 if fault == "drop" else 60
        found = await load(f"http://127.0.0.1:{proxy.port}", dialect=dialect, settle=settle)
    assert proxy.done == 1, proxy.frames
    faults = {name: count for name, count in found["faults"].items() if count}
    assert set(faults) == {FOUND_AS[fault]}, found["examples"]


@pytest.mark.parametrize("fault", ["double", "swap"])
async def test_a_merging_language_shows_what_came_twice_or_late(fault: str) -> None:
    async with real_hub() as hub, faulty_proxy(hub.url, fault, {25}, b'"status"') as proxy:
        found = await load(f"http://127.0.0.1:{proxy.port}", dialect="execution", duration=1)
    assert proxy.done == 1, proxy.frames
    assert found["faults"]["doubled"] == 1, found["examples"]


async def test_a_merging_language_shows_that_the_last_value_did_not_come() -> None:
    async with real_hub() as hub, faulty_proxy(hub.url, "drop", set(range(40, 400)), b'"status"') as proxy:
        found = await load(f"http://127.0.0.1:{proxy.port}", dialect="execution", duration=1, settle=2)
    assert proxy.done
    assert found["faults"]["lost"] == 20, found["examples"]


async def test_the_proxy_alone_makes_no_fault() -> None:
    async with real_hub() as hub, faulty_proxy(hub.url, "drop", set(), b"node_update") as proxy:
        found = await load(f"http://127.0.0.1:{proxy.port}")
    assert proxy.frames == 800
    assert not any(found["faults"].values()), (found["examples"], found["trees"])
