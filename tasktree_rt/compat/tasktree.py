"""TaskTree's ``WebSocketManager`` for FastAPI and other asyncio programs, with a hub behind it.

An existing backend changes one import. What it broadcasts goes to the hub, durable and in order; browsers
that still connect to the backend are shown the hub's stream, those that connect to the hub see the same::

    manager = WebSocketManager("http://127.0.0.1:8000")

    @app.websocket("/ws/updates")
    async def updates(websocket: WebSocket):
        await manager.connect(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            manager.disconnect(websocket)

However many browsers there are, the process has one connection to the hub for watching. It is opened with the
first of them and resumes by itself; where the hub can no longer tell what was missed, the browsers are closed
(1012) and reload, as they do after any break.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import httpx
import trio

from tasktree_rt.client import Publisher, open_watcher
from tasktree_rt.client.messages import Conflated, ProjectDeleted, ProjectEvent, StateReplaced, WatchMessage
from tasktree_rt.core.commands import Broadcast
from tasktree_rt.core.events import Json

WAITING: Final = 256
"""Messages that wait for one slow browser; beyond that it is closed (4008)."""
TURN: Final = 64
"""So many messages are handed to the event loop between two of its rounds."""
PAUSE: Final = 0.02
SLOW: Final = 4008
RESTART: Final = 1012
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Socket(Protocol):
    """What is needed of a framework's WebSocket; Starlette's and FastAPI's have it."""

    async def accept(self) -> None:
        """Finish the handshake."""

    async def send_text(self, data: str) -> None:
        """Send a text frame."""

    async def close(self, code: int = 1000) -> None:
        """Close."""


