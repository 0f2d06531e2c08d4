"""What must hold after every step, and what at the end."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Final

import trio

from tasktree_rt.hub.delivery import outbox, socket_writer
from tasktree_rt.hub.delivery.last_value_queue import LastValueQueue
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tests.simulation.violation import Violation
from tests.simulation.world import World

_SEQUENCES: Final = (deque, list, tuple)


def bounded(world: World) -> None:
    """No subscriber holds more than its bounds."""
    hub = world.process.running
    if hub is None:
        return
    delivery = world.settings.delivery
    messages = delivery.outbox_messages + outbox.REPLY_ROOM
    size = 2 * delivery.outbox_bytes + socket_writer.CHUNK + 8_192
    for subscriber in hub.connections.values():
        waiting = subscriber.outbox.waiting
        if waiting > messages:
            raise Violation("bounded", f"{subscriber.id}: {waiting} messages wait")
        if waiting and held(subscriber) > size:
            raise Violation("bounded", f"{subscriber.id}: {held(subscriber)} bytes are held")


def held(subscriber: Subscriber) -> int:
    """The bytes that a subscriber's fields and its parts' hold on to, whatever they are called."""
    return sum(
        _size(value) for part in (subscriber, subscriber.outbox, subscriber.outlet) for value in _fields(part)
    )


def _fields(part: object) -> list[Any]:
    names = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
    return [getattr(part, name, None) for name in names]


def _size(value: Any) -> int:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return len(value)
    if isinstance(value, (outbox.Item, LastValueQueue)):
        return value.size
    if isinstance(value, trio.MemoryReceiveChannel):
        return sum(map(_size, value._state.data))
    if isinstance(value, _SEQUENCES):
        return sum(map(_size, value))
    return 0


def progress(world: World) -> None:
    """While all is quiet, every reader that nothing holds up has everything, whoever else is stalled."""
    if not (world.disk.well and world.process.accepts):
        return
    commits = world.process.hub.committer.waiting
    for watcher in world.watchers:
        # Whose answer waits for a commit that gathers has what it asked behind it when that is done.
        if watcher.healthy and not (commits and watcher.trying) and (told := watcher.behind()) is not None:
            raise Violation("healthy readers go on", told)
    asked(world)


def asked(world: World) -> None:
    """The hub waits for exactly what the logs say is open; a command has one orchestrator at most."""
    hub = world.process.running
    if hub is None:
        return
    waiting, open_ones = (
        {one.id for one in hub.registry if one.kept},
        {one.id for one in world.interactions.open()},
    )
    if waiting != open_ones:
        raise Violation("open is what is not settled", f"{sorted(waiting)}, the logs: {sorted(open_ones)}")
    producers = world.producers
    held = Counter(name for one in world.producers if one.healthy for name in one.held)
    for name, count in held.items():
        if count > 1 and name in open_ones:
            raise Violation("one orchestrator at a time", f"{count} have {name}")
    # While a commit gathers, who waits for it has not noticed yet that the peer is gone.
    all_there = all(peer.healthy for peer in producers) and not hub.committer.waiting
    for one in world.interactions.open("command") if all_there else ():
        if not held[one.id] and any(one.topics[0] in peer.serves for peer in producers):
            raise Violation("one orchestrator at a time", f"nobody has {one.id}")


def settled(world: World, began: int) -> None:
    """At the end: everybody is there, and everything is answered and known."""
    for producer in world.producers:
        if producer.unanswered:
            raise Violation("everything is answered", f"{producer}: {producer.unanswered[0]}")
    for publish in world.truth.publishes.values():
        if not (publish.acked or publish.refused):
            raise Violation("everything is answered", f"{publish.tag}")
    for interaction in world.interactions.overdue(began):
        raise Violation("settled by its deadline", f"{interaction.id}: {interaction.data}")
    for watcher in world.watchers:
        if not watcher.there:
            raise Violation("everybody comes back", f"{watcher}")
        if watcher.healthy and (told := watcher.behind()) is not None:
            raise Violation("no silent gap", told)


def gone(world: World, tasks: int) -> None:
    """At the very end nothing is left of the process."""
    if world.network.open:
        raise Violation("everything ends", f"{world.network.open} sockets are open")
    if world.disk.open:
        raise Violation("everything ends", f"{world.disk.open} database connections are open")
    left = trio.lowlevel.current_statistics().tasks_living
    if left != tasks:
        raise Violation("everything ends", f"{left} tasks, {tasks} at the beginning")
