"""What every dialect has in common: the JSON codec, WebSocket text frames, and the `Dialect` protocol.

A dialect is pure. The session gives it what came in and gets a command or an `InvalidInput`; the hub
gives it records and messages and gets finished bytes for the wire, the same for every connection.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec
from attrs import frozen

from tasktree_rt.core.events import MAX_DEPTH, Event, Json, ProjectId, Record, deeper_than
from tasktree_rt.core.large_value import LargeValue
from tasktree_rt.core.numbers import DIGITS, beyond, may_be_beyond, told
from tasktree_rt.core.protocol import Command, Message
from tasktree_rt.core.topics import USER, project_of, user_of, user_topic
from tasktree_rt.errors import InvalidInput


def _marker(value: object) -> Json:
    if isinstance(value, LargeValue):
        return value.marker
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _body(value: object) -> msgspec.Raw:
    if isinstance(value, LargeValue):
        return msgspec.Raw(value.body)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder: Final = msgspec.json.Encoder()
_shown: Final = msgspec.json.Encoder(enc_hook=_marker)
_whole: Final = msgspec.json.Encoder(enc_hook=_body)
_canonical: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder()

_MARKS: Final = (
    ("UTF-8", codecs.BOM_UTF8),
    ("UTF-32", codecs.BOM_UTF32_LE),
    ("UTF-32", codecs.BOM_UTF32_BE),
    ("UTF-16", codecs.BOM_UTF16_LE),
    ("UTF-16", codecs.BOM_UTF16_BE),
)
"""Byte order marks; that of UTF-16 is the beginning of one of UTF-32's."""

READABLE: Final = 8_192
"""Characters of a broken request in which its id is looked for."""
MAX_REQUEST_ID: Final = 128
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]+|".*', re.DOTALL)
_DEEPER: Final = {"{": 1, "[": 1, "}": -1, "]": -1}

MAX_WHY: Final = 200
"""Characters kept of the codec's description of a mistake."""

# What an encoder raises on what is no JSON; ValueError covers what cannot be UTF-8 too.
_UNWRITABLE: Final = (TypeError, ValueError, OverflowError, RecursionError)

encode_json: Final = _shown.encode
"""Any JSON value as compact UTF-8 bytes; a `LargeValue` as its marker."""

encode_whole: Final = _whole.encode
"""The same, but a `LargeValue` whole: for the store."""


raw_json: Final = msgspec.Raw
"""Finished JSON bytes that are to stand as they are inside a value given to `encode_json`."""


def _why(error: Exception) -> str:
    """What the codec found, in a line: it names the place by its whole path, as long as the input is deep."""
    text = str(error)
    return text if len(text) <= MAX_WHY else f"{text[: MAX_WHY - 41]}…{text[-40:]}"


def _mark(text: str | bytes) -> str | None:
    """Return the error text for a byte order mark at the beginning of `text`, if there is one."""
    data = text[:4].encode("utf-8", "replace") if isinstance(text, str) else text[:4]
    for name, mark in _MARKS:
        if data.startswith(mark):
            if name == "UTF-8":
                return "it begins with a byte order mark (U+FEFF), which JSON has none of: leave it out"
            return f"by its byte order mark it is {name}: send it in UTF-8"
    return None


def decode_json(text: str | bytes, *, ours: bool = False) -> Any:  # noqa: ANN401 (a decode edge)
    """JSON as Python values. What a hub wrote (`ours`) may hold integers that are refused today.

    Raises:
        InvalidInput: ``invalid_json``, with the place of a number that no double can hold.
    """
    try:
        value = _decoder.decode(text)
    except msgspec.ValidationError as error:  # of JSON without a type only a number can be invalid
        raise _beyond(_place_of_number(text), "invalid_json", _why(error)) from None
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError and UnicodeError are ValueErrors
        why = _mark(text) or _why(error)
        raise InvalidInput(f"expected JSON: {why}", code="invalid_json") from None
    if not ours:
        refuse_beyond(text, value)
    return value


def refuse_beyond(text: str | bytes, value: object, code: str = "invalid_json") -> None:
    """Refuse JSON with a number that no double can hold; `value` is the decoded `text`.

    Raises:
        InvalidInput: naming the place.
    """
    if len(text) >= DIGITS and may_be_beyond(text) and (place := beyond(value)) is not None:
        raise _beyond(place, code)


def _place_of_number(text: str | bytes) -> str | None:
    """Where in JSON that the codec refuses the number is; None if it cannot be found."""
    try:
        return beyond(json.loads(text, parse_int=_read_int))
    except (ValueError, RecursionError):
        return None


def _read_int(digits: str) -> float:
    return math.inf if len(digits) > DIGITS + 1 else int(digits)


def _beyond(place: str | None, code: str, why: str = "") -> InvalidInput:
    if place is None:
        return InvalidInput(f"expected JSON: {why}", code=code)
    message = f"expected a number of at most 1.8e308: number out of range at {told(place) or 'the top'}"
    return InvalidInput(message, code=code, field=told(place) or None)


def decode_object(text: str | bytes, *, ours: bool = False) -> Json:
    """A JSON object; `ours` as of `decode_json`.

    Raises:
        InvalidInput: ``invalid_json`` or ``invalid_message``.
    """
    value = decode_json(text, ours=ours)
    if type(value) is not dict:
        raise InvalidInput("expected a JSON object", code="invalid_message")
    return value


