"""AIECS: the WebSocket of its clients, and HTTP for the pushing side (docs/protocol.md, "AIECS")."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from quart import Blueprint, Response, request

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.direct_messages import MESSAGE, DirectMessages
from tasktree_rt.compat.aiecs.session import ConfirmingSession, task_project
from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import OVERLOADED
from tasktree_rt.core.events import Json, shown
from tasktree_rt.core.topics import user_id
from tasktree_rt.errors import InvalidInput, PeerError
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.interactions.registry import PROMPT, OpenInteraction
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.rejected import RejectedSession
from tasktree_rt.settings import Settings
from tasktree_rt.web.interactions import LONGEST_WAIT, held_back, waited, within_token
from tasktree_rt.web.request import grants, number, read_object, require_admin
from tasktree_rt.web.response import reply
from tasktree_rt.web.server.listeners import FixedPath
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest
from tasktree_rt.web.sockets import accept_session, admitted

PATH: Final = "/ws/aiecs"
PREFIX: Final = "/api/v1/aiecs"
STEP: Final = ("step", "result", "status", "error_code", "error_message", "task_id")
NOTIFY: Final = (*STEP, "callback_id", "user_id", "message", "timeout", "default_proceed", "wait")
HERE: Final = {"prompt_id": "callback_id", "default.proceed": "default_proceed"}
"""Names of a prompt's fields in this language."""
MAX_INTERVAL: Final = 3_600.0


class AiecsSystem:
    """AIECS as a foreign system; implements `web.foreign_routes.ForeignSystem`."""

    def addresses(self, settings: Settings) -> Sequence[FixedPath]:
        """Return ``aiecs.host`` and ``aiecs.port``, where every path is the WebSocket, as with AIECS."""
        host, port = settings.aiecs.host, settings.aiecs.port
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return [FixedPath(bind, PATH)] if port else []

    def routes(self, hub: Hub, settings: Settings) -> Sequence[Blueprint]:
        """Make the routes of ``/ws/aiecs`` and ``/api/v1/aiecs``."""
        messages = hub.extensions.get(
            DirectMessages,
            lambda: DirectMessages(hub.ephemeral_topics, hub.quotas, lambda: secrets.token_hex(8)),
        )
        views = AiecsRoutes(hub, settings, messages)
        return [views.sockets(), views.routes()]


