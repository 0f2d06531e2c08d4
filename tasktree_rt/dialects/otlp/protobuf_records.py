"""Spans and log records of a protobuf body, one a step, so that a large body holds nobody up."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from tasktree_rt.dialects.otlp.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Allowance,
    Data,
    TooManyFields,
    fields,
    signed,
    tag,
)
from tasktree_rt.dialects.otlp.records import (
    MAX_ATTRIBUTES,
    MAX_EVENTS,
    MAX_FIELDS,
    MAX_ITEMS,
    MAX_KEY,
    MAX_LEVELS,
    MAX_LINKS,
    MAX_TEXT,
    REMOTE,
    Attributes,
    LogRecord,
    Logs,
    Malformed,
    Source,
    Span,
    SpanEvent,
    Spans,
    Unread,
    Unreadable,
    Value,
    checked,
)

T = TypeVar("T", Span, LogRecord)
_GROUP: Final = tag(1, BYTES)
"""``resource_spans`` of a request, ``resource`` of those, ``scope`` of ``scope_spans``, ``attributes`` of a
resource, ``name`` of a scope: each is field 1."""
_MEMBER: Final = tag(2, BYTES)
"""``scope_spans``, and ``spans`` or ``log_records`` in them."""
_NO_END: Final = 1 << 62


def read_spans(body: Data) -> Spans:
    """Yield the spans of an ``ExportTraceServiceRequest``.

    Raises:
        Malformed: it is none.
    """
    return _members(body, _span)


def read_logs(body: Data) -> Logs:
    """Yield the records of an ``ExportLogsServiceRequest``.

    Raises:
        Malformed: it is none.
    """
    return _members(body, _record)


def _members(body: Data, read: Callable[[Data, int, int, Source], T]) -> Iterator[T | Unread | None]:
    endless = Allowance(_NO_END)  # every step yields
    for found, begin, end in fields(body, 0, len(body), endless):
        yield None
        if found != _GROUP:
            continue
        resource: Attributes = {}
        for inner, at, stop in fields(body, begin, end, endless):  # a resource stands before what has it
            yield None
            if inner == _GROUP:
                resource = _resource(body, at, stop)
            elif inner == _MEMBER:
                yield from _scoped(body, at, stop, resource, read)


def _scoped(
    body: Data, begin: int, end: int, resource: Attributes, read: Callable[[Data, int, int, Source], T]
) -> Iterator[T | Unread | None]:
    source = Source(resource)
    for found, at, stop in fields(body, begin, end, Allowance(_NO_END)):
        if found == _GROUP:
            source = Source(resource, _scope(body, at, stop))
        elif found == _MEMBER:
            try:
                yield read(body, at, stop, source)
            except Unreadable as error:
                yield Unread(str(error))
            except TooManyFields:
                yield Unread(f"expected at most {MAX_FIELDS} fields in one span or record")
        yield None


def _resource(data: Data, begin: int, end: int) -> Attributes:
    found, allowance = Attributes(), Allowance(MAX_FIELDS)
    try:
        for one, at, stop in fields(data, begin, end, allowance):
            if one == _GROUP:
                _put(found, data, at, stop, allowance)
    except TooManyFields:
        raise Malformed(f"expected at most {MAX_FIELDS} fields in a resource") from None
    return found


def _scope(data: Data, begin: int, end: int) -> str:
    """The name, which stands first: what follows is not looked at."""
    for one, at, stop in fields(data, begin, end, Allowance(MAX_FIELDS)):
        return _text(data, at, stop, MAX_KEY) if one == _GROUP else ""
    return ""


# --- spans ----------------------------------------------------------------------------------------


def _span(data: Data, begin: int, end: int, source: Source) -> Span:
    span, allowance = Span(source, size=end - begin), Allowance(MAX_FIELDS)
    for found, at, stop in fields(data, begin, end, allowance):
        set_field = _SPAN.get(found)
        if set_field is not None:
            set_field(span, data, at, stop, allowance)
    return checked(span)


def _set_id(name: str) -> Callable[..., None]:
    def set_field(one: Any, data: Data, at: int, stop: int, _: Allowance) -> None:  # noqa: ANN401
        setattr(one, name, data[at : min(stop, at + 17)].hex())

    return set_field


def _set_number(name: str) -> Callable[..., None]:
    def set_field(one: Any, _: Data, value: int, __: int, ___: Allowance) -> None:  # noqa: ANN401
        setattr(one, name, value)

    return set_field


def _set_text(name: str, most: int) -> Callable[..., None]:
    def set_field(one: Any, data: Data, at: int, stop: int, _: Allowance) -> None:  # noqa: ANN401
        setattr(one, name, _text(data, at, stop, most))

    return set_field


def _add_attribute(one: Any, data: Data, at: int, stop: int, allowance: Allowance) -> None:  # noqa: ANN401
    _put(one.attributes, data, at, stop, allowance)


def _add_event(span: Span, data: Data, at: int, stop: int, allowance: Allowance) -> None:
    if len(span.events) < MAX_EVENTS:
        span.events.append(_event(data, at, stop, allowance))


def _event(data: Data, begin: int, end: int, allowance: Allowance) -> SpanEvent:
    time, name, attributes = 0, "", Attributes()
    for found, at, stop in fields(data, begin, end, allowance):
        if found == tag(1, FIXED64):
            time = at
        elif found == tag(2, BYTES):
            name = _text(data, at, stop, MAX_KEY)
        elif found == tag(3, BYTES):
            _put(attributes, data, at, stop, allowance)
    return SpanEvent(time, name, attributes)


def _add_link(span: Span, data: Data, begin: int, end: int, allowance: Allowance) -> None:
    trace_id = span_id = ""
    if len(span.links) < MAX_LINKS:
        for found, at, stop in fields(data, begin, end, allowance):
            if found == tag(1, BYTES):
                trace_id = data[at : min(stop, at + 17)].hex()
            elif found == tag(2, BYTES):
                span_id = data[at : min(stop, at + 17)].hex()
        span.links.append((trace_id, span_id))


def _set_status(span: Span, data: Data, begin: int, end: int, allowance: Allowance) -> None:
    for found, at, stop in fields(data, begin, end, allowance):
        if found == tag(2, BYTES):
            span.status_message = _text(data, at, stop, MAX_TEXT)
        elif found == tag(3, VARINT):
            span.status = at


def _set_flags(span: Span, _: Data, value: int, __: int, ___: Allowance) -> None:
    span.remote_parent = value & REMOTE == REMOTE


_SPAN: Final[dict[int, Callable[..., None]]] = {
    tag(1, BYTES): _set_id("trace_id"),
    tag(2, BYTES): _set_id("span_id"),
    tag(4, BYTES): _set_id("parent_id"),
    tag(5, BYTES): _set_text("name", MAX_KEY * 4),
    tag(6, VARINT): _set_number("kind"),
    tag(7, FIXED64): _set_number("start"),
    tag(8, FIXED64): _set_number("end"),
    tag(9, BYTES): _add_attribute,
    tag(11, BYTES): _add_event,
    tag(13, BYTES): _add_link,
    tag(15, BYTES): _set_status,
    tag(16, FIXED32): _set_flags,
}


# --- log records ----------------------------------------------------------------------------------


def _record(data: Data, begin: int, end: int, source: Source) -> LogRecord:
    record, allowance = LogRecord(source, size=end - begin), Allowance(MAX_FIELDS)
    observed = 0
    for found, at, stop in fields(data, begin, end, allowance):
        if found == tag(11, FIXED64):
            observed = at
        set_field = _RECORD.get(found)
        if set_field is not None:
            set_field(record, data, at, stop, allowance)
    record.time = record.time or observed
    return record


def _set_body(record: LogRecord, data: Data, at: int, stop: int, allowance: Allowance) -> None:
    record.body = _value(data, at, stop, allowance, MAX_LEVELS)


_RECORD: Final[dict[int, Callable[..., None]]] = {
    tag(1, FIXED64): _set_number("time"),
    tag(2, VARINT): _set_number("severity"),
    tag(5, BYTES): _set_body,
    tag(6, BYTES): _add_attribute,
    tag(9, BYTES): _set_id("trace_id"),
    tag(10, BYTES): _set_id("span_id"),
}


# --- values ---------------------------------------------------------------------------------------


def _text(data: Data, begin: int, end: int, most: int) -> str:
    return data[begin : min(end, begin + most)].decode("utf-8", "replace")


def _put(into: Attributes, data: Data, begin: int, end: int, allowance: Allowance) -> None:
    if len(into) >= MAX_ATTRIBUTES:
        return
    key, value = _pair(data, begin, end, allowance, MAX_LEVELS)
    if key:
        into[key] = value


def _pair(data: Data, begin: int, end: int, allowance: Allowance, levels: int) -> tuple[str, Value]:
    key, value = "", None
    for found, at, stop in fields(data, begin, end, allowance):
        if found == tag(1, BYTES):
            key = _text(data, at, stop, MAX_KEY)
        elif found == tag(2, BYTES):
            value = _value(data, at, stop, allowance, levels)
    return key, value


def _value(data: Data, begin: int, end: int, allowance: Allowance, levels: int) -> Value:
    value: Value = None
    for found, at, stop in fields(data, begin, end, allowance):
        if found == tag(1, BYTES):
            value = _text(data, at, stop, MAX_TEXT)
        elif found == tag(2, VARINT):
            value = bool(at)
        elif found == tag(3, VARINT):
            value = signed(at)
        elif found == tag(4, FIXED64):
            value = struct.unpack("<d", at.to_bytes(8, "little"))[0]
        elif found == tag(5, BYTES):
            value = _list(data, at, stop, allowance, levels - 1)
        elif found == tag(6, BYTES):
            value = _object(data, at, stop, allowance, levels - 1)
        elif found == tag(7, BYTES):
            value = f"{stop - at} bytes"
    return value


def _list(data: Data, begin: int, end: int, allowance: Allowance, levels: int) -> list[Value]:
    found: list[Value] = []
    if levels > 0:
        for one, at, stop in fields(data, begin, end, allowance):
            if one == _GROUP and len(found) < MAX_ITEMS:
                found.append(_value(data, at, stop, allowance, levels))
    return found


def _object(data: Data, begin: int, end: int, allowance: Allowance, levels: int) -> Attributes:
    found: Attributes = {}
    if levels > 0:
        for one, at, stop in fields(data, begin, end, allowance):
            if one == _GROUP and len(found) < MAX_ITEMS:
                key, value = _pair(data, at, stop, allowance, levels)
                found[key] = value
    return found
