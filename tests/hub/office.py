"""People in the loop on a hub whose store is held up, fails and is opened again, with every word kept.

The oracle of `Office.check` is naive: the logs are read from their beginning and played into the tree of
`tests.model`; what is open is what was told of and not yet of its end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from attrs import Factory, define
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.base import Append, Broker, Interaction, Outcome
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import BEGINNING, Recovered
from tasktree_rt.errors import PeerError, StoreUnavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.interactions.registry import COMMAND, PROMPT, OpenInteraction
from tasktree_rt.settings import Limits, People, Settings
from tests.brokers.opening import Inline
from tests.hub.world import STAMP
from tests.model import NaiveTree

BASE = 1_800_000_000_000_000
"""What the clock on the wall shows at first, microseconds."""
PATIENCE = 30.0


class Gate:
    """Where one waits while it is held."""

    def __init__(self) -> None:
        self._open: trio.Event | None = None

    @property
    def held(self) -> bool:
        return self._open is not None

    async def __call__(self) -> None:
        if self._open is not None:
            await self._open.wait()

    def hold(self) -> None:
        if self._open is None:
            self._open = trio.Event()

    def release(self) -> None:
        if self._open is not None:
            self._open.set()
            self._open = None


@define(eq=False)
class Store:
    """How the store behaves now, whichever broker it is."""

    appends: Gate = Factory(Gate)
    reads: Gate = Factory(Gate)
    failing: bool = False
    failing_reads: bool = False

    def mend(self) -> None:
        self.failing = self.failing_reads = False
        self.appends.release()
        self.reads.release()


class _Held:
    """What both brokers have in common here."""

    store: Store

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        await self.store.appends()
        if self.store.failing:
            raise StoreUnavailable("disk full")
        found: list[Outcome] = await super().append(batch)  # type: ignore[misc]
        return found

    async def probe(self) -> None:
        if self.store.failing:
            raise StoreUnavailable("disk full")

    async def interaction(self, interaction_id: str) -> Interaction | None:
        found: Interaction | None = await super().interaction(interaction_id)  # type: ignore[misc]
        # What was read is old by the time it is told.
        await self.store.reads()
        if self.store.failing_reads:
            raise StoreUnavailable("no disk")
        return found

    async def interactions(self, **wanted: Any) -> list[Interaction]:
        found: list[Interaction] = await super().interactions(**wanted)  # type: ignore[misc]
        if wanted.get("name") is not None:
            await self.store.reads()
            if self.store.failing_reads:
                raise StoreUnavailable("no disk")
        return found


class HeldMemory(_Held, MemoryBroker):
    pass


class HeldSqlite(_Held, SqliteBroker):
    pass


class Obedient:
    """An orchestrator's connection."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def give(self, pending: OpenInteraction) -> None:
        assert pending.kept
        self.given.append(pending.id)


@define
class Call:
    """Something somebody asked of the hub, and what they were told: one of the three."""

    kind: str
    name: str
    result: Any = None
    error: PeerError | None = None
    cancelled: bool = False
    over: bool = False
    scope: trio.CancelScope = Factory(trio.CancelScope)


