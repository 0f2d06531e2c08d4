"""nginx with Nchan, one worker, messages in memory: a channel that WebSockets publish to and subscribe to."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """
load_module modules/ngx_nchan_module.so;
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
    nchan_shared_memory_size 256m;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /ws/updates {{
            nchan_subscriber websocket;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
            nchan_websocket_ping_interval 0;
        }}
        location = /ws/orchestrator {{
            nchan_publisher websocket;
            nchan_channel_id bench;
            nchan_message_buffer_length 5000;
            nchan_message_timeout 10m;
        }}
    }}
}}
"""


def main() -> None:
    """Start it as a child on a free port and say which."""
    folder = os.environ["BENCH_FOLDER"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = Path(folder) / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(user + CONFIG.format(folder=folder, port=port))
    with subprocess.Popen(
        ["nginx", "-p", "/usr/share/nginx", "-e", f"{folder}/error.log", "-c", str(config)]
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
