"""Compress the bodies of HTTP responses as the request's ``Accept-Encoding`` allows (RFC 9110, 12.5.3).

A body that is made piece by piece is compressed piece by piece: each event of a stream of server-sent events
goes out at once, and a large state holds up no other task.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Final

from quart import Quart, Response, g, request
from quart.wrappers.response import DataBody, ResponseBody
from werkzeug.datastructures import Accept

from tasktree_rt.dialects.deflate import Compressor
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.web.gzip_stream import BEGIN, GzipStream
from tasktree_rt.web.problem_details import status_problem

GZIP: Final = "gzip"
IDENTITY: Final = "identity"
TYPES: Final = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/problem+json",
        "application/x-ndjson",
        "image/svg+xml",
        "text/css",
        "text/event-stream",
        "text/html",
        "text/javascript",
        "text/plain",
    }
)
"""Media types whose bodies gain by compression."""
EXPECTED: Final = "expected an Accept-Encoding that allows gzip or identity"


def compress_responses(app: Quart, compressor: Compressor, min_size: int) -> None:
    """Compress the responses of `app` with bodies of at least `min_size` bytes, and all streams."""

    @app.after_request
    async def compress(response: Response) -> Response:
        if response.mimetype not in TYPES or "Accept-Encoding" in response.vary:
            return response  # the dashboard's files have their own codings
        response.vary.add("Accept-Encoding")
        coding = chosen(request.accept_encodings)
        if coding is None:
            return status_problem(406, EXPECTED, "invalid_message")
        if coding == GZIP and "has_secret" not in g:
            least = min_size if _quality(request.accept_encodings, IDENTITY) > 0 else 1
            _compress(response, partial(GzipStream, compressor.packed, min_size), least)
        return response


def chosen(accepted: Accept) -> str | None:
    """Return the coding that the client prefers, gzip if it has no preference; None if it takes neither."""
    if not accepted:
        return IDENTITY
    gzip, identity = _quality(accepted, GZIP), _quality(accepted, IDENTITY)
    if not gzip:
        return IDENTITY if identity else None
    named = any(name == IDENTITY for name, _ in accepted)
    return IDENTITY if named and identity > gzip else GZIP


def _quality(accepted: Accept, coding: str) -> float:
    """Return the quality of a coding, 0 if the client refuses it. Identity needs no mention."""
    given = {str(name).lower(): quality for name, quality in accepted}
    names = (coding, "x-gzip", "*") if coding == GZIP else (coding, "*")
    unnamed = 1.0 if coding == IDENTITY else 0.0
    return next((given[name] for name in names if name in given), unnamed)


def _compress(response: Response, begin: Callable[[], GzipStream], least: int) -> None:
    body = response.response
    tag, weak = response.get_etag()
    if tag is not None and not weak:
        response.set_etag(tag, weak=True)  # the bytes differ by coding, what they say does not
    if type(body) is DataBody:
        if len(body.data) < least or response.status_code == 304:
            return
        stream = begin()
        packed = b"".join((BEGIN, *stream.piece(body.data), stream.end()))
        if len(packed) >= len(body.data) and least > 1:
            return
        response.set_data(packed)
    else:
        response.response = GzipBody(body, begin())
        response.headers.pop("Content-Length", None)
    response.headers["Content-Encoding"] = GZIP


class GzipBody(ResponseBody):
    """A body that is compressed piece by piece, as the server asks for it."""

    def __init__(self, body: ResponseBody, stream: GzipStream) -> None:
        self._body = body
        self._stream = stream
        self._pieces: AsyncIterator[bytes]
        self._packed = iter((BEGIN,))
        self._ended = False

    async def __aenter__(self) -> GzipBody:
        self._pieces = (await self._body.__aenter__()).__aiter__()
        return self

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        await self._body.__aexit__(exc_type, exc_value, tb)

    def __aiter__(self) -> GzipBody:
        return self

    async def __anext__(self) -> bytes:
        while (found := next(self._packed, None)) is None:
            if self._ended:
                raise StopAsyncIteration
            self._packed = await self._more()
        await yield_if_due()
        return found

    async def _more(self) -> Iterator[bytes]:
        try:
            return self._stream.piece(await anext(self._pieces))
        except StopAsyncIteration:
            self._ended = True
            return iter((self._stream.end(),))
