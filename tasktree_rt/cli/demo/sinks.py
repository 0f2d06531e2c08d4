"""The two places the demo's events go: the hub in this process, or one elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import trio
from attrs import define, field

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.events import Event
from tasktree_rt.errors import ClientError, Unavailable
from tasktree_rt.hub.hub import Hub

if TYPE_CHECKING:
    from tasktree_rt.client.orchestrator import Orchestrator
    from tasktree_rt.client.receipts import Receipt

AGAIN: Final = 0.5
"""Seconds until a publish is tried again, if the hub does not say."""


def new_producer() -> str:
    """A producer id that no other run has."""
    return f"demo-{token_hex(8)}"


@define
class HubSink:
    """A hub in this process. What it cannot take now is tried again under the same key."""

    hub: Hub
    _producer: str = field(factory=new_producer)
    _numbers: Callable[[], int] = field(factory=lambda: count(1).__next__)

    async def publish(self, events: Sequence[Event]) -> None:
        """See `feed.Sink`.

        Raises:
            PeerError: refused for good.
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


@define
class ClientSink:
    """A hub elsewhere. The client library keeps what is unacked and sends it again after an outage."""

    client: Orchestrator
    _receipts: deque[Receipt] = field(factory=deque)

    async def publish(self, events: Sequence[Event]) -> None:
        """See `feed.Sink`.

        Raises:
            PublishRefused: this or an earlier one was refused for good.
            ConnectionLost: the hub is not coming back.
        """
        self._receipts.append(await self.client.publish(list(events)))
        while self._receipts and self._receipts[0].outcome is not None:
            self._forget(self._receipts.popleft())

    async def settled(self) -> None:
        """See `feed.Sink`."""
        while self._receipts:
            await self._receipts[0].acked()
            self._receipts.popleft()

    @staticmethod
    def _forget(receipt: Receipt) -> None:
        if isinstance(receipt.outcome, ClientError):
            raise receipt.outcome


@asynccontextmanager
async def open_client_sink(url: str, token: str | None, patience: float) -> AsyncIterator[ClientSink]:
    """Push to the hub at `url`; waits for it, at first and after every outage, at most `patience` seconds."""
    from tasktree_rt.client.orchestrator import open_orchestrator

    client = open_orchestrator(
        url, new_producer(), token=token, patience=patience, on_refused=lambda receipt, why: None
    )
    async with client as orchestrator:
        yield ClientSink(orchestrator)
