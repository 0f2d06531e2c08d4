"""AIECS' ``WebSocketManager`` for asyncio programs, with a hub behind it.

The original ran a WebSocket server in the program. Here the hub is the server, and this speaks HTTP to it::

    manager = WebSocketManager("0.0.0.0", 8765)
    await manager.start_server()
    answer = await manager.notify_user(TaskStepResult(step="draft", message="Go on?"), "ada", "task-1", 1)
    if answer.proceed:
        ...

As with the original, only `start_server` raises. Whatever else goes wrong is logged, and the program goes on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.compat.steps import TaskStepResult, UserConfirmation, question, shorten
from tasktree_rt.compat.values import plain, text
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost, RequestRefused

WAIT: Final = 50.0
"""Seconds for which one request waits for an answer."""
PATIENCE: Final = 20.0
"""So long a hub that cannot be reached is asked again for the first time: as long as a restart takes."""
GRACE: Final = 60.0
"""So long a hub that was asked may be away, beyond a question's own time, before it is given up."""
BETWEEN: Final = 0.25
"""Seconds between two looks at who is connected, if that changes all the time."""
LAST_WORDS: Final = 1.0
"""Seconds in which a manager that stops may still say what it began to say."""
PASSING: Final = frozenset({429, 502, 503})
"""Answers after which the same request may be sent again."""
EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104
"""Where a server listens at every address; a client calls this one."""

__all__ = ["TaskStepResult", "UserConfirmation", "WebSocketManager"]

_logger: Final = logging.getLogger("tasktree_rt.compat")