class AiecsRoutes:
    """The views; `sockets` and `routes` register them."""

    def __init__(self, hub: Hub, settings: Settings, messages: DirectMessages) -> None:
        self._hub = hub
        self._settings = settings
        self._messages = messages
        self._dialect = Aiecs(lambda: hub.wall() / 1_000_000)

    def sockets(self) -> Blueprint:
        """Make the route of ``/ws/aiecs``."""
        found = SocketBlueprint("aiecs_sockets", self._settings)
        found.add(PATH, "aiecs", self.listen)
        return found.blueprint

    def routes(self) -> Blueprint:
        """Make the HTTP routes, under ``/api/v1/aiecs``."""
        found = Blueprint("aiecs", __name__, url_prefix=PREFIX)
        for method, path, view in (
            ("POST", "/notify", self.notify),
            ("POST", "/broadcast", self.broadcast),
            ("POST", "/users/<path:user>/messages", self.message),
            ("POST", "/heartbeats", self.heartbeat),
            ("DELETE", "/heartbeats", self.rest),
            ("GET", "/status", self.status),
        ):
            found.add_url_rule(path, f"{method} {path}".replace(".", ""), view, methods=[method])
        return found

    async def listen(self, asked: SocketRequest) -> Answer:
        """Accept a client of AIECS, or reject its token by a close code."""
        chosen, place = self._settings.aiecs, asked.address

        async def make(found: Grants) -> ConnectionSession:
            if len(self._messages) >= chosen.max_connections:
                return RejectedSession(self._hub, self._dialect, OVERLOADED, place)
            return ConfirmingSession(
                self._hub,
                self._dialect,
                self._messages,
                everything=chosen.broadcast_all and not self._settings.auth.on,
                grants=found,
                address=place,
            )

        await accept_session(asked, self._hub, await admitted(asked, self._hub, self._dialect, make))
        return None

    async def notify(self) -> Response:
        """Open a prompt; respond once it is resolved, or with 202 after ``wait`` seconds."""
        given = await read_object(*NOTIFY)
        wait = _number(given, "wait", LONGEST_WAIT, LONGEST_WAIT)
        everybody = given.get("user_id") is None

        def opened(pending: OpenInteraction) -> None:
            if everybody:
                self._messages.show(None, PROMPT, pending.data, pending.id)

        try:
            pending, _ = await self._hub.prompts.ask(self._prompt(given), grants=grants(), opened=opened)
        except PeerError as error:
            error.field = HERE.get(error.field or "", error.field)
            raise
        await waited(self._hub, pending, wait)
        if pending.outcome is None:
            return reply({"callback_id": pending.id, "status": "pending"}, 202)
        return reply(_confirmation(pending))

    def _prompt(self, given: Json) -> Json:
        user, chosen = given.get("user_id"), self._settings.aiecs
        if user is None and self._settings.auth.on:
            raise InvalidInput("expected whom to ask", field="user_id")
        task = given.get("task_id")
        if task is not None and not isinstance(task, str):
            raise InvalidInput(f"expected a string, got {shown(task)}", field="task_id")
        proceed = given.get("default_proceed", chosen.default_proceed)
        name = given.get("callback_id")
        return {
            "prompt_id": secrets.token_hex(8) if name is None else name,
            "project_id": task_project(task),
            **({} if user is None else {"user_id": user}),
            "message": given.get("message"),
            "timeout": given.get("timeout", chosen.callback_timeout),
            "default": {"proceed": proceed},
            "data": {name: given[name] for name in STEP if name in given},
        }

    async def broadcast(self) -> Response:
        """Send a message to all connections."""
        given = await read_object("message")
        access.require_everything(grants(), "broadcast")
        self._messages.show(None, MESSAGE, _object(given, "message"))
        return reply({"connections": len(self._messages)})

    async def message(self, user: str) -> Response:
        """Send a message to a user; with ``requires_ack``, respond once it is acknowledged, or with 504."""
        given = await read_object("message", "requires_ack", "timeout")
        name = user_id(user)
        access.require_writer(grants(), name)
        message = _object(given, "message")
        if not _flag(given, "requires_ack", False):
            self._messages.show(name, MESSAGE, message)
            return reply({"user_id": name}, 202)
        timeout = _number(given, "timeout", LONGEST_WAIT, 30.0)
        timeout = within_token(self._hub, timeout)
        message_id, done = await self._messages.acknowledged(name, message, timeout, grants().owner)
        return reply({"message_id": message_id, "acknowledged": done}, 200 if done else 504)

    async def heartbeat(self) -> Response:
        """Send heartbeats of a task; the program must repeat this before three intervals have passed."""
        given = await read_object("user_id", "task_id", "interval")
        user, task = self._task(given)
        interval = _number(given, "interval", MAX_INTERVAL, self._settings.aiecs.heartbeat_interval)
        if interval <= 0:
            raise InvalidInput("expected a number above 0", field="interval")
        self._messages.start_task(user, task, interval, grants().owner)
        return reply({"user_id": user, "task_id": task, "interval": interval}, 202)

    async def rest(self) -> Response:
        """End a task's heartbeats."""
        user, task = self._task(request.args)
        return reply({"user_id": user, "task_id": task, "was_at_work": self._messages.end_task(user, task)})

    def _task(self, given: Mapping[str, Any]) -> tuple[str, str]:
        user, task = user_id(given.get("user_id")), user_id(given.get("task_id"), "task_id")
        access.require_writer(grants(), user)
        return user, task

    async def status(self) -> Response:
        """Return state and connections; with ``wait``, once the connections differ from ``version``."""
        require_admin()
        chosen, messages = self._settings.aiecs, self._messages
        wait = number("wait", request.args.get("wait", "0"), LONGEST_WAIT, 0)
        if wait:
            await held_back(self._hub, partial(messages.change, request.args.get("version", "")), wait)
        pending = sum(one.interaction.kind == PROMPT for one in self._hub.registry)
        return reply(
            {
                "running": not self._hub.draining,
                "host": chosen.host,
                "port": chosen.port or None,
                "active_connections": len(messages),
                "connections": messages.connections,
                "version": messages.version,
                "pending_callbacks": pending,
            }
        )


def _confirmation(pending: OpenInteraction) -> Json:
    outcome = pending.outcome or {}
    return {
        "callback_id": pending.id,
        "proceed": outcome.get("proceed", False),
        "feedback": outcome.get("feedback"),
        "how": outcome.get("how"),
        "by": outcome.get("by"),
    }


def _object(given: Json, name: str) -> Json:
    value = given.get(name)
    if not isinstance(value, dict):
        raise InvalidInput(f"expected an object, got {shown(value)}", field=name)
    return value


def _flag(given: Json, name: str, default: bool) -> bool:
    value = given.get(name, default)
    if type(value) is not bool:
        raise InvalidInput(f"expected a boolean, got {shown(value)}", field=name)
    return value


def _number(given: Json, name: str, most: float, default: float) -> float:
    value = given.get(name, default)
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise InvalidInput(f"expected a number from 0 to {most:g}, got {shown(value)}", field=name)
    return float(value)
