"""A run of a Trio program, see `run`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Final, Unpack

import trio
from attrs import define

from tasktree_rt.client.interactions.prompts import Answer, Asked
from tasktree_rt.client.joining import environment, process
from tasktree_rt.client.joining.outcome import is_cancellation
from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.producer.command_inbox import Commands
from tasktree_rt.client.producer.obey import Handler
from tasktree_rt.client.producer.open_orchestrator import open_orchestrator
from tasktree_rt.client.producer.orchestrator import Orchestrator
from tasktree_rt.client.producer.split_batch import divided
from tasktree_rt.client.run.base import FLUSH, BaseRun, about
from tasktree_rt.client.run.node import Node
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost, PublishRefused

LAST_WORDS: Final = 2.0
"""Seconds for which a cancelled run may still send its last events."""
_logger: Final = logging.getLogger("tasktree_rt.client")


class TrioNode(Node):
    """A node of a `TrioRun`."""

    run: TrioRun

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, as `TrioRun.ask`, about this node, which is in ``review`` meanwhile."""
        asked.setdefault("node_id", self.id)
        with self._in_review():
            return await self.run.ask(message, **asked)


class TrioRun(BaseRun[TrioNode]):
    """What `open_run` gives. Its nodes may be used from threads too; `ask` and `commands` are Trio's.

    Nothing waits for the hub; a change that finds no room is given up and counted (`OutflowStatistics.lost`).

    Attributes:
        orchestrator: what the run publishes through; it may be used beside it.
    """

    def __init__(self, orchestrator: Orchestrator, name: str, own: Json, **options: Any) -> None:
        self._awake = trio.Event()
        self._trio = trio.lowlevel.current_trio_token()
        self._sent = trio.lowlevel.ParkingLot()
        super().__init__(name, own, orchestrator.limits, TrioNode, wake=self._wake, **options)
        self.orchestrator = orchestrator
        self.left = trio.Event()
        self.lost: ConnectionLost | None = None
        self._done = 0
        self._sending = 0

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, as `ApiClient.ask`, in this project and about the current node by default.

        The prompt is sent after all events of before.
        """
        await self.flush()
        return await self.orchestrator.ask(message, **about(self, asked))

    def commands(self) -> Commands:
        """What watchers want, if `open_run` was told to take ``commands``: see `Orchestrator.commands`."""
        return self.orchestrator.commands()

    async def obey(self, *handlers: Handler) -> None:
        """Announce and obey commands, until cancelled: see `Orchestrator.obey`."""
        await self.orchestrator.obey(*handlers)

    async def flush(self) -> None:
        """Wait until the hub has all events so far.

        Raises:
            ConnectionLost: it is not coming back.
        """
        await trio.lowlevel.checkpoint()
        said = self.outflow.put
        while self._done < said:
            if self.lost is not None:
                raise self.lost
            await self._sent.park()

    def _wake(self) -> None:
        if self._awake.is_set():
            return
        with suppress(trio.RunFinishedError):  # in a thread that outlives the program's Trio
            self._trio.run_sync_soon(self._now_awake, idempotent=True)

    def _now_awake(self) -> None:
        self._awake.set()

    async def send_all(self) -> None:
        """Not for the program's use: publish until `leave`, and all events of before.

        Raises:
            ConnectionLost: the hub is not coming back.
        """
        while True:
            await self._awake.wait()
            self._awake = trio.Event()
            while batch := self.outflow.take():
                taken, due = self.outflow.gone, trio.current_time() + FLUSH
                self._sending = len(batch)
                await self._publish(batch)
                self._done, self._sending = taken, 0
                self._sent.unpark_all()
                if not self.outflow.full:
                    with trio.move_on_at(due):
                        await self.left.wait()
            if self.left.is_set():
                return

    async def _publish(self, batch: list[Json]) -> None:
        """Publish a batch and wait for the answer, so that the order is kept whatever the hub refuses."""
        try:
            receipt = await self.orchestrator.offer(batch, self.part_lost)
        except PublishRefused as error:  # larger than `max_message_size`
            halves = divided(batch, error.code)
            for half in halves:
                await self._publish(half)
            if not halves:
                self.part_lost(batch[0], error)
            return
        try:
            await receipt.acked()
        except PublishRefused:
            return  # a part of it, which `part_lost` was called for
        except ConnectionLost:
            self._sending = 0
            self.outflow.lose(0 if self.orchestrator.spooled else len(batch))
            raise

    def lose(self, error: ConnectionLost) -> None:
        """Not for the program's use: nothing more will be sent."""
        self.lost = error
        self.outflow.lose(0 if self.orchestrator.spooled else self._sending)
        self.outflow.abandon()
        self._sent.unpark_all()

    def enter(self) -> None:
        """Not for the program's use: the program's part begins."""
        self._begin()

    def leave(self, error: BaseException | None) -> None:
        """Not for the program's use: set the project's last state; `send_all` ends once the rest is sent."""
        self._end(error)
        self.left.set()
        self._awake.set()


