"""What tests of the administrators' routes ask for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.core.events import Json
from tasktree_rt.hub.access import api_keys, revocations
from tests.web.openapi import Seen, check
from tests.web.realhub import RealHub, signed, token

ADMIN = "/api/v1/admin"
ALL = {"watch": ["*"], "push": ["*"], "answer": ["*"], "command": ["*"]}


def bearer(credential: str) -> dict[str, str]:
    """The header that carries a token or an API key."""
    return {"Authorization": f"Bearer {credential}"}


def admin() -> dict[str, str]:
    """An administrator's header."""
    return bearer(token(subject="root", admin=True, watch=["*"]))


def issued(subject: str = "ada", *, jti: str = "", iat: float | None = None, **more: Any) -> str:
    """A token with an id and a time of issue, for everything unless `more` says otherwise."""
    claims: dict[str, Any] = {"sub": subject, "tasktree": {**ALL, **more}}
    return signed(claims | ({"jti": jti} if jti else {}) | ({} if iat is None else {"iat": iat}))


async def call(hub: RealHub, method: str, path: str, status: int = 200, **body: Any) -> Json:
    """Ask as an administrator; the answer."""
    async with hub.http(headers=admin()) as client:
        response = await client.request(method, f"{ADMIN}{path}", json=body or None)
    assert response.status_code == status, response.text
    found: Json = response.json()
    return found


async def new_key(hub: RealHub, name: str = "ci", **grants: Any) -> Json:
    """Make an API key."""
    return await call(hub, "POST", "/keys", 201, name=name, grants=grants or ALL)


async def status_of(hub: RealHub, credential: str, path: str = "/api/v1/projects") -> tuple[int, str]:
    """The status of a GET with a credential, and the detail of a refusal."""
    async with hub.http(headers=bearer(credential)) as client:
        response = await client.get(path)
    return response.status_code, response.json().get("detail", "")


async def closed(socket: WebSocketConnection) -> tuple[int, str]:
    """The code and reason with which the hub closes a WebSocket."""
    with trio.fail_after(30), suppress(ConnectionClosed):
        while True:
            await socket.get_message()
    assert socket.closed is not None
    return socket.closed.code, socket.closed.reason or ""


# --- every call in openapi.json -------------------------------------------------------------------

NEW: Final[Json] = {"name": "ci", "grants": {"push": ["build-*"]}, "expires_in": 60}
WITH_BODY: Final = tuple(("POST", f"{ADMIN}/{name}") for name in ("keys", "revoke", "disconnect"))
LARGE: Final = b" " * (1 << 20) + b"{}"
WRONG: Final[tuple[tuple[int, str, str, dict[str, Any]], ...]] = (
    (400, "POST", f"{ADMIN}/keys", {"json": {"name": "a b"}}),
    (400, "POST", f"{ADMIN}/revoke", {"json": {}}),
    (400, "POST", f"{ADMIN}/disconnect", {"json": {}}),
    (400, "GET", f"{ADMIN}/revocations?limit=0", {}),
    (400, "GET", f"{ADMIN}/connections?limit=many", {}),
    (404, "DELETE", f"{ADMIN}/keys/unknown", {}),
    (404, "POST", f"{ADMIN}/revoke", {"json": {"key": "unknown"}}),
    *((413, method, path, {"content": LARGE}) for method, path in WITH_BODY),
)


async def call_admin(running: RealHub, http: httpx.AsyncClient, seen: Seen) -> None:
    """Every call as it should be made, and what does not fit any more."""

    async def ask(method: str, path: str, status: int = 200, **options: Any) -> Json:
        answer = await http.request(method, f"{ADMIN}{path}", **options)
        check(answer, seen)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    made = await ask("POST", "/keys", 201, json=NEW)
    await ask("POST", "/keys", 201, json={"name": "all", "grants": {"admin": True}})
    await ask("GET", "/keys")
    assert await ask("DELETE", f"/keys/{made['id']}") == {"disconnected": 0}
    await ask("POST", "/revoke", json={"user": "ada", "before": "2026-01-01T00:00:00Z"})
    await ask("POST", "/revoke", json={"token_id": "t"})
    assert (await ask("GET", "/revocations?limit=1"))["total"] == 2
    async with running.socket("/ws/updates?project_id=p"):
        assert (await ask("GET", "/connections?project=p&limit=1"))["matching"] == 1
        assert await ask("POST", "/disconnect", json={"project": "p"}) == {"disconnected": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_keys, "MOST", 1)
        patch.setattr(revocations, "MOST", 1)
        await ask("POST", "/keys", 409, json=NEW)
        await ask("POST", "/revoke", 409, json={"token_id": "u"})
