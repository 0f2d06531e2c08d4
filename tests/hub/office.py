"""People in the loop on a hub whose store is held up, fails and is opened again, with every word kept.

The oracle of `Office.check` is naive: the logs are read from their beginning and played into the tree of
`tests.model`; what is open is what was told of and not yet of its end.
An id names one prompt of each log, so what is told of a prompt is told of its key in the store.
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

from tasktree_rt.brokers.base import Broker, Interaction
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.log import BEGINNING, Recovered
from tasktree_rt.core.topics import user_topic
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.interactions.registry import COMMAND, PROMPT, OpenInteraction
from tasktree_rt.settings import Limits, People, Settings
from tests.brokers.opening import Inline
from tests.hub.held_store import HeldMemory, HeldSqlite, Store
from tests.hub.world import STAMP
from tests.model import NaiveTree

BASE = 1_800_000_000_000_000
"""What the clock on the wall shows at first, microseconds."""
PATIENCE = 30.0


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
    within: tuple[str, ...] = ()
    known: int = 0
    """So many prompts that may be meant were there for certain when it began."""
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
        """As first told, by the key in the store."""

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

    def begin(
        self, kind: str, name: str, work: Callable[[], Awaitable[Any]], within: tuple[str, ...] = ()
    ) -> Call:
        """Let somebody do something, and note what they are told."""
        call = Call(kind, name, within, self.known(name, within))
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

    def known(self, name: str, within: tuple[str, ...]) -> int:
        """Count the prompts with that id in all logs of `within` that askers were told of."""
        told = [call.result[0] for call in self.calls if call.kind == "ask" and call.result is not None]
        return len({one.key for one in told if one.id == name and {*within} <= {*one.interaction.topics}})

    def ask(self, name: str, *, grants: Grants = OPEN, **given: Any) -> Call:
        asked = {"prompt_id": name, "message": "Go?", **given}
        return self.begin("ask", name, lambda: self.hub.prompts.ask(asked, grants=grants))

    def answer(self, name: str, *, grants: Grants = OPEN, within: tuple[str, ...] = (), **said: Any) -> Call:
        via = {"dialect": "test", "connection": f"c{len(self.calls)}"}
        said = {"proceed": True, **said}

        async def answered() -> Any:
            return await self.hub.prompts.answer(name, said, grants=grants, via=via, within=within)

        return self.begin("answer", name, answered, within)

    def cancel(self, name: str, within: tuple[str, ...] = ()) -> Call:
        async def cancelled() -> Any:
            return await self.hub.prompts.cancel(name, grants=OPEN, via={}, within=within)

        return self.begin("cancel", name, cancelled, within)

    def wait(self, name: str, within: tuple[str, ...] = ()) -> Call:
        async def end() -> Any:
            return await (await self.hub.prompts.find(name, grants=OPEN, within=within)).end()

        return self.begin("wait", name, end, within)

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
        """Return all prompts and commands in the store, by their keys."""
        return {one.id: one for one in await self.broker.interactions(limit=10_000)}

    async def check(self, topics: Sequence[str]) -> None:
        """The registry, the store, the trees and everything anybody was told agree."""
        await wait_all_tasks_blocked()
        assert not self.faults, self.faults
        stored = await self.stored()
        opened = {key for key, one in stored.items() if one.settled is None}
        self.check_told(stored)
        if not self.store.appends.held:
            assert {one.key for one in self.hub.registry} == opened
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
        named = named_in(topic, stored)
        here = [one for one in named.values() if one.kind == PROMPT]
        waiting = {one.name for one in here if one.settled is None}
        assert {one["prompt_id"] for one in naive.prompts} == waiting, topic
        assert naive.prompts == [json.loads(named[one["prompt_id"]].body) for one in naive.prompts]
        project = await self.hub.cache.load(topic)
        assert project.tree.top["prompts"] == project.staged.top["prompts"] == naive.prompts
        for name, told in ends.items():
            assert told == [json.loads(named[name].outcome)], name
        if topic.startswith("@"):
            assert {one.name for one in here if one.settled is not None} == ends.keys()

    def check_told(self, stored: dict[str, Interaction]) -> None:
        """Of each there is one end, whoever tells it, and one call at most that brought it about."""
        for key, one in stored.items():
            if one.settled is not None:
                end = json.loads(one.outcome)
                assert self.outcomes.setdefault(key, end) == end
        winners = [won for call in self.calls if (won := self.check_call(call, stored)) is not None]
        assert len(winners) == len(set(winners)), winners

    def check_call(self, call: Call, stored: dict[str, Interaction]) -> str | None:
        """Check what a call was told; return the key of what it brought to its end."""
        if call.error is not None:
            self.check_error(call, call.error, stored)
        elif call.kind == "ask" and call.result is not None:
            asked = call.result[0].interaction
            assert (asked.name, stored[asked.id].body) == (call.name, asked.body)
        elif call.kind in ("answer", "cancel", "wait") and call.result is not None:
            key = self.check_end(call, call.result, stored)
            return None if call.kind == "wait" else key
        elif call.kind in ("obey done", "obey refused") and call.over and not call.cancelled:
            return call.name
        return None

    def check_error(self, call: Call, error: PeerError, stored: dict[str, Interaction]) -> None:
        """An error tells the outcome of what was meant, and that this is unclear only if it may be."""
        assert not (call.known and error.code == "not_found")
        if error.code in ("prompt_closed", "gone"):
            assert error.outcome is not None
            self.check_end(call, error.outcome, stored)
        elif error.code == "ambiguous":
            assert not call.within
            assert sum((one.kind, one.name) == (PROMPT, call.name) for one in stored.values()) > 1

    def check_end(self, call: Call, told: dict[str, Any], stored: dict[str, Interaction]) -> str:
        """What is told is the one end of the prompt or command that the call meant; return its key."""
        name, topics = told.get("prompt_id") or told["command_id"], topics_told(told)
        assert name == call.name
        assert call.known < 2
        assert set(call.within) <= set(topics)
        meant = [
            one
            for one in stored.values()
            if one.name == name and (one.kind == COMMAND or one.topics == topics)
        ]
        assert [self.outcomes[one.id] for one in meant] == [told]
        return meant[0].id

    def check_holder(self, pending: OpenInteraction) -> None:
        """A command that is open is with one who is there, if anybody is."""
        assert pending.kept
        if pending.interaction.kind == COMMAND and not pending.resolving:
            serving = self.hub.orchestrators.serving.get(pending.home, {})
            assert pending.holder in serving if serving else pending.holder is None
            if pending.holder is not None:
                assert pending.id in pending.holder.given


def named_in(topic: str, stored: dict[str, Interaction]) -> dict[str, Interaction]:
    """The prompts and commands of a log by their ids, of which each names one."""
    here = [one for one in stored.values() if topic in one.topics]
    named = {one.name: one for one in here}
    assert len(named) == len(here), topic
    return named


def topics_told(told: dict[str, Any]) -> tuple[str, ...]:
    """The topics of a prompt, by its outcome; none of a command's."""
    user = (user_topic(told["user_id"]),) if "user_id" in told else ()
    return (*((told["project_id"],) if "project_id" in told else ()), *user)


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
