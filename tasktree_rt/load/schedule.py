"""When which event is due: an even rate, and bursts; the same for the same plan."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from tasktree_rt.load.plan import Plan


def schedule(plan: Plan) -> Iterator[tuple[float, int]]:
    """Yield for each event when it is due (seconds from the first), and the index of its project."""
    projects = plan.projects
    even = ((number / plan.rate, number % projects) for number in count()) if plan.rate else iter(())
    bursts = (
        ((number * plan.burst_every, at % projects) for number in count(1) for at in range(plan.burst))
        if plan.burst
        else iter(())
    )
    for due, project in heapq.merge(even, bursts):
        if due >= plan.duration:
            return
        yield due, project


def spread(plan: Plan) -> list[int]:
    """Return the index of the project of each watcher, in the order in which they connect."""
    if plan.spread == "even":
        return [number % plan.projects for number in range(plan.watchers)]
    weights = [1 / (number + 1) for number in range(plan.projects)]
    whole = sum(weights)
    left = plan.watchers - plan.projects
    shares = [1 + int(left * weight / whole) for weight in weights]
    shares[0] += plan.watchers - sum(shares)
    found = [(place / share, project) for project, share in enumerate(shares) for place in range(share)]
    return [project for _, project in sorted(found)]
