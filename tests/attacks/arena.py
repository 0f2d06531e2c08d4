"""A hub in a thread of its own, with a healthy producer and watcher, and what attacks must leave as it was.

The hub has real sockets and a clock that an attack can move on. Its healthy peers run in the hub's own event
loop, so a delivery is measured in turns of that loop: how many times the loop went round between the write of
a publish and the read of the event.
"""

from __future__ import annotations

import gc
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import pytest
import trio
import trio.testing
from attrs import frozen

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.access import OPEN
from tasktree_rt.hub.context import HubContext, system_clock
from tasktree_rt.settings import Auth
from tests.cli.processes import PATIENCE
from tests.web.realhub import RealHub, node_update, real_hub, signed
from tests.wsclient import PING, PONG, WsClient, request_head

T = TypeVar("T")

HEALTHY: Final = "healthy"
"""The project of the healthy peers."""
SECRET: Final = "secret-1"
"""A project with events, which no attacker is granted."""
USER, PRIVATE = "eve", "between us"
"""A user with a notification."""
MESSAGE: Final = 64 * 1024
BURST: Final = 50
PER_SUBJECT: Final = 30
PER_ADDRESS: Final = 200
OPEN_PROMPTS: Final = 5
SUBSCRIPTIONS: Final = 20
SECONDS: Final = 5.0
"""The timeouts of the hub here: handshake, stalled writes, closing handshakes."""
LIMITS: Final = {
    "max_connections_per_address": PER_ADDRESS,
    "max_message_size": MESSAGE,
    "message_burst": BURST,
    "max_messages_per_second": 1.0,
    "max_subscriptions": SUBSCRIPTIONS,
    "max_per_subject": PER_SUBJECT,
    "max_open_prompts": OPEN_PROMPTS,
    "max_large_answers": 4,
    "max_nodes": 2_000,
    "max_node_size": 32 * 1024,
    "handshake_timeout": SECONDS,
}
DELIVERY: Final = {
    "heartbeat_interval": 3600.0,
    "ping_interval": 1e6,
    "stall_timeout": SECONDS,
    "close_timeout": SECONDS,
    "outbox_bytes": 2 * MESSAGE,
}
WATCHED: Final = ("tasktree_rt", "h11", "hypercorn", "quart", "werkzeug", "wsproto")
"""Packages whose objects are counted: what a connection, a request or a subscription is made of."""
SPARE_OBJECTS: Final = 60
"""Objects more than before that an attack may leave: caches of routes, metrics' labels, remembered names."""
SPARE_TURNS: Final = 2
"""A delivery may take so many times the usual turns of the loop."""
BUSY_TURNS: Final = 8
"""The same while a flood goes on: a commit then waits half a millisecond for the publishes of the others."""
OBJECTS_PER_EVENT: Final = 4
"""Objects that stay of each event of the healthy producer: the record and what a repeat of it would get."""
STORED: Final = (
    "tasktree_rt.brokers.memory.contents._Published",
    "tasktree_rt.brokers.base.publish_ids.Duplicate",
    "tasktree_rt.brokers.base.log.Death",
    "tasktree_rt.brokers.base.interactions.Interaction",
    "tasktree_rt.core.events.Record",
)
"""What the store keeps of publishes and of deleted projects, for as long as its own bounds say."""
SPARE_MEMORY: Final = 24 * 1024 * 1024
"""Bytes of resident memory that an attack may leave: freed memory that the allocator keeps for the next."""


