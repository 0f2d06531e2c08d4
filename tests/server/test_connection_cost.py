"""What an idle connection is made of: one task and one nursery. Its bounded channel is there once something
waits. Counted in-process.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.settings import Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.server.server import serve
from tests.secure import secure
from tests.server.peers import NATIVE
from tests.wsclient import WsClient, request_head

pytestmark = pytest.mark.usefixtures("wire")

COUNT = 20


@asynccontextmanager
async def _served() -> AsyncIterator[tuple[Hub, int]]:
    settings = Settings(bind="127.0.0.1:0", tls=secure.tls)
    stop = trio.Event()
    async with open_hub(MemoryBroker(), settings) as hub, trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve(create_app(settings, hub), hub, settings, shutdown=stop.wait, task_status=task_status)

        (url,) = await nursery.start(run)
        yield hub, int(url.rpartition(":")[2])
        nursery.cancel_scope.cancel()


def _below(task: trio.lowlevel.Task) -> Iterator[tuple[int, int]]:
    """A task, its nurseries, and everything below: tasks and nurseries."""
    yield 1, len(task.child_nurseries)
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _below(child)


def _census() -> Counter[str]:
    gc.collect()
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found = list(_below(root))
    channels = sum(isinstance(one, trio.MemoryReceiveChannel) for one in gc.get_objects())
    return Counter(
        tasks=sum(one[0] for one in found), nurseries=sum(one[1] for one in found), channels=channels
    )


async def _settled(expected: Counter[str], above: Counter[str]) -> None:
    """Wait until the census is `expected` more than `above`: what has just begun or ended takes its time."""
    found = _census()
    with trio.move_on_after(10):
        while found != above + expected:
            await wait_all_tasks_blocked(0.02)
            found = _census()
    assert found - above == expected
    assert found == above + expected


async def _open(port: int, path: str, native: bool) -> WsClient:
    client = await WsClient.dial(port)
    host = f"127.0.0.1:{port}"
    await client.raw(request_head(path, [NATIVE] if native else [], host=host))
    assert (await client.answer()).status == 101
    return client


@pytest.mark.parametrize(
    ("path", "native"),
    [
        ("/ws/updates", False),
        ("/ws/updates?project_id=a", True),
        ("/ws/updates", True),
        ("/ws/orchestrator?producer_id=p", False),
    ],
)
async def test_an_idle_connection_is_one_task_and_one_nursery(path: str, native: bool) -> None:
    async with _served() as (hub, port):
        await hub.broadcast_to_project("a", {"type": "node_update", "data": {"node_id": "n", "changes": {}}})
        await _open(port, path, native)  # whatever is made once is made now
        await wait_all_tasks_blocked(0.01)
        before = _census()
        clients = [await _open(port, path, native) for _ in range(COUNT)]
        await _settled(Counter(tasks=COUNT, nurseries=COUNT), before)
        assert len(hub.connections) == COUNT + 1
        for client in clients:
            client.reset()
        while len(hub.connections) > 1:
            await trio.lowlevel.checkpoint()
        await _settled(Counter(), before)  # nothing of it stays


async def test_a_connection_that_was_busy_is_idle_again() -> None:
    async with _served() as (hub, port):
        await _open(port, "/ws/updates?project_id=other", True)
        await wait_all_tasks_blocked(0.01)
        before = _census()
        client = await _open(port, "/ws/updates?project_id=a", True)
        for number in range(300):  # more than the socket's buffers or the outbox hold: a writer is started
            data = {"level": "info", "message": "x" * 30_000, "number": number}
            await hub.broadcast_to_project("a", {"type": "log", "data": data})
        await wait_all_tasks_blocked(0.01)
        busy = _census() - before
        assert (busy["tasks"], busy["channels"]) == (2, 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.rest)
            (watching,) = [one for one in hub.connections.values() if one.sheds or one.outbox.waiting]
            while watching.outbox.waiting or watching.feeds.special:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await _settled(Counter(tasks=1, nurseries=1, channels=1), before)
