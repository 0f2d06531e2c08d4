"""Read events from a file or standard input, and check each with its place.

It reads NDJSON line by line, so the input may be endless. It reads a JSON array (the first character is
``[``) whole. The values of events stay as they are; only a missing project id is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from typing import BinaryIO, Final

from attrs import frozen

from tasktree_rt.core.events import Json, ProjectId, parse_event
from tasktree_rt.core.reserved_names import refuse_reserved
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import InvalidInput

LONGEST_LINE: Final = 16 * 1024 * 1024
MOST_EVENTS: Final = 100
MOST_BYTES: Final = 256 * 1024
_CHUNK: Final = 1024 * 1024


class BadInput(Exception):
    """An event that cannot be pushed; the message names its place."""


@frozen
class Item:
    """One event.

    Attributes:
        place: ``line 17`` of NDJSON, ``item 17`` of an array; from 1.
        size: its bytes in the input.
    """

    place: str
    event: Json
    size: int


@frozen
class Batch:
    """Events of one publish. `id` is the same whenever the same input is read again."""

    id: str
    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        """Size of all items together, in bytes."""
        return sum(item.size for item in self.items)


def read_items(stream: BinaryIO, project: ProjectId) -> Iterator[Item]:
    """Yield the events of `stream` as they arrive.

    Raises:
        BadInput: at the first invalid event.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        text = line.strip()
        if not text:
            continue
        if text.startswith(b"["):
            yield from _array(line + stream.read(), project)
            return
        yield from _lines(
            chain([line], iter(lambda: stream.readline(LONGEST_LINE + 1), b"")), number, project
        )
        return


def batches(items: Iterable[Item], *, most: int = MOST_EVENTS) -> Iterator[Batch]:
    """Join events into publishes of at most `most` events and about `MOST_BYTES`, always the same way.

    Raises:
        BadInput: from `items`, after a batch with all earlier events.
    """
    index, waiting, size = 0, list[Item](), 0
    try:
        for item in items:
            if waiting and (len(waiting) >= most or size + item.size > MOST_BYTES):
                yield _batch(index, waiting)
                index, waiting, size = index + 1, [], 0
            waiting.append(item)
            size += item.size
            if most == 1:
                yield _batch(index, waiting)
                index, waiting, size = index + 1, [], 0
    except BadInput:
        if waiting:
            yield _batch(index, waiting)
        raise
    if waiting:
        yield _batch(index, waiting)


def content_id(stream: BinaryIO, project: ProjectId) -> str:
    """Make the producer id of this content for `project`; reads `stream` to its end."""
    digest = blake2b(project.encode() + b"\0", digest_size=16)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return f"push-{digest.hexdigest()}"


def _batch(index: int, items: list[Item]) -> Batch:
    digest = blake2b(digest_size=8)
    for item in items:
        digest.update(encode_json(item.event) + b"\n")
    return Batch(f"{index}-{digest.hexdigest()}", tuple(items))


def _lines(lines: Iterable[bytes], start: int, project: ProjectId) -> Iterator[Item]:
    for number, line in enumerate(lines, start):
        if len(line) > LONGEST_LINE:
            raise BadInput(f"line {number}: longer than {LONGEST_LINE} bytes")
        if line.strip():
            yield Item(
                f"line {number}",
                _event(_decoded(line, f"line {number}"), f"line {number}", project),
                len(line),
            )


def _array(text: bytes, project: ProjectId) -> Iterator[Item]:
    values = _decoded(text, "the array")
    if not isinstance(values, list):
        raise BadInput("expected an array of events")
    each = len(text) // max(1, len(values))
    for number, value in enumerate(values, 1):
        yield Item(f"item {number}", _event(value, f"item {number}", project), each)


def _decoded(text: bytes, place: str) -> object:
    try:
        return decode_json(text)
    except InvalidInput as error:
        raise BadInput(f"{place}: {error}") from None


def _event(value: object, place: str, project: ProjectId) -> Json:
    try:
        refuse_reserved(parse_event(value, now="", field="event", project=project).type, "event.type")
    except InvalidInput as error:
        raise BadInput(f"{place}: {error}") from None
    return {**value, "project_id": project}  # type: ignore[dict-item]
