"""A hub on a store that can be held up or made to fail, with clients that check every word."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Append, Appended, Key, Life, Outcome, Summary
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.compat.aiecs.direct_messages import DirectMessages
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.base import Dialect, encode_json
from tasktree_rt.dialects.tasktree import Native, Orchestrator, Plain
from tasktree_rt.errors import StoreUnavailable
from tasktree_rt.hub.hub import Hub, PublishReceipt, open_hub
from tasktree_rt.hub.publish.committer import GATHER
from tasktree_rt.hub.sessions.producer import ProducerSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tasktree_rt.settings import Delivery, Limits, Settings
from tests.hub.client import Client, Oracle, Star
from tests.hub.transport import Carried

STAMP = "2026-01-02T03:04:05.000006Z"


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test's body with a clock that jumps."""
    trio.run(main, clock=MockClock(autojump_threshold=0))


def small(**kept: Any) -> Settings:
    """Settings with the smallest outboxes there may be."""
    return Settings(
        limits=Limits(max_message_size=1024, **kept.pop("limits", {})),
        delivery=Delivery(outbox_messages=16, outbox_bytes=2048, **kept.pop("delivery", {})),
        **kept,
    )


def relay_of(hub: Hub) -> DirectMessages:
    """Make the part of AIECS that sends messages and heartbeats; `Relay.run` sends the heartbeats."""
    return DirectMessages(hub.ephemeral_topics, hub.quotas, lambda: secrets.token_hex(8))


def update(node_id: str, **changes: Any) -> dict[str, Any]:
    """A `node_update` as JSON, but for its project."""
    return {"type": "node_update", "data": {"node_id": node_id, "changes": changes}}


class Store(MemoryBroker):
    """A memory broker that tells the oracle, can be held up, and can fail."""

    def __init__(self, oracle: Oracle | None = None) -> None:
        super().__init__()
        self.oracle = oracle or Oracle()
        self.failing = False
        self.failing_reads = False
        self.appends: list[list[Append]] = []
        self._open = trio.Event()
        self._open.set()
        self._append_open = trio.Event()
        self._append_open.set()

    def hold(self) -> None:
        """Reads wait."""
        if self._open.is_set():
            self._open = trio.Event()

    def release(self) -> None:
        self._open.set()

    def hold_appends(self) -> None:
        if self._append_open.is_set():
            self._append_open = trio.Event()

    def release_appends(self) -> None:
        self._append_open.set()

    def release_one_append(self) -> None:
        """Let the one that waits go on; the next one waits again."""
        self._append_open.set()
        self._append_open = trio.Event()

    async def _reading(self) -> None:
        await self._open.wait()
        if self.failing_reads:
            raise StoreUnavailable("no disk")

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        await self._append_open.wait()
        if self.failing:
            raise StoreUnavailable("disk full")
        self.appends.append(list(batch))
        outcomes = await super().append(batch)
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Appended):
                for seq, draft in enumerate(entry.drafts, outcome.first):
                    self.oracle.add(
                        entry.project_id, outcome.epoch, seq, draft.type, json.loads(draft.body)["data"]
                    )
        return outcomes

    async def probe(self) -> None:
        if self.failing:
            raise StoreUnavailable("disk full")
        await super().probe()

    async def load(self, project_id: str) -> Life:
        await self._reading()
        return await super().load(project_id)

    async def read(self, project_id: str, since: Position, **more: Any) -> Recovered | Gap:
        await self._reading()
        return await super().read(project_id, since, **more)

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        await self._reading()
        return await super().projects(after, min(limit, 2))

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        await self._reading()
        return await super().producer_ids(subject, producer_id)


