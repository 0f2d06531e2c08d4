"""Opens the publisher that fits a plan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tasktree_rt.core.events import Json
from tasktree_rt.errors import ClientError
from tasktree_rt.load.layout import project_names
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Acknowledged, Publisher, hub_publisher, prime
from tasktree_rt.load.target import Target
from tasktree_rt.load.workload import Workload


@asynccontextmanager
async def open_publisher(
    plan: Plan, target: Target, run: str, noted: Acknowledged
) -> AsyncIterator[Publisher]:
    """Open a publisher; afterwards every topic exists, and `noted` has its head.

    Raises:
        ClientError: the server refuses the first events.
    """
    workload, names = Workload(plan.nodes, plan.size), project_names(plan, run)
    if not plan.watches_projects:
        raise ClientError(f"dialect: {plan.only} is not there yet")

    def event(topic: int, number: int, due: int) -> Json:
        return workload.event(names[topic], number, due)

    async with hub_publisher(target, event, noted, epochs=True, producer=f"load-{run}") as publisher:
        await prime(publisher, noted.heads)
        yield publisher
