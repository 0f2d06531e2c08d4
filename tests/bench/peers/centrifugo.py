"""Centrifugo on one core: history in memory, so that its watchers could resume, and its settings for speed.

It recommends the pool of write buffers where there are many connections; smaller buffers for reading cost it
less memory too. Without ``GOMAXPROCS=1`` its threads wait for each other on the core that all share.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

QUIET = "1h"


def main() -> None:
    """Start the program named on the command line as a child and say where it listens."""
    folder = Path(os.environ["BENCH_FOLDER"])
    port = int(os.environ.get("BENCH_PORT", "0"))
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
    config = folder / "centrifugo.json"
    config.write_text(json.dumps(settings(port)), encoding="utf-8")
    with subprocess.Popen(
        [sys.argv[1], "--config", str(config)],
        env=os.environ | {"GOMAXPROCS": "1"},
        stdout=sys.stderr,
    ) as server:
        while server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                print("ready", port, flush=True)
                break
        server.wait()


def settings(port: int) -> dict[str, object]:
    """Its configuration: anybody may connect, watch and publish; no pings, as of every peer."""
    compression = {"compression": True, "compression_min_size": 1024} if "deflate" in sys.argv else {}
    buffers = {"use_write_buffer_pool": True, "read_buffer_size": 512, "write_buffer_size": 512}
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "client": {
            "allowed_origins": [],
            "allow_anonymous_connect_without_token": True,
            "ping_interval": QUIET,
        },
        "channel": {
            "without_namespace": {
                "history_size": 5000,
                "history_ttl": "10m",
                "force_recovery": True,
                "allow_subscribe_for_anonymous": True,
                "allow_publish_for_anonymous": True,
                "allow_subscribe_for_client": True,
                "allow_publish_for_client": True,
            }
        },
        "websocket": {**buffers, **compression},
    }


main()
