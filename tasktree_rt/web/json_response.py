"""Small JSON answers of HTTP routes."""

from __future__ import annotations

from quart import Response

from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.web.large_response import JSON


def reply(value: Json, status: int = 200) -> Response:
    """Answer with a small JSON object; large ones go by `large.LargeAnswers`."""
    return Response(encode_json(value), status, content_type=JSON)
