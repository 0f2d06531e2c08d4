"""End what no span ended, and delete the projects of old traces."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.core.statuses import is_ended
from tasktree_rt.dialects.otlp.plan import open_nodes, settled
from tasktree_rt.dialects.otlp.records import TRACE_ID
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.otlp.routing import TRACE
from tasktree_rt.web.otlp.traces import Traces

ROUND: Final = 1.0
"""Seconds between two looks."""
AT_ONCE: Final = 200
"""Nodes that one publish ends."""


class Upkeep:
    """See the module's docstring; it runs as long as the hub (`hub.extensions`)."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.traces = Traces(trio.current_time, hub.settings.otlp.settle)

    async def run(self) -> None:
        """Run until cancelled. What fails, for example because the store fails, is tried again later."""
        await self._guarded(self._take_up)
        settings = self._hub.settings
        next_sweep = trio.current_time() + settings.keep.sweep_interval
        while True:
            await trio.sleep(min(ROUND, settings.otlp.settle, settings.keep.sweep_interval))
            await self._guarded(self.settle)
            if trio.current_time() >= next_sweep:
                await self._guarded(self.sweep)
                next_sweep = trio.current_time() + settings.keep.sweep_interval

    async def keep(self, patience: float) -> None:
        """Do nothing: the next hub takes up the projects that are traces."""

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except PeerError:
            return
        except Exception as error:
            self._hub.report_fault("otlp", error)

    async def _take_up(self) -> None:
        """Remember the traces that were running when the hub before this one stopped."""
        async for summary in self._hub.directory.summaries(TRACE):
            trace_id = summary.project_id.removeprefix(TRACE)
            if TRACE_ID.fullmatch(trace_id) and not is_ended(summary.state):
                self.traces.touch(summary.project_id, trace_id)

    async def sweep(self) -> None:
        """Delete the traces that ended long ago, and the oldest ended ones if there are too many."""
        settings, now = self._hub.settings.otlp, self._hub.wall()
        count, ended = 0, list[tuple[int, str]]()
        async for summary in self._hub.directory.summaries(TRACE):
            count += 1
            if is_ended(summary.state):
                ended.append((summary.received, summary.project_id))
        oldest = now - round(settings.keep * 1_000_000) if settings.keep else 0
        surplus = count - settings.max_projects
        for index, (received, name) in enumerate(sorted(ended)):
            if received >= oldest and index >= surplus:
                break
            with contextlib.suppress(PeerError):  # for example deleted meanwhile
                await self._hub.delete_project(name)

    async def settle(self) -> None:
        """End the nodes of every trace of which nothing came for `otlp.settle` seconds."""
        for project, nodes in self.traces.take_due():
            await self._settle(project, nodes)

    async def _settle(self, project: str, nodes: set[str]) -> None:
        found = await self._hub.history.log(project)
        if found.epoch == "" and not found.pending:
            return  # deleted meanwhile
        tree = found.staged
        named = list(open_nodes(tree)) if project.startswith(TRACE) else sorted(nodes)
        events = settled(project, named, tree, self._hub.timestamp())
        for index in range(0, len(events), AT_ONCE):
            await self._hub.publish(events[index : index + AT_ONCE])
        self._hub.meter.otlp_settled(sum(one.type == "node_update" for one in events))
