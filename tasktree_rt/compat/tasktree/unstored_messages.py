"""Posts messages without a project to the hub, which passes them on and stores them nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import httpx
import trio

from tasktree_rt.client.transport.http_retry import read_refusal
from tasktree_rt.client.transport.urls import api_url
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json

SAYING: Final = 3.0
"""Seconds that the hub may take for a message without a project."""
WAITING: Final = 10_000
"""Messages that wait to be posted."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Saying:
    """Posts one message after the other. `unsaid` takes those that the hub, which is away, does not get."""

    def __init__(self, address: Address, unsaid: Callable[[Json], None]) -> None:
        self._address = address
        self._unsaid = unsaid
        self._say, self._said = trio.open_memory_channel[Json](WAITING)

    def say(self, event: Json) -> None:
        """Queue an event; called in the Trio thread."""
        try:
            self._say.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._unsaid(event)

    async def run(self) -> None:
        """Post what is queued, in order, until cancelled."""
        token = self._address.token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(headers=headers, timeout=SAYING) as client:
            async for event in self._said:
                await self._post(client, event)

    async def _post(self, client: httpx.AsyncClient, event: Json) -> None:
        try:
            answer = await client.post(api_url(self._address.url, "/broadcast"), content=encode_json(event))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            _logger.warning("the hub is away, a message without a project is shown here only: %s", error)
            self._unsaid(event)
        except httpx.HTTPError as error:
            _logger.warning("a message without a project may be lost: %s", str(error) or type(error).__name__)
        else:
            if not answer.is_success:
                _logger.warning("a message without a project was not told: %s", read_refusal(answer))
