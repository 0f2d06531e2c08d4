"""Ours: the whole product, SQLite with synchronous=FULL.

Settings are the defaults, the log's too, but for pings and heartbeats, which no peer has, the bounds on
connections and rates, and that the hub sends an execution's status with every change.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trio

from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.composition.compose import Running, run_hub
from tasktree_rt.settings import NO_RATES, Compression, Delivery, Execution, Limits, Logging, Settings

QUIET = 3_600.0


def main() -> None:
    """Serve and say where."""
    configure_logging(Logging())

    def started(running: Running) -> None:
        print("ready", running.address.rpartition(":")[2], flush=True)

    with ExitStack() as stack:
        folder = os.environ.get("BENCH_FOLDER") or stack.enter_context(tempfile.TemporaryDirectory())
        least = os.environ.get("BENCH_MIN_SIZE")
        compression = Compression() if least is None else Compression(min_size=int(least))
        settings = Settings(
            bind=f"127.0.0.1:{os.environ.get('BENCH_PORT', '0')}",
            store=f"sqlite:{Path(folder) / 'hub.db'}",
            limits=Limits(
                max_connections=30_000,
                max_connections_per_address=30_000,
                max_connections_per_subject=30_000,
                max_messages_per_second=1e6,
            ),
            rates=NO_RATES,
            compression=compression,
            execution=Execution(status_interval=0),
            delivery=Delivery(ping_interval=QUIET, heartbeat_interval=QUIET),
        )
        trio.run(lambda: run_hub(settings, shutdown=trio.Event(), started=started))


main()
