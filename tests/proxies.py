"""Real proxies in front of a hub: nginx and Caddy with deploy/'s sites, changed in addresses and paths."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
from attrs import field, frozen

from tests.certificates import Authority
from tests.cli.processes import PATIENCE
from tests.server.process import HubProcess, hub_process
from tests.wsclient import WsClient

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
NGINX: Final = (DEPLOY / "nginx" / "tasktree-rt.conf").read_text()
CADDY: Final = (DEPLOY / "caddy" / "Caddyfile").read_text()
PROXIES: Final = ("nginx", "caddy")
HOST: Final = "hub.example.org"


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@frozen
class Site:
    """A proxy to start.

    Attributes:
        folder: for its files; its access log is ``folder/tasktree-rt.log``.
        upstream: ``host:port`` of the hub.
        tls: with a certificate of its own for `HOST`, issued by ``folder/authority.pem``.
        changes: texts of the site's file to replace, to make a test quick.
    """

    name: str
    folder: Path
    upstream: str
    tls: bool = False
    changes: dict[str, str] = field(factory=dict)

    def text(self, given: str) -> str:
        """The site's file with the addresses, paths and changes of this one."""
        text = given.replace("127.0.0.1:8000", self.upstream)
        for log in ("/var/log/nginx", "/var/log/caddy"):
            text = text.replace(log, str(self.folder))
        for old, new in self.changes.items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def nginx(self, port: int) -> Path:
        """A whole nginx around the site, with a rule of an operator's."""
        site = self.text(NGINX).replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        if self.tls:
            site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
            site = re.sub(r"/etc/letsencrypt/\S+/(fullchain|privkey)\.pem", f"{self.folder}/cert.pem", site)
        else:
            site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
            site = re.sub(r"(?m)^ +ssl_\w+ .*\n", "", site)
        site = site.replace("    location / {", "    location = /metrics { return 403; }\n    location / {")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        file = self.folder / "nginx.conf"
        file.write_text(
            f"daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
        )
        return file

    def caddy(self, port: int) -> Path:
        """The site for Caddy, with a rule of an operator's."""
        rules = "\tbind 127.0.0.1\n\trespond /metrics 403"
        rules += f"\n\ttls {self.folder}/cert.pem {self.folder}/cert.pem" if self.tls else ""
        scheme = "https" if self.tls else "http"
        site = self.text(CADDY).replace(f"{HOST} {{", f"{scheme}://{HOST}:{port} {{\n{rules}")
        file = self.folder / "Caddyfile"
        automatic = "disable_redirects" if self.tls else "off"
        file.write_text(f"{{\n\tadmin off\n\tauto_https {automatic}\n\tgrace_period 100ms\n}}\n{site}")
        return file

    def command(self, port: int) -> list[str]:
        """The command that runs it, with its files in place."""
        if self.tls:
            pair = Authority(self.folder).issue(names=[HOST])
            (self.folder / "cert.pem").write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())
        if self.name == "caddy":
            file = str(self.caddy(port))
            homes = [f"{name}={self.folder}" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
            return ["env", *homes, tool("caddy"), "run", "--adapter", "caddyfile", "--config", file]
        nginx, file = tool("nginx"), str(self.nginx(port))
        run(nginx, "-t", "-p", str(self.folder), "-c", file)
        return [nginx, "-p", str(self.folder), "-c", file]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@asynccontextmanager
async def proxied(site: Site) -> AsyncIterator[int]:
    """Run the proxy, which keeps ``/metrics`` to itself; its port."""
    port = free_port()
    process = await trio.lowlevel.open_process(site.command(port), stderr=subprocess.DEVNULL)
    try:
        await listening(port, process)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int, process: trio.Process) -> None:
    """Wait until the process accepts connections at this port."""
    with trio.fail_after(PATIENCE):
        while True:
            assert process.poll() is None, "the proxy did not start"
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(0.02)
            else:
                return


@asynccontextmanager
async def both(
    folder: Path, proxy: str, *settings: str, tls: bool = False, **changes: dict[str, str]
) -> AsyncIterator[tuple[HubProcess, int]]:
    """A hub that has the site's name, and the port of the proxy in front of it."""
    async with hub_process(folder, f"server_names={HOST}", *settings) as hub:
        site = Site(proxy, folder, hub.authority, tls=tls, changes=changes.get(proxy, {}))
        async with proxied(site) as port:
            yield hub, port


async def dial(port: int, *, source: str = "127.0.0.1", receive_buffer: int | None = None) -> WsClient:
    """Connect to the proxy from an address of this machine."""
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await sock.bind((source, 0))
    await sock.connect(("127.0.0.1", port))
    return WsClient(trio.SocketStream(sock))


async def dial_tls(port: int, folder: Path) -> WsClient:
    """Connect to a proxy with `Site.tls`, and trust the authority in its folder only."""
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    plain = await trio.open_tcp_stream("127.0.0.1", port)
    stream = trio.SSLStream(plain, context, server_hostname=HOST, https_compatible=True)
    await stream.do_handshake()
    return WsClient(stream)
