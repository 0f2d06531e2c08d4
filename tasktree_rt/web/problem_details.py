"""Errors over HTTP: ``application/problem+json`` (RFC 9457) with the protocol's ``code`` and ``field``."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from quart import Response

from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import PeerError


def problem(error: PeerError) -> Response:
    """Make the HTTP response for a protocol error."""
    response = status_problem(error.status, error.message, error.code, error.field, error.outcome)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def status_problem(
    status: int, detail: str, code: str, field: str | None = None, outcome: Json | None = None
) -> Response:
    """Make a problem-details response from its parts."""
    body: dict[str, Any] = {
        "type": f"urn:tasktree-rt:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if field is not None:
        body["field"] = field
    if outcome is not None:
        body["outcome"] = outcome
    return Response(encode_json(body), status, content_type="application/problem+json")
