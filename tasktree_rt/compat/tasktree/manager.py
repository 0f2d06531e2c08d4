"""TaskTree's ``WebSocketManager`` by name and signature."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.transport.tls import Cert, Verify
from tasktree_rt.client.urls import api_url
from tasktree_rt.client.watcher.messages import (
    Conflated,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    WatchMessage,
)
from tasktree_rt.compat.tasktree.address import Address, context_for
from tasktree_rt.compat.tasktree.browsers import RESTART, Connections, Socket
from tasktree_rt.compat.tasktree.hub_thread import HubThread
from tasktree_rt.compat.tasktree.message import event_of, text_of
from tasktree_rt.compat.tasktree.spool_files import default_place, left_over
from tasktree_rt.core.default_limits import MIB
from tasktree_rt.core.events import Json, format_time
from tasktree_rt.core.protocol import Broadcast

HUB: Final = "http://127.0.0.1:8010"
"""The default address of the hub: 8000 is TaskTree's own port."""
RELOAD: Final = "projects_reload"
"""Type of the message that asks browsers to load a project again: events were merged or lost."""
STANDING: Final = 5.0
"""Seconds that `connect` waits for the process' watcher at most."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class WebSocketManager:
    """See the package. Used from one event loop; it is never blocked, and nothing is raised into a request.

    Args:
        hub: its address; by default ``TASKTREE_RT_HUB`` of the environment, else port 8010 of this machine.
        producer_id: this backend's name at the hub.
        token: for a hub with authentication; by default ``TASKTREE_RT_TOKEN``.
        spool: the file that keeps events until the hub has them, also when this process ends; by default
            ``TASKTREE_RT_SPOOL``, else one in the user's state folder. ``""``: none, only memory.
        spool_max_bytes: how large it may become.
        verify, cert: for a hub with TLS, as the client has them (`tasktree_rt.client.transport.tls`); by
            default ``TASKTREE_RT_CAFILE``, ``TASKTREE_RT_CLIENT_CERT`` and ``TASKTREE_RT_CLIENT_KEY``.
        exit_timeout: seconds that `aclose` and the end of the interpreter wait for the hub.

    Raises:
        ValueError: not an address, or a file for TLS cannot be used.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        producer_id: str = "tasktree",
        token: str | None = None,
        spool: str | Path | None = None,
        spool_max_bytes: int = 64 * MIB,
        exit_timeout: float = 3.0,
        verify: Verify | None = None,
        cert: Cert | None = None,
    ) -> None:
        url = (hub or os.environ.get("TASKTREE_RT_HUB") or HUB).rstrip("/")
        api_url(url, "")
        token = token or os.environ.get("TASKTREE_RT_TOKEN") or None
        if spool is None:
            spool = os.environ.get("TASKTREE_RT_SPOOL", default_place(url, producer_id))
        place = Path(spool) if str(spool) else None
        self._address = Address(
            url, producer_id, token, place, spool_max_bytes, context_for(url, verify, cert)
        )
        self._limits = HubLimits()
        self._exit_timeout = exit_timeout
        self._hub: HubThread | None = None
        self._connections = Connections()
        if place is not None and _something_left(place):
            self._open()  # it is sent now, not with the first broadcast

    @property
    def active_connections(self) -> Connections:
        """The browsers that are connected here: a list to look through, to shorten and to clear."""
        return self._connections

    async def connect(self, websocket: Socket) -> None:
        """Accept a browser, and show it everything from now on."""
        await websocket.accept()
        self._connections.append(websocket)
        await self._open().watch(STANDING)

    def disconnect(self, websocket: Socket) -> None:
        """Forget a browser that has disconnected."""
        self._connections.discard(websocket)

    async def broadcast(self, message: object) -> None:
        """Publish a message: a project's event, or without ``project_id`` one that the hub does not store.

        Returns once the spool or the hub has the event. Errors are logged.
        """
        await self._broadcast(message, None)

    async def broadcast_to_project(self, project_id: str, message: object) -> None:
        """Publish an event of a project; every watcher of it gets it, here and at the hub."""
        await self._broadcast(message, project_id)

    async def send_personal_message(self, message: str | Mapping[str, Any], websocket: Socket) -> None:
        """Send a message to one browser that is connected here; the hub does not see it."""
        await websocket.send_text(
            message if isinstance(message, str) else json.dumps(dict(message), default=str)
        )

    def statistics(self) -> dict[str, int]:
        """Return the numbers of events that wait for the hub, were refused, and were lost since the start."""
        hub = self._hub
        if hub is None:
            return {"waiting": 0, "refused": 0, "lost": 0}
        return {"waiting": hub.waiting, "refused": hub.refused, "lost": hub.lost}

    async def aclose(self) -> None:
        """Flush waiting events and disconnect; the rest stays in the spool."""
        self._connections.clear()
        await asyncio.to_thread(self._close)

    async def _broadcast(self, message: object, project: str | None) -> None:
        try:
            event = event_of(message, self._limits, project)
            if "project_id" not in event:
                self._open().say(event)
                return
            error = await self._open().publish(event)
        except Exception as fault:  # a request must not fail because of its broadcast
            error = fault
        if error is not None:
            _logger.warning("a message was not published: %s: %s", type(error).__name__, error)

    def _open(self) -> HubThread:
        if self._hub is None or not self._hub.alive:
            self._hub = HubThread(
                self._address,
                shown=self._show,
                unsent=self._unsent,
                missed=self._missed,
                lost=self._lost,
            )
            atexit.unregister(self._close)
            atexit.register(self._close)
        return self._hub

    def _close(self) -> None:
        hub, self._hub = self._hub, None
        atexit.unregister(self._close)
        if hub is not None:
            hub.close(self._exit_timeout)

    # --- from the hub, in the event loop -------------------------------------------------------------

    def _show(self, message: WatchMessage) -> None:
        match message:
            case ProjectEvent():
                text = text_of(message.type, message.project_id, message.data, message.timestamp)
            case ProjectDeleted():
                text = text_of("project_deleted", message.project_id, message.data, message.timestamp)
            case Broadcast():
                text = text_of(message.type, None, message.data, message.timestamp)
            case StateReplaced() | Conflated():
                # No event describes merged changes: the browser loads the project again.
                text = _reload(message.project_id)
            case _:
                return
        self._connections.show(text)

    def _unsent(self, event: Json) -> None:
        self._connections.show(text_of(event["type"], None, event["data"], event["timestamp"]))

    def _missed(self) -> None:
        self._connections.show(_reload(None))

    def _lost(self) -> None:
        """Close every browser's connection: the stream has ended, and the next browser starts a new one."""
        self._connections.close(RESTART)


def _reload(project: str | None) -> str:
    return text_of(RELOAD, project, {}, format_time(datetime.now(UTC)))


def _something_left(place: Path) -> bool:
    try:
        return bool(left_over(place))
    except Exception:  # the log says so when the spool is used
        return False
