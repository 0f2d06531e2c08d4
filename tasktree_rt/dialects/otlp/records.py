"""Spans and log records as OTLP has them, whichever encoding they came in. Times in ns since the Unix
epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field, frozen

Value = Any
"""An attribute's value: text, a number, a flag, None, or lists and objects of them. Bytes come as their
number."""
Attributes = dict[str, Value]

MAX_TEXT: Final = 64 * 1024
"""Bytes of a text that are read; the rest is left out."""
MAX_KEY: Final = 256
"""Bytes of an attribute's name that are read."""
MAX_ATTRIBUTES: Final = 256
"""Attributes of a span, an event or a resource that are read, the first."""
MAX_EVENTS: Final = 128
"""Events of a span that are read, the first."""
MAX_LINKS: Final = 20
"""Links of a span that are read, the first."""
MAX_ITEMS: Final = 64
"""Entries of a list or an object in an attribute that are read, the first."""
MAX_LEVELS: Final = 6
"""Levels of lists and objects in an attribute; what is deeper is left out."""
MAX_FIELDS: Final = 8_192
"""Fields of one span in all, so that reading it takes some milliseconds at most."""

TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
REMOTE: Final = 0x300
"""Bits 8 and 9 of a span's flags: it is known whether the parent is in another process, and it is."""


class Malformed(Exception):
    """The body is no OTLP request; the text says why. It is not to be sent again."""


class Unreadable(Exception):
    """One span or record cannot be read; the text says why. The others can."""


@frozen
class Source:
    """What a group of spans has in common.

    Attributes:
        resource: the attributes of the program, `service.name` among them.
        scope: the name of the instrumentation.
    """

    resource: Attributes = field(factory=dict)
    scope: str = ""

    @property
    def service(self) -> str:
        """The service's name, or nothing."""
        found = self.resource.get("service.name")
        return found if isinstance(found, str) and not found.startswith("unknown_service") else ""


@frozen
class SpanEvent:
    """Something that happened within a span, at `time` in ns."""

    time: int = 0
    name: str = ""
    attributes: Attributes = field(factory=dict)


@define
class Span:
    """One span. Ids are lower-case hex; `end` is 0 while it runs; `status` is 0 unset, 1 ok, 2 error."""

    source: Source
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    remote_parent: bool = False
    name: str = ""
    kind: int = 0
    start: int = 0
    end: int = 0
    attributes: Attributes = field(factory=dict)
    events: list[SpanEvent] = field(factory=list)
    links: list[tuple[str, str]] = field(factory=list)
    status: int = 0
    status_message: str = ""
    size: int = 0
    """Bytes that it had in the request."""


@define
class LogRecord:
    """One record of a log. `severity` is 1 (trace) to 24 (fatal), 0 if it is not given."""

    source: Source
    time: int = 0
    severity: int = 0
    body: Value = None
    attributes: Attributes = field(factory=dict)
    trace_id: str = ""
    span_id: str = ""
    size: int = 0


@frozen
class Unread:
    """A span or record that is left out, and why."""

    reason: str


Spans = Iterator[Span | Unread | None]
"""The spans of a request, one a step. None is a step without one: the reader may pause at each."""
Logs = Iterator[LogRecord | Unread | None]


def checked(span: Span) -> Span:
    """Return the span if its ids are valid.

    Raises:
        Unreadable: names the field.
    """
    if TRACE_ID.fullmatch(span.trace_id) is None:
        raise Unreadable("trace_id: expected 16 bytes that are not all 0")
    if SPAN_ID.fullmatch(span.span_id) is None:
        raise Unreadable("span_id: expected 8 bytes that are not all 0")
    if SPAN_ID.fullmatch(span.parent_id) is None:
        span.parent_id = ""
    return span
