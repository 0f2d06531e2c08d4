"""Routes for WebSockets: the checks before each view, and the view's two callers.

Quart calls the views of these routes, or the server does itself, where nothing of the app takes part in the
handshake (`web.server.direct_views`). ``websocket.receive`` and ``websocket.send`` do nothing in these
routes, and ``teardown_websocket`` runs at the end of the handshake: `web.server.websocket_connection` runs
the connection. Under a server without it (stock Hypercorn) the routes answer 426.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from quart import Blueprint, Response, current_app, websocket
from quart.blueprints import BlueprintSetupState

from tasktree_rt.errors import PeerError
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.origin_refusal_log import FOREIGN_ORIGIN, UNKNOWN_HOST, refusals_of
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.server.direct_views import Accept, DirectView, put_direct_view
from tasktree_rt.web.socket_request import SocketRequest

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart import Quart

Answer = Response | None
"""What a view returns: None once it has accepted, else the response that refuses."""
View = Callable[..., Awaitable[Answer]]
"""Takes the `SocketRequest`, and the path's variables by name."""


class SocketBlueprint:
    """A blueprint for WebSockets. It refuses unknown Hosts, foreign Origins, and every server but
    `web.server`.

    Attributes:
        blueprint: to be registered at the app.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.blueprint = Blueprint(name, __name__)
        self._settings = settings
        self._policy = OriginPolicy(settings)
        self._hook = self._check_for_quart  # one object, by which the server knows it
        self.blueprint.before_websocket(self._hook)

    def add(self, path: str, endpoint: str, view: View) -> None:
        """Serve `view` at `path`, which may have variables."""

        async def call_for_quart(**variables: str) -> Answer:
            return await view(_asked_of_quart(), **variables)

        async def call(app: Quart, scope: WebsocketScope, accept: Accept) -> Answer:
            asked = SocketRequest(app, scope, accept)
            refusal = self._check(asked)
            return await view(asked) if refusal is None else refusal

        def put(state: BlueprintSetupState) -> None:
            name = state.options.get("name", self.blueprint.name)
            if "<" in path or state.options.get("name_prefix"):
                return
            whole = f"{state.url_prefix or ''}{path}"
            found = DirectView(call, call_for_quart, f"{name}.{endpoint}", self._hook, name)
            put_direct_view(cast("Quart", state.app), whole, found)

        self.blueprint.add_websocket(path, endpoint, call_for_quart)
        self.blueprint.record(put)

    async def _check_for_quart(self) -> Answer:
        return self._check(_asked_of_quart())

    def _check(self, asked: SocketRequest) -> Answer:
        """Return the response that refuses a handshake; None if its view decides."""
        host = asked.header("host")
        if not self._policy.knows_host(host):
            refusals_of(asked.app, self._settings).host(host, asked.path)
            return status_problem(403, UNKNOWN_HOST, "forbidden")
        if self._policy.is_foreign(asked.header):
            refusals_of(asked.app, self._settings).page(asked.header, asked.path)
            return status_problem(403, FOREIGN_ORIGIN, "forbidden")
        try:
            asked.rates.admit_address(asked.address)
        except PeerError as error:
            return problem(error)
        if not asked.supported:
            detail = "this server does not support WebSockets on this connection"
            answer = status_problem(426, detail, "invalid_message")
            answer.headers["Upgrade"] = "websocket"
            return answer
        return None


def _asked_of_quart() -> SocketRequest:
    """Return the handshake that Quart dispatches."""
    one = websocket._get_current_object()  # type: ignore[attr-defined]

    async def accept(subprotocol: str | None) -> None:
        await one.accept(subprotocol=subprotocol)

    app: Quart = current_app._get_current_object()  # type: ignore[attr-defined]
    return SocketRequest(app, one.scope, accept)
