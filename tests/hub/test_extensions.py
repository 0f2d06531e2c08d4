"""Extensions: parts that foreign systems add to a hub."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.hub.extensions import Extensions
from tasktree_rt.hub.hub import open_hub
from tasktree_rt.settings import Settings


class Part:
    """Note what happens to it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def run(self) -> None:
        self.log.append("run")
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("end")

    async def keep(self, patience: float) -> None:
        self.log.append(f"keep {patience}")


class Other(Part):
    pass


async def test_the_first_call_makes_an_extension_and_every_later_one_returns_it() -> None:
    extensions = Extensions()
    part = extensions.get(Part, Part)
    assert extensions.get(Part, Part) is part
    assert type(extensions.get(Other, Other)) is Other


async def test_an_extension_runs_as_long_as_its_hub_also_when_it_came_later() -> None:
    async with open_hub(MemoryBroker(), Settings()) as hub:
        early = hub.extensions.get(Part, Part)
        await wait_all_tasks_blocked()
        late = hub.extensions.get(Other, Other)
        await wait_all_tasks_blocked()
        assert (early.log, late.log) == (["run"], ["run"])
    assert (early.log, late.log) == (["run", "end"], ["run", "end"])


async def test_a_hub_that_drains_lets_its_extensions_keep_something() -> None:
    settings = Settings()
    async with open_hub(MemoryBroker(), settings) as hub:
        part = hub.extensions.get(Part, Part)
        await hub.drain()
        assert f"keep {settings.drain.timeout / 4}" in part.log
