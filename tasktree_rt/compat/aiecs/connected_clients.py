"""Follows which clients are connected to the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.compat.aiecs.hub_api import WAIT, HubApi
from tasktree_rt.errors import ConnectionLost, RequestRefused

BETWEEN: Final = 0.25
"""Least seconds between two requests, however often clients connect and disconnect."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


async def follow_connections(api: HubApi, changed: Callable[[set[str]], None]) -> None:
    """Call `changed` with the ids of the connected clients: on every change, and empty while the hub is away.

    Ends when the hub refuses the request.
    """
    retry, seen = Retry(Backoff(cap=5.0)), ""
    while True:
        params = {"wait": f"{WAIT:.0f}", "version": seen}
        try:
            found = await api.call("GET", "/api/v1/aiecs/status", params=params)
        except ConnectionLost:
            changed(set())
            seen = ""
            await asyncio.sleep(retry.delay())
        except RequestRefused as refused:
            _logger.warning("the hub does not tell which clients are connected: %s", refused)
            return
        else:
            retry.reset()
            seen = str(found["version"])
            changed(set(found["connections"]))
            await asyncio.sleep(BETWEEN)
