"""Share a project, or a branch: ``POST /projects/{id}/tokens`` makes a token for a page that watches it."""

from __future__ import annotations

from quart import Blueprint, Response

from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import Json, is_node_id, micros_to_time, shown
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import grants, permitted, read_object
from tasktree_rt.web.response import reply_secret

LIFETIME = 3_600.0
"""Seconds, if the request names none."""


def sharing_routes(hub: Hub) -> Blueprint:
    """Make the route, under ``/api/v1``."""
    routes = Blueprint("sharing", __name__)

    @routes.post("/projects/<project>/tokens")
    async def mint(project: str) -> Response:
        """Make a token for a project that the caller may watch, or for a branch of it."""
        name = await permitted(Verb.WATCH, project)
        given = await read_object("lifetime", "history", "node_id", optional=True)
        caller = grants()
        access.require_share(caller, name)
        history = _history(given.get("history"), caller, name)
        lifetime = _lifetime(given.get("lifetime"), hub.settings.auth.max_subscription_lifetime)
        lifetime = min(lifetime, _left(caller, name, hub.wall()))
        node_id = _node(given.get("node_id"))
        token = hub.subscription_tokens.mint(
            name, lifetime=lifetime, history=history, maker=caller, node_id=node_id
        )
        made = hub.subscription_tokens.read(token)
        said: Json = {"project_id": name, "token": token, "token_id": made.token_id, "history": history}
        if node_id is not None:
            said["node_id"] = node_id
        return reply_secret({**said, "expires_at": micros_to_time(round(made.until * 1_000_000))}, 201)

    return routes


def _node(value: object) -> str | None:
    """Read the node whose branch the token is for; it need not exist yet."""
    if value is None or is_node_id(value):
        return value
    expected = "expected 1-512 characters without control characters"
    raise InvalidInput(f"{expected}, got {shown(value)}", field="node_id")


def _history(value: object, caller: Grants, name: str) -> bool:
    """Return whether the token allows reading the past: by default as the caller may."""
    may = access.may(caller, Verb.HISTORY, name)
    if value is None:
        return may
    if type(value) is not bool:
        raise InvalidInput(f"expected a boolean, got {shown(value)}", field="history")
    if value and not may:
        raise access.forbidden(Verb.HISTORY, name, field="history")
    return value


def _lifetime(value: object, most: float) -> float:
    if value is None:
        return min(LIFETIME, most)
    if type(value) not in (int, float) or not 1 <= value <= most:  # type: ignore[operator]
        raise InvalidInput(f"expected seconds from 1 to {most:g}, got {shown(value)}", field="lifetime")
    return float(value)  # type: ignore[arg-type]


def _left(caller: Grants, name: str, wall: int) -> float:
    """Return the seconds that a token may live: the caller's own, unless it may push to the project."""
    if caller.expires is None or access.may(caller, Verb.PUSH, name):
        return float("inf")
    left = caller.expires - wall / 1_000_000
    if left < 1:
        raise Refused("your own token expires before one could be used", field="lifetime")
    return left
