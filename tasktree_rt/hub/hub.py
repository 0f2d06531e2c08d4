"""The hub: publish, subscribe, broadcast. The public API for embedding in a Trio program.

::

    async with open_hub(MemoryBroker(), Settings()) as hub:
        await hub.publish([Event("node_update", ProjectId("p"), {...}, hub.timestamp())])
        async with hub.subscribe("p", state=True) as messages:
            async for message in messages:
                ...

Everything here is called from the Trio task tree the hub runs in. See docs/embedding.md.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Final

import trio
from attrs import frozen

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.commands import Draining, Message, Policy, Subscribe
from tasktree_rt.core.events import project_id
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.errors import InvalidInput, ProjectDamaged, Refused
from tasktree_rt.hub.asking import Asking
from tasktree_rt.hub.calling import Calling
from tasktree_rt.hub.clerk import Clerk
from tasktree_rt.hub.commanding import Commanding
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.feed import Events
from tasktree_rt.hub.holdings import PROJECT, USER_LOG
from tasktree_rt.hub.keeper import Keeper
from tasktree_rt.hub.liveness import Liveness
from tasktree_rt.hub.mirror import Mirror
from tasktree_rt.hub.past import PastStates
from tasktree_rt.hub.project import Project
from tasktree_rt.hub.pulling import Objects
from tasktree_rt.hub.receipts import Accepted, Published, result
from tasktree_rt.hub.recovery import Recovered, Recovery
from tasktree_rt.hub.returning import Returning
from tasktree_rt.hub.shared_snapshot import PlannedSnapshot
from tasktree_rt.hub.store_errors import readable
from tasktree_rt.hub.subscriber import Subscriber
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings

__all__ = ["Accepted", "Events", "Hub", "Published", "Statistics", "open_hub", "result"]

DISMISSED: Final = 200
"""Connections that are told to come back in one turn of the loop, when the hub stops."""


@frozen
class Statistics:
    """The hub at a glance. `outbox_…` waits in outboxes now; `events_in` and `messages_out` count from the
    hub's beginning; `publish_seconds` is what the newest took from its arrival until every outbox had it."""

    connections: int
    subscriptions: int
    projects_loaded: int
    projects_bytes: int
    publishes_waiting: int
    outbox_messages: int
    outbox_bytes: int
    lagging: int
    ticks: int
    events_in: int
    messages_out: int
    publish_seconds: float
    store: str
    store_error: str | None
    draining: bool


