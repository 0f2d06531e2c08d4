"""The HTTP API for administrators under ``/api/v1/admin``: API keys, revocations, connections."""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import Final

from quart import Blueprint, Response

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json, micros_to_time, normalise_time, shown
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access.api_keys import MAX_LIFETIME, shown_grants, subject_of
from tasktree_rt.hub.access.revocations import TOKEN
from tasktree_rt.hub.delivery.disconnecting import ConnectionFilter
from tasktree_rt.hub.hub import ApiKey, Hub, Revocation
from tasktree_rt.web.connections import chosen_page
from tasktree_rt.web.request import grants, page_limit, read_object, require_admin
from tasktree_rt.web.response import LargeAnswers, listed, reply, reply_secret

MAX_TEXT: Final = 1_000
"""Characters of a text that chooses connections."""
MIN_LIFETIME: Final = 1
KEY_LINE: Final = 512
"""Bytes of one key in an answer, about."""
REVOKED: Final = ("token_id", "user", "key")
CHOSEN: Final = ("user", "connection", "project", "dialect", "address", "token_id")


class AdminRoutes:
    """The views; `routes` registers them. Every one is for administrators only."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """Make the routes, under ``/api/v1/admin``."""
        found = Blueprint("admin", __name__)
        found.before_request(require_admin)
        for method, path, view in (
            ("GET", "/keys", self.keys),
            ("POST", "/keys", self.create_key),
            ("DELETE", "/keys/<key>", self.revoke_key),
            ("GET", "/revocations", self.revocations),
            ("POST", "/revoke", self.revoke),
            ("POST", "/disconnect", self.disconnect),
            ("GET", "/connections", self.connections),
        ):
            found.add_url_rule(path, f"{method} {path}", view, methods=[method])
        return found

    # --- API keys ---------------------------------------------------------------------------------

    async def keys(self) -> Response:
        """Answer with all API keys, the oldest first, without their secrets."""
        found = list(self._hub.administration.keys)
        lines = (encode_json(key_json(key)) for key in found)
        return self._answers.response(object(), KEY_LINE * len(found), listed("keys", lines, {}))

    async def create_key(self) -> Response:
        """Make an API key. Only this answer has it."""
        given = await read_object("name", "grants", "expires_in")
        made = await self._hub.administration.create_key(
            grants(), given.get("name"), given.get("grants"), lifetime=_lifetime(given.get("expires_in"))
        )
        return reply_secret({"key": made.credential, **key_json(made.key)}, 201)

    async def revoke_key(self, key: str) -> Response:
        """Revoke an API key, and end its connections."""
        return reply({"disconnected": await self._hub.administration.revoke_key(grants(), key)})

    # --- revocations ------------------------------------------------------------------------------

    async def revocations(self) -> Response:
        """Answer with the newest revocations that are in force, and their number."""
        known = self._hub.administration.revocations
        newest = heapq.nlargest(page_limit(), known, key=lambda one: one.made)
        return reply({"revocations": [_revocation(one) for one in newest], "total": len(known)})

    async def revoke(self) -> Response:
        """Revoke a token, the tokens of a user, or an API key, and end their connections."""
        given = await read_object(*REVOKED, "before")
        named = [name for name in REVOKED if given.get(name) is not None]
        if len(named) != 1:
            raise InvalidInput(f"expected exactly one of {', '.join(REVOKED)}", field="token_id")
        if "before" in given and named != ["user"]:
            raise InvalidInput("before goes with user", field="before")
        return reply({"disconnected": await self._revoke(grants(), named[0], given)})

    async def _revoke(self, caller: Grants, kind: str, given: Json) -> int:
        access, value = self._hub.administration, given[kind]
        if kind == "user":
            before = given.get("before")
            return await access.revoke_user(caller, value, None if before is None else _micros(before))
        if kind == "token_id":
            return await access.revoke_token(caller, value)
        if not isinstance(value, str):
            raise InvalidInput(f"expected a key's id, got {shown(value)}", field="key")
        return await access.revoke_key(caller, value)

    # --- connections ------------------------------------------------------------------------------

    async def disconnect(self) -> Response:
        """End connections by user, connection, project, dialect, address or token id."""
        given = await read_object(*CHOSEN)
        for name, value in given.items():
            if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
                raise InvalidInput(f"expected 1-{MAX_TEXT} characters, got {shown(value)}", field=name)
        if not given:
            raise InvalidInput(f"expected at least one of {', '.join(CHOSEN)}", field="user")
        ended = await self._hub.disconnecting.disconnect(ConnectionFilter(**given))
        self._hub.administration.audit.did("disconnected", grants(), chosen=given, ended=ended)
        return reply({"disconnected": ended})

    async def connections(self) -> Response:
        """Answer with a page of connections by id, those that the query chooses."""
        found = await chosen_page(self._hub)
        lines = [encode_json(one) for one in found.pop("connections")]
        size = sum(map(len, lines))
        return self._answers.response(object(), size, listed("connections", lines, found))


def _lifetime(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not MIN_LIFETIME <= value <= MAX_LIFETIME:
        expected = f"expected seconds from {MIN_LIFETIME} to {MAX_LIFETIME}, got {shown(value)}"
        raise InvalidInput(expected, field="expires_in")
    return float(value)


def _micros(value: object) -> int:
    moment = datetime.fromisoformat(normalise_time(value, "before"))
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def key_json(key: ApiKey) -> Json:
    """Describe an API key, without its secret."""
    return {
        "id": key.id,
        "name": key.name,
        "subject": subject_of(key),
        "grants": shown_grants(key),
        "creator": key.creator,
        **{name: _time(getattr(key, name)) for name in ("created", "expires", "used", "revoked")},
    }


def _revocation(one: Revocation) -> Json:
    name = "token_id" if one.kind == TOKEN else one.kind
    times = {name: micros_to_time(getattr(one, name)) for name in ("before", "made", "expires")}
    return {name: one.name, **times, "creator": one.creator}


def _time(at: int | None) -> str | None:
    return None if at is None else micros_to_time(at)
