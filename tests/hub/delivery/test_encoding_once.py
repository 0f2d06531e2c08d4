"""What a change costs in encoding: once for each language in use, not once for each watcher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.direct_messages import MESSAGE
from tasktree_rt.compat.aiecs.session import ConfirmingSession
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.payloads import read_execution
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Record
from tasktree_rt.core.protocol import Command, Message, Policy, Subscribe
from tasktree_rt.dialects.base import Dialect, Encoding, encode_json
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.dialects.tasktree import Native, Plain, ServerSentEvents
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tasktree_rt.settings import Execution as Timing
from tasktree_rt.settings import Settings
from tests.dialects.execution_golden import NAME, PROJECT
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, open_to_all, relay_of, run, update

WATCHERS = 30
WISH = (Subscribe(str(PROJECT)),)


class Counting:
    """A dialect that counts how often it is asked to encode."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.name = dialect.name
        self.count = 0

    def decode(self, message: str | bytes) -> Command | None:
        return self._dialect.decode(message)

    def encode(self, message: Message) -> bytes | None:
        self.count += 1
        return self._dialect.encode(message)

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        self.count += 1
        return self._dialect.encode_events(records, epoch)


def plain(world: World, dialect: Dialect) -> ConnectionSession:
    return PlainSession(world.hub, dialect, WISH, grants=OPEN, policy=Policy.DISCONNECT)


def native(world: World, dialect: Dialect) -> ConnectionSession:
    return NativeSession(
        world.hub, dialect, WISH, grants=OPEN, policy=Policy.CONFLATE, authenticate=open_to_all
    )


def execution(world: World, dialect: Dialect) -> ConnectionSession:
    return ExecutionSession(world.hub, dialect, NAME, nodes=False, logs=False, grants=OPEN)


SESSIONS: dict[str, tuple[Dialect, Callable[[World, Dialect], ConnectionSession]]] = {
    "plain": (Plain(), plain),
    "native": (Native(), native),
    "execution": (Execution(), execution),
}


def settings() -> Settings:
    return Settings(execution=Timing(status_interval=0))


async def read_stream(world: World, dialect: Dialect) -> None:
    """A reader of server-sent events."""
    subscriber = world.hub.connections.pull_subscriber(
        dialect, policy=Policy.CONFLATE, grants=OPEN, address=""
    )
    await world.hub.subscriptions.watch(subscriber, WISH[0])

    async def read() -> None:
        async for _ in subscriber.encoded(b"", 15.0):
            pass

    world.nursery.start_soon(read)


@pytest.mark.parametrize("watchers", [1, WATCHERS])
def test_a_project_watched_in_several_languages_is_encoded_once_in_each(watchers: int) -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            await world.publish(PROJECT, update("a", status="running"))
            dialects = {name: Counting(dialect) for name, (dialect, _) in SESSIONS.items()}
            everybody = [
                (name, Carried(session(world, dialects[name]), world.nursery))
                for name, (_, session) in SESSIONS.items()
                for _ in range(watchers)
            ]
            stream = Counting(ServerSentEvents())
            for _ in range(watchers):
                await read_stream(world, stream)
            await world.settle()
            for carried in everybody:
                carried[1].received()
            for dialect in (*dialects.values(), stream):
                dialect.count = 0
            await world.publish(PROJECT, update("a", status="completed"), update("b", status="running"))
            await world.settle()
            assert {name: one.count for name, one in dialects.items()} == dict.fromkeys(SESSIONS, 1)
            assert stream.count == 1
            told = Counter((name, len(carried.received())) for name, carried in everybody)
            assert told == {("plain", 2): watchers, ("native", 2): watchers, ("execution", 1): watchers}

    run(body)


@pytest.mark.parametrize("watchers", [1, WATCHERS])
def test_what_is_only_shown_is_encoded_once_too(watchers: int) -> None:
    async def body() -> None:
        async with a_world() as world:
            dialect = Counting(Aiecs(lambda: 0.0))
            relay = relay_of(world.hub)
            everybody = [
                Carried(
                    ConfirmingSession(world.hub, dialect, relay, everything=True, grants=OPEN), world.nursery
                )
                for _ in range(watchers)
            ]
            await world.settle()
            dialect.count = 0
            relay.show(None, MESSAGE, {"type": "hello"})
            assert dialect.count == 1
            assert all(one.received() == [{"type": "hello"}] for one in everybody)

    run(body)


@pytest.mark.parametrize("watchers", [1, WATCHERS])
def test_an_event_of_autogpts_is_encoded_once_for_each_channel(watchers: int) -> None:
    body = {"id": "e", "user_id": "u", "graph_id": "g", "status": "RUNNING"}
    event = read_execution(encode_json({"payload": {"event_type": "graph_execution_update", **body}}))

    async def main() -> None:
        async with a_world() as world:
            dialect = Counting(AutoGpt())
            everybody = [
                Carried(ViewSession(world.hub, dialect, "u", expires=None), world.nursery)
                for _ in range(watchers)
            ]
            for one in everybody:
                one.send({"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}})
                one.send({"method": "subscribe_graph_executions", "data": {"graph_id": "g"}})
            await world.settle()
            assert {len(one.received()) for one in everybody} == {2}
            dialect.count = 0
            for live in event.live():
                world.hub.ephemeral_topics.publish(live)
            assert dialect.count == 2
            assert {len(one.received()) for one in everybody} == {2}

    run(main)


def test_a_broadcast_too() -> None:
    async def body() -> None:
        async with a_world(settings()) as world:
            await world.publish(PROJECT, update("a"))
            dialects = {name: Counting(SESSIONS[name][0]) for name in ("plain", "native")}
            for name, dialect in dialects.items():
                for _ in range(WATCHERS):
                    Carried(SESSIONS[name][1](world, dialect), world.nursery)
            await world.settle()
            for dialect in dialects.values():
                dialect.count = 0
            assert world.hub.broadcast({"type": "hello"}) == 2 * WATCHERS
            assert [one.count for one in dialects.values()] == [1, 1]

    run(body)
