"""Producers and watchers of several projects, while something fails under them again and again."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import frozen

from tests.server.load import (
    HttpProducer,
    Load,
    NativeWatcher,
    PlainWatcher,
    Producer,
    SocketProducer,
    StreamWatcher,
    TreeWatcher,
    Watcher,
)
from tests.server.process import HubProcess

PROJECTS = ("alpha", "beta", "gamma")
SMALL_STORE = ("keep.checkpoint_events=100",)
"""Recovery starts from a checkpoint, not only from the beginning."""


@frozen
class Trial:
    """A hub under load."""

    hub: HubProcess
    load: Load
    producers: list[Producer]
    watchers: list[Watcher]

    async def settle(self) -> None:
        """Let the producers get their acks, then the watchers come to the heads, and compare everything."""
        self.load.calm()
        with trio.fail_after(120):
            for producer in self.producers:
                await producer.idle()
            for watcher in self.watchers:
                await watcher.reached((await self.hub.state(watcher.project))["seq"])
        await self._check()

    async def _check(self) -> None:
        logs = {project: await self.hub.events(project) for project in PROJECTS}
        for project, log in logs.items():
            assert [one["seq"] for one in log] == list(range(1, len(log) + 1)), f"a hole in {project}"
            assert len({one["epoch"] for one in log}) == 1
        for producer in self.producers:
            producer.check(logs)
        for watcher in self.watchers:
            watcher.check(logs[watcher.project], await self.hub.state(watcher.project))


@asynccontextmanager
async def trial(hub: HubProcess, rng: random.Random, load: Load | None = None) -> AsyncIterator[Trial]:
    """Begin the projects, then let producers and watchers of all kinds come, while the block lasts.

    `load` says which hub each goes to; by default all go to `hub`.
    """
    for project in PROJECTS:
        first = {"level": "info", "message": "", "mark": project}
        await hub.post(project, {"type": "log", "data": first})
    load = load or Load(hub)
    producers, watchers = _everybody(load, rng)
    async with trio.open_nursery() as nursery:
        for run in (*(one.run for one in producers), *(one.run for one in watchers)):
            nursery.start_soon(run)
        yield Trial(hub, load, producers, watchers)
        nursery.cancel_scope.cancel()


def _everybody(load: Load, rng: random.Random) -> tuple[list[Producer], list[Watcher]]:
    def dice() -> random.Random:
        return random.Random(rng.random())

    producers: list[Producer] = [
        SocketProducer(load, "one", dice(), ("alpha",)),
        SocketProducer(load, "two", dice(), ("alpha", "beta")),
        HttpProducer(load, "three", dice(), ("beta", "gamma")),
    ]
    watchers: list[Watcher] = [
        *(NativeWatcher(load, project) for project in PROJECTS),
        PlainWatcher(load, "alpha"),
        PlainWatcher(load, "beta"),
        StreamWatcher(load, "alpha"),
        StreamWatcher(load, "gamma"),
        TreeWatcher(load, "alpha"),
        TreeWatcher(load, "beta"),
    ]
    return producers, watchers
