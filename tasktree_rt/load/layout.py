"""Who watches what: the topics and the watchers of a plan; every process of a test computes the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from typing import Final

from attrs import frozen

from tasktree_rt.load.languages.aiecs import Aiecs
from tasktree_rt.load.languages.autogpt import AutoGpt
from tasktree_rt.load.languages.base import ORDER, Language
from tasktree_rt.load.languages.broadcast import Broadcast
from tasktree_rt.load.languages.execution import Execution
from tasktree_rt.load.languages.tasktree import TaskTree
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Head
from tasktree_rt.load.schedule import spread
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.watcher import Kind, Topic
from tasktree_rt.load.workload import Workload

MIXED: Final = 1
"""Seed of the order in which kinds of readers come: the same in every process."""


@frozen
class Seats:
    """The topics of a test, and the topic and kind of each watcher.

    Attributes:
        projects: for each topic the index of its project.
    """

    topics: list[Topic]
    projects: list[int]
    watchers: list[tuple[Topic, Kind]]

    def share(self, part: int, parts: int) -> list[tuple[Topic, Kind]]:
        """Return the watchers of process `part` of `parts`."""
        return list(islice(self.watchers, part, None, parts))


def language(plan: Plan, dialect: str, path: str = "") -> Language:
    """Return a language of a plan. `path`: of the server, before that of the language."""
    workload = Workload(plan.nodes, plan.size)
    match dialect:
        case "tasktree.v1":
            return TaskTree(workload, native=True, base=path)
        case "plain":
            return TaskTree(workload, base=path)
        case "sse":
            return TaskTree(workload, streams=True, base=path)
        case "execution":
            return Execution(path)
        case "autogpt":
            return AutoGpt(path)
        case "aiecs":
            return Aiecs(path)
        case _:
            return Broadcast(path or "/", plan.hello, plan.number, plan.time)


def project_names(plan: Plan, run: str) -> list[str]:
    """Return the names of the projects of run `run`."""
    return [f"load-{run}-{number}" for number in range(plan.projects)]


def seats(plan: Plan, run: str, heads: Sequence[Head], path: str = "") -> Seats:
    """Lay a plan out. `heads`: of each project, after its first event."""
    topics: list[Topic] = []
    projects: list[int] = []
    places: dict[tuple[str, int], Topic] = {}
    for dialect in plan.dialect:
        spoken = language(plan, dialect, path)
        for project, name in enumerate(project_names(plan, run)):
            head = heads[project]
            stream = SharedStream(contiguous=spoken.traits.method != ORDER)
            topic = Topic(name, spoken, head.position, head.number, head.epoch, stream)
            topics.append(topic)
            projects.append(project)
            places[dialect, project] = topic
    dialects, kinds = _dialects(plan), _kinds(plan)
    chosen = [
        (places[dialect, project], kind)
        for dialect, project, kind in zip(dialects, spread(plan), kinds, strict=True)
    ]
    return Seats(topics, projects, chosen)


def _dialects(plan: Plan) -> list[str]:
    """Return the dialect of each watcher: the one that is furthest behind its share comes next."""
    whole, given = sum(plan.dialect.values()), dict.fromkeys(plan.dialect, 0)
    found = []
    for number in range(1, plan.watchers + 1):
        name = max(given, key=lambda one: plan.dialect[one] / whole * number - given[one])
        given[name] += 1
        found.append(name)
    random.Random(MIXED).shuffle(found)  # noqa: S311 - mixes dialects with projects, no secret
    return found


def _kinds(plan: Plan) -> list[Kind]:
    found: list[Kind] = []
    shares = ((Kind.SLOW, plan.slow), (Kind.STALLED, plan.stalled), (Kind.HALF_OPEN, plan.half_open))
    for kind, share in shares:
        found += [kind] * round(share * plan.watchers)
    found = found[: plan.watchers]
    found += [Kind.NORMAL] * (plan.watchers - len(found))
    random.Random(MIXED).shuffle(found)  # noqa: S311 - mixes kinds with projects, no secret
    return found
