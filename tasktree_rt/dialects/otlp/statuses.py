"""The status of a span's node, and why it failed."""

from __future__ import annotations

import re
from typing import Final

from tasktree_rt.dialects.otlp.records import Span, SpanEvent
from tasktree_rt.dialects.otlp.redaction import Redaction

MAX_MESSAGE: Final = 2_000
"""Characters of a node's message."""
WAITS: Final = "waits for a person"
ERROR: Final = 2
_CANCELLED: Final = frozenset(
    {
        "CancelledError",
        "Cancelled",
        "KeyboardInterrupt",
        "GeneratorExit",
        "AbortError",
        "TaskCancelledException",
        "OperationCanceledException",
        "CancellationException",
        "InterruptedException",
    }
)
_INTERRUPTS: Final = frozenset({"GraphInterrupt", "NodeInterrupt"})
_FIRST_WORD: Final = re.compile(r"(?:Exception: )?([\w.]{1,200})\(")


def status_of(span: Span) -> str:
    """Return the status of a span's node: ``running`` while the span has no end."""
    if is_pending(span):
        return "running"
    names = _names(span)
    if not names.isdisjoint(_INTERRUPTS):
        return "review"
    if span.status != ERROR:
        return "completed"
    return "cancelled" if not names.isdisjoint(_CANCELLED) else "failed"


def is_pending(span: Span) -> bool:
    """Return whether a span has only begun. Logfire says so by a span of its own."""
    return span.end == 0 or span.attributes.get("logfire.span_type") == "pending_span"


def message_of(span: Span, status: str, redaction: Redaction) -> str | None:
    """Return what went wrong, or what a span waits for, in one line; None if nothing did."""
    if status == "review":
        return WAITS
    if status not in ("failed", "cancelled"):
        return None
    text = _told(span)
    line = next((one for one in text.strip().splitlines() if one.strip()), "")
    return redaction.cut(line, MAX_MESSAGE) or None


def _told(span: Span) -> str:
    exception = _last_exception(span)
    if exception is not None:
        kind, message = _text(exception, "exception.type"), _text(exception, "exception.message")
        if kind or message:
            return f"{kind}: {message}" if kind and message else kind or message
    return span.status_message or str(span.attributes.get("error.type") or "")


def _last_exception(span: Span) -> SpanEvent | None:
    return next((one for one in reversed(span.events) if one.name == "exception"), None)


def _names(span: Span) -> set[str]:
    """The names, without their modules, of what the span ended by."""
    found: list[object] = []
    exception = _last_exception(span)
    if exception is not None:
        found += [exception.attributes.get("exception.type"), _name_in(_text(exception, "exception.message"))]
    if span.status == ERROR:
        found += [span.attributes.get("error.type"), _name_in(span.status_message)]
    return {one.rpartition(".")[2] for one in found if isinstance(one, str) and one}


def _name_in(message: str) -> str:
    """The name of an exception that a message begins with: ``GraphInterrupt((…``, ``CancelledError: …``."""
    first = _FIRST_WORD.match(message)
    return first[1] if first is not None else message.partition(":")[0]


def _text(event: SpanEvent, name: str) -> str:
    value = event.attributes.get(name)
    return value if isinstance(value, str) else ""
