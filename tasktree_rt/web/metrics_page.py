"""Render the page ``/metrics``: Prometheus text format 0.0.4."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasktree_rt import __version__
from tasktree_rt.hub.hub import Hub
from tasktree_rt.metrics import Metrics


class MetricsPage:
    """The counted `Metrics`, and gauges read from the hub at each scrape."""

    def __init__(self, metrics: Metrics, hub: Hub) -> None:
        self._metrics = metrics
        self._gauges: Final = CollectorRegistry()
        self._gauges.register(_Gauges(hub))
        # Counted by the kernel, read at each scrape; only where there is /proc.
        self._gauges.register(ProcessCollector(registry=None))

    def text(self) -> bytes:
        """Return the page."""
        return generate_latest(self._metrics.registry) + generate_latest(self._gauges)


class _Gauges(Collector):
    """What a scrape reads from the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Yield the hub's numbers as they are now."""
        hub = self._hub
        found = hub.statistics()
        connections = GaugeMetricFamily("tasktree_connections", "Open connections.", labels=["dialect"])
        subscriptions = GaugeMetricFamily("tasktree_subscriptions", "Subscriptions.", labels=["dialect"])
        open_now, wanted = Tally[str](), Tally[str]()
        for one in hub.connections.values():
            open_now[one.dialect.name] += 1
            wanted[one.dialect.name] += len(hub.connections.topics_of(one))
        for dialect, number in open_now.items():
            connections.add_metric([dialect], number)
            subscriptions.add_metric([dialect], wanted[dialect])
        yield connections
        yield subscriptions
        waiting = GaugeMetricFamily("tasktree_matters_open", "Prompts and commands open.", labels=["kind"])
        for kind, number in Tally(one.interaction.kind for one in hub.registry).items():
            waiting.add_metric([kind], number)
        yield waiting
        for name, text, value in (
            ("projects", "Projects with a log.", hub.health.stored_projects),
            ("projects_loaded", "Projects in memory.", found.projects_loaded),
            ("projects_bytes", "Memory they hold, estimated.", found.projects_bytes),
            ("publishes_waiting", "Publishes accepted but not committed.", found.publishes_waiting),
            ("outbox_messages", "Messages waiting in all outboxes.", found.outbox_messages),
            ("outbox_bytes", "Their bytes.", found.outbox_bytes),
            ("lagging", "Connections that lag in some project.", found.lagging),
            ("store_failing", "1 while the store refuses.", float(found.store_error is not None)),
            ("draining", "1 while the hub stops.", float(found.draining)),
        ):
            yield GaugeMetricFamily(f"tasktree_{name}", text, value=value)
        build = GaugeMetricFamily(
            "tasktree_build_info", "The versions that run.", labels=["version", "python"]
        )
        build.add_metric([__version__, platform.python_version()], 1)
        yield build
        yield CounterMetricFamily(
            "tasktree_mirror_lost", "Changes not mirrored.", value=hub.write_behind.lost
        )
