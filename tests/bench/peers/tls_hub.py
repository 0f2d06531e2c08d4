"""Ours with TLS: by itself (``own``), or behind nginx with the same certificate (``nginx``)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import trio

from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.composition.compose import Running, run_hub
from tasktree_rt.settings import NO_RATES, Delivery, Limits, Logging, Settings, Tls
from tests.certificates import Authority, Pair

QUIET = 3_600.0
CONFIG = """
worker_processes 1;
worker_rlimit_nofile 40000;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 32000; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass {hub};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


def main() -> None:
    """Serve and say where."""
    configure_logging(Logging())
    folder = Path(os.environ["BENCH_FOLDER"])
    pair = Authority(folder).issue()
    behind = sys.argv[1] == "nginx"
    settings = Settings(
        bind="127.0.0.1:0",
        store=f"sqlite:{folder / 'hub.db'}",
        limits=Limits(
            max_connections=30_000,
            max_connections_per_address=30_000,
            max_connections_per_subject=30_000,
            max_messages_per_second=1e6,
        ),
        rates=NO_RATES,
        delivery=Delivery(ping_interval=QUIET, heartbeat_interval=QUIET),
        tls=Tls() if behind else Tls(certfile=str(pair.cert), keyfile=str(pair.key)),
    )

    def started(running: Running) -> None:
        port = nginx(folder, pair, running.address) if behind else running.address.rpartition(":")[2]
        print("ready", port, flush=True)

    trio.run(lambda: run_hub(settings, shutdown=trio.Event(), started=started))


def nginx(folder: Path, pair: Pair, hub: str) -> int:
    """Start nginx as a child on a free port; return the port once it listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    config = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(
        user + CONFIG.format(folder=folder, port=port, cert=pair.cert, key=pair.key, hub=hub),
        encoding="utf-8",
    )
    subprocess.Popen(["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return port
        except ConnectionRefusedError:
            time.sleep(0.02)


main()
