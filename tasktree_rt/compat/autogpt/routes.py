"""AutoGPT's WebSocket at ``/ws``, and its events pushed over HTTP (docs/protocol.md, "AutoGPT")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from quart import Blueprint, Quart, Response

from tasktree_rt.compat.autogpt.as_project import PREFIX
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.payloads import read_execution, read_notification
from tasktree_rt.compat.autogpt.remembered_views import remembered_views
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.compat.autogpt.tokens import AutoGptTokens
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.topics import user_id
from tasktree_rt.errors import PeerError, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.credentials import is_api_key
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import Admission
from tasktree_rt.web.auth.key_ring import rings_of
from tasktree_rt.web.problem_details import status_problem
from tasktree_rt.web.request import grants, read_body
from tasktree_rt.web.response import reply
from tasktree_rt.web.server.listeners import FixedPath
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest
from tasktree_rt.web.sockets import accept_session, awaiting

AUTOGPT: Final = AutoGpt()


class AutoGptSystem:
    """AutoGPT's platform as a foreign system; implements `web.foreign_routes.ForeignSystem`."""

    def addresses(self, settings: Settings) -> Sequence[FixedPath]:
        """Return no address of its own: its clients connect to ``settings.bind``."""
        return []

    def routes(self, hub: Hub, settings: Settings) -> Sequence[Blueprint]:
        """Make the routes of ``/ws`` and ``/api/v1/autogpt``."""
        remembered_views(hub)  # now: what the previous hub stored is valid for a short time
        views = AutoGptRoutes(hub, settings)
        return [views.sockets(), views.routes()]


class AutoGptRoutes:
    """The views; `sockets` and `routes` register them."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings
        self._tokens = AutoGptTokens(settings)
        self._intake = Intake(hub, mirror=settings.mirrors_autogpt)

    def sockets(self) -> Blueprint:
        """Make the route of ``/ws``."""
        found = SocketBlueprint("autogpt_sockets", self._settings)
        found.add("/ws", "autogpt", self.view)
        found.blueprint.record_once(lambda state: rings_of(cast("Quart", state.app)).add(self._tokens.ring))
        return found.blueprint

    def routes(self) -> Blueprint:
        """Make the routes that AutoGPT pushes to, under ``/api/v1/autogpt``."""
        found = Blueprint("autogpt", __name__, url_prefix="/api/v1/autogpt")
        found.add_url_rule("/events", "event", self.event, methods=["POST"])
        found.add_url_rule("/notifications", "notify", self.notify, methods=["POST"])
        return found

    async def view(self, asked: SocketRequest) -> Answer:
        """Accept a client of AutoGPT. For a refused token the answer is 403 before the handshake, as from
        AutoGPT's own server: the frontend runs its connect handlers for every accepted connection. That
        frontend always sends a token; a client that sends none has the first message to do so.
        """
        admits, place, path = asked.authenticator, asked.address, asked.path

        async def admit(shown: str) -> ConnectionSession:
            found = await self._caller(shown, admits, place, path)
            return ViewSession(
                self._hub,
                AUTOGPT,
                found.subject,
                expires=found.expires,
                token_id=found.token_id,
                issued=found.issued,
                address=place,
                token=shown,
            )

        try:
            waits = awaiting(asked, self._hub, AUTOGPT, admit) if self._tokens.needed else None
            await accept_session(asked, self._hub, waits or await admit(asked.token or ""))
        except PeerError as error:
            self._hub.meter.refused(error.code)
            return status_problem(403, error.message, error.code)
        return None

    async def _caller(self, credential: str, admits: Admission, address: str, path: str) -> Grants:
        """Return the grants of the user of a token of AutoGPT's, or of an API key.

        Raises:
            PeerError: it is refused.
        """
        if admits.on and is_api_key(credential):
            return await admits.authenticate(credential, address=address, path=path)
        verified = self._tokens.authenticate(credential, admits.own)
        return await admits.admit(verified, address, path)

    async def event(self) -> Response:
        """Take an execution's event, in the form that Redis carries."""
        event = read_execution(await read_body())
        project = f"{PREFIX}{event.execution}"
        caller = grants()
        if Verb.PUSH in self._hub.access.asked:
            caller = await self._hub.access.extended(caller, Verb.PUSH, project)
        _may_push(caller, event.user, project)
        return reply({"channels": self._intake.event(event)}, 202)

    async def notify(self) -> Response:
        """Take a notification, in the form that Redis carries."""
        user, payload = read_notification(await read_body())
        found = await self._intake.notify(user_id(user, "payload.user_id"), payload, grants=grants())
        return reply({"user_id": user, "epoch": found.epoch, "seq": found.first}, 201)


def _may_push(caller: Grants, user: str, project: str) -> None:
    """Check that the caller may push to the execution's project, since its events go to its user."""
    if not access.may(caller, Verb.PUSH, project):
        raise Refused(f"you may not push to {project!r}, nor for {user!r}")
