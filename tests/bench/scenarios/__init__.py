"""What is measured, by name."""

from __future__ import annotations

from tests.bench.scenario import Scenario
from tests.bench.scenarios.among import AMONG
from tests.bench.scenarios.compressed import COMPRESSED
from tests.bench.scenarios.connections import CONNECTIONS
from tests.bench.scenarios.dialects import DIALECTS
from tests.bench.scenarios.fanout import BURST, CROWD, SINGLE
from tests.bench.scenarios.ingest import INGEST
from tests.bench.scenarios.latency import LATENCY
from tests.bench.scenarios.ready import READY
from tests.bench.scenarios.reconnect import RECONNECT
from tests.bench.scenarios.stalled import MEMORY, STALLED
from tests.bench.scenarios.tls import TLS
from tests.bench.scenarios.tree import TREE

SCENARIOS: dict[str, Scenario] = {
    one.name: one
    for one in (
        BURST,
        CROWD,
        SINGLE,
        DIALECTS,
        AMONG,
        STALLED,
        MEMORY,
        INGEST,
        COMPRESSED,
        LATENCY,
        CONNECTIONS,
        RECONNECT,
        TLS,
        TREE,
        READY,
    )
}
