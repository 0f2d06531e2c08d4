"""The WebSocket routes. Each only decides: it authenticates, accepts, and leaves a session to be carried.

``websocket.receive`` and ``websocket.send`` do nothing in these routes, and ``teardown_websocket`` runs at
the end of the handshake: the connection itself is carried by `web.transport`. Where nobody would carry
it (stock Hypercorn) they answer 426.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from quart import Blueprint, Response, current_app, websocket

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import (
    OVERLOADED,
    TOKEN_INVALID,
    TOKEN_MISSING,
    TOKEN_WITHOUT_SUBJECT,
    Closing,
)
from tasktree_rt.core.events import project_id
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.core.topics import WILDCARD, user_id, user_topic
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.dialects.tasktree import SUBPROTOCOL, Native, Orchestrator, Plain
from tasktree_rt.dialects.tasktree.requests import read_policy
from tasktree_rt.errors import InvalidInput, PeerError, Refused
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.producer import ProducerSession
from tasktree_rt.hub.sessions.rejected import RejectedSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tasktree_rt.hub.transport import Session
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.auth.refused_origins import refusals_of
from tasktree_rt.web.auth.tokens import TokenMissing, TokenWithoutSubject, authenticate, token_of
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.server.handshake import CARRIER
from tasktree_rt.web.server.handshake_request import SESSION

PLAIN: Final = Plain()
NATIVE: Final = Native()
ORCHESTRATOR: Final = Orchestrator()
MAX_PRODUCER_ID: Final = 128
MAX_SERVED: Final = 1_000
FLAGS: Final = {"1": True, "true": True, "0": False, "false": False, "": False}
Answer = Response | None


def socket_routes(name: str, settings: Settings) -> Blueprint:
    """A blueprint for WebSockets: only for pages of ours, and only where somebody carries the connection."""
    doorman = OriginPolicy(settings)
    found = Blueprint(name, __name__)

    @found.before_websocket
    async def at_the_door() -> Answer:
        host, origin = websocket.headers.get("Host"), websocket.headers.get("Origin")
        if not doorman.knows_host(host):
            refusals_of(current_app, settings).host(host, websocket.path)
            return status_problem(403, "this hub does not go by that Host (see server_names)", "forbidden")
        if not doorman.admits(origin, host):
            refusals_of(current_app, settings).origin(origin or "", host, websocket.path)
            return status_problem(403, "this Origin may not talk to this hub (see cors_origins)", "forbidden")
        if not websocket.scope.get(CARRIER):
            detail = "WebSockets are not carried over this kind of connection"
            answer = status_problem(426, detail, "invalid_message")
            answer.headers["Upgrade"] = "websocket"
            return answer
        return None

    return found


async def leave(hub: Hub, session: Session, subprotocol: str | None = None) -> None:
    """Accept, and leave the session to be carried; while the hub stops, only to be told so."""
    if hub.draining:
        session = RejectedSession(hub, PLAIN, OVERLOADED, address())
    await websocket.accept(subprotocol=subprotocol)
    scope: dict[str, object] = websocket.scope  # type: ignore[assignment]
    scope[SESSION] = session


class SocketRoutes:
    """The views; `routes` registers them."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    def routes(self) -> Blueprint:
        """Make the routes of ``/ws/updates`` and ``/ws/orchestrator``."""
        found = socket_routes("sockets", self._settings)
        found.add_websocket("/ws/updates", "updates", self.updates)
        found.add_websocket("/ws/orchestrator", "orchestrator", self.orchestrator)
        return found

    async def updates(self) -> Answer:
        """Accept a watcher, or reject its token by a close code."""
        native = SUBPROTOCOL in websocket.requested_subprotocols
        try:
            wishes, policy = _wishes(native)
        except InvalidInput as error:
            return problem(error)
        session: Session
        try:
            grants = authenticate(self._settings.auth, token()).at(address())
        except PeerError as error:
            dialect: Dialect = NATIVE if native else PLAIN
            session = RejectedSession(self._hub, dialect, closing(error), address())
        else:
            session = _watch_session(self._hub, native, wishes, policy, grants, self._settings)
        await leave(self._hub, session, SUBPROTOCOL if native else None)
        return None

    async def orchestrator(self) -> Answer:
        """Accept a producer, or reject its token by a close code."""
        producer_id = websocket.args.get("producer_id", "")
        if len(producer_id) > MAX_PRODUCER_ID:
            expected = f"expected at most {MAX_PRODUCER_ID} characters"
            return problem(InvalidInput(expected, field="producer_id"))
        session: Session
        try:
            serves = _serves()
            grants = authenticate(self._settings.auth, token()).at(address())
        except InvalidInput as error:
            return problem(error)
        except PeerError as error:
            session = RejectedSession(self._hub, ORCHESTRATOR, closing(error), address())
        else:
            for name in serves:
                if not grants.push.covers(name):
                    return problem(Refused(f"you may not push to {name!r}", field="commands"))
            session = ProducerSession(
                self._hub, ORCHESTRATOR, producer_id, grants=grants, serves=serves, address=address()
            )
        offered = SUBPROTOCOL in websocket.requested_subprotocols
        await leave(self._hub, session, SUBPROTOCOL if offered else None)
        return None


