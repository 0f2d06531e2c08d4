"""The WebSocket routes. Each authenticates, accepts the handshake and hands a session to the server.

``websocket.receive`` and ``websocket.send`` do nothing in these routes, and ``teardown_websocket`` runs at
the end of the handshake: `web.server.websocket_connection` runs the connection. Under a server without it
(stock Hypercorn) the routes answer 426.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import evolve
from quart import Blueprint, Response, current_app, websocket

from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.close_codes import (
    MAX_REASON,
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
from tasktree_rt.errors import InvalidInput, PeerError, Unavailable
from tasktree_rt.hub.access.revocations import TOKEN_REVOKED, CredentialRevoked
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.awaiting import AwaitingSession
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.producer import ProducerSession
from tasktree_rt.hub.sessions.rejected import RejectedSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tasktree_rt.hub.transport import Session
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import authenticator
from tasktree_rt.web.auth.origin_refusal_log import FOREIGN_ORIGIN, UNKNOWN_HOST, refusals_of
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.auth.presented import only_bearer, token_of
from tasktree_rt.web.auth.tokens import TokenMissing, TokenWithoutSubject
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.request_rates import request_rates
from tasktree_rt.web.server.handshake import SUPPORTED
from tasktree_rt.web.server.handshake_request import SESSION

PLAIN: Final = Plain()
NATIVE: Final = Native()
ORCHESTRATOR: Final = Orchestrator()
MAX_PRODUCER_ID: Final = 128
MAX_SERVED: Final = 1_000
FLAGS: Final = {"1": True, "true": True, "0": False, "false": False, "": False}
Answer = Response | None


def socket_routes(name: str, settings: Settings) -> Blueprint:
    """Make a blueprint for WebSockets. It refuses unknown Hosts, foreign Origins, and every server but
    `web.server`.
    """
    policy = OriginPolicy(settings)
    found = Blueprint(name, __name__)

    @found.before_websocket
    async def check_access() -> Answer:
        host = websocket.headers.get("Host")
        if not policy.knows_host(host):
            refusals_of(current_app, settings).host(host, websocket.path)
            return status_problem(403, UNKNOWN_HOST, "forbidden")
        if policy.is_foreign(websocket.headers):
            refusals_of(current_app, settings).page(websocket.headers, websocket.path)
            return status_problem(403, FOREIGN_ORIGIN, "forbidden")
        try:
            request_rates().admit_address(address())
        except PeerError as error:
            return problem(error)
        if not websocket.scope.get(SUPPORTED):
            detail = "this server does not support WebSockets on this connection"
            answer = status_problem(426, detail, "invalid_message")
            answer.headers["Upgrade"] = "websocket"
            return answer
        return None

    return found


async def accept_session(hub: Hub, session: Session, subprotocol: str | None = None) -> None:
    """Accept the handshake and hand `session` to the server. While the hub stops, a session that only closes
    with 1013 takes its place.
    """
    if hub.draining:
        session = RejectedSession(hub, PLAIN, OVERLOADED, address())
    await websocket.accept(subprotocol=subprotocol or only_bearer(websocket))
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
            wanted, chosen = _subscriptions(native)
        except InvalidInput as error:
            return problem(error)
        place = address()
        authenticate = authenticator().at(place)

        async def make(grants: Grants) -> ConnectionSession:
            if not native:
                policy = Policy.DISCONNECT
                return PlainSession(self._hub, PLAIN, wanted, grants=grants, policy=policy, address=place)
            return NativeSession(
                self._hub,
                NATIVE,
                wanted,
                grants=grants,
                policy=chosen or Policy.CONFLATE,
                authenticate=authenticate,
                address=place,
            )

        session = await admitted(self._hub, NATIVE if native else PLAIN, make)
        await accept_session(self._hub, session, SUBPROTOCOL if native else None)
        return None

    async def orchestrator(self) -> Answer:
        """Accept a producer, or reject its token by a close code."""
        producer_id = websocket.args.get("producer_id", "")
        if len(producer_id) > MAX_PRODUCER_ID:
            expected = f"expected at most {MAX_PRODUCER_ID} characters"
            return problem(InvalidInput(expected, field="producer_id"))
        place = address()
        authenticate = authenticator().at(place)

        async def make(grants: Grants) -> ConnectionSession:
            await self._hub.access.require(grants, Verb.PUSH, serves, field="commands")
            return ProducerSession(
                self._hub,
                ORCHESTRATOR,
                producer_id,
                grants=grants,
                serves=serves,
                authenticate=authenticate,
                address=place,
            )

        try:
            serves = _serves()
            session = await admitted(self._hub, ORCHESTRATOR, make)
        except PeerError as error:
            return problem(error)
        offered = SUBPROTOCOL in websocket.requested_subprotocols
        await accept_session(self._hub, session, SUBPROTOCOL if offered else None)
        return None


Make = Callable[[Grants], Awaitable[ConnectionSession]]


async def admitted(hub: Hub, dialect: Dialect, make: Make) -> Session:
    """Return the session of the current handshake: what `make` returns for the grants of its token.

    Without a token, the session waits for the first message. For a refused token it closes at once.

    Raises:
        PeerError: from `make`.
    """
    place, shown = address(), token()
    authenticate = authenticator().at(place)

    async def admit(credential: str | None) -> ConnectionSession:
        try:
            grants = await authenticate(credential)
        except PeerError as error:
            return RejectedSession(hub, dialect, closing(error), place)
        return await make(grants)

    async def admit_later(credential: str) -> ConnectionSession:
        try:
            return await admit(credential)
        except PeerError as error:
            return RejectedSession(hub, dialect, closing(error), place)

    patience = hub.settings.auth.message_timeout
    if shown is None and authenticator().on and patience:
        return AwaitingSession(hub, dialect, admit_later, patience=patience, address=place)
    return await admit(shown)


def _subscriptions(native: bool) -> tuple[tuple[Subscribe, ...], Policy | None]:
    """Read the subscriptions in the query: ``project_id`` (repeatable; absent: all), ``since``, ``state``,
    ``policy``.

    Raises:
        InvalidInput: names the parameter.
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
        raise InvalidInput(f"state needs the subprotocol {SUBPROTOCOL}", field="state")
    if state and position is not None:
        raise InvalidInput("state and since exclude each other", field="state")
    wanted = tuple(Subscribe(name, since=position, state=state) for name in named or (WILDCARD,))
    return wanted, policy if native else None