@asynccontextmanager
async def open_run(
    hub: str | Orchestrator | None = None,
    project_id: str | None = None,
    *,
    title: str | None = None,
    series: str | None = None,
    number: int | str | None = None,
    fresh: bool = False,
    commands: bool = False,
    flush_timeout: float | None = None,
    strict: bool = False,
    join: bool = False,
    parent: str | None = None,
    **options: Any,
) -> AsyncIterator[TrioRun]:
    """A project whose tree is what the program does within: ``with run.node("build") as step: …``

    Entering sets the project's state to ``running``, leaving to ``completed``, ``failed`` or ``cancelled``.
    Leaving flushes for at most `flush_timeout` seconds (default 2), after a cancellation for at most 2;
    standard error says what is lost. Nothing raises once it is made, unless it is strict.

    Args:
        hub: its address, or an `Orchestrator` that is open already and stays so; by default
            ``TASKTREE_RT_HUB``.
        project_id: by default ``TASKTREE_RT_PROJECT``.
        title: the project's title.
        series: the job of which this is a run.
        number: what the run is called in its series.
        fresh: begin with an empty tree, whatever was in the project.
        commands: take the commands for this project (`TrioRun.commands`), if `hub` is an address.
        strict: raise ValueError for what the program does wrong, and ConnectionLost on leaving.
        join: another one owns the project, and says what becomes of it; `parent` is by default
            ``TASKTREE_RT_PARENT``.
        parent: the id of the node that nodes are under by default.
        options: what `open_orchestrator` takes, if `hub` is an address: ``producer_id``, ``token`` …

    Raises:
        ConnectionLost: strict, on leaving: what was said did not all arrive, and nothing else was wrong.
        ValueError: not an address, or not a project's id.
    """
    own = {"title": title, "series": series, "run": number}
    project = environment.needed(project_id, environment.PROJECT)
    patience = process.EXIT if flush_timeout is None else flush_timeout
    made: AbstractAsyncContextManager[Orchestrator]
    where = "the address of its orchestrator"
    if isinstance(hub, Orchestrator):
        made = nullcontext(hub)
    else:
        options = {
            "producer_id": f"run-{project}",
            "commands": [project] if commands else [],
            "token": environment.given(None, environment.TOKEN),
            **options,
        }
        address = environment.needed(hub, environment.HUB)
        where = address.partition("?")[0]  # a query may have a token
        made = open_orchestrator(address, flush_timeout=patience, **options)
    above = environment.given(parent, environment.PARENT) if join else parent
    make = partial(TrioRun, name=project, own=own, strict=strict, owner=not join, parent=above)
    async with background() as nursery:
        kept = await nursery.start(_keep, made, make, fresh, strict, where)
        run: TrioRun = kept.run
        run.enter()
        try:
            yield run
        except BaseException as error:
            run.leave(error)
            kept.bound(min(LAST_WORDS, patience) if is_cancellation(error) else patience, failed=True)
            raise
        run.leave(None)
        kept.bound(patience, failed=False)


@define
class _Kept:
    """A run and the scope of what sends for it, which outlives a cancellation of the program's part."""

    run: TrioRun
    scope: trio.CancelScope
    failed: bool = False

    def bound(self, seconds: float, *, failed: bool) -> None:
        """The program's part is over: so long may the rest take."""
        self.failed = failed
        self.scope.deadline = trio.current_time() + seconds


async def _keep(
    made: AbstractAsyncContextManager[Orchestrator],
    make: Callable[[Orchestrator], TrioRun],
    fresh: bool,
    strict: bool,
    where: str,
    task_status: trio.TaskStatus[_Kept],
) -> None:
    muted.set(True)
    kept: _Kept | None = None
    try:
        with trio.CancelScope(shield=True) as scope:
            async with made as orchestrator:
                kept = _Kept(make(orchestrator), scope)
                if fresh:
                    await orchestrator.publish(kept.run.deletion())
                task_status.started(kept)
                await kept.run.send_all()
        if scope.cancelled_caught:
            raise ConnectionLost("not everything that the run said has arrived")
    except ConnectionLost as error:
        if kept is None:
            raise
        kept.run.lose(error)
        _logger.warning("the run goes on unseen: %s", error)
        await kept.run.left.wait()
        if strict and not kept.failed:
            raise
        process.tell_lost(
            kept.run.statistics().lost,
            f"project {kept.run.project_id}",
            where,
            str(error),
        )