class Hub(Asking, Commanding, Calling):
    """See the module's docstring; made by `open_hub`."""

    @cached_property
    def mirror(self) -> Mirror:
        """Shows things that live elsewhere as projects."""
        return Mirror(self)

    @cached_property
    def returning(self) -> Returning:
        """What closed connections of live views leave to those that come back."""
        return Returning(self)

    @cached_property
    def past(self) -> PastStates:
        """States of the past that are read now."""
        return PastStates()

    @asynccontextmanager
    async def subscribe(
        self,
        project: str = WILDCARD,
        *,
        since: Position | None = None,
        state: bool = False,
        policy: Policy = Policy.CONFLATE,
        grants: Grants = OPEN,
    ) -> AsyncIterator[AsyncIterator[Message | Events]]:
        """Watch a project, or all, from within this process.

        Gives an async iterator of what a native connection would be told: `Subscribed`, `StatePart`,
        `Events`, `Conflated`, … A reader that falls behind is treated by `policy`, as any other.
        """
        subscriber = self.connections.pull_subscriber(
            Objects(), policy=policy, grants=grants, address="in-process"
        )
        wish = Subscribe(project, since=since, state=state)
        try:
            if project == WILDCARD:
                self.subscriptions.watch_all(subscriber, wish)
            else:
                await self.subscriptions.watch(subscriber, wish)
            yield subscriber.messages()
        finally:
            self.connections.detach(subscriber)

    async def state(self, name: str, seq: int | None = None) -> Snapshot:
        """A project's state now, or as it was after event `seq` of its present life.

        Raises:
            Refused: ``not_found`` or, before the oldest position kept, ``gone``.
        """
        project = await self.existing(name)
        if seq is None or seq == project.tree.head:
            return project.tree.snapshot()
        return (await self.past_state(project, seq)).snapshot

    async def existing(self, name: str) -> Project:
        """A project that has a log.

        Raises:
            Refused: ``not_found``.
        """
        project = await self.shelf.load(project_id(name))
        if project.epoch == "":
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        return project

    async def past_state(self, project: Project, seq: int) -> PlannedSnapshot:
        """A project's state as it was after event `seq`, shared by those who ask for it at the same time.

        Raises:
            InvalidInput: there is no such event.
            Refused: ``gone``: it is before the oldest position kept.
        """
        name, position = project.project_id, Position(project.epoch, seq)
        if not 0 <= seq <= project.tree.head:
            message = f"expected a number from 0 to {project.tree.head}"
            raise InvalidInput(message, code="invalid_position", field="at")

        async def read() -> PlannedSnapshot | None:
            with readable():
                found = await self.checkpoints.state_at(name, position)
            return None if found is None else PlannedSnapshot(name, found)

        found = await self.past.get((name, position), read)
        if found is None:
            oldest = Position(project.epoch, project.floor)
            raise Refused(f"the oldest position is {oldest}", code="gone", field="at")
        return found

    async def recover(self, topic: str) -> Recovered:
        """Let a damaged project, or user's log, go on with what of it can be read; watchers get the state.

        One that is not damaged is left as it is.

        Raises:
            Refused: ``not_found``.
            Unavailable: not now.
            ProjectDamaged: it is being recovered or deleted already, or not even its outline can be read.
        """
        project = await self.shelf.hold(topic)
        if project.damage is None:
            if project.epoch == "":
                raise Refused(f"there is no project {topic!r}", code="not_found", field="project_id")
            return Recovered(project.position, project.checkpointed, ())
        if topic in self.recovering or project.pending:
            raise ProjectDamaged(topic, "it is being recovered or deleted now")
        self.recovering.add(topic)
        try:
            with readable():
                settles = self.matters.unreadable(topic)
                found = await Recovery(self.broker, topic).recover(self.context.new_epoch(), settles)
            self.shelf.forget(project)
        finally:
            self.recovering.discard(topic)
        if found is None:
            raise Refused(f"there is no project {topic!r}", code="not_found", field="project_id")
        self.matters.forget_unreadable(topic)
        self._goes_on(await self.shelf.load(topic), project.position)
        return found

    def _goes_on(self, project: Project, before: Position) -> None:
        """A recovered project is there again."""
        self.subscriptions.renew(project, before)
        self.activity.touched(project, 0)

    # --- looking at it ----------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """The hub at a glance."""
        everyone = self.connections.values()
        return Statistics(
            connections=len(everyone),
            subscriptions=sum(len(self.connections.topics_of(one)) for one in everyone),
            projects_loaded=len(self.shelf),
            projects_bytes=self.shelf.footprints.bytes,
            publishes_waiting=self.ingest.waiting,
            outbox_messages=sum(one.outbox.waiting for one in everyone),
            outbox_bytes=sum(one.outbox.waiting_bytes for one in everyone),
            lagging=sum(1 for one in everyone if one.feeds.watch),
            ticks=self.fanout.ticks,
            events_in=self.fanout.events,
            messages_out=self.fanout.messages,
            publish_seconds=round(self.fanout.took, 6),
            store=self.broker.name,
            store_error=self.ingest.store_error,
            draining=self.draining,
        )

    # --- running ----------------------------------------------------------------------------------

    async def count_holdings(self) -> None:
        """Look up whose the logs and the snapshots are that the store has (for the limits).

        Raises:
            StoreUnavailable: it cannot be read.
        """
        for (owner, of_user), count in (await self.broker.owned()).items():
            self.holdings.add(owner, USER_LOG if of_user else PROJECT, count)
        await self.snapshots.load()

    async def drain(self) -> None:
        """Stop politely: finish what was accepted, tell everyone when to come back, close with 1012.

        Returns when every connection is told; bounded by `settings.drain.timeout` together with the
        caller. Later publishes are refused (``draining``).
        """
        self.draining = True
        with trio.move_on_after(self.settings.drain.timeout / 2):
            await self.ingest.quiet()
        window = int(self.settings.drain.window * 1000)
        for number, subscriber in enumerate(list(self.connections.values()), 1):
            self._dismiss(subscriber, window)
            if number % DISMISSED == 0:
                await trio.lowlevel.checkpoint()
        await self.returning.store(self.settings.drain.timeout / 4)
        self.roster.close()
        for subscriber in list(self.connections.values()):
            if not subscriber.closing:  # it came meanwhile
                self._dismiss(subscriber, window)
        self.drained.set()

    @staticmethod
    def _dismiss(subscriber: Subscriber, window: int) -> None:
        """Tell a connection when to come back (within `window` ms), and close it."""
        subscriber.reply(Draining(random.randint(0, window)))  # noqa: S311
        subscriber.close(subscriber.farewell)


async def _vital(hub: Hub, where: str, task: Callable[[], Awaitable[None]]) -> None:
    """Run the committer or the fan-out. A fault in them ends the hub: their work is half done, and to go on
    would leave watchers with a gap that nobody notices. What was acknowledged is in the store: the next hub
    goes on from there.
    """
    try:
        await task()
    except Exception as error:
        hub.context.report_fault(where, error)
        raise


@asynccontextmanager
async def open_hub(
    broker: Broker,
    settings: Settings,
    *,
    meter: Metrics | None = None,
    on_error: Callable[[str, BaseException], None] | None = None,
) -> AsyncIterator[Hub]:
    """Open the broker and run a hub on it for as long as the block lasts.

    On leaving, what was accepted is committed, then the broker is closed. `on_error(where, error)` is
    called for every fault of the hub's own.

    Raises:
        StoreUnusable: the broker cannot be opened.
    """
    await broker.open()
    try:
        hub = Hub(broker, HubContext(settings, meter or Metrics(), on_error=on_error))
        await hub.count_holdings()
        await hub.load_matters()
        async with trio.open_nursery() as nursery:
            for task in (
                hub.turns.run,
                partial(_vital, hub, "ingest", hub.ingest.run),
                partial(_vital, hub, "fanout", hub.fanout.run),
                hub.broadcasts.run,
                hub.roster.run,
                hub.statuses.run,
                hub.mirror.run,
                hub.returning.run,
                hub.ingest.recover,
                Keeper(hub).run,
                Clerk(hub).run,
                Liveness(hub, settings.delivery.heartbeat_interval).run,
            ):
                nursery.start_soon(task)
            try:
                yield hub
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(settings.drain.timeout):
                    await hub.ingest.quiet()
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await broker.aclose()
