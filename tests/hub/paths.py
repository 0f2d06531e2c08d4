"""Measure which modules of the package an event, a subscription, a prompt and an HTTP publish pass through.

A module counts if one of its functions ran, in a hub in this process over real sockets, between the request
and the message that its peer waits for. Each path is walked once so that caches are warm, then `WALKS` times;
only what ran every time counts, since timers of the hub run in between. The store is the one in memory.

``python -m tests.hub.paths`` prints the lists, with ``--functions`` also what ran in each module.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import structlog
import trio

import tasktree_rt
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tests.web.realhub import RealHub, heard, node_update, real_hub, say

WALKS: Final = 4
PACKAGE: Final = str(Path(tasktree_rt.__file__).parent) + "/"
Walk = Callable[[int], Awaitable[None]]


@contextmanager
def frames(found: set[tuple[str, str]]) -> Iterator[None]:
    """Collect the files whose functions run, or go on, in this thread."""

    def note(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


class Passed(frozenset[tuple[str, str]]):
    """The functions that every walk passed through, each with its module, as ``hub/pushing``."""

    @property
    def modules(self) -> list[str]:
        return sorted({module for module, _ in self})


async def passed(walk: Walk) -> Passed:
    """Walk several times; return what every walk passed through."""
    await walk(0)
    always: set[tuple[str, str]] | None = None
    for number in range(1, WALKS + 1):
        await trio.sleep(0.02)  # what the walk before has left to do
        found: set[tuple[str, str]] = set()
        with frames(found):
            await walk(number)
        always = found if always is None else always & found
    return Passed((file.removeprefix(PACKAGE).removesuffix(".py"), name) for file, name in always or ())


async def until(socket: Any, wanted: Callable[[Json], bool]) -> Json:
    """The first message that is wanted."""
    while not wanted(said := await heard(socket)):
        pass
    return said


def event(number: int) -> Json:
    return {"project_id": "p", **node_update("n", progress=number)}


async def event_path(running: RealHub, stack: AsyncExitStack) -> Passed:
    """From an orchestrator's socket to a watcher's."""
    path = "/ws/orchestrator?producer_id=paths"
    orchestrator = await stack.enter_async_context(running.socket(path, native=False))
    watcher = await stack.enter_async_context(running.socket("/ws/updates?project_id=p"))
    await until(watcher, lambda said: said["type"] == "subscribed")

    async def walk(number: int) -> None:
        await say(orchestrator, {"type": "publish", "id": number, "events": [event(number)]})
        await until(watcher, lambda said: said["type"] == "node_update")

    return await passed(walk)


async def subscription_path(running: RealHub, stack: AsyncExitStack) -> Passed:
    """A subscription with ``since``, up to the newest of the events that it missed."""
    watcher = await stack.enter_async_context(running.socket("/ws/updates?project_id=other"))
    project = await running.hub.shelf.load("p")
    since = f"{project.epoch}:{project.tree.head - 2}"

    async def walk(number: int) -> None:
        await say(watcher, {"type": "subscribe", "id": number, "project_id": "p", "since": since})
        await until(watcher, lambda said: said.get("seq") == project.tree.head)

    return await passed(walk)


async def prompt_path(running: RealHub, stack: AsyncExitStack) -> Passed:
    """Asked by a program that holds the hub, shown to a watcher, answered on its socket, and told to it."""
    watcher = await stack.enter_async_context(running.socket("/ws/updates?project_id=p"))

    async def walk(number: int) -> None:
        pending, _ = await running.hub.prompts.ask({"message": "Go on?", "project_id": "p"}, grants=OPEN)
        await until(watcher, lambda said: said["type"] == "prompt")
        answer = {"type": "answer", "id": number, "prompt_id": pending.id, "proceed": True}
        await say(watcher, answer)
        await until(watcher, lambda said: said["type"] == "reply" and said["id"] == number)

    return await passed(walk)


async def http_path(running: RealHub, stack: AsyncExitStack) -> Passed:
    """A publish over HTTP, up to its answer."""
    http = await stack.enter_async_context(running.http())

    async def walk(number: int) -> None:
        body = json.dumps(node_update("n", progress=number))
        answer = await http.post("/api/v1/projects/p/events", content=body)
        assert answer.status_code == 200, answer.text

    return await passed(walk)


PATHS: Final = {
    "event": event_path,
    "subscription": subscription_path,
    "prompt": prompt_path,
    "http": http_path,
}


async def measure() -> dict[str, Passed]:
    """Walk every path."""
    found = {}
    async with real_hub() as running:
        for number in range(4):
            await running.publish("p", node_update("n", progress=number))
        for name, path in PATHS.items():
            async with AsyncExitStack() as stack:
                found[name] = await path(running, stack)
    return found


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for name, found in trio.run(measure).items():
        sys.stdout.write(f"{name}: {len(found.modules)} modules: {', '.join(found.modules)}\n")
        for module in found.modules if "--functions" in sys.argv else ():
            names = ", ".join(sorted(one for where, one in found if where == module))
            sys.stdout.write(f"  {module}: {names}\n")
