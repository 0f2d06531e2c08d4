"""Count what the hub, the web server and the bridges do, as Prometheus metrics.

The methods of `Metrics` update counters and histograms. `web.metrics_page` reads the gauges from the hub at
each scrape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tasktree_rt.core.close_codes import BY_CODE

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
MESSAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
MAX_VALUES: Final = 64
OTHER: Final = "other"
CODES: Final = BY_CODE.keys() | {1003, 1005, 1006, 1008, 1010}
"""Close codes that have a label value of their own: the hub's, and those of RFC 6455."""


class _Labelled:
    """A counter with one label. It keeps its children: a lookup costs more than the increment.

    After `MAX_VALUES` values each new value counts as ``other``.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[str, Counter] = {}

    def inc(self, value: str, amount: float = 1) -> None:
        child = self._children.get(value)
        if child is None:
            name = value if len(self._children) < MAX_VALUES else OTHER
            child = self._counter.labels(name)
            if name == value:
                self._children[value] = child
        child.inc(amount)


class Metrics:
    """All metrics of one hub, in their own registry: two hubs in one process share none.

    Each method returns immediately and raises nothing.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._define_publishing()
        self._define_delivery()
        self._define_interactions()
        self._define_server()
        self._define_bridges()
        self._define_otlp()

    # --- publishing -----------------------------------------------------------------------------------

    def _define_publishing(self) -> None:
        self._events = _Labelled(self._counter("events", "Events accepted and committed.", "type"))
        self._event_bytes = self._counter("event_bytes", "Bytes of the bodies of accepted events.")
        self._handling = self._histogram(
            "handling_seconds", "Time from the receipt of a tick's oldest publish to the tick.", SECONDS
        )
        self._refused = _Labelled(self._counter("refusals", "Requests refused, by error code.", "code"))
        self._slowed = self._counter("slowed", "Times that the hub stopped reading from a peer for its rate.")
        self._commits = self._histogram("commit_seconds", "Duration of one group commit.", SECONDS)
        self._commit_size = self._histogram("commit_publishes", "Publishes in one group commit.", MESSAGES)
        self._faults = _Labelled(self._counter("faults", "Internal errors of the hub, by place.", "where"))

    def published(self, types: Mapping[str, int], size: int, seconds: float) -> None:
        """Count the events of a tick: the number of each type, the bytes of all bodies, and the seconds from
        the receipt of the oldest event to the tick.
        """
        for kind, number in types.items():
            self._events.inc(kind, number)
        self._event_bytes.inc(size)
        self._handling.observe(seconds)

    def refused(self, code: str) -> None:
        """Count a refused publish or other request by its error code."""
        self._refused.inc(code)

    def slowed(self) -> None:
        """Count that the hub stops reading from a peer until its rate allows more."""
        self._slowed.inc()

    def committed(self, publishes: int, seconds: float) -> None:
        """Count one group commit."""
        self._commits.observe(seconds)
        self._commit_size.observe(publishes)

    def failed(self, where: str) -> None:
        """Count an internal error of the hub by its place."""
        self._faults.inc(where)

    # --- delivery -------------------------------------------------------------------------------------

    def _define_delivery(self) -> None:
        self._deliveries = self._counter("deliveries", "Messages offered to subscribers.")
        self._delivered_bytes = self._counter(
            "delivered_bytes", "Bytes of event bodies offered to subscribers."
        )
        self._flush = self._histogram("flush_seconds", "Duration of one tick of the fan-out.", SECONDS)
        self._sheds = _Labelled(
            self._counter("sheds", "Projects shed at a full outbox, by policy.", "policy")
        )
        self._lag = self._histogram(
            "lag_messages", "Messages a subscriber had missed when the hub shed it.", MESSAGES
        )
        self._caught_up = _Labelled(
            self._counter("catch_ups", "Catch-ups of slow subscribers, by kind.", "kind")
        )
        self._queue = self._histogram(
            "queue_messages", "Messages in an outbox, observed when a message has to wait.", MESSAGES
        )
        self._stalled = self._counter(
            "stalled", "Connections aborted: the peer read nothing, or sent nothing."
        )
        self._closes = self._counter("closes", "WebSocket connections ended.", "dialect", "code")
        self._compressed = self._counter(
            "compressed_messages", "Messages compressed, each once for all its readers."
        )
        self._compressed_from = self._counter(
            "compressed_bytes_before", "Bytes of compressed messages before compression."
        )
        self._compressed_to = self._counter(
            "compressed_bytes_after", "Bytes of compressed messages after compression."
        )

    def flushed(self, deliveries: int, size: int, seconds: float) -> None:
        """Count one tick of the fan-out: messages and bytes over all subscribers."""
        self._deliveries.inc(deliveries)
        self._delivered_bytes.inc(size)
        self._flush.observe(seconds)

    def compressed(self, before: int, after: int) -> None:
        """Count a message that was compressed from `before` to `after` bytes, for all its readers."""
        self._compressed.inc()
        self._compressed_from.inc(before)
        self._compressed_to.inc(after)

    def shed(self, policy: str, missed: int) -> None:
        """Count a shed project at a subscriber's full outbox; `missed`: the messages it had missed."""
        self._sheds.inc(policy)
        self._lag.observe(missed)

    def caught_up(self, kind: str) -> None:
        """Count a catch-up: ``conflated``, ``state:<reason>`` or ``replay``."""
        self._caught_up.inc(kind)

    def queued(self, messages: int) -> None:
        """Observe the number of messages in an outbox in which a message has to wait."""
        self._queue.observe(messages)

    def stalled(self) -> None:
        """Count a connection that the hub aborted because the peer read nothing or sent nothing."""
        self._stalled.inc()

    def closed(self, dialect: str, code: int) -> None:
        """Count a WebSocket connection that ended with a close code (1006: without one)."""
        # A peer may send thousands of different codes, and Prometheus keeps every label value.
        self._closes.labels(dialect, str(code) if code in CODES else OTHER).inc()

    # --- prompts and commands ---------------------------------------------------------------------------

    def _define_interactions(self) -> None:
        self._opened = self._counter("matters_opened", "Prompts and commands opened.", "kind")
        self._settled = self._counter(
            "matters_settled", "Prompts and commands resolved, by outcome.", "kind", "how"
        )

    def opened(self, kind: str) -> None:
        """Count a new prompt or command."""
        self._opened.labels(kind).inc()

    def settled(self, kind: str, how: str) -> None:
        """Count a resolved prompt (``answered``, ``timeout``, ``cancelled``) or command (``done``,
        ``refused``, ``timeout``).
        """
        self._settled.labels(kind, how).inc()

    # --- the web server -------------------------------------------------------------------------------

    def _define_server(self) -> None:
        self._handshakes = _Labelled(
            self._counter("handshakes", "WebSocket handshakes by outcome.", "outcome")
        )
        self._connections_refused = _Labelled(
            self._counter("connections_refused", "Connections refused before a request was read.", "reason")
        )
        handshakes = self._counter("tls_handshakes", "TLS handshakes by outcome.", "outcome")
        self._tls_handshakes = _Labelled(handshakes)
        clients = self._counter(
            "tls_clients", "Connections that were asked for a client certificate.", "certificate"
        )
        self._tls_clients = _Labelled(clients)
        reloads = self._counter("tls_certificate_reloads", "Reloads of the certificate.", "outcome")
        self._certificate_reloads = _Labelled(reloads)
        self._certificate_end: Gauge | None = None
        self._http_stalled = self._counter("http_stalled", "HTTP responses aborted: the peer read nothing.")
        self._hooks = self._counter(
            "hook_questions", "Questions to the service that decides about access.", "hook", "outcome"
        )

    def asked(self, hook: str, outcome: str) -> None:
        """Count a question to the team's own service (``connect``, ``subscribe``, ``publish``, ``autogpt``):
        ``answered``, ``remembered``, ``failed``, or ``paused`` by the breaker.
        """
        self._hooks.labels(hook, outcome).inc()

    def handshake(self, outcome: str) -> None:
        """Count a request for a WebSocket by its outcome: ``accepted``, ``rejected`` (by the view),
        ``invalid``, ``timeout``, ``failed`` (the view raised) or ``lost`` (the peer disconnected).
        """
        self._handshakes.inc(outcome)

    def connection_refused(self, reason: str) -> None:
        """Count a connection that a limit refused before the server read a request: ``max_connections`` or
        ``max_connections_per_address``.
        """
        self._connections_refused.inc(reason)

    def tls_handshake(self, outcome: str) -> None:
        """Count a TLS handshake by its outcome: ``completed``, ``failed``, ``plain`` (the peer spoke HTTP
        without TLS), ``timeout``, ``lost`` (the peer disconnected), or ``no_tls``: this hub speaks no TLS.
        """
        self._tls_handshakes.inc(outcome)

    def tls_client(self, certificate: str) -> None:
        """Count a connection for which the hub asked for a client certificate: ``yes`` if it has one."""
        self._tls_clients.inc(certificate)

    def certificate_reloaded(self, outcome: str) -> None:
        """Count a reload of the certificate: ``done`` or ``failed``."""
        self._certificate_reloads.inc(outcome)

    def certificate_expires(self, moment: float) -> None:
        """Record when the certificate in force ends, in seconds since 1970. Without TLS: no sample."""
        if self._certificate_end is None:
            text = "When the certificate in force ends."
            name = "tasktree_tls_certificate_expires_timestamp_seconds"
            self._certificate_end = Gauge(name, text, registry=self.registry)
        self._certificate_end.set(moment)

    def response_stalled(self) -> None:
        """Count an HTTP response aborted because the peer read no byte of it for `stall_timeout`."""
        self._http_stalled.inc()

    # --- bridges ----------------------------------------------------------------------------------------

    def _define_bridges(self) -> None:
        self._bridge_up = Gauge(
            "tasktree_bridge_up",
            "1 while the hub is connected to the system.",
            ["system"],
            registry=self.registry,
        )
        self._bridge_messages = self._counter(
            "bridge_messages", "Messages from other systems.", "system", "kind"
        )

    def bridge_up(self, system: str, up: bool) -> None:
        """Record whether the hub is connected to a foreign system."""
        self._bridge_up.labels(system).set(up)

    def bridge_message(self, system: str, kind: str) -> None:
        """Count a message from a foreign system: ``event``, ``notification``, ``malformed`` or
        ``too_large``; ``not_kept`` counts a notification that the hub did not store.
        """
        self._bridge_messages.labels(system, kind).inc()

    # --- OpenTelemetry ----------------------------------------------------------------------------------

    def _define_otlp(self) -> None:
        self._otlp_taken = self._counter("otlp_members", "Spans and log records taken, by signal.", "signal")
        self._otlp_rejected = _Labelled(
            self._counter("otlp_rejected", "Spans and log records refused, by error code.", "code")
        )
        self._otlp_settled = self._counter("otlp_settled", "Nodes ended since their end was never reported.")

    def otlp_taken(self, signal: str, number: int) -> None:
        """Count members of a request by OpenTelemetry's protocol: ``spans`` or ``logs``."""
        self._otlp_taken.labels(signal).inc(number)

    def otlp_rejected(self, code: str, number: int) -> None:
        """Count spans or log records that the hub refused, by the error's code."""
        self._otlp_rejected.inc(code, number)

    def otlp_settled(self, number: int) -> None:
        """Count nodes that the hub ended since the end of their spans was never reported."""
        self._otlp_settled.inc(number)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tasktree_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"tasktree_{name}", text, buckets=buckets, registry=self.registry)
