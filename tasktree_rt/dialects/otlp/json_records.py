"""Spans and log records of a JSON body, one a step. Ids are hex, integers of 64 bits numbers or text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from tasktree_rt.dialects.otlp.records import (
    MAX_ATTRIBUTES,
    MAX_EVENTS,
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

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a JSON body: to find where its spans end takes one look at all of it, during which nobody else
has a turn. Protobuf has no such bound."""
MAX_MEMBER: Final = 256 * 1024
"""Bytes of one span or record in JSON."""

T = TypeVar("T", Span, LogRecord)
Raws = list[msgspec.Raw] | None


class _Traces(msgspec.Struct, rename="camel"):
    resource_spans: Raws = None


class _Logs(msgspec.Struct, rename="camel"):
    resource_logs: Raws = None


class _Resource(msgspec.Struct, rename="camel"):
    attributes: msgspec.Raw = msgspec.Raw(b"null")


class _Scope(msgspec.Struct, rename="camel"):
    name: str | None = None


class _Resourced(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: Raws = None
    scope_logs: Raws = None


class _Scoped(msgspec.Struct, rename="camel"):
    scope: _Scope | None = None
    spans: Raws = None
    log_records: Raws = None


def read_spans(body: bytes | bytearray) -> Spans:
    """Yield the spans of an ``ExportTraceServiceRequest``.

    Raises:
        Malformed: it is none.
    """
    return _members(_decoded(body, _Traces).resource_spans, _span)


def read_logs(body: bytes | bytearray) -> Logs:
    """Yield the records of an ``ExportLogsServiceRequest``.

    Raises:
        Malformed: it is none.
    """
    return _members(_decoded(body, _Logs).resource_logs, _record)


S = TypeVar("S", bound=msgspec.Struct)


def _decoded(raw: bytes | bytearray | msgspec.Raw, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(str(error)[:200]) from None


def _members(groups: Raws, read: Callable[[Any, Source], T]) -> Iterator[T | Unread | None]:
    for raw in groups or ():
        yield None
        group = _decoded(raw, _Resourced)
        resource = _resource(group.resource)
        for inner in group.scope_spans or group.scope_logs or ():
            yield None
            scoped = _decoded(inner, _Scoped)
            source = Source(resource, ((scoped.scope and scoped.scope.name) or "")[:MAX_KEY])
            for member in scoped.spans or scoped.log_records or ():
                yield _one(bytes(member), source, read)


def _resource(given: _Resource | None) -> Attributes:
    raw = b"null" if given is None else bytes(given.attributes)
    if len(raw) > MAX_MEMBER:
        raise Malformed(f"resource.attributes: expected at most {MAX_MEMBER} bytes of JSON")
    return attributes_of(_value(raw))


def _value(raw: bytes) -> Any:  # noqa: ANN401 (a decode edge)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(str(error)[:200]) from None


def _one(raw: bytes, source: Source, read: Callable[[Any, Source], T]) -> T | Unread:
    if len(raw) > MAX_MEMBER:
        return Unread(f"expected at most {MAX_MEMBER} bytes of JSON in one span or record")
    try:
        found = read(_value(raw), source)
    except Unreadable as error:
        return Unread(str(error))
    found.size = len(raw)
    return found


# --- spans ----------------------------------------------------------------------------------------


def _span(given: Any, source: Source) -> Span:  # noqa: ANN401
    _require_object(given)
    status = given.get("status")
    status = status if isinstance(status, dict) else {}
    return checked(
        Span(
            source,
            trace_id=_id(given.get("traceId")),
            span_id=_id(given.get("spanId")),
            parent_id=_id(given.get("parentSpanId")),
            remote_parent=_whole(given.get("flags")) & REMOTE == REMOTE,
            name=_text(given.get("name"), MAX_KEY * 4),
            kind=_enum(given.get("kind"), _KINDS),
            start=_whole(given.get("startTimeUnixNano")),
            end=_whole(given.get("endTimeUnixNano")),
            attributes=attributes_of(given.get("attributes")),
            events=[_event(one) for one in _objects(given.get("events"), MAX_EVENTS)],
            links=[
                (_id(one.get("traceId")), _id(one.get("spanId")))
                for one in _objects(given.get("links"), MAX_LINKS)
            ],
            status=_enum(status.get("code"), _CODES),
            status_message=_text(status.get("message"), MAX_TEXT),
        )
    )


def _event(given: dict[str, Any]) -> SpanEvent:
    name, attributes = _text(given.get("name"), MAX_KEY), attributes_of(given.get("attributes"))
    return SpanEvent(_whole(given.get("timeUnixNano")), name, attributes)


def _record(given: Any, source: Source) -> LogRecord:  # noqa: ANN401
    _require_object(given)
    return LogRecord(
        source,
        time=_whole(given.get("timeUnixNano")) or _whole(given.get("observedTimeUnixNano")),
        severity=_whole(given.get("severityNumber")),
        body=value_of(given.get("body"), MAX_LEVELS),
        attributes=attributes_of(given.get("attributes")),
        trace_id=_id(given.get("traceId")),
        span_id=_id(given.get("spanId")),
    )


def _require_object(given: object) -> None:
    if not isinstance(given, dict):
        raise Unreadable("expected an object")


_KINDS: Final = {
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
}
_CODES: Final = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


# --- values ---------------------------------------------------------------------------------------


def attributes_of(given: object) -> Attributes:
    """Read a list of ``{key, value}``; what is of another shape is left out."""
    found: Attributes = {}
    for one in _objects(given, MAX_ATTRIBUTES):
        key = _text(one.get("key"), MAX_KEY)
        if key:
            found[key] = value_of(one.get("value"), MAX_LEVELS)
    return found


def value_of(given: object, levels: int) -> Value:
    """Read an ``AnyValue``; None for one of another shape, or deeper than `levels`."""
    if not isinstance(given, dict) or levels <= 0:
        return None
    for name, value in given.items():
        read = _VALUES.get(name)
        if read is not None:
            return read(value, levels - 1)
    return None


def _list(given: object, levels: int) -> list[Value]:
    items = given.get("values") if isinstance(given, dict) else None
    return [value_of(one, levels) for one in _objects(items, MAX_ITEMS)]


def _object(given: object, levels: int) -> Attributes:
    items = given.get("values") if isinstance(given, dict) else None
    pairs = _objects(items, MAX_ITEMS)
    return {_text(one.get("key"), MAX_KEY): value_of(one.get("value"), levels) for one in pairs}


def _double(given: object, _: int) -> float | None:
    try:
        return float(given) if isinstance(given, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


_VALUES: Final[dict[str, Callable[[Any, int], Value]]] = {
    "stringValue": lambda value, _: _text(value, MAX_TEXT),
    "boolValue": lambda value, _: value is True or value == "true",
    "intValue": lambda value, _: _whole(value, least=-(1 << 63)),
    "doubleValue": _double,
    "arrayValue": _list,
    "kvlistValue": _object,
    "bytesValue": lambda value, _: f"{len(value) * 3 // 4} bytes" if isinstance(value, str) else None,
}


def _objects(given: object, most: int) -> list[dict[str, Any]]:
    return [one for one in given[:most] if isinstance(one, dict)] if isinstance(given, list) else []


def _text(given: object, most: int) -> str:
    return given[:most] if isinstance(given, str) else ""


def _id(given: object) -> str:
    return given[:40].lower() if isinstance(given, str) else ""


def _whole(given: object, least: int = 0) -> int:
    """An integer of 64 bits, as a number or as text; 0 for what is none."""
    if isinstance(given, str) and len(given) <= 20 and given.removeprefix("-").isdecimal():
        given = int(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    good = isinstance(given, int) and not isinstance(given, bool) and least <= given < 1 << 64
    return given if good and isinstance(given, int) else 0


def _enum(given: object, names: dict[str, int]) -> int:
    return names.get(given, 0) if isinstance(given, str) else _whole(given)
