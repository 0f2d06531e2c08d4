"""Load tests run in the process of the test, against a server that it has."""

from __future__ import annotations

from typing import Any

import trio

from tasktree_rt.load.conduct import Conductor, Outcome
from tasktree_rt.load.plan import read_plan
from tasktree_rt.load.report import report
from tasktree_rt.load.target import resolve
from tests.cli.processes import PATIENCE

QUICK: dict[str, Any] = {"duration": 0.4, "rate": 100, "watchers": 20, "cooldown": 0, "settle": 20}


async def load(url: str, **fields: Any) -> dict[str, Any]:
    """The report of a short test."""
    return report(await outcome_of(url, **fields))


async def outcome_of(url: str, **fields: Any) -> Outcome:
    plan = read_plan({**QUICK, **fields})
    with trio.fail_after(PATIENCE):
        return await Conductor(plan, resolve(url), lambda phase, sample: None).run()
