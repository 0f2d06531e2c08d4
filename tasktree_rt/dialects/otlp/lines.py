"""Events of spans and records of logs, as lines of a node's output."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.core.events import Json, micros_to_time
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.dialects.otlp.attributes import MAX_VALUE, Showing, is_content, shown_value
from tasktree_rt.dialects.otlp.records import LogRecord, Span, SpanEvent, Value

MAX_LINE: Final = 32 * 1024
"""Characters of one line."""
LAST_TIME: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: later times cannot be written."""
_LEVELS: Final = ((17, "error"), (13, "warning"), (9, "info"), (1, "debug"))


@frozen
class Line:
    """One line of output. `time` is RFC 3339, None without one."""

    node_id: str | None
    level: str
    message: str
    time: str | None

    @property
    def data(self) -> Json:
        """The data of its event."""
        node = {} if self.node_id is None else {"node_id": self.node_id}
        return {**node, "level": self.level, "message": self.message}


def time_of(nanos: int) -> str | None:
    """Return a time as events have it; None for 0 and for what cannot be written."""
    micros = nanos // 1000
    return micros_to_time(micros) if 0 < micros <= LAST_TIME else None


def lines_of(span: Span, showing: Showing) -> list[Line]:
    """Return a line for each event of a span."""
    return [Line(span.span_id, _level(one), _message(one, showing), time_of(one.time)) for one in span.events]


def _level(event: SpanEvent) -> str:
    return "error" if event.name == "exception" else "info"


def _message(event: SpanEvent, showing: Showing) -> str:
    if event.name == "exception":
        trace = event.attributes.get("exception.stacktrace")
        kind, why = (event.attributes.get(f"exception.{one}") for one in ("type", "message"))
        text = (
            trace if isinstance(trace, str) and trace else ": ".join(str(one) for one in (kind, why) if one)
        )
        return showing.redaction.cut(text or "exception", MAX_LINE)
    shown = [f"{name}={_short(value, showing, name)}" for name, value in event.attributes.items()]
    name = showing.redaction.cut(event.name, MAX_VALUE)
    if showing.content == "none":
        hidden = {one for one in event.attributes if is_content(one) or is_content(event.name)}
        shown = [text for name, text in zip(event.attributes, shown, strict=True) if name not in hidden]
    return "  ".join([name, *shown])[:MAX_LINE]


def _short(value: Value, showing: Showing, name: str) -> str:
    found = shown_value(value, showing, name, MAX_VALUE)
    return found if isinstance(found, str) else encode_json(found).decode()


def line_of(record: LogRecord, showing: Showing) -> Line:
    """Return the line of a record of a log."""
    level = next((word for least, word in _LEVELS if record.severity >= least), "info")
    trace = record.attributes.get("exception.stacktrace")
    body = record.body if isinstance(record.body, str) else _short(record.body, showing, "")
    if showing.content == "none" and _says_content(record):
        body = f"{record.attributes.get('event.name', 'event')}: content left out"
    text = f"{body}\n{trace}" if isinstance(trace, str) and trace else body
    return Line(record.span_id or None, level, showing.redaction.cut(text, MAX_LINE), time_of(record.time))


def _says_content(record: LogRecord) -> bool:
    """Records of the GenAI conventions hold what people and models said as their body."""
    name = record.attributes.get("event.name")
    return (isinstance(name, str) and name.startswith("gen_ai.")) or not (
        record.body is None or isinstance(record.body, (str, int, float, bool))
    )
