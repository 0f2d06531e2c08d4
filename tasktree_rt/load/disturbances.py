"""What disturbs a test on purpose: churn, storms of reconnects, restarts, prompts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from tasktree_rt.load.layout import project_names
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.prompts import ask
from tasktree_rt.load.readers import Readers
from tasktree_rt.load.tally import Tally
from tasktree_rt.load.target import Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def disturb(plan: Plan, target: Target, run: str, tally: Tally, readers: Readers) -> None:
    """Do all that the plan asks for, until it is cancelled."""
    tasks: list[Callable[[], Awaitable[None]]] = []
    if plan.prompts:
        tasks.append(partial(ask, plan.prompts, target, project_names(plan, run), run, tally))
    if plan.churn:
        tasks.append(partial(_churn, plan, readers))
    if plan.storms:
        tasks.append(partial(_storms, plan, readers))
    if plan.restart_command:
        tasks.append(partial(_restarts, plan, tally))
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


async def _churn(plan: Plan, readers: Readers) -> None:
    begun, left = trio.current_time(), 0
    while True:
        await trio.sleep(max(0.1, 1 / plan.churn))
        due = int((trio.current_time() - begun) * plan.churn) - left
        if due > 0:
            await readers.leave(due)
            left += due


async def _storms(plan: Plan, readers: Readers) -> None:
    begun = trio.current_time()
    for moment in sorted(plan.storms):
        await trio.sleep_until(begun + moment)
        await readers.storm()


async def _restarts(plan: Plan, tally: Tally) -> None:
    while True:
        await trio.sleep(plan.restart_every)
        done = await trio.run_process(
            ["/bin/sh", "-c", plan.restart_command], check=False, capture_stdout=True, capture_stderr=True
        )
        tally.counts["restarts"] += 1
        if done.returncode:
            tally.errors[f"restart_command ended with {done.returncode}"] += 1