def _watch_session(
    hub: Hub,
    native: bool,
    wishes: tuple[Subscribe, ...],
    policy: Policy | None,
    grants: Grants,
    settings: Settings,
) -> Session:
    if not native:
        return PlainSession(hub, PLAIN, wishes, grants=grants, policy=Policy.DISCONNECT, address=address())
    return NativeSession(
        hub,
        NATIVE,
        wishes,
        grants=grants,
        policy=policy or Policy.CONFLATE,
        authenticate=partial(authenticate, settings.auth),
        address=address(),
    )


def _wishes(native: bool) -> tuple[tuple[Subscribe, ...], Policy | None]:
    """Read the subscriptions of the query: ``project_id`` (repeatable; absent: all), ``since``, ``state``,
    ``policy``.

    Raises:
        InvalidInput: naming the parameter.
    """
    named: list[str] = [project_id(name) for name in dict.fromkeys(websocket.args.getlist("project_id"))]
    if native:
        named += [user_topic(user_id(name)) for name in dict.fromkeys(websocket.args.getlist("user_id"))]
    since = websocket.args.get("since")
    policy = read_policy(websocket.args.get("policy"))
    if since is not None and len(named) != 1:
        raise InvalidInput("since goes with exactly one project_id", code="invalid_position", field="since")
    position = None if since is None else Position.parse(since)
    state = flag("state")
    if state and not native:
        raise InvalidInput(f"a state needs the subprotocol {SUBPROTOCOL}", field="state")
    if state and position is not None:
        raise InvalidInput("state and since exclude each other", field="state")
    wishes = tuple(Subscribe(name, since=position, state=state) for name in named or (WILDCARD,))
    return wishes, policy if native else None


def _serves() -> tuple[str, ...]:
    """The projects whose commands are taken: ``commands`` (repeatable)."""
    names = dict.fromkeys(websocket.args.getlist("commands"))
    if len(names) > MAX_SERVED:
        raise InvalidInput(f"expected at most {MAX_SERVED} projects", field="commands")
    return tuple(project_id(name, "commands") for name in names)


def flag(name: str) -> bool:
    """Read a switch of the query of a request for a WebSocket: 1 or 0, absent is 0.

    Raises:
        InvalidInput: naming it.
    """
    value = websocket.args.get(name, "")
    if value not in FLAGS:
        raise InvalidInput("expected 1 or 0", field=name)
    return FLAGS[value]


def token() -> str | None:
    """The token of the request for a WebSocket."""
    return token_of(websocket)


def closing(error: PeerError) -> Closing:
    """What a refused token closes with."""
    if isinstance(error, TokenMissing):
        return TOKEN_MISSING
    return TOKEN_WITHOUT_SUBJECT if isinstance(error, TokenWithoutSubject) else TOKEN_INVALID


def address() -> str:
    """The peer's address."""
    return websocket.headers.get("Remote-Addr", "")
