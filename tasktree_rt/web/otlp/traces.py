"""Remember to which project a trace goes, and which nodes of it have no end yet. Bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field

KEPT: Final = 100_000
"""Traces that are remembered, the newest."""
AGE: Final = 3_600.0
"""Seconds after its last span for which a trace is remembered."""
MAX_OPEN: Final = 10_000
"""Nodes without an end that are remembered of one trace."""


@define
class Open:
    """A trace in a project: when its last span came, and its nodes without an end."""

    last: float
    nodes: set[str] = field(factory=set)


class Traces:
    """See the module's docstring. `now` is a clock in seconds.

    What one caller says of a trace counts for that caller only: a trace's id is no secret, and must not lead
    the spans of others into a project that they do not know.
    """

    def __init__(self, now: Callable[[], float], settle: float) -> None:
        self._now = now
        self._settle = settle
        self._projects: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        self._open: OrderedDict[tuple[str, str], Open] = OrderedDict()

    def __len__(self) -> int:
        return len(self._projects) + len(self._open)

    def declare(self, owner: str, trace_id: str, project: str) -> None:
        """Remember the project that a caller named for a trace."""
        self._projects[owner, trace_id] = (project, self._now())
        self._projects.move_to_end((owner, trace_id))
        while len(self._projects) > KEPT:
            self._projects.popitem(last=False)

    def project(self, owner: str, trace_id: str) -> str | None:
        """Return the project that the caller named for a trace; None if it named none."""
        found = self._projects.get((owner, trace_id))
        if found is None or self._now() - found[1] > AGE:
            return None
        self.declare(owner, trace_id, found[0])
        return found[0]

    def touch(self, project: str, trace_id: str, begun: Iterator[str] | tuple[str, ...] = ()) -> None:
        """Note that something of a trace came, and which nodes of it have no end."""
        found = self._open.get((project, trace_id))
        if found is None:
            found = self._open[project, trace_id] = Open(0.0)
        found.last = self._now()
        self._open.move_to_end((project, trace_id))
        for one in begun:
            if len(found.nodes) < MAX_OPEN:
                found.nodes.add(one)

    def ended(self, project: str, trace_id: str, node_id: str) -> None:
        """Note that a node has its end."""
        found = self._open.get((project, trace_id))
        if found is not None:
            found.nodes.discard(node_id)

    def take_due(self) -> Iterator[tuple[str, set[str]]]:
        """Forget the traces of which nothing came for long; yield the project of each and its open nodes."""
        before = self._now() - self._settle
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.last > before and len(self._open) <= KEPT:
                return
            del self._open[key]
            yield key[0], oldest.nodes
