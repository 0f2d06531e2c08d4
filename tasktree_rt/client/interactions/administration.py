"""The hub's HTTP API for administrators, for a Trio program: API keys, revocations, connections."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from tasktree_rt.client.transport.backoff import Backoff
from tasktree_rt.client.transport.http_retry import Request
from tasktree_rt.client.transport.tls import Cert, Verify
from tasktree_rt.client.transport.tokens import TokenSource
from tasktree_rt.client.transport.trio_http import TrioHttp, open_http
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json

KEYS: Final = "/admin/keys"


class Administration:
    """What `open_administration` gives. Every method raises as those of `ApiClient` do."""

    def __init__(self, http: TrioHttp) -> None:
        self._http = http

    async def create_key(self, name: str, grants: Json, *, expires_in: int | None = None) -> Json:
        """Make an API key with grants of the form of a token's claim, for some seconds or for ever.

        Returns the key's description; ``key`` is the key itself, which the hub never shows again. The request
        is not repeated if its response is lost.
        """
        given: Json = {"name": name, "grants": grants}
        if expires_in is not None:
            given["expires_in"] = expires_in
        return await self._http.call(Request("POST", KEYS, body=encode_json(given), repeatable=False))

    async def keys(self) -> Sequence[Json]:
        """Return the descriptions of all API keys, the oldest first."""
        found: Sequence[Json] = (await self._http.call(Request("GET", KEYS)))["keys"]
        return found

    async def revoke(
        self, *, token_id: str | None = None, user: str | None = None, key: str | None = None
    ) -> int:
        """Revoke one token, the tokens that a user has now, or an API key; returns how many connections
        ended.
        """
        given = {"token_id": token_id, "user": user, "key": key}
        return await self._end("revoke", given)

    async def disconnect(self, **chosen: str) -> int:
        """End the connections that fit ``user, connection, project, dialect, address, token_id``; returns how
        many.
        """
        return await self._end("disconnect", dict(chosen))

    async def _end(self, what: str, given: dict[str, str | None]) -> int:
        body = encode_json({name: value for name, value in given.items() if value is not None})
        found: int = (await self._http.call(Request("POST", f"/admin/{what}", body=body)))["disconnected"]
        return found

    async def revoke_key(self, key_id: str) -> int:
        """Revoke an API key by its id; returns how many connections ended."""
        path = f"{KEYS}/{quote(key_id, safe='')}"
        found: int = (await self._http.call(Request("DELETE", path)))["disconnected"]
        return found


@asynccontextmanager
async def open_administration(
    url: str,
    *,
    token: TokenSource = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - of each request
    patience: float = math.inf,
    verify: Verify = True,
    cert: Cert | None = None,
) -> AsyncIterator[Administration]:
    """Administer the hub at `url` with an administrator's token or API key. Entering does not connect.

    Args:
        timeout: seconds for one request.
        patience: seconds that the hub may be away before `ConnectionLost`; default: any.
        verify, cert: TLS (`tasktree_rt.client.transport.tls`).

    Raises:
        ValueError: not an address, or a file for TLS cannot be used.
    """
    async with open_http(
        url, token, timeout=timeout, backoff=Backoff(), patience=patience, verify=verify, cert=cert
    ) as http:
        yield Administration(http)
