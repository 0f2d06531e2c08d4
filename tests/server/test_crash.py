"""``kill -9`` under load, on one database again and again: nothing acked is lost, nothing is stored twice,
and every watcher goes on exactly where it was.

``--crash-rounds N`` says how often (default 3, ``just crash`` 20), ``--crash-seed`` repeats a run's choices.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from tests.server.load import Load
from tests.server.process import HubProcess, hub_process
from tests.server.trial import SMALL_STORE, trial


async def test_kill_9_under_load_loses_doubles_and_skips_nothing(
    tmp_path: Path, crash_rounds: int, crash_seed: int
) -> None:
    print(f"--crash-seed {crash_seed}")  # noqa: T201 - shown when it fails
    rng = random.Random(crash_seed)
    async with hub_process(tmp_path, *SMALL_STORE) as hub, trial(hub, rng) as under:
        for number in range(crash_rounds):
            print(f"round {number}: {await _crash(hub, under.load, rng)}")  # noqa: T201
            under.load.resume()
            await under.settle()
        assert hub.process.returncode is None
        assert sum(one.repeated for one in under.producers) > 0, "no producer ever had to send anything twice"


async def _crash(hub: HubProcess, load: Load, rng: random.Random) -> str:
    """Kill it after so many things have happened, in the middle of whatever it is doing then."""
    load.go()
    count = rng.randrange(50, 900)
    await load.happened(count)
    for _ in range(rng.randrange(30)):
        await trio.lowlevel.checkpoint()
    await hub.kill()
    load.down()
    if rng.random() < 0.5:
        await hub.start()
        await hub.kill()  # again, with nothing done but to recover
    await hub.start()
    return f"killed after {count} frames"


@pytest.fixture
def crash_rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--crash-rounds"))


@pytest.fixture
def crash_seed(request: pytest.FixtureRequest) -> int:
    given = request.config.getoption("--crash-seed")
    return int(given) if given is not None else random.SystemRandom().randrange(10**9)
