"""Redis with every command on disk before its answer: append-only file, ``appendfsync always``."""

from __future__ import annotations

import os
import socket
import subprocess
import time


def main() -> None:
    """Start it as a child on a free port and say which."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = f"--port {port} --bind 127.0.0.1 --appendonly yes --appendfsync always --daemonize no"
    folder = os.environ["BENCH_FOLDER"]
    with subprocess.Popen(
        ["redis-server", *options.split(), "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
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


main()
