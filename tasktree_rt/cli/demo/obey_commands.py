"""Obey the commands cancel, retry, pause and resume."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final, Protocol

import trio
from attrs import define, field

from tasktree_rt.cli.demo.feed import state_step
from tasktree_rt.cli.demo.files import CANCELLED, COMPLETED, FAILED, READY, RUNNING, VANISHED, Watch
from tasktree_rt.cli.demo.names import node_id, path_of
from tasktree_rt.cli.demo.run import Job
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.core.events import Json
from tasktree_rt.errors import Refused, RequestRefused

if TYPE_CHECKING:
    from tasktree_rt.client.producer.obey import Announcement

ANNOUNCED: Final[tuple[Announcement, ...]] = (
    {
        "name": "cancel",
        "description": "Stop the work on it and on what is below it.",
        "statuses": ["ready", "running"],
        "dangerous": True,
    },
    {"name": "retry", "description": "Try again what has failed.", "statuses": ["failed"]},
    {"name": "pause", "description": "Begin nothing new until resume.", "scope": "project"},
    {"name": "resume", "description": "Go on with the work.", "scope": "project"},
)
KNOWN: Final = tuple(one["name"] for one in ANNOUNCED)
_OVER: Final = "the run is over"


class DemoCommand(Protocol):
    """A command from the hub in this process or from a remote one."""

    @property
    def name(self) -> str:
        """The command's name; the demo obeys those in `KNOWN`."""

    @property
    def node_id(self) -> str | None:
        """The node to act on; None for the whole run."""

    @property
    def args(self) -> Json:
        """Arguments of the command; the demo takes none."""

    async def accept(self) -> None:
        """Answer that the command is accepted."""

    async def done(self, message: str | None = None) -> None:
        """Answer that the command is done."""

    async def refuse(self, reason: str) -> None:
        """Answer that the command is refused."""


class CommandRefused(Exception):
    """The demo refuses a command; the message is the reason."""


