"""The answers to an OTLP request, in the request's encoding."""

from __future__ import annotations

from typing import Final

from tasktree_rt.dialects.base import encode_json
from tasktree_rt.dialects.otlp.protobuf import as_bytes, as_number

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
MAX_MESSAGE: Final = 1_000
"""Characters of an error's text."""
_GRPC: Final = {400: 3, 401: 16, 403: 7, 404: 5, 409: 9, 413: 3, 415: 3, 429: 8, 503: 14, 500: 13}
"""Codes of ``google.rpc.Status`` by HTTP status; 2 is any other."""


def accepted(kind: str, *, rejected: int = 0, message: str = "", member: str = "rejectedSpans") -> bytes:
    """Encode the answer to a request that was taken. Of `rejected` members nothing is stored."""
    message = message[:MAX_MESSAGE]
    if kind == JSON:
        if not rejected and not message:
            return b"{}"
        return encode_json({"partialSuccess": {member: str(rejected), "errorMessage": message}})
    return as_bytes(1, as_number(1, rejected) + as_bytes(2, message.encode()))


def refused(kind: str, status: int, message: str) -> bytes:
    """Encode the ``google.rpc.Status`` of a refusal."""
    code, message = _GRPC.get(status, 2), message[:MAX_MESSAGE]
    if kind == JSON:
        return encode_json({"code": code, "message": message})
    return as_number(1, code) + as_bytes(2, message.encode())
