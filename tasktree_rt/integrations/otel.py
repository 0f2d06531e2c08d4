"""Spans of OpenTelemetry while they run: their begins, and what is added to them, within a second.

::

    from tasktree_rt.integrations import otel

    otel.install("http://127.0.0.1:8000")

or, without a line in the program, ``OTEL_TRACES_EXPORTER=tasktree opentelemetry-instrument python
program.py``.

An ordinary exporter sends a span when it has ended. `LiveSpanProcessor` sends it also when it begins, with
no end, and again while it grows. The hub takes a span without an end for one that runs. Use it in place of
an exporter to the hub, not beside one: lines of output would come twice.

It needs `opentelemetry-sdk` and `opentelemetry-exporter-otlp-proto-http`. Nothing here raises into the
program or waits in it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from tasktree_rt.client.urls import DEFAULT_HUB

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
except ImportError as error:
    needed = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
    raise ImportError(f"tasktree_rt.integrations.otel needs more packages: pip install {needed}") from error

log: Final = logging.getLogger(__name__)

BATCH: Final = 256
"""Spans of one request at most."""
MAX_OPEN: Final = 8_192
"""Open spans that are watched while they grow, the first."""
_RUN: Final = "tasktree_rt.client.run.base"
_NODE: Final = "tasktree_rt.client.run.node"


class _Open:
    """An open span, and what of it was sent."""

    __slots__ = ("attributes", "events", "last", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.attributes: dict[str, Any] = dict(span.attributes or {})
        self.events = 0
        self.last = time.monotonic()

    def news(self, keepalive: float) -> bool:
        """Note what the span has now; return whether it is to be sent again."""
        now, attributes = time.monotonic(), dict(self.span.attributes or {})
        grown = attributes != self.attributes or len(self.span.events) > self.events
        if grown or now - self.last >= keepalive:
            self.attributes, self.last = attributes, now
            return True
        return False


class LiveSpanProcessor(SpanProcessor):
    """Send spans to a hub when they begin, while they grow, and when they end.

    Args:
        hub: the hub's address; by default ``TASKTREE_RT_HUB``, or else a hub on this machine.
        token: a token that may push; by default ``TASKTREE_RT_TOKEN``.
        delay: seconds for which spans are collected into one request.
        refresh: seconds between two looks at open spans for new attributes and events.
        keepalive: seconds after which an open span is sent again although it has not changed, so that the hub
            knows that it runs. It must be well below the hub's `otlp.settle`.
        max_queue: spans that wait at most; further ones are dropped, which the SDK logs.
        exit_timeout: seconds that a program waits at its end for a hub that does not answer.
        exporter: what sends the spans, in place of an exporter to `hub`.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        token: str | None = None,
        delay: float = 0.1,
        refresh: float = 1.0,
        keepalive: float = 60.0,
        max_queue: int = 8_192,
        exit_timeout: float = 2.0,
        exporter: SpanExporter | None = None,
    ) -> None:
        self._exporter = exporter or _exporter(hub, token)
        self._exit_timeout = exit_timeout
        self._batch = BatchSpanProcessor(
            self._exporter,
            max_queue_size=max_queue,
            schedule_delay_millis=max(1, round(delay * 1_000)),
            max_export_batch_size=min(BATCH, max_queue),
        )
        self._refresh = refresh
        self._keepalive = keepalive
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin with no open spans; those of a forked child's parent are the parent's to tell."""
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Send that a span begins. Within a run of ours it goes to the run's project, below the current
        node."""
        if not span.context.trace_flags.sampled:
            return
        _place(span)
        with self._lock:
            if len(self._open) < MAX_OPEN:
                self._open[span.context.span_id] = _Open(span)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="tasktree-otel", daemon=True)
                self._thread.start()
        self._batch.on_end(_copy(span, 0))

    def on_end(self, span: ReadableSpan) -> None:
        """Send the whole span, without the events that were sent before."""
        with self._lock:
            found = self._open.pop(span.context.span_id, None)
        told = 0 if found is None else found.events
        self._batch.on_end(_copy(span, told) if told else span)

    def refresh(self) -> None:
        """Send the open spans again that have grown, or of which nothing was sent for long."""
        with self._lock:
            grown = [one for one in self._open.values() if one.news(self._keepalive)]
            copies = []
            for one in grown:
                copies.append(_copy(one.span, one.events))
                one.events += len(copies[-1].events)
        for copy in copies:
            self._batch.on_end(copy)

    def _watch(self) -> None:
        stop = self._stop
        while not stop.wait(self._refresh):
            try:
                self.refresh()
            except Exception:
                log.exception("open spans were not sent")

    def shutdown(self) -> None:
        """Send what waits, and end."""
        self._stop.set()
        limit = threading.Timer(self._exit_timeout, self._exporter.shutdown)  # ends its retries
        limit.daemon = True
        limit.start()
        self._batch.shutdown()
        limit.cancel()

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Send what waits; return whether all was sent in time."""
        return bool(self._batch.force_flush(timeout_millis))


def install(hub: str | None = None, **options: Any) -> LiveSpanProcessor | None:
    """Add a `LiveSpanProcessor` to the program's tracer provider; it makes a provider only if there is none.

    Returns None, after a warning, if the provider that is there takes no span processors.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        log.warning("spans are not sent: %s takes no span processors", type(provider).__name__)
        return None
    processor = LiveSpanProcessor(hub, **options)
    add(processor)
    return processor


class LiveExporter(SpanExporter):
    """The exporter ``tasktree`` of ``OTEL_TRACES_EXPORTER``: it installs a `LiveSpanProcessor`, which sends
    all."""

    def __init__(self) -> None:
        install()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Do nothing: the processor sends the spans."""
        return SpanExportResult.SUCCESS


def _exporter(hub: str | None, token: str | None) -> OTLPSpanExporter:
    address = (hub or os.environ.get("TASKTREE_RT_HUB") or DEFAULT_HUB).rstrip("/")
    token = token or os.environ.get("TASKTREE_RT_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    return OTLPSpanExporter(endpoint=f"{address}/v1/traces", headers=headers)


def _copy(span: ReadableSpan, told: int) -> ReadableSpan:
    """A span as it is now, without its first `told` events."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=dict(span.attributes or {}),
        events=_new(span.events, told),
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _new(events: Sequence[Event], told: int) -> tuple[Event, ...]:
    return tuple(events)[told:]


def _place(span: Span) -> None:
    """Put a span into the project of the run around it, if the program has one and uses the client at all."""
    module = sys.modules.get(_RUN)
    run = None if module is None else module.current_run()
    if run is None:
        return
    span.set_attribute("tasktree.project", run.project_id)
    node = sys.modules[_NODE].current_node()
    if span.parent is None and node is not None:
        span.set_attribute("tasktree.parent", node.id)