@define
class CommandHandler:
    """Obey the commands for one job. `stays`: the demo continues after the run."""

    job: Job
    stays: bool
    _busy: int = field(default=0, init=False)
    _answered: trio.Event = field(factory=trio.Event, init=False)

    async def idle(self) -> None:
        """Wait until every command that came is answered."""
        while self._busy:
            self._answered = trio.Event()
            await self._answered.wait()

    async def run(self, orders: AsyncIterator[DemoCommand]) -> None:
        """Obey commands, several at a time, until cancelled."""
        async with trio.open_nursery() as nursery:
            async for order in orders:
                nursery.start_soon(self._obey, order)

    async def _obey(self, order: DemoCommand) -> None:
        self._busy += 1
        try:
            await self._answer(order)
        except (Refused, RequestRefused) as error:
            if error.code != "gone":  # its time was up; what was done stands in the tree
                raise
        finally:
            self._busy -= 1
            self._answered.set()

    async def _answer(self, order: DemoCommand) -> None:
        try:
            said = await self._do(order)
        except CommandRefused as why:
            await order.refuse(str(why))
        else:
            await order.done(said)

    async def _do(self, order: DemoCommand) -> str:
        if order.name not in KNOWN:
            raise CommandRefused(f"the demo knows {', '.join(KNOWN)}; not {printable(order.name, 64)}")
        if order.args:
            raise CommandRefused(f"{order.name} takes no arguments")
        path = self._path(order.node_id)
        if order.name == "retry":
            return await self._retry(order, path or b"")
        if order.name == "cancel":
            return await (self._cancel_all() if not path else self._cancel(order, path))
        if path:
            raise CommandRefused(f"only the whole run can {order.name}")
        return await (self._pause() if order.name == "pause" else self._resume())

    def _path(self, name: str | None) -> bytes | None:
        if name is None:
            return None
        job, path = self.job, path_of(name)
        if path is None:  # an id that was cut
            path = next((one for one in (*job.files, *job.folders) if node_id(one) == name), None)
        known = path is not None and (
            path in job.folders or (path in job.files and job.files[path] != VANISHED)
        )
        if not known:
            raise CommandRefused(f"there is no file or folder {printable(name, 200)}")
        return path

    # --- the whole run ------------------------------------------------------------------------------

    async def _pause(self) -> str:
        job = self.job
        async with job.turn:
            if job.feed is None:
                raise CommandRefused(_OVER)
            if job.gate.closed:
                raise CommandRefused("the run is paused already")
            job.gate.close()
            await job.feed.put(state_step("paused"))
            await job.feed.flushed()
        await job.sink.settled()
        return "nothing is begun until resume"

    async def _resume(self) -> str:
        job = self.job
        async with job.turn:
            if job.feed is None or not job.gate.closed:
                raise CommandRefused("the run is not paused")
            await job.feed.put(state_step("running"))
            await job.feed.flushed()
            job.gate.open()
        await job.sink.settled()
        return "the work goes on"

    async def _cancel_all(self) -> str:
        job = self.job
        if job.feed is None:
            raise CommandRefused(_OVER)
        job.break_off()
        await job.rest.wait()
        if not job.broken_off:
            raise CommandRefused("the run was over before it could be cancelled")
        return "the run is cancelled"

    # --- parts of it --------------------------------------------------------------------------------

    async def _cancel(self, order: DemoCommand, path: bytes) -> str:
        job, files = self.job, self.job.files
        async with job.turn:
            self._check_walked()
            found = files.under(path, lambda one: files[one] in (READY, RUNNING) or files.queued(one))
            if job.feed is None or not found:
                raise CommandRefused(f"{printable(str(order.node_id), 200)} is over already")
            watch = files.watch(found)
            for one in found:
                if files[one] == RUNNING:
                    files.stop(one)
                elif files[one] == FAILED:
                    files.end(one, FAILED)  # it waited to be tried again: it stays what it was
                else:
                    files.end(one, CANCELLED)  # first, so that no worker takes it meanwhile
                    await job.feed.put(*job.cancelled(one))
        await order.accept()
        await self._settled(watch)
        return _summary(watch)

    async def _retry(self, order: DemoCommand, path: bytes) -> str:
        job, files = self.job, self.job.files
        async with job.turn:
            self._check_walked()
            found = files.under(path, lambda one: files[one] == FAILED and not files.queued(one))
            if job.broken_off:
                raise CommandRefused("the run was cancelled: start the demo again")
            if job.feed is None and not self.stays:
                raise CommandRefused(_OVER)
            if not found:
                raise CommandRefused(_nothing_failed(order, files.get(path)))
            alone = job.feed is None
            watch = files.watch(found)
            job.try_again(found)
        await order.accept()
        await self._settled(watch)
        if alone:
            await job.rest.wait()
        return _summary(watch)

    def _check_walked(self) -> None:
        if self.job.walking:
            raise CommandRefused("the folder is still being listed: only the whole run can be cancelled now")

    async def _settled(self, watch: Watch) -> None:
        """Wait until the files are finished and their events are durable."""
        job = self.job
        await watch.over.wait()
        async with job.turn:
            ending = job.feed is None
            if job.feed is not None:
                await job.feed.flushed()
        if ending:
            await job.rest.wait()
        await job.sink.settled()


def _nothing_failed(order: DemoCommand, status: str | None) -> str:
    if order.node_id is None:
        return "nothing has failed"
    name = printable(order.node_id, 200)
    return f"nothing in {name} has failed" if status is None else f"{name} has not failed: it is {status}"


def _summary(watch: Watch) -> str:
    """Describe how the files ended."""
    if len(watch.ends) == 1 and not watch.left:
        (path, status), *_ = watch.ends.items()
        return f"{printable(node_id(path), 200)}: {status}"
    parts = [_counted(watch.ends.values(), status) for status in (COMPLETED, FAILED, CANCELLED, VANISHED)]
    return ", ".join(part for part in parts if part) or "broken off"


def _counted(ends: Iterable[str], status: str) -> str:
    count = sum(1 for one in ends if one == status)
    return f"{count} {status}" if count else ""
