"""The hub's Prometheus metrics, text format 0.0.4.

`Metrics` counts as things happen (`hub_meter`, `edge_meter`) and looks at the hub when it is scraped
(`text`). Children of labelled metrics are kept, since looking one up costs more than counting.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasktree_rt.core.closing import BY_CODE
from tasktree_rt.hub.hub import Hub

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
MESSAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
MAX_TYPES: Final = 64
OTHER: Final = "other"
CODES: Final = BY_CODE.keys() | {1003, 1005, 1006, 1008, 1010}
"""Close codes that get a label of their own: ours, and those of RFC 6455."""


class Metrics:
    """All of them, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hub_meter = HubMetrics(self.registry)
        self.edge_meter = EdgeMetrics(self.registry)
        self.bridge_meter = BridgeMetrics(self.registry)
        self._looking = False

    def text(self, hub: Hub) -> bytes:
        """What a scrape gets."""
        if not self._looking:
            self.registry.register(_Look(hub))
            self._looking = True
        return generate_latest(self.registry)


class _Labelled:
    """A counter with one label whose children are kept; beyond `MAX_TYPES` values everything is "other"."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[str, Counter] = {}

    def inc(self, value: str, amount: float = 1) -> None:
        child = self._children.get(value)
        if child is None:
            name = value if len(self._children) < MAX_TYPES else OTHER
            child = self._counter.labels(name)
            if name == value:
                self._children[value] = child
        child.inc(amount)


class HubMetrics:
    """Implements `hub.meter.Meter`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tasktree_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"tasktree_{name}", text, buckets=buckets, registry=registry)

        self._events = _Labelled(counter("events", "Events accepted and committed.", "type"))
        self._event_bytes = counter("event_bytes", "Bytes of their bodies.")
        self._handling = histogram(
            "handling_seconds", "Receipt of a tick's oldest publish to its tick.", SECONDS
        )
        self._refused = _Labelled(counter("refusals", "Requests refused, by error code.", "code"))
        self._commits = histogram("commit_seconds", "One group commit.", SECONDS)
        self._commit_size = histogram("commit_publishes", "Publishes in one group commit.", MESSAGES)
        self._deliveries = counter("deliveries", "Messages offered to subscribers.")
        self._delivered_bytes = counter("delivered_bytes", "Bytes of event bodies offered to subscribers.")
        self._flush = histogram("flush_seconds", "One tick of the fan-out.", SECONDS)
        self._sheds = _Labelled(counter("sheds", "Projects shed at a full outbox, by policy.", "policy"))
        self._lag = histogram("lag_messages", "Messages a subscriber was behind when it was shed.", MESSAGES)
        self._caught_up = _Labelled(counter("catch_ups", "Laggards brought up to date, by how.", "kind"))
        self._queue = histogram("queue_messages", "Depth of an outbox after something had to wait.", MESSAGES)
        self._stalled = counter("stalled", "Connections aborted: nothing taken, or no sign of life.")
        self._closes = counter("closes", "WebSocket connections ended.", "dialect", "code")
        self._opened = counter("matters_opened", "Prompts and commands opened.", "kind")
        self._settled = counter("matters_settled", "Prompts and commands settled, by how.", "kind", "how")
        self._faults = _Labelled(counter("faults", "Faults of the hub's own, by place.", "where"))

    def published(self, types: Mapping[str, int], size: int, seconds: float) -> None:
        """See `hub.meter.Meter`."""
        for kind, number in types.items():
            self._events.inc(kind, number)
        self._event_bytes.inc(size)
        self._handling.observe(seconds)

    def refused(self, code: str) -> None:
        """See `hub.meter.Meter`."""
        self._refused.inc(code)

    def committed(self, publishes: int, seconds: float) -> None:
        """See `hub.meter.Meter`."""
        self._commits.observe(seconds)
        self._commit_size.observe(publishes)

    def flushed(self, deliveries: int, size: int, seconds: float) -> None:
        """See `hub.meter.Meter`."""
        self._deliveries.inc(deliveries)
        self._delivered_bytes.inc(size)
        self._flush.observe(seconds)

    def shed(self, policy: str, missed: int) -> None:
        """See `hub.meter.Meter`."""
        self._sheds.inc(policy)
        self._lag.observe(missed)

    def caught_up(self, kind: str, missed: int) -> None:
        """See `hub.meter.Meter`."""
        self._caught_up.inc(kind)

    def queued(self, messages: int) -> None:
        """See `hub.meter.Meter`."""
        self._queue.observe(messages)

    def stalled(self) -> None:
        """See `hub.meter.Meter`."""
        self._stalled.inc()

    def closed(self, dialect: str, code: int) -> None:
        """See `hub.meter.Meter`."""
        # A peer may name any of some thousands: each label is kept for ever.
        self._closes.labels(dialect, str(code) if code in CODES else OTHER).inc()

    def opened(self, kind: str) -> None:
        """See `hub.meter.Meter`."""
        self._opened.labels(kind).inc()

    def settled(self, kind: str, how: str) -> None:
        """See `hub.meter.Meter`."""
        self._settled.labels(kind, how).inc()

    def failed(self, where: str) -> None:
        """See `hub.meter.Meter`."""
        self._faults.inc(where)


