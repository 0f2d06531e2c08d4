"""AIECS' ``WebSocketManager`` for asyncio programs, with a hub behind it.

The original ran a WebSocket server in the program. Here the hub is the server, and this speaks HTTP to it::

    manager = WebSocketManager("127.0.0.1", 8765)
    await manager.start_server()
    answer = await manager.notify_user(TaskStepResult(step="draft", message="Go on?"), "ada", "task-1", 1)
    if answer.proceed:
        ...
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from attrs import asdict, frozen

from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.errors import ConnectionLost, RequestRefused

WAIT: Final = 50.0
"""Seconds for which one request waits for an answer."""
GRACE: Final = 60.0
"""So long a hub may be away, beyond a question's own time, before it is given up."""


@frozen
class UserConfirmation:
    """What a person said."""

    proceed: bool
    feedback: str | None = None


@frozen
class TaskStepResult:
    """What came of a step, and what a person is asked about it."""

    step: str
    message: str
    result: Any = None
    status: str = "completed"
    error_code: str | None = None
    error_message: str | None = None


class WebSocketManager:
    """See the module's docstring. `url` in place of `host` and `port` for a hub behind TLS.

    An async context manager: entering is `start_server`, leaving `stop_server`. Nothing here blocks the event
    loop. What the hub refuses raises `RequestRefused`; a hub that is away `ConnectionLost`.
    """

    def __init__(
        self, host: str = "localhost", port: int = 8765, *, url: str | None = None, token: str | None = None
    ) -> None:
        self._url = (url or f"http://{host}:{port}").rstrip("/")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=WAIT + 15.0)

    async def start_server(self) -> None:
        """See that the hub is there.

        Raises:
            ConnectionLost: it is not.
        """
        await self._call("GET", "/healthz")

    async def stop_server(self) -> None:
        """Let go of the hub, which goes on."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_server()

    async def notify_user(
        self,
        step_result: TaskStepResult,
        user_id: str,
        task_id: str,
        step: int | str | None = None,
        *,
        timeout: float = 300.0,  # noqa: ASYNC109 (the original's name; a question's time, not a call's)
        default_proceed: bool = True,
    ) -> UserConfirmation:
        """Ask a user to confirm a step; returns when they have, or when the default holds.

        The question survives a restart of the hub, and so does this call: it asks again under the same id.
        """
        asked: dict[str, Any] = {
            **asdict(step_result),
            "step": step_result.step if step is None else step,
            "callback_id": secrets.token_hex(8),
            "user_id": user_id,
            "task_id": task_id,
            "timeout": timeout,
            "default_proceed": default_proceed,
            "wait": WAIT,
        }
        until = asyncio.get_running_loop().time() + timeout + GRACE
        retry = Retry(Backoff())
        while True:
            try:
                found = await self._call("POST", "/api/v1/aiecs/notify", asked)
            except ConnectionLost:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(retry.delay())
                continue
            retry.reset()
            if "proceed" in found:
                return UserConfirmation(found["proceed"], found["feedback"])

    async def broadcast_message(self, message: Mapping[str, Any]) -> None:
        """Tell everybody something."""
        await self._call("POST", "/api/v1/aiecs/broadcast", {"message": dict(message)})

    async def send_to_user(self, user_id: str, message: Mapping[str, Any]) -> None:
        """Tell a user something."""
        await self._call("POST", self._messages(user_id), {"message": dict(message)})

    async def send_with_ack(
        self,
        user_id: str,
        message: Mapping[str, Any],
        timeout: float = 30.0,  # noqa: ASYNC109 (the original's name)
    ) -> bool:
        """Tell a user something, and wait until a client acknowledges it; False if none did in time."""
        body = {"message": dict(message), "requires_ack": True, "timeout": timeout}
        return bool((await self._call("POST", self._messages(user_id), body))["acknowledged"])

    async def send_heartbeat(self, user_id: str, task_id: str, interval: float = 30.0) -> None:
        """Tell a user every so often that a task is at work, until this is cancelled."""
        work = {"user_id": user_id, "task_id": task_id}
        try:
            while True:
                with suppress(ConnectionLost):
                    await self._call("POST", "/api/v1/aiecs/heartbeats", {**work, "interval": interval})
                await asyncio.sleep(interval)
        finally:
            with suppress(ConnectionLost, RequestRefused):
                await self._call("DELETE", "/api/v1/aiecs/heartbeats", params=work)

    async def get_connection_count(self) -> int:
        """How many clients are connected to the hub."""
        return int((await self.get_status())["active_connections"])

    async def get_status(self) -> dict[str, Any]:
        """``{running, host, port, active_connections, pending_callbacks}``."""
        return await self._call("GET", "/api/v1/aiecs/status")

    @staticmethod
    def _messages(user_id: str) -> str:
        return f"/api/v1/aiecs/users/{quote(user_id, safe='')}/messages"

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, json=body, params=params)
        except httpx.HTTPError as error:
            raise ConnectionLost(f"the hub at {self._url} cannot be reached: {error}") from error
        found = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        if answer.status_code in (502, 503) or (answer.status_code == 504 and "acknowledged" not in found):
            raise ConnectionLost(f"the hub at {self._url} answered {answer.status_code}")
        if answer.is_error and answer.status_code != 504:
            code, detail = str(found.get("code", answer.status_code)), str(found.get("detail", answer.text))
            raise RequestRefused(code, detail)
        return dict(found)