def _serves() -> tuple[str, ...]:
    """Read the projects whose commands the producer takes: ``commands`` (repeatable)."""
    names = dict.fromkeys(websocket.args.getlist("commands"))
    if len(names) > MAX_SERVED:
        raise InvalidInput(f"expected at most {MAX_SERVED} projects", field="commands")
    return tuple(project_id(name, "commands") for name in names)


def flag(name: str) -> bool:
    """Read a parameter of the handshake's query that is 1 or 0; 0 if it is absent.

    Raises:
        InvalidInput: names the parameter.
    """
    value = websocket.args.get(name, "")
    if value not in FLAGS:
        raise InvalidInput("expected 1 or 0", field=name)
    return FLAGS[value]


def token() -> str | None:
    """Return the handshake's token; None without one."""
    return token_of(websocket)


def closing(error: PeerError) -> Closing:
    """Return the close code for a refused token or API key."""
    if isinstance(error, TokenMissing):
        return TOKEN_MISSING
    if isinstance(error, CredentialRevoked):
        return evolve(TOKEN_REVOKED, reason=error.message[:MAX_REASON])
    if isinstance(error, Unavailable) or error.retry_after is not None:
        return OVERLOADED
    return TOKEN_WITHOUT_SUBJECT if isinstance(error, TokenWithoutSubject) else TOKEN_INVALID


def address() -> str:
    """Return the peer's IP address."""
    return websocket.headers.get("Remote-Addr", "")
