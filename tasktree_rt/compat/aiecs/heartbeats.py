"""Heartbeats of tasks: AIECS' manager tells a user in intervals that a task is running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from tasktree_rt.compat.aiecs.hub_api import HubApi
from tasktree_rt.errors import ConnectionLost, RequestRefused

_logger: Final = logging.getLogger("tasktree_rt.compat")


class Heartbeats:
    """The tasks that are running, each ``{user_id, task_id}``."""

    def __init__(self, api: HubApi) -> None:
        self._api = api
        self._stopped = asyncio.Event()
        self._tasks: list[dict[str, str]] = []

    def start(self) -> None:
        """Let `beat` send from now on."""
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End every `beat`, and tell the hub that no more heartbeats come."""
        self._stopped.set()
        for task in self._tasks:
            self._end(task)

    async def beat(self, task: dict[str, str], interval: float) -> None:
        """Send a heartbeat every `interval` seconds until cancelled, `stop`, or the hub refuses it."""
        stopped = self._stopped
        self._tasks.append(task)
        try:
            while not stopped.is_set() and await self._send(task, interval):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), interval)
        except asyncio.CancelledError:
            self._end(task)
            raise
        finally:
            self._tasks.remove(task)

    def _end(self, task: Mapping[str, str]) -> None:
        if self._api.is_open:
            self._api.in_background(self._api.quietly("DELETE", "/api/v1/aiecs/heartbeats", params=task))

    async def _send(self, task: Mapping[str, str], interval: float) -> bool:
        try:
            await self._api.call("POST", "/api/v1/aiecs/heartbeats", {**task, "interval": interval})
        except ConnectionLost as lost:
            _logger.debug("a heartbeat was not sent: %s", lost)
        except RequestRefused as refused:
            _logger.error("the hub refused a heartbeat: %s", refused)
            return False
        return True