class _Turns(trio.abc.Instrument):
    """Counts the turns of an event loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


@frozen
class Held:
    """What the hub holds at one moment.

    Attributes:
        stored: epoch and head of every log, but for the healthy project's.
        open: ids of the open prompts and commands.
        counts: connections, subscriptions, tasks, open files.
    """

    stored: dict[str, tuple[str, int]]
    open: frozenset[str]
    counts: dict[str, int]

    def no_more_than(self, before: Held) -> bool:
        """Return whether nothing is held that was not held before."""
        return all(self.counts[name] <= before.counts[name] for name in self.counts)


class Arena:
    """See the module's docstring; made by `arena`.

    Attributes:
        port: where the hub listens.
        usual: the most turns that a delivery took before any attack.
        asks_tokens: whether the hub asks for tokens.
        published: how many events the healthy producer has published.
    """

    port: int
    usual: int
    real: RealHub

    def __init__(self, auth: Auth, settings: Mapping[str, Any]) -> None:
        self.auth = auth
        self._more = settings
        self.asks_tokens = auth.on
        self.broker = MemoryBroker()
        self.clock = trio.testing.MockClock(rate=1.0)
        self._turns = _Turns()
        self._ready, self._over = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._trio: trio.lowlevel.TrioToken
        self._stop: trio.Event
        self._watcher: WsClient
        self._producer: WsClient
        self._past = 0.0
        self.published = 0

    def token(self, subject: str, *, claims: dict[str, Any] | None = None, **grants: Any) -> str:
        """A token that this hub accepts, unless `claims` change that."""
        named = {"iss": self.auth.issuer, "aud": self.auth.audience}
        usual = {
            "sub": subject,
            "tasktree": grants,
            **{name: value for name, value in named.items() if value},
        }
        return signed(usual | (claims or {}))

    # --- the hub's thread

    def run(self) -> None:
        """Run the hub until `stop`."""
        try:
            trio.run(self._main, clock=self.clock, instruments=[self._turns])
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            self._over.set()

    def wait_ready(self) -> None:
        """Wait until the hub serves its healthy peers."""
        assert self._ready.wait(PATIENCE)
        self.check()

    def check(self) -> None:
        """Raise what ended the hub."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the hub."""
        if not self._over.is_set():
            trio.from_thread.run_sync(self._stop.set, trio_token=self._trio)
        assert self._over.wait(PATIENCE)
        self.check()

    def within(self, call: Callable[..., Any], *given: Any) -> Any:
        """Await `call` in the hub's event loop."""
        self.check()
        return trio.from_thread.run(call, *given, trio_token=self._trio)

    async def _main(self) -> None:
        self._trio, self._stop = trio.lowlevel.current_trio_token(), trio.Event()
        own: dict[str, Any] = {"limits": LIMITS, "delivery": DELIVERY, "auth": self.auth, **self._more}
        settings = own | {"limits": {**LIMITS, **self._more.get("limits", {})}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasktree_rt.hub.hub.HubContext", partial(HubContext, wall=self.wall))
            await self._serve(settings)

    def wall(self) -> int:
        """The hub's time in microseconds: this machine's, moved on by every `jump`."""
        return system_clock() + round(self._past * 1_000_000)

    async def _serve(self, settings: dict[str, Any]) -> None:
        async with real_hub(self.broker, **settings) as self.real:
            self.port = int(self.real.url.rpartition(":")[2])
            await self.real.publish(SECRET, node_update("hidden", note="nobody's business"))
            await self.real.publish(HEALTHY, node_update("n", number=0))
            await self.real.hub.notifications.notify(USER, {"title": PRIVATE}, grants=OPEN)
            await self._dial_healthy()
            took = [await self._deliver() for _ in range(40)]
            self.usual = max(took)
            self._ready.set()
            await self._stop.wait()
            WsClient.close_all()

    # --- the healthy peers

    async def _dial_healthy(self) -> None:
        shown = [("Authorization", f"Bearer {self.token('ada', watch=[HEALTHY], push=[HEALTHY])}")]
        native = ("Sec-WebSocket-Protocol", "tasktree.v1")
        self._producer = await self._dial("/ws/orchestrator?producer_id=healthy", shown)
        self._watcher = await self._dial(f"/ws/updates?project_id={HEALTHY}", [*shown, native])
        for expected in ("welcome", "subscribed"):
            assert (await self._heard(self._watcher))["type"] == expected

    async def _dial(self, path: str, headers: list[tuple[str, str]]) -> WsClient:
        client = await WsClient.dial(self.port)
        await client.raw(request_head(path, headers, host=f"127.0.0.1:{self.port}"))
        answer = await client.answer()
        assert answer.status == 101, answer
        return client

    async def _heard(self, client: WsClient) -> dict[str, Any]:
        while (frame := await client.recv()).opcode == PING:
            await client.frame(PONG, frame.data)
        found: dict[str, Any] = json.loads(frame.data)
        return found

    async def _deliver(self) -> int:
        """Publish one event and hear it; how many turns of the loop it took."""
        self.published += 1
        number = self.published
        event = {"project_id": HEALTHY, **node_update("n", number=number)}
        request = json.dumps({"type": "publish", "id": number, "events": [event]})
        before = self._turns.count
        await self._producer.text(request)
        heard = await self._heard(self._watcher)
        assert heard["type"] == "node_update", heard
        took = self._turns.count - before
        assert heard["data"]["changes"]["number"] == number, heard
        acked = await self._heard(self._producer)
        assert (acked["type"], acked["id"]) == ("ack", number), acked
        return took

    def deliver(self, times: int = 3, *, most: int = SPARE_TURNS) -> None:
        """Check that the healthy watcher gets the next events, each within so many times the usual turns."""
        took = [self.within(self._deliver) for _ in range(times)]
        assert max(took) <= most * self.usual, (
            f"deliveries took {took} turns of the loop, usually {self.usual}"
        )

    # --- what is held

    def held(self) -> Held:
        """What the hub holds now."""
        found: Held = self.within(self._held)
        return found

    async def _held(self) -> Held:
        # The healthy project changes with every look: its log is left out.
        hub, lives = self.real.hub, self.broker._lives
        stored = {name: (life.epoch, life.head) for name, life in lives.items() if name != HEALTHY}
        statistics = hub.statistics()
        counts = {
            "connections": statistics.connections,
            "subscriptions": statistics.subscriptions,
            "outbox bytes": statistics.outbox_bytes,
            "publishes waiting": statistics.publishes_waiting,
            "sessions": len(hub.sessions),
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "files": len(os.listdir("/proc/self/fd")),
        }
        return Held(stored, frozenset(one.id for one in hub.registry), counts)

    def settled(self, before: Held) -> Held:
        """What the hub holds once it holds no more than `before`, or after all patience."""
        found = self.held()
        for _ in range(200):
            if found.no_more_than(before):
                break
            self.within(trio.testing.wait_all_tasks_blocked, 0.01)
            self.jump(SECONDS / 4)
            found = self.held()
        return found

    def objects_beyond(self, before: Counter[str], spare: int, without: tuple[str, ...]) -> Counter[str]:
        """Live objects more than `before`, once they are at most `spare`, or after all patience."""
        for _ in range(10):
            found = _without(objects() - before, without)
            if found.total() <= spare:
                return found
            self.jump(SECONDS)
        return _without(objects() - before, without)

    def jump(self, seconds: float) -> None:
        """Move the hub's clock on."""

        async def jump() -> None:
            self._past += seconds
            self.clock.jump(seconds)
            await trio.testing.wait_all_tasks_blocked(0.005)

        self.within(jump)

    def forget(self, before: Held) -> None:
        """Delete the projects and logs that an attack was allowed to make."""
        for name in self.held().stored.keys() - before.stored.keys():
            self.within(self.real.hub.delete_project, name)


def objects() -> Counter[str]:
    """Live objects of the hub's packages, by class."""
    gc.collect()
    kinds = Counter(map(type, gc.get_objects()))
    named = {kind: str(getattr(kind, "__module__", "")).partition(".")[0] for kind in kinds}
    return Counter(
        {f"{kind.__module__}.{kind.__qualname__}": n for kind, n in kinds.items() if named[kind] in WATCHED}
    )


def _without(found: Counter[str], names: Iterable[str]) -> Counter[str]:
    return Counter({name: count for name, count in found.items() if name not in names})


def memory() -> int:
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def arena(auth: Auth, settings: Mapping[str, Any]) -> Iterator[Arena]:
    """Run one for as long as the block lasts; `settings` of the hub besides the usual ones."""
    found = Arena(auth, settings)
    thread = threading.Thread(target=found.run, name="hub")
    thread.start()
    try:
        found.wait_ready()
        yield found
    finally:
        found.stop()
        thread.join()