class EdgeMetrics:
    """Implements `web.meter.Meter`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(f"tasktree_{name}", text, [label], registry=registry)

        self._handshakes = _Labelled(counter("handshakes", "WebSocket handshakes by outcome.", "outcome"))
        self._refused = _Labelled(counter("connections_refused", "Connections refused unseen.", "reason"))
        self._stalled = Counter(
            "tasktree_http_stalled", "HTTP responses aborted: the peer took nothing.", registry=registry
        )

    def handshake(self, outcome: str) -> None:
        """See `web.meter.Meter`."""
        self._handshakes.inc(outcome)

    def refused(self, reason: str) -> None:
        """See `web.meter.Meter`."""
        self._refused.inc(reason)

    def closed(self, code: int) -> None:
        """Counted by the hub, which knows the dialect."""

    def write_stalled(self) -> None:
        """See `web.meter.Meter`."""
        self._stalled.inc()


class BridgeMetrics:
    """Implements `bridges.meter.Meter`. Without a bridge there is nothing to see."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge("tasktree_bridge_up", "1 while it is listened to.", ["system"], registry=registry)
        self._messages = Counter(
            "tasktree_bridge_messages", "Messages from other systems.", ["system", "kind"], registry=registry
        )

    def up(self, name: str, up: bool) -> None:
        """See `bridges.meter.Meter`."""
        self._up.labels(name).set(up)

    def message(self, name: str, kind: str) -> None:
        """See `bridges.meter.Meter`."""
        self._messages.labels(name, kind).inc()


class _Look(Collector):
    """Gauges read from the hub at a scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """The hub as it is now."""
        hub = self._hub
        found = hub.statistics()
        connections = GaugeMetricFamily("tasktree_connections", "Open connections.", labels=["dialect"])
        subscriptions = GaugeMetricFamily("tasktree_subscriptions", "Subscriptions.", labels=["dialect"])
        open_now, wanted = Tally[str](), Tally[str]()
        for one in hub.connections.values():
            open_now[one.dialect.name] += 1
            wanted[one.dialect.name] += len(hub.topics_of(one))
        for dialect, number in open_now.items():
            connections.add_metric([dialect], number)
            subscriptions.add_metric([dialect], wanted[dialect])
        yield connections
        yield subscriptions
        waiting = GaugeMetricFamily("tasktree_matters_open", "Prompts and commands open.", labels=["kind"])
        for kind, number in Tally(one.matter.kind for one in hub.matters).items():
            waiting.add_metric([kind], number)
        yield waiting
        for name, text, value in (
            ("projects", "Projects with a log.", hub.stored_projects),
            ("projects_loaded", "Projects in memory.", found.projects_loaded),
            ("publishes_waiting", "Publishes accepted but not settled.", found.publishes_waiting),
            ("outbox_messages", "Messages waiting in all outboxes.", found.outbox_messages),
            ("outbox_bytes", "Their bytes.", found.outbox_bytes),
            ("lagging", "Connections that lag in some project.", found.lagging),
            ("store_failing", "1 while the store refuses.", float(found.store_error is not None)),
            ("draining", "1 while the hub stops.", float(found.draining)),
        ):
            yield GaugeMetricFamily(f"tasktree_{name}", text, value=value)
        yield CounterMetricFamily("tasktree_mirror_lost", "Changes not mirrored.", value=hub.mirror.lost)