class Peer:
    """A native watcher: a `Client` on a connection that may be stalled, dropped and made again."""

    def __init__(self, world: World, policy: Policy, *, deflate: bool = False) -> None:
        self.world = world
        self.deflate = deflate
        self.policy = policy
        self.client = Client(world.oracle)
        self.carried: Carried | None = None
        self._ids = itertools.count(1)

    def connect(
        self, wishes: Sequence[str] = (), *, resume: bool = True, star: bool = False, room: int | None = None
    ) -> None:
        """Open a connection whose query names `wishes` (with since, where one is known), or ``*``."""
        query = {name: self.client.since(name) if resume else None for name in wishes}
        self.client.connects(dict(query), Star(None, None, False) if star else None)
        subscribes = [
            Subscribe(name, since=None if since is None else Position.parse(since))
            for name, since in query.items()
        ]
        if star:
            subscribes.append(Subscribe("*"))
        session = NativeSession(
            self.world.hub,
            Native(),
            tuple(subscribes),
            grants=OPEN,
            policy=self.policy,
            authenticate=open_to_all,
        )
        self.carried = Carried(session, self.world.nursery, room, deflate=self.deflate)

    @property
    def connection(self) -> Carried:
        assert self.carried is not None
        return self.carried

    def ask(self, kind: str, project: str, **fields: Any) -> None:
        request = {"type": kind, "id": next(self._ids), "project_id": project, **fields}
        self.client.asks(request)
        self.connection.send(request)

    def subscribe(self, project: str, how: str, policy: str | None = None) -> None:
        """`how`: plain, state or since (where something is known)."""
        fields: dict[str, Any] = {} if policy is None else {"policy": policy}
        if project == "*":
            # What is on its way for projects asked for by name would have to be told apart from what is not.
            if how == "since" and not self.client.requests:
                self.ask("unsubscribe", "*")
                known = {name: self.client.since(name) for name in self.client.courses}
                fields["since"] = {name: since for name, since in known.items() if since is not None}
        elif how == "since":
            fields["since"] = self.client.since(project) or ":0"
        if how == "state":
            fields["state"] = True
        self.ask("subscribe", project, **fields)

    def read(self) -> None:
        """Let the client take what came; a closed connection is dropped."""
        if self.carried is None:
            return
        for message in self.carried.received():
            self.client.take(message)
        if self.carried.transport.close_read or self.carried.transport.aborted:
            self.closed()

    def closed(self) -> None:
        closing = self.connection.transport.close_read
        if closing is not None and closing[0] == 4008:
            reason, _, position = closing[1].rpartition(" ")
            assert reason == "slow consumer"
            epoch, seq = position.rsplit(":", 1)
            courses = [course for course in self.client.courses.values() if course.subscribed]
            ats = [course.at for course in courses]
            ignoring = self.client.fence is not None or any(
                course.pending for course in self.client.courses.values()
            )
            assert ignoring or int(seq) == 0 or (epoch, int(seq)) in ats, f"4008 at {position}, of {ats}"
        assert closing is None or closing[0] in (4008, 1013), closing
        self.drop()

    def drop(self) -> None:
        if self.carried is not None:
            self.carried.end()
            self.carried = None
            for course in self.client.courses.values():
                self.client.end(course)

    def is_current(self) -> None:
        """Whatever is subscribed is at the hub's head, with the hub's tree."""
        hub = self.world.hub
        for name, course in self.client.courses.items():
            if not course.subscribed:
                continue
            project = hub.cache.get(name)
            assert not course.awaits_state, name
            assert not course.parts, name
            if project is None:
                continue
            if project.epoch == "":
                assert course.tree.picture() == Client(self.world.oracle).course(name).tree.picture()
                continue
            assert course.at == (project.epoch, project.tree.head), f"{name}: {course.at}"
            if course.has is not None:
                top, nodes = project.tree.top, project.tree.nodes
                assert course.tree.picture() == {
                    **top,
                    "nodes": json.loads(encode_json({k: v.fields for k, v in nodes.items()})),
                }


async def open_to_all(token: str) -> Grants:
    """Grant everything for any token, as a session's `authenticate`."""
    return OPEN


class World:
    """See the module's docstring."""

    def __init__(self, hub: Hub, store: Store, nursery: trio.Nursery, faults: list[str]) -> None:
        self.hub = hub
        self.store = store
        self.oracle = store.oracle
        self.nursery = nursery
        self.faults = faults
        self.peers: list[Peer] = []
        self.published = 0

    def peer(self, policy: Policy = Policy.CONFLATE, *, deflate: bool = False) -> Peer:
        found = Peer(self, policy, deflate=deflate)
        self.peers.append(found)
        return found

    def plain(
        self,
        *wishes: Subscribe,
        room: int | None = None,
        grants: Grants = OPEN,
        deflate: bool = False,
    ) -> Carried:
        """A plain watcher."""
        session = PlainSession(
            self.hub, Plain(), wishes or (Subscribe("*"),), grants=grants, policy=Policy.DISCONNECT
        )
        return Carried(session, self.nursery, room, deflate=deflate)

    def orchestrator(
        self,
        producer_id: str = "",
        grants: Grants = OPEN,
        dialect: Dialect | None = None,
        serves: tuple[str, ...] = (),
    ) -> Carried:
        session = ProducerSession(
            self.hub, dialect or Orchestrator(), producer_id, grants=grants, serves=serves
        )
        return Carried(session, self.nursery)

    async def publish(self, project: str, *events: dict[str, Any], key: Key | None = None) -> PublishReceipt:
        """Publish and wait."""
        return await self.hub.publish(made(project, *events), key=key)

    async def submit(self, project: str, *events: dict[str, Any]) -> None:
        """Publish and do not wait."""
        await self.hub.publisher.submit(made(project, *events))

    def read(self) -> None:
        for peer in self.peers:
            peer.read()

    async def settle(self) -> None:
        """Until nothing happens any more by itself."""
        for _ in range(3):
            await trio.sleep(2 * GATHER)  # a commit may wait for others to join it
            await wait_all_tasks_blocked()
            self.read()


def made(project: str, *events: dict[str, Any]) -> list[Event]:
    return [Event(one["type"], ProjectId(project), one.get("data", {}), STAMP) for one in events]


@asynccontextmanager
async def a_world(settings: Settings | None = None, store: Store | None = None) -> AsyncIterator[World]:
    """A running hub; ends with everything cancelled. A fault of the hub's own is an error."""
    faults: list[str] = []
    store = store or Store()

    def note(where: str, error: BaseException) -> None:
        faults.append(f"{where}: {error!r}")

    async with trio.open_nursery() as nursery:
        async with open_hub(store, settings or small(), on_error=note) as hub:
            yield World(hub, store, nursery, faults)
            store.release()
            store.release_appends()
        nursery.cancel_scope.cancel()
    assert not faults, faults
