"""What the tests of the document of the HTTP API ask of OpenTelemetry's routes."""

from __future__ import annotations

from typing import Any, Final

from tasktree_rt.core.events import Json
from tests.dialects.otlp.encode import TRACE, as_json, as_protobuf, described, json_value, span_id

TRACES: Final = "/v1/traces"
LOGS: Final = "/v1/logs"
METRICS: Final = "/v1/metrics"
_RECORD: Final = {"body": json_value("x"), "traceId": TRACE, "spanId": span_id(1)}
_IDS: Final = {"traceId": TRACE, "spanId": span_id(1)}
BODIES: Final[dict[str, Json]] = {
    TRACES: {"resourceSpans": [{"scopeSpans": [{"spans": [_IDS]}]}]},
    LOGS: {"resourceLogs": [{"scopeLogs": [{"logRecords": [_RECORD]}]}]},
}
"""A span and a log record of a project that a caller without grants may not publish to."""
PROTOBUF: Final[dict[str, str]] = {"Content-Type": "application/x-protobuf"}
_REFUSED: Final = as_json(described(1, trace_id="0" * 32))
RIGHT: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (TRACES, {"content": as_protobuf(described(1)), "headers": PROTOBUF}),
    (TRACES, {"content": _REFUSED, "headers": {"Content-Type": "application/json"}}),
    (TRACES, {"json": BODIES[TRACES]}),
    (LOGS, {"json": BODIES[LOGS]}),
    (METRICS, {"json": {}}),
    (METRICS, {"content": b"", "headers": PROTOBUF}),
)
_LARGE: Final = b" " * (8 * 1024 * 1024) + b"{}"
WRONG: Final[tuple[tuple[int, str, str, dict[str, Any]], ...]] = (
    *(
        (400, "POST", path, {"content": b"{", "headers": {"Content-Type": "application/json"}})
        for path in (TRACES, LOGS)
    ),
    (400, "POST", METRICS, {"content": b"x", "headers": {**PROTOBUF, "Content-Encoding": "gzip"}}),
    *((415, "POST", path, {"content": b"x"}) for path in (TRACES, LOGS, METRICS)),
    *(
        (413, "POST", path, {"content": _LARGE, "headers": {"Content-Type": "application/json"}})
        for path in (TRACES, LOGS, METRICS)
    ),
)
"""Requests with the status that they are answered with."""