class WebSocketManager:
    """See the module's docstring. Everything is called from one event loop; nothing here blocks it.

    Args:
        hub: its address.
        producer_id: names this program to the hub.
        token: for a hub with authentication.
        max_waiting: events that wait while the hub is away; then broadcasting waits, and the loop goes on.
    """

    def __init__(
        self,
        hub: str = "http://127.0.0.1:8000",
        *,
        producer_id: str = "tasktree",
        token: str | None = None,
        max_waiting: int = 10_000,
    ) -> None:
        self._hub = hub.rstrip("/")
        self._token = token
        self._publisher = Publisher(hub, producer_id, token=token, max_waiting=max_waiting)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=self._hub, headers=headers, timeout=10.0)
        self._browsers: dict[Socket, _Browser] = {}
        self._upstream: _Upstream | None = None

    @property
    def active_connections(self) -> list[Socket]:
        """The browsers that are connected here."""
        return list(self._browsers)

    async def connect(self, websocket: Socket) -> None:
        """Accept a browser, and show it everything from now on."""
        await websocket.accept()
        self._browsers[websocket] = _Browser(websocket, self.disconnect)
        if self._upstream is None:
            loop = asyncio.get_running_loop()
            self._upstream = _Upstream(self._hub, self._token, loop, self._show, self._missed, self._lost)

    def disconnect(self, websocket: Socket) -> None:
        """A browser is gone."""
        browser = self._browsers.pop(websocket, None)
        if browser is not None:
            browser.stop()

    async def broadcast(self, message: Mapping[str, Any]) -> None:
        """Tell everybody something: a project's event, or without ``project_id`` what is not stored."""
        if message.get("project_id") is not None:
            await self._publish(message)
            return
        try:
            answer = await self._http.post("/api/v1/broadcast", json=dict(message))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            _logger.warning("a message without a project was not told: %s", error)

    async def broadcast_to_project(self, project_id: str, message: Mapping[str, Any]) -> None:
        """An event of a project: durable, and told to everybody who watches it, here and at the hub."""
        await self._publish({**message, "project_id": project_id})

    async def send_personal_message(self, message: str | Mapping[str, Any], websocket: Socket) -> None:
        """Tell one browser that is connected here something; the hub does not see it."""
        await websocket.send_text(message if isinstance(message, str) else json.dumps(dict(message)))

    async def aclose(self) -> None:
        """Flush what waits, and let go of the hub."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            await asyncio.to_thread(upstream.close)
        for websocket in self.active_connections:
            self.disconnect(websocket)
        await asyncio.to_thread(self._publisher.close)
        await self._http.aclose()

    async def _publish(self, message: Mapping[str, Any]) -> None:
        while True:
            try:
                self._publisher.publish(message, timeout=0)
            except TimeoutError:
                await asyncio.sleep(PAUSE)
            else:
                return

    # --- what the upstream tells, in the event loop -----------------------------------------------

    def _show(self, text: str) -> None:
        for browser in list(self._browsers.values()):
            browser.show(text)

    def _missed(self) -> None:
        for browser in list(self._browsers.values()):
            browser.close(RESTART)

    def _lost(self, upstream: _Upstream) -> None:
        """The stream is over for good: nobody is left to look at what no longer changes, and who comes next
        makes a new one."""
        if self._upstream is upstream:
            self._upstream = None
            self._missed()


class _Browser:
    """One browser: what waits for it, and the task that sends."""

    def __init__(self, websocket: Socket, gone: Callable[[Socket], None]) -> None:
        self._websocket = websocket
        self._gone = gone
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._ending: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._send())

    def show(self, text: str) -> None:
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.close(SLOW)

    def close(self, code: int) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(code))
            self._gone(self._websocket)

    def stop(self) -> None:
        self._task.cancel()

    async def _send(self) -> None:
        try:
            while True:
                await self._websocket.send_text(await self._waiting.get())
        except Exception as error:  # whatever a framework raises for a peer that is gone
            _logger.debug("a browser is gone: %s", error)
            self._gone(self._websocket)

    async def _end(self, code: int) -> None:
        with suppress(Exception):
            await self._websocket.close(code)


class _Upstream:
    """The process' one watcher, in a thread of its own: Trio does not run in asyncio's."""

    def __init__(
        self,
        hub: str,
        token: str | None,
        loop: asyncio.AbstractEventLoop,
        show: Callable[[str], None],
        missed: Callable[[], None],
        lost: Callable[[_Upstream], None],
    ) -> None:
        self._hub, self._token = hub, token
        self._loop, self._show, self._missed, self._lost = loop, show, missed, lost
        self._trio: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._known: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="tasktree-rt upstream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; blocks until it has."""
        while self._thread.is_alive():
            if self._trio is not None:
                with suppress(trio.RunFinishedError):
                    self._trio.run_sync_soon(self._scope.cancel)
            self._thread.join(0.05)

    def _run(self) -> None:
        try:
            trio.run(self._watch)
        except Exception:
            _logger.exception("the hub's stream ended")
            self._call(self._lost, self)

    async def _watch(self) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        with self._scope:
            async with open_watcher(
                self._hub, token=self._token, policy="conflate", state=False, views=False
            ) as watcher:
                told = 0
                async for message in watcher:
                    self._tell(message)
                    told += 1
                    if told % TURN == 0:
                        await self._turn()

    def _tell(self, message: WatchMessage) -> None:
        match message:
            case ProjectEvent():
                self._said(message.type, message.project_id, message.data, message.timestamp)
            case ProjectDeleted():
                self._said("project_deleted", message.project_id, message.data, message.timestamp)
            case Broadcast():
                self._said(message.type, None, message.data, message.timestamp)
            case StateReplaced() | Conflated():
                # What was merged cannot be said in events: whoever shows it has to load it anew.
                self._call(self._missed)

    async def _turn(self) -> None:
        """Wait until the event loop has gone round: a browser that is quick has then been sent all so far."""
        turned = trio.Event()
        self._call(self._loop.call_soon, self._wake, turned)
        await turned.wait()

    def _wake(self, turned: trio.Event) -> None:
        assert self._trio is not None
        with suppress(trio.RunFinishedError):
            self._trio.run_sync_soon(turned.set)

    def _said(self, kind: str, project: str | None, data: Json, timestamp: str) -> None:
        text = json.dumps({"type": kind, "project_id": project, "data": data, "timestamp": timestamp})
        self._call(self._show, text)

    def _call(self, run: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is over
            self._loop.call_soon_threadsafe(run, *args)
