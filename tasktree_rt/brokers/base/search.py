"""Search: events that have words, the newest first. A broker may keep an index of them, or read the logs.

This is the only part of a store that looks into bodies. `core.search` has the rule by which an event matches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from tasktree_rt.core.log import Position
from tasktree_rt.core.search import Excerpt, Query


@frozen
class Place:
    """Where a search goes on: before this position of this project."""

    project_id: str
    position: Position


@frozen
class Where:
    """Which logs are searched.

    Attributes:
        project_id: the only one, or None for all.
        allowed: whether a project's events may be found; asked only without `project_id`.
    """

    project_id: str | None
    allowed: Callable[[str], bool] = lambda _: True


@frozen
class Bounds:
    """What one search may cost: `limit` hits, `events` that are read where there is no index, `seconds`."""

    limit: int
    events: int
    seconds: float


@frozen
class Hit:
    """An event that matches; `received` in microseconds, `level` that of output."""

    project_id: str
    position: Position
    type: str
    node_id: str | None
    level: str | None
    received: int
    excerpt: Excerpt


@frozen
class Found:
    """The answer to a search.

    Attributes:
        hits: the newest of a project first. Over all projects the hits of a project stand together.
        count: how many events match, `hits` among them, as far as was looked.
        exact: that is all of them; False: there are at least as many.
        next: where to go on; None at the end.
        searched_from, searched_to: of one project: events after the first seq up to the second were looked
            at.
        behind: events that are in the logs but not yet in the index.
        index: whether an index was asked; False: events were read.
    """

    hits: tuple[Hit, ...]
    count: int
    exact: bool
    next: Place | None
    searched_from: int
    searched_to: int
    behind: int
    index: bool


class Search(Protocol):
    """Search over the logs of projects. Logs of users are not searched."""

    @property
    def indexes(self) -> bool:
        """Whether the broker keeps an index, and so has work for `index`."""

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None = None) -> Found:
        """Find events. An index that is lost or damaged makes the answer smaller, never wrong.

        A project that has no log has no hits. If the life of `after` is over, nothing is found.
        """

    async def index(self) -> bool:
        """Take some events into the index, and take out some that `Broker.trim` deleted: the work of some
        milliseconds. Returns False when nothing is left to do. A fault of the index raises nothing.
        """
