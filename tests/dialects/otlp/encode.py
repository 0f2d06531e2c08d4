"""OTLP requests as an exporter writes them, in both encodings, from one description."""

from __future__ import annotations

import struct
from typing import Any, Final

from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.dialects.base import encode_json, measure
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.plan import Plan, plan
from tasktree_rt.dialects.otlp.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    as_bytes,
    as_number,
    as_varint,
    tag,
)
from tasktree_rt.dialects.otlp.records import Source, Span

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PROJECT: Final = f"trace:{TRACE}"
SECOND: Final = 1_000_000_000
START: Final = 1_767_225_600 * SECOND
NOW: Final = "2026-01-01T00:00:00.000000Z"
OPEN: Final = Showing("full")
Json = dict[str, Any]


def span_id(number: int) -> str:
    return f"{number:016x}"


def described(number: int, parent: int = 0, **more: Any) -> Json:
    """A span as `as_protobuf` and `as_json` take it: it begins `number` s after `START` and takes one."""
    return {
        "trace_id": TRACE,
        "span_id": span_id(number),
        "parent_id": span_id(parent) if parent else "",
        "name": f"s{number}",
        "start": START + number * SECOND,
        "end": START + (number + 1) * SECOND,
        **more,
    }


def a_span(number: int, parent: int = 0, *, source: Source | None = None, **more: Any) -> Span:
    """The same as the readers return it."""
    return Span(source or Source({"service.name": "demo"}), **described(number, parent, **more))


def applied(tree: Nodes, made: Plan) -> None:
    """Apply the events of a plan."""
    for event in made.events:
        tree.apply(reduce(tree, event, 1_000, measure))


def tree_of(*spans: Span, showing: Showing = OPEN, project: str = PROJECT) -> Nodes:
    """The tree after spans that came in one request."""
    tree = Nodes()
    applied(tree, plan(project, spans, tree, {one.span_id for one in spans}, showing, NOW))
    return tree


# --- protobuf -------------------------------------------------------------------------------------


def fixed(number: int, value: int, wire: int = FIXED64) -> bytes:
    return as_varint(tag(number, wire)) + value.to_bytes(8 if wire == FIXED64 else 4, "little")


def any_value(value: Any) -> bytes:
    if isinstance(value, bool):
        return as_varint(tag(2, VARINT)) + bytes([value])
    if isinstance(value, int):
        return as_varint(tag(3, VARINT)) + as_varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return as_varint(tag(4, FIXED64)) + struct.pack("<d", value)
    if isinstance(value, str):
        return as_varint(tag(1, BYTES)) + as_varint(len(value.encode())) + value.encode()
    if isinstance(value, list):
        items = b"".join(message(1, any_value(one)) for one in value)
        return message(5, items)
    if isinstance(value, dict):
        return message(6, attributes(1, value))
    return b""


def message(number: int, body: bytes) -> bytes:
    return as_varint(tag(number, BYTES)) + as_varint(len(body)) + body


def attributes(number: int, found: Json) -> bytes:
    pairs = (as_bytes(1, key.encode()) + message(2, any_value(value)) for key, value in found.items())
    return b"".join(message(number, pair) for pair in pairs)


def protobuf_span(one: Json) -> bytes:
    events = (
        fixed(1, event["time"]) + as_bytes(2, event["name"].encode()) + attributes(3, event["attributes"])
        for event in one.get("events", ())
    )
    links = (
        message(1, bytes.fromhex(trace)) + message(2, bytes.fromhex(linked))
        for trace, linked in one.get("links", ())
    )
    status = as_bytes(2, one.get("status_message", "").encode()) + as_number(3, one.get("status", 0))
    return (
        message(1, bytes.fromhex(one["trace_id"]))
        + message(2, bytes.fromhex(one["span_id"]))
        + as_bytes(4, bytes.fromhex(one.get("parent_id", "")))
        + as_bytes(5, one["name"].encode())
        + as_number(6, one.get("kind", 0))
        + fixed(7, one["start"])
        + fixed(8, one["end"])
        + attributes(9, one.get("attributes", {}))
        + b"".join(message(11, event) for event in events)
        + b"".join(message(13, link) for link in links)
        + as_bytes(15, status)
        + fixed(16, 0x300 if one.get("remote_parent") else 0x100, FIXED32)
    )


def as_protobuf(*spans: Json, scope: str = "lib", **resource: Any) -> bytes:
    """A request with spans of one program."""
    scoped = as_bytes(1, as_bytes(1, scope.encode())) + b"".join(
        message(2, protobuf_span(one)) for one in spans
    )
    return message(1, message(1, attributes(1, named(resource))) + message(2, scoped))


def logs_as_protobuf(*records: Json, **resource: Any) -> bytes:
    """A request with log records of one program."""

    def record(one: Json) -> bytes:
        return (
            fixed(1, one.get("time", START))
            + as_number(2, one.get("severity", 9))
            + message(5, any_value(one.get("body", "")))
            + attributes(6, one.get("attributes", {}))
            + as_bytes(9, bytes.fromhex(one.get("trace_id", "")))
            + as_bytes(10, bytes.fromhex(one.get("span_id", "")))
        )

    scoped = b"".join(message(2, record(one)) for one in records)
    return message(1, message(1, attributes(1, named(resource))) + message(2, scoped))


def named(resource: Json) -> Json:
    """Attributes of a program: ``service_name`` is ``service.name``."""
    return {name.replace("_", "."): value for name, value in resource.items()}


# --- JSON -----------------------------------------------------------------------------------------


def json_value(value: Any) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [json_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": json_attributes(value)}}
    return {}


def json_attributes(found: Json) -> list[Json]:
    return [{"key": key, "value": json_value(value)} for key, value in found.items()]


def json_span(one: Json) -> Json:
    return {
        "traceId": one["trace_id"],
        "spanId": one["span_id"].upper(),
        "parentSpanId": one.get("parent_id", ""),
        "name": one["name"],
        "kind": one.get("kind", 0),
        "startTimeUnixNano": str(one["start"]),
        "endTimeUnixNano": one["end"],
        "attributes": json_attributes(one.get("attributes", {})),
        "events": [
            {
                "timeUnixNano": str(event["time"]),
                "name": event["name"],
                "attributes": json_attributes(event["attributes"]),
            }
            for event in one.get("events", ())
        ],
        "links": [{"traceId": trace, "spanId": linked} for trace, linked in one.get("links", ())],
        "status": {"code": one.get("status", 0), "message": one.get("status_message", "")},
        "flags": 0x300 if one.get("remote_parent") else 0x100,
        "somethingNew": 1,
    }


def as_json(*spans: Json, scope: str = "lib", **resource: Any) -> bytes:
    """The same request in JSON."""
    scoped = {"scope": {"name": scope}, "spans": [json_span(one) for one in spans]}
    group = {"resource": {"attributes": json_attributes(named(resource))}, "scopeSpans": [scoped]}
    return encode_json({"resourceSpans": [group]})
