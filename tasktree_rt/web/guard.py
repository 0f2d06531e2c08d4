"""Check every request before its view: Host, page, rate, credential. Complete every response's headers."""

from __future__ import annotations

from typing import Final

import trio
from quart import Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import PeerError
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import authenticator
from tasktree_rt.web.auth.origin_refusal_log import FOREIGN_ORIGIN, UNKNOWN_HOST, Refusals, refusals_of
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.auth.presented import token_of
from tasktree_rt.web.dashboard import ASSETS, Site
from tasktree_rt.web.manual import MANUAL
from tasktree_rt.web.problem_details import status_problem
from tasktree_rt.web.protective_headers import PROTECTIVE
from tasktree_rt.web.request_rates import FREE, request_rates

API: Final = "/api/v1"
API_FOLDER: Final = f"{API}/"
DOCUMENTS: Final = {
    "/docs": "docs.html",
    "/docs/reducer.json": "reducer.json",
    f"{API}/openapi.json": "openapi.json",
    f"{API}/asyncapi.json": "asyncapi.json",
}
"""The documents' paths and files (setting ``docs``)."""
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/version", *DOCUMENTS})
FILES: Final = "/static/"
OPEN_FOLDERS: Final = (FILES, f"/{ASSETS}", MANUAL)
BODY_PATIENCE: Final = 0.5
"""Seconds to read the rest of a body that no route wanted. Then the connection ends."""
READS: Final = frozenset({"GET", "HEAD"})
MAY_BE_SENT: Final = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Producer-Id, Last-Event-ID"
)
"""Request headers that the CORS responses allow."""


def guard(app: QuartTrio, settings: Settings, site: Site) -> None:
    """Check every request before its view, and complete every response."""
    policy = OriginPolicy(settings)
    _admit_requests(app, policy, refusals_of(app, settings), site)
    _complete_responses(app, policy)


def _admit_requests(app: QuartTrio, policy: OriginPolicy, refusals: Refusals, site: Site) -> None:
    @app.before_request
    async def check_access() -> Response | None:
        refused = _refused(policy, refusals, site)
        if refused is not None:
            return refused
        address = request.headers.get("Remote-Addr", "")
        if request.path not in FREE:
            request_rates().begin(address)
        if request.method != "OPTIONS" and not _is_open(request.path, site):
            g.grants = await _grants(address)
            request_rates().admit(g.grants, has_body=_has_body())
        return None

    @app.teardown_request
    async def over(_: BaseException | None) -> None:
        request_rates().end()


def _complete_responses(app: QuartTrio, policy: OriginPolicy) -> None:
    @app.after_request
    async def close_after_unread_body(response: Response) -> Response:
        """Send ``Connection: close`` if the body is not read: the connection ends then, and a client that
        does not know it would lose its next request."""
        if _has_body() and not await _body_read():
            response.headers["Connection"] = "close"
        return response

    @app.after_request
    async def cross_origin(response: Response) -> Response:
        for name, value in PROTECTIVE:
            response.headers.setdefault(name, value)
        origin = request.headers.get("Origin")
        if origin is not None and policy.lists(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Heartbeat-Interval, Retry-After"
            response.vary.add("Origin")
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = MAY_BE_SENT
                response.headers["Access-Control-Max-Age"] = "600"
        return response


def _refused(policy: OriginPolicy, refusals: Refusals, site: Site) -> Response | None:
    """Make the 403 for an unknown Host, and for a request of a foreign page; None if it may go on.

    A foreign page may link to pages and load files, but not look into them (`web.protective_headers`). With
    a token it may read; only a page of ``cors_origins`` sees the response.
    """
    if not policy.knows_host(request.headers.get("Host")):
        refusals.host(request.headers.get("Host"), request.path)
        return status_problem(403, UNKNOWN_HOST, "forbidden")
    if not policy.is_foreign(request.headers.get):
        return None
    is_open = _is_open(request.path, site)
    may_read = is_open or (authenticator().on and token_of(request) is not None)
    if not is_open or "Origin" in request.headers:  # a link to a page is nothing to log
        refusals.page(request.headers.get, request.path)
    if request.method in READS and may_read:
        return None
    return status_problem(403, FOREIGN_ORIGIN, "forbidden")


async def _grants(address: str) -> Grants:
    """Return the grants of the current request.

    Raises:
        PeerError: its credential is refused.
    """
    credential = token_of(request)
    try:
        return (await authenticator().authenticate(credential)).at(address)
    except PeerError:
        if credential is not None:
            request_rates().bad_credential(address)
        raise


def _has_body() -> bool:
    return bool(request.content_length or "Transfer-Encoding" in request.headers)


async def _body_read() -> bool:
    with trio.move_on_after(BODY_PATIENCE):
        try:
            await request.body
        except HTTPException:
            return False
        return True
    return False


def _is_open(path: str, site: Site) -> bool:
    """Return whether a path needs no token: health, documents, the dashboard's pages and files."""
    if path in OPEN_PATHS:
        return True
    if path.startswith(API_FOLDER):
        return False
    return path.startswith(OPEN_FOLDERS) or site.is_page(path) or path.removeprefix("/") in site
