"""Read the body of an OTLP request, inflated, within the memory that all of them together may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from attrs import define
from quart import request
from werkzeug.exceptions import UnsupportedMediaType

from tasktree_rt.dialects.otlp.answers import JSON, PROTOBUF
from tasktree_rt.dialects.otlp.json_records import MAX_BODY as MAX_JSON
from tasktree_rt.errors import InvalidInput, Refused, Unavailable
from tasktree_rt.settings import Otlp
from tasktree_rt.web.auth.authenticator import authenticator
from tasktree_rt.web.inflating import GZIP, RAW, ZLIB, Damaged, Oversized, inflate
from tasktree_rt.web.request import HubRequest, UnknownCoding, grants

RETRY_AFTER: Final = 1.0
"""Seconds until a refused exporter may repeat its request."""
_CODINGS: Final = {"": None, "identity": None, "gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}


class Room:
    """The bytes of the bodies in progress, of all callers and of each."""

    def __init__(self, settings: Otlp) -> None:
        self._most = settings.max_waiting_bytes
        self._held = 0
        self._of: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes of all bodies in progress."""
        return self._held

    @contextmanager
    def take(self, owner: str, size: int) -> Iterator[Held]:
        """Hold room for a body of `size` bytes for as long as the block lasts.

        Raises:
            Unavailable, Refused: as `Held.grow`.
        """
        held = Held(self, owner)
        try:
            held.grow(size)
            yield held
        finally:
            self.add(owner, -held.size)

    def check(self, owner: str, more: int) -> None:
        """Check that there is room; errors as of `Held.grow`."""
        if self._held + more > self._most:
            message = "too many OTLP requests are in progress (otlp.max_waiting_bytes)"
            raise Unavailable(message, code="overloaded", retry_after=RETRY_AFTER)
        if self._of[owner] + more > self._most // 2:
            message = "you have too many OTLP requests in progress (otlp.max_waiting_bytes)"
            raise Refused(message, code="rate_limited", retry_after=RETRY_AFTER)

    def add(self, owner: str, more: int) -> None:
        """Count bytes that a body takes, or gives back."""
        self._held += more
        self._of[owner] += more
        if not self._of[owner]:
            del self._of[owner]


@define(eq=False)
class Held:
    """The room of one body."""

    _room: Room
    _owner: str
    size: int = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes in all, if the body had less.

        Raises:
            Unavailable: ``overloaded``: all bodies together have no more room.
            Refused: ``rate_limited``: the caller has half of it already.
        """
        more = size - self.size
        if more > 0:
            self._room.check(self._owner, more)
            self._room.add(self._owner, more)
            self.size = size


def encoding() -> str:
    """Return the encoding of the request, in which it is answered.

    Raises:
        UnsupportedMediaType: it is neither protobuf nor JSON.
    """
    kind = (request.mimetype or "").lower()
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedMediaType(f"expected Content-Type {PROTOBUF} or {JSON}, got {kind[:40]!a}")
    return kind


async def read(held: Held, settings: Otlp, kind: str) -> bytes | bytearray:
    """Read the body of the current request.

    Raises:
        UnknownCoding: its coding is not supported.
        InvalidInput: it is damaged, or too large.
        Unavailable, Refused: as `Held.grow`.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise UnknownCoding(coding, "gzip, deflate")
    most = settings.max_request if kind == PROTOBUF else min(settings.max_request, MAX_JSON)
    body = await cast("HubRequest", request).received()
    authenticator().refuse_revoked(grants())
    form = _CODINGS[coding]
    if form is None:
        if len(body) > most:
            raise _too_large(most)
        return body
    if form == ZLIB and not _is_zlib(body):
        form = RAW
    held.grow(len(body) + min(most, 1100 * len(body)))  # deflate makes at most 1,032 bytes of one
    try:
        found, behind = await inflate(body, most, form)
    except Oversized:
        raise _too_large(most) from None
    except Damaged as error:
        raise InvalidInput(f"the body is not valid {coding}: {error}") from None
    if behind:
        raise InvalidInput(f"unexpected bytes after the end of the {coding} body")
    return found


def _too_large(most: int) -> InvalidInput:
    return InvalidInput(f"expected at most {most} bytes, inflated", code="too_large")


def _is_zlib(body: bytes) -> bool:
    """Return whether a deflate body has the header of RFC 1950; some clients send it without."""
    return len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
