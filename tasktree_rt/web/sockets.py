"""The WebSocket routes. Each only decides: it authenticates, accepts, and leaves a session to be carried.

``websocket.receive`` and ``websocket.send`` do nothing in these routes, and ``teardown_websocket`` runs at
the end of the handshake: the connection itself is carried by `web.transport`. Where nobody would carry
it (stock Hypercorn, HTTP/2) they answer 426.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from quart import Blueprint, Response, websocket

from tasktree_rt.core.access import Grants
from tasktree_rt.core.closing import (
    OVERLOADED,
    TOKEN_INVALID,
    TOKEN_MISSING,
    TOKEN_WITHOUT_SUBJECT,
    Closing,
)
from tasktree_rt.core.commands import Policy, Subscribe
from tasktree_rt.core.events import project_id
from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD, user_id, user_topic
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.dialects.tasktree import SUBPROTOCOL, Native, Orchestrator, Plain
from tasktree_rt.dialects.tasktree.requests import read_policy
from tasktree_rt.errors import InvalidInput, PeerError, Refused
from tasktree_rt.hub.carrier import Session
from tasktree_rt.hub.farewell import FarewellSession
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.pushing import PushSession
from tasktree_rt.hub.watching import NativeSession, PlainSession, WatchSession
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth import Doorman, TokenMissing, TokenWithoutSubject, authenticate, bearer
from tasktree_rt.web.handshake import CARRIER, SESSION
from tasktree_rt.web.problems import problem, status_problem

PLAIN: Final = Plain()
NATIVE: Final = Native()
ORCHESTRATOR: Final = Orchestrator()
MAX_PRODUCER_ID: Final = 128
MAX_SERVED: Final = 1_000
Answer = Response | None


class SocketRoutes:
    """The views; `routes` registers them."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings
        self._doorman = Doorman(settings)

    def routes(self) -> Blueprint:
        """``/ws/updates`` and ``/ws/orchestrator``."""
        found = Blueprint("sockets", __name__)
        found.before_websocket(self.at_the_door)
        found.add_websocket("/ws/updates", "updates", self.updates)
        found.add_websocket("/ws/orchestrator", "orchestrator", self.orchestrator)
        return found

    async def at_the_door(self) -> Answer:
        """Only pages of ours, and only where somebody carries the connection."""
        headers = websocket.headers
        if not self._doorman.knows_host(headers.get("Host")):
            return status_problem(403, "this hub does not go by that Host (see server_names)", "forbidden")
        if not self._doorman.admits(headers.get("Origin"), headers.get("Host")):
            return status_problem(403, "this Origin may not talk to this hub (see cors_origins)", "forbidden")
        if not websocket.scope.get(CARRIER):
            detail = "WebSockets are not carried over this kind of connection"
            answer = status_problem(426, detail, "invalid_message")
            answer.headers["Upgrade"] = "websocket"
            return answer
        return None

    async def updates(self) -> Answer:
        """A watcher."""
        native = SUBPROTOCOL in websocket.requested_subprotocols
        try:
            wishes, policy = _wishes(native)
        except InvalidInput as error:
            return problem(error)
        session: Session
        try:
            grants = authenticate(self._settings.auth, _token())
        except PeerError as error:
            dialect: Dialect = NATIVE if native else PLAIN
            session = FarewellSession(self._hub, dialect, _closing(error), _address())
        else:
            session = _watch_session(self._hub, native, wishes, policy, grants, self._settings)
        await self._leave(session, SUBPROTOCOL if native else None)
        return None

    async def orchestrator(self) -> Answer:
        """A producer."""
        producer_id = websocket.args.get("producer_id", "")
        if len(producer_id) > MAX_PRODUCER_ID:
            expected = f"expected at most {MAX_PRODUCER_ID} characters"
            return problem(InvalidInput(expected, field="producer_id"))
        session: Session
        try:
            serves = _serves()
            grants = authenticate(self._settings.auth, _token())
        except InvalidInput as error:
            return problem(error)
        except PeerError as error:
            session = FarewellSession(self._hub, ORCHESTRATOR, _closing(error), _address())
        else:
            for name in serves:
                if not grants.push.covers(name):
                    return problem(Refused(f"you may not push to {name!r}", field="commands"))
            session = PushSession(
                self._hub, ORCHESTRATOR, producer_id, grants=grants, serves=serves, address=_address()
            )
        offered = SUBPROTOCOL in websocket.requested_subprotocols
        await self._leave(session, SUBPROTOCOL if offered else None)
        return None

    async def _leave(self, session: Session, subprotocol: str | None) -> None:
        if self._hub.draining:
            session = FarewellSession(self._hub, PLAIN, OVERLOADED, _address())
        await websocket.accept(subprotocol=subprotocol)
        scope: dict[str, object] = websocket.scope  # type: ignore[assignment]
        scope[SESSION] = session


def _watch_session(
    hub: Hub,
    native: bool,
    wishes: tuple[Subscribe, ...],
    policy: Policy | None,
    grants: Grants,
    settings: Settings,
) -> WatchSession:
    if not native:
        return PlainSession(hub, PLAIN, wishes, grants=grants, policy=Policy.DISCONNECT, address=_address())
    return NativeSession(
        hub,
        NATIVE,
        wishes,
        grants=grants,
        policy=policy or Policy.CONFLATE,
        authenticate=partial(authenticate, settings.auth),
        address=_address(),
    )


def _wishes(native: bool) -> tuple[tuple[Subscribe, ...], Policy | None]:
    """The subscriptions of the query: ``project_id`` (repeatable; absent: all), ``since``, ``policy``."""
    named: list[str] = [project_id(name) for name in dict.fromkeys(websocket.args.getlist("project_id"))]
    if native:
        named += [user_topic(user_id(name)) for name in dict.fromkeys(websocket.args.getlist("user_id"))]
    since = websocket.args.get("since")
    policy = read_policy(websocket.args.get("policy"))
    if since is not None and len(named) != 1:
        raise InvalidInput("since goes with exactly one project_id", code="invalid_position", field="since")
    position = None if since is None else Position.parse(since)
    wishes = tuple(Subscribe(name, since=position) for name in named) or (Subscribe(WILDCARD),)
    return wishes, policy if native else None


def _serves() -> tuple[str, ...]:
    """The projects whose commands are taken: ``commands`` (repeatable)."""
    names = dict.fromkeys(websocket.args.getlist("commands"))
    if len(names) > MAX_SERVED:
        raise InvalidInput(f"expected at most {MAX_SERVED} projects", field="commands")
    return tuple(project_id(name, "commands") for name in names)


def _token() -> str | None:
    return websocket.args.get("token") or bearer(websocket.headers)


def _closing(error: PeerError) -> Closing:
    if isinstance(error, TokenMissing):
        return TOKEN_MISSING
    return TOKEN_WITHOUT_SUBJECT if isinstance(error, TokenWithoutSubject) else TOKEN_INVALID


def _address() -> str:
    return websocket.headers.get("Remote-Addr", "")
