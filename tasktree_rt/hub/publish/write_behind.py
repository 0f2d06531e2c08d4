"""Publish states of other systems as projects, without making their callers wait for the store.

The hub merges changes until it can publish them: of a thousand changes a second it writes only the newest
state. A caller never waits for the store.
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import define, field
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.core.events import Event, Json, ProjectId
from tasktree_rt.errors import PeerError, StoreUnavailable, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.publish.publisher import Publisher

log: Final[BoundLogger] = get_logger("tasktree_rt.mirror")
WORKERS: Final = 4
MOST: Final = 20_000
"""Projects and nodes that may wait."""
AGAIN: Final = 1.0
"""Seconds until the next try after the store refused."""


@define
class Waiting:
    """The changes of one project that are not published yet."""

    changes: Json = field(factory=dict)
    state: str | None = None
    nodes: dict[str, Json] = field(factory=dict)

    def __len__(self) -> int:
        return 1 + len(self.nodes)

    def under(self, newer: Waiting) -> Waiting:
        """Return these changes with the `newer` ones merged over them."""
        nodes = dict(self.nodes)
        for node_id, changes in newer.nodes.items():
            nodes[node_id] = {**nodes.get(node_id, {}), **changes}
        return Waiting({**self.changes, **newer.changes}, newer.state or self.state, nodes)


class WriteBehind:
    """See the module's docstring."""

    def __init__(self, context: HubContext, publisher: Publisher, cache: ProjectCache) -> None:
        self._context = context
        self._publisher = publisher
        self._cache = cache
        self._waiting: dict[str, Waiting] = {}
        self._busy: set[str] = set()
        self._size = 0
        self._wake = trio.Event()
        self.lost = 0
        """Count of changes that were lost: too many waited, or the hub refused them."""

    @property
    def quiet(self) -> bool:
        """True if all changes are published."""
        return not self._waiting and not self._busy

    def put(
        self, project_id: str, changes: Json, *, node_id: str | None = None, state: str | None = None
    ) -> None:
        """Add changes of a node, or of the project's own fields; `state` is the project's state."""
        newer = Waiting({}, state, {node_id: changes}) if node_id is not None else Waiting(changes, state)
        self._lay(project_id, newer, on_top=True)

    def _lay(self, project_id: str, more: Waiting, *, on_top: bool) -> None:
        before = self._waiting.get(project_id)
        after = more if before is None else before.under(more) if on_top else more.under(before)
        grown = len(after) - (0 if before is None else len(before))
        if grown and self._size + grown > MOST:
            self._lose(len(more), "too much waits to be written")
            return
        self._waiting[project_id] = after
        self._size += grown
        self._wake.set()

    def _lose(self, changes: int, reason: str, **described: str) -> None:
        self.lost += changes
        log.warning("not mirrored", reason=reason, changes=changes, **described)

    async def run(self) -> None:
        """Run the workers that publish."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            name = next((one for one in self._waiting if one not in self._busy), None)
            if name is None:
                if self._wake.is_set():
                    self._wake = trio.Event()
                await self._wake.wait()
                continue
            taken = self._waiting.pop(name)
            self._size -= len(taken)
            self._busy.add(name)
            try:
                await self._write(name, taken)
            except Exception as error:
                self._context.report_fault("mirror", error)
            finally:
                self._busy.discard(name)
                self._wake.set()

    async def _write(self, name: str, taken: Waiting) -> None:
        """Publish the changes of a project; if the store fails, put them back below newer ones."""
        try:
            events = await self._events(name, taken)
            most = self._context.settings.limits.max_events_per_publish
            for begin in range(0, len(events), most):
                await self._publish(events[begin : begin + most])
        except (StoreUnavailable, Unavailable):
            self._lay(name, taken, on_top=False)
            await trio.sleep(AGAIN)
        except PeerError as error:
            self._lose(len(taken), error.message, project=name)

    async def _publish(self, events: list[Event]) -> None:
        """Publish events; if the hub refuses them, publish each alone, so that only the bad one is lost."""
        try:
            await self._publisher.publish(events)
        except Unavailable:
            raise
        except PeerError as error:
            if len(events) == 1:
                self._lose(1, error.message, project=str(events[0].project_id))
                return
            for event in events:
                await self._publish([event])

    async def _events(self, name: str, taken: Waiting) -> list[Event]:
        project, now = ProjectId(name), self._context.timestamp()
        tree = (await self._cache.load(name)).tree
        said: list[tuple[str, Json]] = []
        if taken.changes:
            said.append(("project_update", {"changes": taken.changes}))
        for node_id, changes in taken.nodes.items():
            said.append(("node_update", {"node_id": node_id, "changes": changes}))
        before = tree.top.get("state")
        if taken.state is not None and taken.state != before:
            said.append(("state_transition", {"from": before, "to": taken.state, "context": {}}))
        return [Event(kind, project, data, now) for kind, data in said]
