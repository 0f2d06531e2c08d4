"""To which project a span or a log record goes.

A project cannot be changed later, so only what every span has from its first one on decides: the attribute
`tasktree.project` of the span, what the caller named for its trace before, `tasktree.project` of the
program, and otherwise a project of the trace's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tasktree_rt.dialects.otlp.records import TRACE_ID, Attributes, LogRecord, Span
from tasktree_rt.web.otlp.traces import Traces

PROJECT: Final = "tasktree.project"
TRACE: Final = "trace:"


def declare(traces: Traces, owner: str, spans: Iterable[Span]) -> None:
    """Remember the projects that spans name, so that spans of other programs of the same trace follow."""
    for span in spans:
        named = _named(span.attributes)
        if named is not None:
            traces.declare(owner, span.trace_id, named)


def project_of(traces: Traces, owner: str, span: Span) -> str:
    """Return the project of a span. Its name may be invalid: it is as the program wrote it."""
    named = _named(span.attributes) or traces.project(owner, span.trace_id)
    return named or _named(span.source.resource) or f"{TRACE}{span.trace_id}"


def project_of_record(traces: Traces, owner: str, record: LogRecord) -> str | None:
    """Return the project of a log record; None if nothing names one."""
    traced = TRACE_ID.fullmatch(record.trace_id) is not None
    named = _named(record.attributes)
    if named is None and traced:
        named = traces.project(owner, record.trace_id)
    named = named or _named(record.source.resource)
    return named or (f"{TRACE}{record.trace_id}" if traced else None)


def _named(attributes: Attributes) -> str | None:
    found = attributes.get(PROJECT)
    return found if isinstance(found, str) and found else None
