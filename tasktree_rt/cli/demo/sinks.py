"""The demo's two destinations: the hub in this process, or a remote one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.events import Event, Json, ProjectId
from tasktree_rt.errors import ClientError, Unavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.interactions.registry import OpenInteraction

if TYPE_CHECKING:
    from tasktree_rt.client.producer.command_inbox import Command
    from tasktree_rt.client.producer.obey import Announcement
    from tasktree_rt.client.producer.orchestrator import Orchestrator
    from tasktree_rt.client.producer.receipt import Receipt

MOST_COMMANDS: Final = 1_000
"""Maximum number of commands waiting for the demo; the hub keeps fewer open."""
AGAIN: Final = 0.5
"""Seconds until a publish is retried if the hub names no time."""


def new_producer() -> str:
    """Make a unique producer id."""
    return f"demo-{token_hex(8)}"


@define
class Told:
    """A command from the hub in this process; see `obey_commands.DemoCommand`."""

    name: str
    node_id: str | None
    args: Json
    _id: str
    _sink: HubSink

    async def accept(self) -> None:
        """Answer that the command is accepted."""
        await self._say("accepted", None)

    async def done(self, message: str | None = None) -> None:
        """Answer that the command is done."""
        await self._say("done", message)

    async def refuse(self, reason: str) -> None:
        """Answer that the command is refused."""
        await self._say("refused", reason)

    async def _say(self, status: str, message: str | None) -> None:
        said = {"command_id": self._id, "status": status, "message": message}
        while True:
            try:
                await self._sink.hub.commands.report(self._sink, said)
            except Unavailable as error:
                await trio.sleep(error.retry_after or AGAIN)
            else:
                return


@define(eq=False)
class HubSink:
    """A hub in this process. A publish that it cannot take now is retried under the same key."""

    hub: Hub
    _producer: str = field(factory=new_producer)
    _numbers: Callable[[], int] = field(factory=lambda: count(1).__next__)
    _tell: trio.MemorySendChannel[Told] = field(init=False)

    async def publish(self, events: Sequence[Event]) -> None:
        """See `feed.Sink`.

        Raises:
            PeerError: the hub refuses it for good.
        """
        key = Key("", self._producer, str(self._numbers()))
        while True:
            try:
                await self.hub.publish(events, key=key)
            except Unavailable as error:
                await trio.sleep(error.retry_after or AGAIN)
            else:
                return

    async def settled(self) -> None:
        """See `feed.Sink`: a publish is durable when it returns."""
        await trio.lowlevel.checkpoint()

    def give(self, pending: OpenInteraction) -> None:
        """See `command_routing.Obedient`."""
        data = pending.data
        told = Told(data["name"], data.get("node_id"), data.get("args") or {}, pending.id, self)
        with suppress(trio.WouldBlock):
            self._tell.send_nowait(told)

    async def commands(self, project: ProjectId, obeyed: Sequence[Announcement]) -> AsyncIterator[Told]:
        """Announce `obeyed`, and yield the commands of `project` for as long as the iteration runs."""
        self._tell, heard = trio.open_memory_channel[Told](MOST_COMMANDS)
        self.hub.orchestrators.serve(self, [project])
        self.hub.orchestrators.announce(self, [project], [dict(one) for one in obeyed])
        try:
            async for told in heard:
                yield told
        finally:
            self.hub.orchestrators.leave(self, [project])


@define
class ClientSink:
    """A remote hub. The client library keeps unacked events and sends them again after an outage."""

    client: Orchestrator
    _receipts: deque[Receipt] = field(factory=deque)

    async def publish(self, events: Sequence[Event]) -> None:
        """See `feed.Sink`.

        Raises:
            PublishRefused: the hub refused this or an earlier publish for good.
            ConnectionLost: the hub did not come back in time.
        """
        self._receipts.append(await self.client.publish(list(events)))
        while self._receipts and self._receipts[0].outcome is not None:
            self._forget(self._receipts.popleft())

    async def settled(self) -> None:
        """See `feed.Sink`."""
        for receipt in list(self._receipts):
            await receipt.acked()

    def commands(self, project: ProjectId, obeyed: Sequence[Announcement]) -> AsyncIterator[Command]:
        """Announce `obeyed`, and yield the commands of the client's project."""
        self.client.announce(obeyed)
        return self.client.commands()

    @staticmethod
    def _forget(receipt: Receipt) -> None:
        if isinstance(receipt.outcome, ClientError):
            raise receipt.outcome


@asynccontextmanager
async def open_client_sink(
    url: str, project: ProjectId, patience: float, access: Mapping[str, Any]
) -> AsyncIterator[ClientSink]:
    """Push to the hub at `url` and take the commands of `project`. Waits for the hub, at first and after
    every outage, at most `patience` seconds. `access`: see `remote.access`."""
    from tasktree_rt.client.producer.open_orchestrator import open_orchestrator

    client = open_orchestrator(
        url,
        new_producer(),
        **access,
        commands=project,
        patience=patience,
        on_refused=lambda receipt, why: None,
    )
    async with client as orchestrator:
        yield ClientSink(orchestrator)