class WebSocketManager:
    """See the module's docstring. `url` in place of `host` and `port` for a hub behind TLS.

    An async context manager: entering is `start_server`, leaving `stop_server`. Nothing here blocks the event
    loop.

    Attributes:
        host, port: as given.
        active_connections: the ids of the clients that are connected to the hub, as it last told.
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
    ) -> None:
        self.host = host
        self.port = port
        self.active_connections: set[str] = set()
        self.callback_registry: dict[str, Callable[[UserConfirmation], None]] = {}
        self.server: WebSocketManager | None = None
        self._url = (url or _address(host, port)).rstrip("/")
        self._token = token
        self._http: httpx.AsyncClient | None = None
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()
        self._working: list[dict[str, str]] = []
        self._following: asyncio.Task[None] | None = None

    async def start_server(self) -> Self:
        """See that the hub is there, and follow who is connected to it.

        Raises:
            ConnectionLost: the hub cannot be reached.
        """
        if self.server is not None:
            _logger.warning("this manager is started already")
            return self
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        self._http = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=WAIT + 15.0)
        self._stopped = asyncio.Event()
        try:
            await self._call("GET", "/healthz")
        except BaseException:
            await self._let_go()
            raise
        self.server = self
        self._following = asyncio.create_task(self._follow_connections())
        return self

    async def stop_server(self) -> None:
        """Let go of the hub, which goes on. What waits here for an answer goes on waiting."""
        self.server = None
        self._stopped.set()
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))
        self.active_connections.clear()
        for work in self._working:
            self._rest(work)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)
        await self._let_go()

    async def _let_go(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

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
        callback_id = secrets.token_hex(8)
        asked = question(step_result, step) | {
            "callback_id": callback_id,
            "user_id": text(str(user_id)),
            "task_id": text(str(task_id)),
            "timeout": timeout,
            "default_proceed": default_proceed,
        }
        here: asyncio.Future[UserConfirmation] = asyncio.get_running_loop().create_future()
        self.callback_registry[callback_id] = partial(_confirm, here)
        asking = asyncio.create_task(self._ask(asked, UserConfirmation(default_proceed)))
        try:
            await asyncio.wait((asking, here), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            return here.result()
        finally:
            self.callback_registry.pop(callback_id, None)
            if not asking.done():
                asking.cancel()
                self._in_background(self._quietly("DELETE", f"/api/v1/prompts/{callback_id}"))

    async def _ask(self, asked: Json, default: UserConfirmation) -> UserConfirmation:
        now = asyncio.get_running_loop().time
        begun, retry = now(), Retry(Backoff(cap=5.0))
        until = begun + min(PATIENCE, asked["timeout"])
        while True:
            try:
                found = await self._call("POST", "/api/v1/aiecs/notify", {**asked, "wait": WAIT})
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

    # --- messages ---------------------------------------------------------------------------------

    async def broadcast_message(self, message: Mapping[str, Any]) -> None:
        """Tell everybody something."""
        await self._quietly("POST", "/api/v1/aiecs/broadcast", {"message": plain(message)})

    async def send_to_user(self, user_id: str, message: Mapping[str, Any]) -> None:
        """Tell a user something."""
        await self._quietly("POST", _messages(user_id), {"message": plain(message)})

    async def send_with_ack(
        self,
        user_id: str,
        message: Mapping[str, Any],
        timeout: float = 30.0,  # noqa: ASYNC109 (the original's name)
    ) -> bool:
        """Tell a user something, and wait until a client acknowledges it; False if none did in time."""
        body = {"message": plain(message), "requires_ack": True, "timeout": timeout}
        found = await self._quietly("POST", _messages(user_id), body)
        return bool(found.get("acknowledged"))

    async def send_heartbeat(self, user_id: str, task_id: str, interval: float = 30.0) -> None:
        """Tell a user every so often that a task is at work, until this is cancelled or the manager stops."""
        work = {"user_id": text(str(user_id)), "task_id": text(str(task_id))}
        stopped = self._stopped
        self._working.append(work)
        try:
            while self.server is not None and await self._beat(work, interval):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), interval)
        except asyncio.CancelledError:
            self._rest(work)
            raise
        finally:
            self._working.remove(work)

    def _rest(self, work: Mapping[str, str]) -> None:
        if self._http is not None:
            self._in_background(self._quietly("DELETE", "/api/v1/aiecs/heartbeats", params=work))

    async def _beat(self, work: Mapping[str, str], interval: float) -> bool:
        try:
            await self._call("POST", "/api/v1/aiecs/heartbeats", {**work, "interval": interval})
        except ConnectionLost as lost:
            _logger.debug("a heartbeat was not told: %s", lost)
        except RequestRefused as refused:
            _logger.error("the hub refused a heartbeat: %s", refused)
            return False
        return True

    # --- who is connected -------------------------------------------------------------------------

    def get_connection_count(self) -> int:
        """How many clients are connected to the hub, as it last told."""
        return len(self.active_connections)

    def get_status(self) -> Json:
        """``{running, host, port, active_connections, pending_callbacks}``, the last of this program."""
        return {
            "running": self.server is not None,
            "host": self.host,
            "port": self.port,
            "active_connections": self.get_connection_count(),
            "pending_callbacks": len(self.callback_registry),
        }

    async def _follow_connections(self) -> None:
        """Keep `active_connections` as the hub tells them, for as long as the manager is started."""
        retry, seen = Retry(Backoff(cap=5.0)), ""
        while True:
            params = {"wait": f"{WAIT:.0f}", "version": seen}
            try:
                found = await self._call("GET", "/api/v1/aiecs/status", params=params)
            except ConnectionLost:
                self.active_connections.clear()
                seen = ""
                await asyncio.sleep(retry.delay())
            except RequestRefused as refused:
                _logger.warning("the hub does not tell who is connected: %s", refused)
                return
            else:
                retry.reset()
                self.active_connections, seen = set(found["connections"]), str(found["version"])
                await asyncio.sleep(BETWEEN)

    # --- the hub ----------------------------------------------------------------------------------

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        """As `_call`, but what goes wrong is logged; {} then."""
        try:
            return await self._call(method, path, body, params)
        except (ConnectionLost, RequestRefused) as error:
            _logger.error("%s %s: %s", method, path, error)
            return {}

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        if self._http is None:
            raise ConnectionLost("this manager is not started")
        try:
            answer = await self._http.request(method, path, json=body, params=params)
        except (httpx.HTTPError, RuntimeError) as error:  # the latter: closed meanwhile
            raise ConnectionLost(f"the hub at {self._url} cannot be reached: {error}") from error
        found = _object(answer)
        if answer.status_code in PASSING or (answer.status_code == 504 and "acknowledged" not in found):
            raise ConnectionLost(f"the hub at {self._url} answered {answer.status_code}")
        if answer.is_error and answer.status_code != 504:
            code, detail = str(found.get("code", answer.status_code)), str(found.get("detail", answer.text))
            raise RequestRefused(code, detail, found.get("field"))
        return found


def _confirm(here: asyncio.Future[UserConfirmation], said: UserConfirmation) -> None:
    if not here.done():
        here.set_result(said)


def _object(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _address(host: str | None, port: int) -> str:
    name = EVERYWHERE.get(host or "", host)
    return f"http://[{name}]:{port}" if name and ":" in name and name[0] != "[" else f"http://{name}:{port}"


def _messages(user_id: str) -> str:
    return f"/api/v1/aiecs/users/{quote(text(str(user_id)), safe='')}/messages"
