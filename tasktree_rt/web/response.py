"""JSON responses, small and large. The memory of all large responses together is bounded.

A response of at most one piece is sent at once (`reply`). A larger one is encoded piece by piece, each when
the socket has taken the one before. It takes one of its caller's `limits.max_large_answers` places and holds
its source: a frozen state, the stored parts of a snapshot, a page of events. A source that several responses
share counts once. All sources together hold at most `limits.max_answer_bytes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final
from weakref import finalize

import trio
from attrs import define
from quart import Response, g, request
from quart.wrappers.response import DataBody

from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import Refused, Unavailable
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.shared_snapshot import PART_BYTES
from tasktree_rt.settings import Limits

JSON: Final = "application/json"
PIECE: Final = 2 * PART_BYTES
"""Approximate size of one piece, in bytes. A response that is no larger takes no place."""
RETRY_AFTER: Final = 1.0
"""Seconds until a refused caller may repeat its request."""


def reply(value: Json, status: int = 200) -> Response:
    """Make a small JSON response; `LargeAnswers` makes the large ones."""
    return Response(encode_json(value), status, content_type=JSON)


def reply_secret(value: Json, status: int = 200) -> Response:
    """Make a response that has a token or a key: no cache keeps it, and it is never compressed."""
    response = reply(value, status)
    response.headers["Cache-Control"] = "no-store"
    g.has_secret = True
    return response


class LargeAnswers:
    """Bound the large responses of all callers; see the module's docstring. `charge` counts the cost of one
    for its caller: 1 for each `PIECE` of its source.

    Attributes:
        held: bytes of the sources of all unfinished responses, plus one piece for each response.
        made: bytes of all pieces made so far.
    """

    def __init__(self, limits: Limits, charge: Callable[[float], None] = lambda _: None) -> None:
        self._limits = limits
        self._charge = charge
        self._of: Counter[str] = Counter()
        self._sources: dict[Hashable, _Source] = {}
        self.held = 0
        self.made = 0

    def __len__(self) -> int:
        return self._of.total()

    def admit(self, source: Hashable, size: int) -> Held:
        """Take a place for a response that is encoded from `source`, of `size` bytes.

        Raises:
            Refused: ``rate_limited``: the caller has `limits.max_large_answers` unfinished responses.
            Unavailable: ``overloaded``: all responses together hold `limits.max_answer_bytes`.
        """
        owner = caller()
        if self._of[owner] >= self._limits.max_large_answers:
            message = f"you have {self._of[owner]} unfinished large responses: read them first"
            raise Refused(message, code="rate_limited", retry_after=RETRY_AFTER)
        more = PIECE + (0 if source in self._sources else size)
        # The first one is always served, however large it is.
        if self.held and self.held + more > self._limits.max_answer_bytes:
            message = f"{len(self)} large responses hold {self.held} bytes"
            raise Unavailable(message, code="overloaded", retry_after=RETRY_AFTER)
        self._take(owner, source, size)
        self._charge(size / PIECE)
        return Held(self, owner=owner, source=source)

    def response(self, source: Hashable, size: int, pieces: Iterable[bytes]) -> Response:
        """Make a JSON response of `pieces`, encoded from `source`, of `size` bytes. A small one is encoded at
        once.

        Raises:
            PeerError: as `admit`.
        """
        if size <= PIECE:
            return Response(b"".join(pieces), content_type=JSON)
        return self.admit(source, size).response(pieces)

    def in_slices(self, response: Response) -> Response:
        """Hand a large body that exists already to the server piece by piece. Only JSON takes a place: it was
        encoded for this caller.

        Raises:
            PeerError: as `admit`.
        """
        body = response.response
        if type(body) is DataBody and len(body.data) > PIECE:
            made = response.mimetype == JSON and "grants" in g
            held = self.admit(body, len(body.data)) if made else None
            response.response = Sliced(body.data, held)
        return response

    def _take(self, owner: str, source: Hashable, size: int) -> None:
        self._of[owner] += 1
        self.held += PIECE
        if source not in self._sources:
            self._sources[source] = _Source(size)
            self.held += size
        self._sources[source].answers += 1

    def give_back(self, owner: str, source: Hashable) -> None:
        """Free the place of a finished response; `Held` calls it."""
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]
        self.held -= PIECE
        found = self._sources[source]
        found.answers -= 1
        if not found.answers:
            del self._sources[source]
            self.held -= found.size


@define
class _Source:
    """The source of some unfinished responses: its size in bytes, and their number."""

    size: int
    answers: int = 0


class Held:
    """The place of one response, until `release`."""

    def __init__(self, answers: LargeAnswers, *, owner: str, source: Hashable) -> None:
        self.answers = answers
        self.release = finalize(self, answers.give_back, owner, source)
        """Free the place; may be called twice. An unread response frees it when it is garbage-collected."""

    def response(self, pieces: Iterable[bytes]) -> Response:
        """Make a JSON response of `pieces`."""
        if request.method == "HEAD":
            self.release()
            return _without_body()
        return Response(MadeAsTaken(iter(pieces), self), content_type=JSON)


class MadeAsTaken:
    """A response's body, an async iterator: encodes a piece when the server asks for one."""

    def __init__(self, pieces: Iterator[bytes], held: Held) -> None:
        self._pieces = pieces
        self._held = held

    def __aiter__(self) -> MadeAsTaken:
        return self

    async def __anext__(self) -> bytes:
        await yield_if_due()
        waiting: list[bytes] = []
        size = 0
        for piece in self._pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= PART_BYTES:
                break
        if not waiting:
            self._held.release()
            raise StopAsyncIteration
        self._held.answers.made += size
        return b"".join(waiting)

    async def aclose(self) -> None:
        """Free the place; the rest of the body is not encoded."""
        self._pieces = iter(())
        self._held.release()
        await trio.lowlevel.checkpoint_if_cancelled()


class Sliced(DataBody):
    """A body that exists already, handed to the server piece by piece: each layer on the way to the socket
    copies the bytes that it gets."""

    def __init__(self, data: bytes, held: Held | None = None) -> None:
        super().__init__(data)
        self._held = held
        self._place = 0

    async def __aexit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.release()

    def __aiter__(self) -> Sliced:
        self._place = self.begin
        return self

    async def __anext__(self) -> bytes:
        start, self._place = self._place, min(self._place + PIECE, self.end)
        if start >= self.end:
            raise StopAsyncIteration
        return self.data[start : self._place]


def listed(name: str, items: Iterable[bytes], rest: Json) -> Iterator[bytes]:
    """Encode ``{name: [items], …rest}`` piece by piece; each of `items` is encoded JSON."""
    yield b"{" + encode_json(name) + b":["
    comma = b""
    for item in items:
        yield comma + item
        comma = b","
    yield b"]" + (b"," + encode_json(rest)[1:] if rest else b"}")


def caller() -> str:
    """Return whose responses count together: the token's subject or, without a token, the address."""
    owner: str = g.grants.owner
    return owner


def _without_body() -> Response:
    response = Response(b"", content_type=JSON)
    del response.headers["Content-Length"]
    return response
