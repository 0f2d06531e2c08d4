"""Executions: their status stream, and the work behind them (docs/protocol.md, "Executions")."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json
from tasktree_rt.core.executions import PENDING, STATUSES
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.executions.preconditions import ExecutionFilter
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.settings import Settings
from tasktree_rt.web.interactions import LONGEST_WAIT, within_token
from tasktree_rt.web.problem_details import problem
from tasktree_rt.web.request import grants, idempotency, number, page_limit, read_object
from tasktree_rt.web.response import reply
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest
from tasktree_rt.web.sockets import accept_session, admitted

EXECUTION: Final = Execution()


class ExecutionRoutes:
    """The views; `sockets` and `routes` register them."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings
        self._executions = hub.executions

    def sockets(self) -> Blueprint:
        """Make the WebSocket route of the status stream, under ``/api/v1``."""
        found = SocketBlueprint("execution_sockets", self._settings)
        found.add("/ws/executions/<execution>", "execution", self.stream)
        return found.blueprint

    def routes(self) -> Blueprint:
        """Make the HTTP routes, under ``/api/v1``."""
        found = Blueprint("executions", __name__)
        for method, path, view in (
            ("POST", "/executions", self.start),
            ("GET", "/executions", self.listed),
            ("GET", "/executions/<execution>", self.one),
            ("PATCH", "/executions/<execution>", self.change),
            ("POST", "/executions/<execution>/claim", self.claim),
        ):
            found.add_url_rule(path, f"{method} {path}", view, methods=[method])
        return found

    async def stream(self, asked: SocketRequest, execution: str) -> Answer:
        """Stream an execution's status until it ends."""
        try:
            nodes, logs = asked.flag("nodes"), asked.flag("logs")
        except InvalidInput as error:
            return problem(error)
        place = asked.address

        async def make(found: Grants) -> ConnectionSession:
            return ExecutionSession(
                self._hub, EXECUTION, execution, nodes=nodes, logs=logs, grants=found, address=place
            )

        session = await admitted(asked, self._hub, EXECUTION, make)
        await accept_session(asked, self._hub, session)
        return None

    async def start(self) -> Response:
        """Create an execution that waits for a worker."""
        given = await read_object("workflow_id", "input_data")
        made, new = await self._executions.start(given, grants(), idempotency())
        return reply({"id": made["id"], "status": made["status"]}, 201 if new else 200)

    async def listed(self) -> Response:
        """List executions by id; pending ones the oldest first, with ``wait`` once there is one."""
        status, limit = request.args.get("status"), page_limit()
        if status is not None and status not in STATUSES:
            raise InvalidInput(f"expected one of {', '.join(STATUSES)}", field="status")
        wait = number("wait", request.args.get("wait", "0"), LONGEST_WAIT, 0)
        workflows = frozenset(request.args.getlist("workflow_id"))
        wish = ExecutionFilter(access.listed(grants()), limit, status, workflows)
        if status == PENDING and "after" not in request.args:
            found: list[Json] = []
            with self._hub.administration.waiting(grants()):
                found = await self._executions.waiting(wish, within_token(self._hub, wait))
            return reply({"executions": found, "next": None})
        if wait:
            raise InvalidInput("wait goes with status=pending, and not with after", field="wait")
        found = await self._executions.page(wish, request.args.get("after", ""))
        return reply({"executions": found, "next": found[-1]["id"] if len(found) == limit else None})

    async def one(self, execution: str) -> Response:
        """Answer with one execution."""
        return reply(await self._executions.find(execution, grants()))

    async def change(self, execution: str) -> Response:
        """Change an execution's status, progress or result; its worker calls it."""
        given = await read_object("status", "progress", "message", "result", "error", "worker_id")
        return reply(await self._executions.change(execution, given, grants()))

    async def claim(self, execution: str) -> Response:
        """Claim a pending execution for a worker."""
        given = await read_object("worker_id", optional=True)
        return reply(await self._executions.claim(execution, given, grants()))