def read_id(text: str | bytes) -> str | int | None:
    """The id of a request that is no JSON object, if it can be read from what there is.

    Its first `READABLE` characters are read as far as strings and brackets go. ``id`` counts as a key of the
    outermost object, with a string of at most 128 characters or an integer, and something behind it: the
    last word may be cut. Two that differ are none.
    """
    head = text[:READABLE] if isinstance(text, str) else text[:READABLE].decode("utf-8", "replace")
    words = _WORD.findall(head.removeprefix("\ufeff"))
    depth, found = 0, set[str]()
    if words[:1] != ["{"]:
        return None
    for index, word in enumerate(words[:-3]):
        if depth == 1 and word == '"id"' and words[index - 1] in "{," and words[index + 1] == ":":
            found.add(words[index + 2])
        depth += _DEEPER.get(word, 0)
    return _as_id(found.pop()) if len(found) == 1 else None


def _as_id(word: str) -> str | int | None:
    try:
        value: str | int = decode_json(word)
    except InvalidInput:
        return None
    return value if type(value) in (str, int) and len(str(value)) <= MAX_REQUEST_ID else None


def measure(fields: Json) -> int:
    """Return the size of a JSON object when encoded whole, in bytes."""
    return len(_whole.encode(fields))


def digest(value: object) -> bytes:
    """A hash of a JSON value that does not depend on the order of keys (16 bytes).

    Raises:
        InvalidInput: ``invalid_message``, if it cannot be written as JSON.
    """
    try:
        return blake2b(_canonical.encode(value), digest_size=16).digest()
    except _UNWRITABLE as error:
        raise InvalidInput(f"cannot be written as JSON: {_why(error)}", code="invalid_message") from None


def plain(value: object) -> Any:  # noqa: ANN401 (a decode edge)
    """What a program made, as it would have come over the wire; do this before `parse_event`.

    Tuples become arrays, keys strings, NaN and the infinities null, as in JavaScript's JSON. Without
    this a tree might hold now what its log cannot say, and be another one after a restart.

    Raises:
        InvalidInput: ``invalid_event``, if it cannot be written as JSON.
    """
    try:
        text = _encoder.encode(value)
        found = _decoder.decode(text)
    except _UNWRITABLE as error:
        raise InvalidInput(f"cannot be written as JSON: {_why(error)}", code="invalid_event") from None
    refuse_beyond(text, found, "invalid_event")
    return found


def encode_body(event: Event, field: str = "data") -> bytes:
    """An event as a log keeps it: one compact JSON object without a position.

    Raises:
        InvalidInput: ``invalid_event`` at `field`, if the data cannot be written as JSON (a lone
            surrogate, a number of thousands of digits) or is nested more than `MAX_DEPTH` deep.
    """
    try:
        body = _encoder.encode(_said(event))
    except RecursionError:
        raise _too_deep(field) from None
    except _UNWRITABLE as error:
        raise InvalidInput(
            f"cannot be written as JSON: {_why(error)}", code="invalid_event", field=field
        ) from None
    # Nothing is nested deeper than there are brackets: this spares most events the walk.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and deeper_than(MAX_DEPTH, event.data):
        raise _too_deep(field)
    return body


def encode_shown(event: Event) -> bytes:
    """An event as watchers get it: as `encode_body`, with the markers of large values."""
    return _shown.encode(_said(event))


def _said(event: Event) -> Json:
    name = event.project_id
    if name is not None and name.startswith(USER):
        return {"type": event.type, **named(name), "data": event.data, "timestamp": event.timestamp}
    return {"type": event.type, "project_id": name, "data": event.data, "timestamp": event.timestamp}


def _too_deep(field: str) -> InvalidInput:
    return InvalidInput(
        f"expected at most {MAX_DEPTH} levels of objects and arrays", code="invalid_event", field=field
    )


def decode_body(body: bytes) -> Event:
    """The event of a record's body."""
    value = _decoder.decode(body)
    topic = value["project_id"] if "project_id" in value else user_topic(value["user_id"])
    return Event(value["type"], ProjectId(topic), value["data"], value["timestamp"])


def named(topic: str) -> Json:
    """How a topic is named on the wire: ``project_id`` or ``user_id``. A branch has its project's name."""
    user = user_of(topic)
    return {"project_id": project_of(topic)} if user is None else {"user_id": user}


def with_position(record: Record, epoch: str) -> bytes:
    """A record as the JSON text that watchers get."""
    return b'%b,"seq":%d,"epoch":"%b"}' % (record.body[:-1], record.seq, epoch.encode())


def text_frame(payload: bytes) -> bytes:
    """An unmasked, final WebSocket text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)


@frozen
class Encoding:
    """Finished bytes of several messages, joined; ``ends[i]`` is where the i-th one ends."""

    data: bytes
    ends: tuple[int, ...]


def join(pieces: Iterable[bytes]) -> Encoding:
    """Join finished messages into one encoding."""
    parts = list(pieces)
    ends, end = [], 0
    for part in parts:
        end += len(part)
        ends.append(end)
    return Encoding(b"".join(parts), tuple(ends))


class Dialect(Protocol):
    """One wire language. Stateless: one instance serves every connection."""

    @property
    def name(self) -> str:
        """As in metrics, logs and `GET /connections`."""

    def decode(self, message: str | bytes) -> Command | None:
        """Decode a request; None for one to ignore.

        Raises:
            InvalidInput: the hub sends it to the peer as an encoded `Failure`.
        """

    def encode(self, message: Message) -> bytes | None:
        """Encode a message for the wire; None if this language has no such message."""

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Records finished for the wire, one message each, in order."""
