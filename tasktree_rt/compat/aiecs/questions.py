"""Questions of AIECS' manager to a user, asked again until the hub answers or the default holds."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.compat.aiecs.hub_api import WAIT, HubApi
from tasktree_rt.compat.aiecs.steps import UserConfirmation, shorten
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost, RequestRefused

PATIENCE: Final = 20.0
"""Seconds for which a question that the hub never got is sent again: as long as a restart takes."""
GRACE: Final = 60.0
"""Seconds beyond a question's own time for which a hub that got it may be away before the default holds."""
_logger: Final = logging.getLogger("tasktree_rt.compat")

Registry = dict[str, Callable[[UserConfirmation], None]]


class Questions:
    """Asks through `api`; `registry` holds by callback id how the program itself confirms a question."""

    def __init__(self, api: HubApi, registry: Registry) -> None:
        self._api = api
        self._registry = registry

    async def ask(self, question: Json, default: UserConfirmation) -> UserConfirmation:
        """Ask until the hub has an answer, the program confirms, or `default` holds.

        If cancelled, the prompt is cancelled at the hub.
        """
        callback_id = secrets.token_hex(8)
        asked = {**question, "callback_id": callback_id}
        here: asyncio.Future[UserConfirmation] = asyncio.get_running_loop().create_future()
        self._registry[callback_id] = partial(_confirm, here)
        asking = asyncio.create_task(self._ask_hub(asked, default))
        try:
            await asyncio.wait((asking, here), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            return here.result()
        finally:
            self._registry.pop(callback_id, None)
            if not asking.done():
                asking.cancel()
                self._api.in_background(self._api.quietly("DELETE", f"/api/v1/prompts/{callback_id}"))

    async def _ask_hub(self, asked: Json, default: UserConfirmation) -> UserConfirmation:
        now = asyncio.get_running_loop().time
        begun, retry = now(), Retry(Backoff(cap=5.0))
        until = begun + min(PATIENCE, asked["timeout"])
        while True:
            try:
                found = await self._api.call("POST", "/api/v1/aiecs/notify", {**asked, "wait": WAIT})
            except ConnectionLost as lost:
                left = until - now()
                if left <= 0:
                    _logger.error("a question was given up: %s", lost)
                    return default
                await asyncio.sleep(min(retry.delay(), left))
                continue
            except RequestRefused as refused:
                if refused.code == "too_large" and shorten(asked):
                    continue
                _logger.error("the hub refused a question: %s", refused)
                return default
            retry.reset()
            until = begun + asked["timeout"] + GRACE
            if "proceed" in found:
                return UserConfirmation(found["proceed"], found["feedback"])


def _confirm(here: asyncio.Future[UserConfirmation], said: UserConfirmation) -> None:
    if not here.done():
        here.set_result(said)