class Office:
    """See the module's docstring."""

    def __init__(
        self, store: Store, make: Callable[[], Broker], nursery: trio.Nursery, settings: Settings
    ) -> None:
        self.store = store
        self.settings = settings
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.jump = 0
        self._make = make
        self._nursery = nursery
        self.broker: Broker
        self.hub: Hub
        self.outcomes: dict[str, dict[str, Any]] = {}
        """As first told."""

    def wall(self) -> int:
        return BASE + self.jump + round(trio.current_time() * 1_000_000)

    # --- running ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store and a hub on it."""
        self.broker = self._make()
        self._ending, self._ended = trio.Event(), trio.Event()
        self.hub = await self._nursery.start(self._run)

    async def _run(self, task_status: trio.TaskStatus[Hub]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasktree_rt.hub.hub.HubContext", partial(HubContext, wall=self.wall))
            async with open_hub(self.broker, self.settings, on_error=self._fault) as hub:
                task_status.started(hub)
                await self._ending.wait()
        self._ended.set()

    async def stop(self) -> None:
        """Everybody who waits is gone first, so that nobody hears of what is on its way."""
        for call in self.calls:
            call.scope.cancel()
        await wait_all_tasks_blocked()
        self.store.mend()
        self._ending.set()
        await self._ended.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def _fault(self, where: str, error: BaseException) -> None:
        self.faults.append(f"{where}: {error!r}")

    # --- asking, answering, … ---------------------------------------------------------------------

    def begin(self, kind: str, name: str, work: Callable[[], Awaitable[Any]]) -> Call:
        """Let somebody do something, and note what they are told."""
        call = Call(kind, name)
        self.calls.append(call)

        async def done() -> None:
            with call.scope:
                try:
                    call.result = await work()
                except PeerError as error:
                    call.error = error
            call.cancelled = call.scope.cancelled_caught
            call.over = True

        self._nursery.start_soon(done)
        return call

    def ask(self, name: str, *, grants: Grants = OPEN, **given: Any) -> Call:
        asked = {"prompt_id": name, "message": "Go?", **given}
        return self.begin("ask", name, lambda: self.hub.prompts.ask(asked, grants=grants))

    def answer(self, name: str, *, grants: Grants = OPEN, **said: Any) -> Call:
        via = {"dialect": "test", "connection": f"c{len(self.calls)}"}
        said = {"proceed": True, **said}
        return self.begin("answer", name, lambda: self.hub.prompts.answer(name, said, grants=grants, via=via))

    def cancel(self, name: str) -> Call:
        return self.begin("cancel", name, lambda: self.hub.prompts.cancel(name, grants=OPEN, via={}))

    def wait(self, name: str) -> Call:
        async def end() -> Any:
            return await (await self.hub.prompts.find(name, grants=OPEN)).end()

        return self.begin("wait", name, end)

    def command(self, project: str, name: str = "cancel", *, grants: Grants = OPEN) -> Call:
        given = {"name": name}
        return self.begin(
            "command", project, lambda: self.hub.commands.send(project, given, grants=grants, via={})
        )

    def obey(self, one: Obedient, command_id: str, status: str) -> Call:
        given = {"command_id": command_id, "status": status}
        return self.begin(f"obey {status}", command_id, lambda: self.hub.commands.report(one, given))

    def publish(self, project: str, kind: str = "log", **data: Any) -> Call:
        data = data or {"level": "info", "message": "m"}
        return self.begin(
            kind, project, lambda: self.hub.publish(Event(kind, ProjectId(project), data, STAMP))
        )

    def delete(self, project: str) -> Call:
        return self.begin("delete", project, lambda: self.hub.delete_project(project))

    # --- the oracle -------------------------------------------------------------------------------

    async def log(self, topic: str) -> list[dict[str, Any]]:
        found = await self.broker.read(topic, BEGINNING, limit=100_000)
        assert isinstance(found, Recovered)
        return [json.loads(record.body) for record in found.records]

    async def stored(self) -> dict[str, Interaction]:
        return {one.name: one for one in await self.broker.interactions(limit=10_000)}

    async def check(self, topics: Sequence[str]) -> None:
        """The registry, the store, the trees and everything anybody was told agree."""
        await wait_all_tasks_blocked()
        assert not self.faults, self.faults
        stored = await self.stored()
        opened = {name for name, one in stored.items() if one.settled is None}
        self.check_told(stored)
        if not self.store.appends.held:
            assert {one.id for one in self.hub.registry} == opened
            assert not self.hub.committer.waiting
            for one in self.hub.registry:
                self.check_holder(one)
            for topic in topics:
                await self.check_topic(topic, stored)

    async def check_topic(self, topic: str, stored: dict[str, Interaction]) -> None:
        naive, ends = NaiveTree(topic), defaultdict[str, list[Any]](list)
        for event in await self.log(topic):
            naive.apply(event["type"], event["data"])
            if event["type"] == "prompt_resolved" or event["data"].get("status") in (
                "done",
                "refused",
                "timeout",
            ):
                ends[event["data"].get("prompt_id") or event["data"]["command_id"]].append(event["data"])
        here = [one for one in stored.values() if topic in one.topics and one.kind == PROMPT]
        waiting = {one.name for one in here if one.settled is None}
        assert {one["prompt_id"] for one in naive.prompts} == waiting, topic
        assert naive.prompts == [json.loads(stored[one["prompt_id"]].body) for one in naive.prompts]
        project = await self.hub.cache.load(topic)
        assert project.tree.top["prompts"] == project.staged.top["prompts"] == naive.prompts
        for name, told in ends.items():
            assert told == [json.loads(stored[name].outcome)], name
        if topic.startswith("@"):
            assert {one.name for one in here if one.settled is not None} == ends.keys()

    def check_told(self, stored: dict[str, Interaction]) -> None:
        """Of each there is one end, whoever tells it, and one call at most that brought it about."""
        for name, one in stored.items():
            if one.settled is not None:
                end = json.loads(one.outcome)
                assert self.outcomes.setdefault(name, end) == end
        winners = defaultdict[str, list[Call]](list)
        for call in self.calls:
            if call.kind in ("answer", "cancel") and call.result is not None:
                winners[call.name].append(call)
                assert call.result == self.outcomes[call.name]
            elif call.kind == "wait" and call.result is not None:
                assert call.result == self.outcomes[call.name]
            elif call.kind == "ask" and call.result is not None:
                assert call.name in stored
                assert stored[call.name].body == call.result[0].interaction.body
            elif (
                call.kind in ("obey done", "obey refused")
                and call.over
                and not (call.error or call.cancelled)
            ):
                winners[call.name].append(call)
            if call.error is not None and call.error.code in ("prompt_closed", "gone"):
                assert call.error.outcome == self.outcomes[call.name]
        for name, calls in winners.items():
            assert len(calls) == 1, name

    def check_holder(self, pending: OpenInteraction) -> None:
        """A command that is open is with one who is there, if anybody is."""
        assert pending.kept
        if pending.interaction.kind == COMMAND and not pending.resolving:
            serving = self.hub.orchestrators.serving.get(pending.home, {})
            assert pending.holder in serving if serving else pending.holder is None
            if pending.holder is not None:
                assert pending.id in pending.holder.given


@asynccontextmanager
async def an_office(path: str | None = None, **limits: int) -> AsyncIterator[Office]:
    """A running one, on SQLite if there is a path."""
    store = Store()
    kept = HeldMemory()
    kept.store = store

    def make() -> Broker:
        if path is None:
            return kept
        broker = HeldSqlite(path, run=Inline())
        broker.store = store
        return broker

    settings = Settings(limits=Limits(**limits), people=People(command_timeout=PATIENCE))
    async with trio.open_nursery() as nursery:
        office = Office(store, make, nursery, settings)
        await office.start()
        yield office
        await office.stop()
        nursery.cancel_scope.cancel()
    assert not office.faults, office.faults


def code(call: Call) -> str | None:
    """Of the error."""
    return call.error.code if call.error else None


async def asked(office: Office, name: str = "a", **given: Any) -> OpenInteraction:
    """One that is open."""
    call = office.ask(name, **{"project_id": "p", "timeout": 60, **given})
    await wait_all_tasks_blocked()
    assert call.error is None, call.error
    pending: OpenInteraction = call.result[0]
    return pending
