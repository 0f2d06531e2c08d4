"""Large answers: each piece is made when the socket has taken the one before, and all of them are bounded.

An answer that fits in one piece is sent as it is. A larger one takes one of its caller's
`limits.max_large_answers` places and holds what it is made from: a frozen state, the stored parts of a
snapshot, a page of events. What several answers are made from is counted once. All of it together is at most
`limits.max_answer_bytes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
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
"""Bytes of one piece, about; an answer that is no larger is none of those that are counted."""
AGAIN: Final = 1.0
"""Seconds after which a caller that was refused may ask again."""


class LargeAnswers:
    """See the module's docstring.

    Attributes:
        held: bytes that the answers under way are made from, and one piece of each.
        made: bytes of all pieces made so far.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of: Counter[str] = Counter()
        self._sources: dict[Hashable, _Source] = {}
        self.held = 0
        self.made = 0

    def __len__(self) -> int:
        return self._of.total()

    def admit(self, source: Hashable, size: int) -> Held:
        """Take a place for an answer that is made from `size` bytes, which `source` names.

        Raises:
            Refused: ``rate_limited``: the caller has as many answers under way as it may.
            Unavailable: ``overloaded``: all answers together hold as much as they may.
        """
        who = caller()
        if self._of[who] >= self._limits.max_large_answers:
            message = f"you have {self._of[who]} large answers under way: read them first"
            raise Refused(message, code="rate_limited", retry_after=AGAIN)
        more = PIECE + (0 if source in self._sources else size)
        # The first one is always served, however large it is.
        if self.held and self.held + more > self._limits.max_answer_bytes:
            message = f"{len(self)} large answers hold {self.held} bytes"
            raise Unavailable(message, code="overloaded", retry_after=AGAIN)
        self._take(who, source, size)
        return Held(self, who=who, source=source)

    def response(self, source: Hashable, size: int, pieces: Iterable[bytes]) -> Response:
        """An answer of JSON that consists of `pieces`, made from `size` bytes; a small one is made at once.

        Raises:
            PeerError: as `admit`.
        """
        if size <= PIECE:
            return Response(b"".join(pieces), content_type=JSON)
        return self.admit(source, size).response(pieces)

    def in_slices(self, response: Response) -> Response:
        """Give a large body that is there already to the server a piece at a time; JSON, which was made for
        this caller, takes a place.

        Raises:
            PeerError: as `admit`.
        """
        body = response.response
        if type(body) is DataBody and len(body.data) > PIECE:
            made = response.mimetype == JSON and "grants" in g
            held = self.admit(body, len(body.data)) if made else None
            response.response = Sliced(body.data, held)
        return response

    def _take(self, who: str, source: Hashable, size: int) -> None:
        self._of[who] += 1
        self.held += PIECE
        if source not in self._sources:
            self._sources[source] = _Source(size)
            self.held += size
        self._sources[source].answers += 1

    def give_back(self, who: str, source: Hashable) -> None:
        """An answer is over; called by `Held`."""
        self._of[who] -= 1
        if not self._of[who]:
            del self._of[who]
        self.held -= PIECE
        found = self._sources[source]
        found.answers -= 1
        if not found.answers:
            del self._sources[source]
            self.held -= found.size


@define
class _Source:
    """What answers are made from: its size, and how many there are."""

    size: int
    answers: int = 0


class Held:
    """The place of one answer, until `release`."""

    def __init__(self, answers: LargeAnswers, *, who: str, source: Hashable) -> None:
        self.answers = answers
        self.release = finalize(self, answers.give_back, who, source)
        """May be called twice; an answer that nobody reads releases its place as it is collected."""

    def response(self, pieces: Iterable[bytes]) -> Response:
        """An answer of JSON that consists of `pieces`."""
        if request.method == "HEAD":
            self.release()
            return _without_body()
        return Response(MadeAsTaken(iter(pieces), self), content_type=JSON)


class MadeAsTaken:
    """The body of an answer, an async iterator: makes a piece when it is asked for one."""

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
        """The answer is over, read to its end or not."""
        self._pieces = iter(())
        self._held.release()
        await trio.lowlevel.checkpoint_if_cancelled()


class Sliced(DataBody):
    """A body that is there already, given to the server a piece at a time: each layer on the way to the
    socket copies what it is given."""

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
    """Encode ``{name: [items], …rest}`` piece by piece."""
    yield b"{" + encode_json(name) + b":["
    comma = b""
    for item in items:
        yield comma + item
        comma = b","
    yield b"]" + (b"," + encode_json(rest)[1:] if rest else b"}")


def caller() -> str:
    """Whose answers are counted together: those of a token's subject; without one, of an address."""
    owner: str = g.grants.owner
    return owner


def _without_body() -> Response:
    response = Response(b"", content_type=JSON)
    del response.headers["Content-Length"]
    return response
