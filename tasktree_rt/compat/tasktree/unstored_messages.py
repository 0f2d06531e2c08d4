"""Posts messages without a project to the hub, which sends them to watchers and stores none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import httpx
import trio

from tasktree_rt.client.transport.http_retry import read_refusal
from tasktree_rt.client.urls import api_url
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json

POST_TIMEOUT: Final = 3.0
"""Seconds that the hub has for a message without a project."""
WAITING: Final = 10_000
"""Messages that may wait to be posted."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class UnstoredMessages:
    """Posts one message after the other. `unsent` takes those that cannot reach the hub."""

    def __init__(self, address: Address, unsent: Callable[[Json], None]) -> None:
        self._address = address
        self._unsent = unsent
        self._queue, self._messages = trio.open_memory_channel[Json](WAITING)

    def say(self, event: Json) -> None:
        """Queue an event; called in the Trio thread."""
        try:
            self._queue.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._unsent(event)

    async def run(self) -> None:
        """Post queued messages, in order, until cancelled."""
        token = self._address.token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = self._address.tls or False
        async with httpx.AsyncClient(headers=headers, timeout=POST_TIMEOUT, verify=context) as client:
            async for event in self._messages:
                await self._post(client, event)

    async def _post(self, client: httpx.AsyncClient, event: Json) -> None:
        try:
            answer = await client.post(api_url(self._address.url, "/broadcast"), content=encode_json(event))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            _logger.warning("the hub is away, only browsers here get a message without a project: %s", error)
            self._unsent(event)
        except httpx.HTTPError as error:
            _logger.warning("a message without a project may be lost: %s", str(error) or type(error).__name__)
        else:
            if not answer.is_success:
                _logger.warning("the hub refused a message without a project: %s", read_refusal(answer))
