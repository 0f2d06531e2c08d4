"""Ours: the whole product, SQLite with synchronous=FULL, default settings."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import trio

from tasktree_rt.cli.compose import Running, run_hub
from tasktree_rt.cli.logs import configure_logging
from tasktree_rt.settings import Logging, Settings


def main() -> None:
    """Serve on a free port and say which."""
    configure_logging(Logging(level="error"))

    def started(running: Running) -> None:
        print("ready", running.address.rpartition(":")[2], flush=True)

    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        store = f"sqlite:{Path(folder) / 'hub.db'}"
        settings = Settings(bind="127.0.0.1:0", store=store)
        trio.run(lambda: run_hub(settings, shutdown=trio.Event(), started=started))


main()
