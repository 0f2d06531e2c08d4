"""AIECS' ``WebSocketManager`` by name and signature."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from tasktree_rt.client.transport.tls import Cert, Verify
from tasktree_rt.compat.aiecs.connected_clients import follow_connections
from tasktree_rt.compat.aiecs.heartbeats import Heartbeats
from tasktree_rt.compat.aiecs.hub_api import HubApi, hub_address
from tasktree_rt.compat.aiecs.questions import Questions
from tasktree_rt.compat.aiecs.steps import UserConfirmation, question
from tasktree_rt.compat.aiecs.values import plain, text
from tasktree_rt.core.events import Json

LAST_WORDS: Final = 1.0
"""Seconds in which a manager that stops may still send what it began to send."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class WebSocketManager:
    """See the package. `url` in place of `host` and `port` for a hub with TLS, or behind it; `verify` and
    `cert` as the client has them (`tasktree_rt.client.transport.tls`).

    An async context manager: entering is `start_server`, leaving `stop_server`. Nothing here blocks the event
    loop.

    Attributes:
        host, port: as given.
        active_connections: the ids of the clients that are connected to the hub, as it last reported.
        callback_registry: what to call, by its id, to confirm a question that `notify_user` waits for.
        server: this manager between `start_server` and `stop_server`, else None.
    """

    def __init__(
        self,
        host: str | None = "localhost",
        port: int = 8765,
        *,
        url: str | None = None,
        token: str | None = None,
        verify: Verify = True,
        cert: Cert | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.active_connections: set[str] = set()
        self.callback_registry: dict[str, Callable[[UserConfirmation], None]] = {}
        self.server: WebSocketManager | None = None
        self._api = HubApi(url or hub_address(host, port), token, verify, cert)
        self._questions = Questions(self._api, self.callback_registry)
        self._heartbeats = Heartbeats(self._api)
        self._following: asyncio.Task[None] | None = None

    async def start_server(self) -> Self:
        """Check that the hub is there, and follow which clients are connected to it.

        Raises:
            ConnectionLost: the hub cannot be reached.
        """
        if self.server is not None:
            _logger.warning("this manager is started already")
            return self
        self._api.open()
        self._heartbeats.start()
        try:
            await self._api.call("GET", "/healthz")
        except BaseException:
            await self._api.aclose()
            raise
        self.server = self
        self._following = asyncio.create_task(follow_connections(self._api, self._set_connections))
        return self

    async def stop_server(self) -> None:
        """Disconnect from the hub, which goes on. `notify_user` calls go on waiting for their answers."""
        self.server = None
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))
        self.active_connections.clear()
        self._heartbeats.stop()
        await self._api.settle(LAST_WORDS)
        await self._api.aclose()

    async def __aenter__(self) -> Self:
        return await self.start_server()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_server()

    # --- questions --------------------------------------------------------------------------------

    async def notify_user(
        self,
        step_result: object,
        user_id: str,
        task_id: str,
        step: int | str | None = None,
        *,
        timeout: float = 300.0,  # noqa: ASYNC109 (the original's name; a question's time, not a call's)
        default_proceed: bool = True,
    ) -> UserConfirmation:
        """Ask a user to confirm a step; returns when they have, or when the default holds.

        `step_result` is any object with the fields of `TaskStepResult`. The question survives a restart of
        the hub, and so does this call: it asks again under the same id. What the hub refuses, and a hub that
        cannot be reached for 20 s, come to the default. Cancelling this takes the question back.
        """
        asked = question(step_result, step) | {
            "user_id": text(str(user_id)),
            "task_id": text(str(task_id)),
            "timeout": timeout,
            "default_proceed": default_proceed,
        }
        return await self._questions.ask(asked, UserConfirmation(default_proceed))

    # --- messages ---------------------------------------------------------------------------------

    async def broadcast_message(self, message: Mapping[str, Any]) -> None:
        """Send a message to every client."""
        await self._api.quietly("POST", "/api/v1/aiecs/broadcast", {"message": plain(message)})

    async def send_to_user(self, user_id: str, message: Mapping[str, Any]) -> None:
        """Send a message to a user's clients."""
        await self._api.quietly("POST", _messages(user_id), {"message": plain(message)})

    async def send_with_ack(
        self,
        user_id: str,
        message: Mapping[str, Any],
        timeout: float = 30.0,  # noqa: ASYNC109 (the original's name)
    ) -> bool:
        """Send a message to a user, and wait until a client acknowledges it; False if none did in time."""
        body = {"message": plain(message), "requires_ack": True, "timeout": timeout}
        found = await self._api.quietly("POST", _messages(user_id), body)
        return bool(found.get("acknowledged"))

    async def send_heartbeat(self, user_id: str, task_id: str, interval: float = 30.0) -> None:
        """Tell a user every `interval` seconds that a task is running, until cancelled or `stop_server`."""
        if self.server is not None:
            task = {"user_id": text(str(user_id)), "task_id": text(str(task_id))}
            await self._heartbeats.beat(task, interval)

    # --- connections ------------------------------------------------------------------------------

    def get_connection_count(self) -> int:
        """Return the number of clients connected to the hub, as it last reported."""
        return len(self.active_connections)

    def get_status(self) -> Json:
        """Return ``{running, host, port, active_connections, pending_callbacks}``, the last of this one."""
        return {
            "running": self.server is not None,
            "host": self.host,
            "port": self.port,
            "active_connections": self.get_connection_count(),
            "pending_callbacks": len(self.callback_registry),
        }

    def _set_connections(self, connections: set[str]) -> None:
        self.active_connections = connections


def _messages(user_id: str) -> str:
    return f"/api/v1/aiecs/users/{quote(text(str(user_id)), safe='')}/messages"
