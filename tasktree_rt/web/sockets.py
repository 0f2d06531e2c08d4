"""The WebSocket routes. Each authenticates, accepts the handshake and hands a session to the server.

`web.socket_blueprint` registers them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import evolve
from quart import Blueprint

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
from tasktree_rt.web.auth.tokens import TokenMissing, TokenWithoutSubject
from tasktree_rt.web.problem_details import problem
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest

PLAIN: Final = Plain()
NATIVE: Final = Native()
ORCHESTRATOR: Final = Orchestrator()
MAX_PRODUCER_ID: Final = 128
MAX_SERVED: Final = 1_000
_EVERYTHING: Final = (Subscribe(WILDCARD),)


class SocketRoutes:
    """The views; `routes` registers them."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    def routes(self) -> Blueprint:
        """Make the routes of ``/ws/updates`` and ``/ws/orchestrator``."""
        found = SocketBlueprint("sockets", self._settings)
        found.add("/ws/updates", "updates", self.updates)
        found.add("/ws/orchestrator", "orchestrator", self.orchestrator)
        return found.blueprint

    async def updates(self, asked: SocketRequest) -> Answer:
        """Accept a watcher, or reject its token by a close code."""
        native = SUBPROTOCOL in asked.offered
        try:
            wanted, chosen = _subscriptions(asked, native)
        except InvalidInput as error:
            return problem(error)
        place = asked.address

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
                authenticate=asked.authenticator.at(place),
                address=place,
            )

        session = await admitted(asked, self._hub, NATIVE if native else PLAIN, make)
        await accept_session(asked, self._hub, session, SUBPROTOCOL if native else None)
        return None

    async def orchestrator(self, asked: SocketRequest) -> Answer:
        """Accept a producer, or reject its token by a close code."""
        producer_id = asked.parameter("producer_id") or ""
        if len(producer_id) > MAX_PRODUCER_ID:
            expected = f"expected at most {MAX_PRODUCER_ID} characters"
            return problem(InvalidInput(expected, field="producer_id"))

        async def make(grants: Grants) -> ConnectionSession:
            await self._hub.access.require(grants, Verb.PUSH, serves, field="commands")
            return ProducerSession(
                self._hub,
                ORCHESTRATOR,
                producer_id,
                grants=grants,
                serves=serves,
                authenticate=asked.authenticator.at(asked.address),
                address=asked.address,
            )

        try:
            serves = _serves(asked)
            session = await admitted(asked, self._hub, ORCHESTRATOR, make)
        except PeerError as error:
            return problem(error)
        offered = SUBPROTOCOL in asked.offered
        await accept_session(asked, self._hub, session, SUBPROTOCOL if offered else None)
        return None


Make = Callable[[Grants], Awaitable[ConnectionSession]]


async def admitted(asked: SocketRequest, hub: Hub, dialect: Dialect, make: Make) -> Session:
    """Return the session of a handshake: what `make` returns for the grants of its token.

    Without a token, the session waits for the first message. For a refused token it closes at once.

    Raises:
        PeerError: from `make`.
    """
    shown, found = asked.token, asked.authenticator
    admit = found.at(asked.address)

    async def admit_later(credential: str) -> ConnectionSession:
        return await make(await admit(credential))

    waits = awaiting(asked, hub, dialect, admit_later) if found.on else None
    if waits is not None:
        return waits
    try:
        grants = await asked.authenticate(shown)
    except PeerError as error:
        return RejectedSession(hub, dialect, closing(error), asked.address)
    return await make(grants)


def awaiting(
    asked: SocketRequest, hub: Hub, dialect: Dialect, admit: Callable[[str], Awaitable[ConnectionSession]]
) -> Session | None:
    """Return a session that waits for the first message, if a handshake has no token; `admit` makes the
    session for that message's token.

    None: the handshake has a token, or the settings allow no first message.
    """
    patience, place = hub.settings.auth.message_timeout, asked.address
    if asked.token is not None or not patience:
        return None

    async def admit_later(credential: str) -> ConnectionSession:
        try:
            return await admit(credential)
        except PeerError as error:
            return RejectedSession(hub, dialect, closing(error), place)

    return AwaitingSession(hub, dialect, admit_later, patience=patience, address=place)


async def accept_session(
    asked: SocketRequest, hub: Hub, session: Session, subprotocol: str | None = None
) -> None:
    """Accept a handshake and hand `session` to the server. While the hub stops, a session that only closes
    with 1013 takes its place.
    """
    if hub.draining:
        session = RejectedSession(hub, PLAIN, OVERLOADED, asked.address)
    await asked.accept(session, subprotocol)


def _subscriptions(asked: SocketRequest, native: bool) -> tuple[tuple[Subscribe, ...], Policy | None]:
    """Read the subscriptions in the query: ``project_id`` (repeatable; absent: all), ``since``, ``state``,
    ``policy``.

    Raises:
        InvalidInput: names the parameter.
    """
    if not asked.query:
        return _EVERYTHING, None
    named: list[str] = [project_id(name) for name in asked.parameters("project_id")]
    if native:
        named += [user_topic(user_id(name)) for name in asked.parameters("user_id")]
    since = asked.parameter("since")
    policy = read_policy(asked.parameter("policy"))
    if since is not None and len(named) != 1:
        raise InvalidInput("since goes with exactly one project_id", code="invalid_position", field="since")
    position = None if since is None else Position.parse(since)
    state = asked.flag("state")
    if state and not native:
        raise InvalidInput(f"state needs the subprotocol {SUBPROTOCOL}", field="state")
    if state and position is not None:
        raise InvalidInput("state and since exclude each other", field="state")
    wanted = tuple(Subscribe(name, since=position, state=state) for name in named or (WILDCARD,))
    return wanted, policy if native else None


def _serves(asked: SocketRequest) -> tuple[str, ...]:
    """Read the projects whose commands the producer takes: ``commands`` (repeatable)."""
    names = asked.parameters("commands")
    if len(names) > MAX_SERVED:
        raise InvalidInput(f"expected at most {MAX_SERVED} projects", field="commands")
    return tuple(project_id(name, "commands") for name in names)


def closing(error: PeerError) -> Closing:
    """Return the close code for a refused token or API key."""
    if isinstance(error, TokenMissing):
        return TOKEN_MISSING
    if isinstance(error, CredentialRevoked):
        return evolve(TOKEN_REVOKED, reason=error.message[:MAX_REASON])
    if isinstance(error, Unavailable) or error.retry_after is not None:
        return OVERLOADED
    return TOKEN_WITHOUT_SUBJECT if isinstance(error, TokenWithoutSubject) else TOKEN_INVALID
