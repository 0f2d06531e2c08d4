"""Measure which modules of the package an event, a subscription, a prompt and an HTTP publish pass through.

A module counts if one of its functions ran, in a hub in this process over real sockets, between the request
and the message that its peer waits for. Each path is walked once so that caches are warm, then `WALKS` times;
only what ran every time counts, since timers of the hub run in between. The store is the one in memory.

``python -m tests.hub.paths`` prints the lists, with ``--functions`` also what ran in each module. With
``--page`` it writes them into docs/how-it-works.md.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
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
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "how-it-works.md"
BEGIN: Final = "<!-- paths: begin; written by `python -m tests.hub.paths --page` -->"
END: Final = "<!-- paths: end -->"
TITLES: Final = {
    "event": "An event, from an orchestrator's socket to a watcher's",
    "subscription": "A subscription with `since`, up to the newest missed event",
    "prompt": "A prompt, from the program that opens it to the watcher that answers it",
    "http": "A publish over HTTP, up to its answer",
}
"""What docs/how-it-works.md calls each path."""
Walk = Callable[[int], Awaitable[None]]


@contextmanager
def frames(found: dict[tuple[str, str], None]) -> Iterator[None]:
    """Collect the files whose functions run, or go on, in this thread, in the order of their first call."""

    def note(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found[(frame.f_code.co_filename, frame.f_code.co_qualname)] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


class Passed(tuple[tuple[str, str], ...]):
    """The functions that every walk passed through, each with its module, as ``hub/delivery/fanout``."""

    @property
    def modules(self) -> list[str]:
        """The modules, in the order of their first call."""
        return list(dict.fromkeys(module for module, _ in self))


async def passed(walk: Walk) -> Passed:
    """Walk several times; return what every walk passed through."""
    await walk(0)
    always: dict[tuple[str, str], None] | None = None
    for number in range(1, WALKS + 1):
        await trio.sleep(0.02)  # what the walk before has left to do
        found: dict[tuple[str, str], None] = {}
        with frames(found):
            await walk(number)
        always = {one: None for one in found if always is None or one in always}
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
    project = await running.hub.cache.load("p")
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


def listing(paths: Mapping[str, Passed]) -> str:
    """A table for each path: its rooms and their modules, in the order of their first call."""
    tables = []
    for name, found in paths.items():
        rooms: dict[str, list[str]] = {}
        for module in found.modules:
            room, _, short = module.rpartition("/")
            rooms.setdefault(room, []).append(f"`{short}`")
        rows = "\n".join(f"| `{room}/` | {', '.join(modules)} |" for room, modules in rooms.items() if room)
        alone = ", ".join(f"`{one}`" for one in found.modules if "/" not in one)
        tables.append(
            f"**{TITLES[name]}**: {len(found.modules)} modules"
            + (f", {alone} among them" if alone else "")
            + f"\n\n| in | modules |\n|---|---|\n{rows}\n"
        )
    return "\n".join(tables)


def listed(page: str) -> dict[str, set[str]]:
    """The modules of each path on the page."""
    found: dict[str, set[str]] = {}
    for name, title in TITLES.items():
        head, rest = page.split(f"**{title}**")[1].split("\n\n", 1)
        table = rest.split("\n\n", 1)[0]
        rows = re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", table, re.MULTILINE)
        found[name] = {f"{room}/{one}" for room, modules in rows for one in re.findall(r"`(\w+)`", modules)}
        found[name] |= set(re.findall(r"`(\w+)`", head))
    return found


def write(paths: Mapping[str, Passed]) -> None:
    """Write the lists into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{listing(paths)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    walked = trio.run(measure)
    if "--page" in sys.argv:
        write(walked)
    for name, found in walked.items():
        sys.stdout.write(f"{name}: {len(found.modules)} modules: {', '.join(found.modules)}\n")
        for module in found.modules if "--functions" in sys.argv else ():
            names = ", ".join(sorted(one for where, one in found if where == module))
            sys.stdout.write(f"  {module}: {names}\n")
