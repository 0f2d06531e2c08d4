"""The files of deploy/: what they name exists, and the tools they are for take them."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.secure import ClientStream
from tests.server.peers import node
from tests.server.process import HubProcess, hub_process
from tests.wsclient import WsClient, request_head

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
SITE: Final = (DEPLOY / "nginx" / "tasktree-rt.conf").read_text()
CADDY: Final = (DEPLOY / "caddy" / "Caddyfile").read_text()
PROXIES: Final = ("nginx", "caddy")
NAMES: Final = re.compile(r"\btasktree_[a-z_]+")
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


async def exported(hub: HubProcess) -> set[str]:
    """The names a hub's `/metrics` tells of, those without a sample yet included."""
    async with hub.http() as http:
        text = (await http.get("/metrics")).text
    names = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return names


@pytest.mark.parametrize("path", ["prometheus/alerts.yml", "grafana/tasktree-rt.json"])
async def test_every_metric_that_is_named_is_one_that_a_hub_exports(tmp_path: Path, path: str) -> None:
    text = (DEPLOY / path).read_text()
    asked = {name for name in NAMES.findall(text) if name != "tasktree_rt"}
    async with hub_process(tmp_path) as hub:
        assert asked
        assert asked - await exported(hub) == set()


def test_the_dashboard_has_no_panel_twice_in_a_place() -> None:
    panels = json.loads((DEPLOY / "grafana" / "tasktree-rt.json").read_text())["panels"]
    assert len({(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels}) == len(panels)
    assert len({one["id"] for one in panels}) == len(panels)


def test_prometheus_takes_the_alerts() -> None:
    run(tool("promtool"), "check", "rules", str(DEPLOY / "prometheus" / "alerts.yml"))


def test_caddy_takes_the_site(tmp_path: Path) -> None:
    site = tmp_path / "Caddyfile"
    site.write_text((DEPLOY / "caddy" / "Caddyfile").read_text())
    command = (tool("caddy"), "validate", "--adapter", "caddyfile", "--config", str(site))
    run("env", f"HOME={tmp_path}", f"XDG_DATA_HOME={tmp_path}", f"XDG_CONFIG_HOME={tmp_path}", *command)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "tasktree-rt.service").read_text()
    unit = tmp_path / "tasktree-rt.service"
    unit.write_text(text.replace("/opt/tasktree-rt/bin/tasktree-rt", "/bin/true"))
    said = run(tool("systemd-analyze"), "verify", "--man=no", str(unit))
    assert "tasktree-rt.service" not in said, said


def configured(folder: Path, upstream: str, port: int) -> Path:
    """A whole nginx around the site, which is as it is delivered but for the addresses and a rule of an
    operator's."""
    site = SITE.replace("127.0.0.1:8000", upstream).replace("listen 80;", f"listen 127.0.0.1:{port};")
    site = site.replace("    location / {", "    location = /metrics { return 403; }\n    location / {")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    )
    return file


def caddyfile(folder: Path, upstream: str, port: int) -> Path:
    """The site for Caddy, as it is delivered but for the addresses, without TLS."""
    site = CADDY.replace("127.0.0.1:8000", upstream)
    site = site.replace(f"{HOST} {{", f"http://{HOST}:{port} {{\n\tbind 127.0.0.1\n\trespond /metrics 403")
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n\tauto_https off\n\tgrace_period 100ms\n}}\n{site}")
    return file


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def started_by(proxy: str, folder: Path, upstream: str, port: int) -> list[str]:
    """The command that runs a real proxy in front of `upstream`, with its site's file in place."""
    if proxy == "caddy":
        file = str(caddyfile(folder, upstream, port))
        homes = [f"{name}={folder}" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
        return ["env", *homes, tool("caddy"), "run", "--adapter", "caddyfile", "--config", file]
    nginx, file = tool("nginx"), str(configured(folder, upstream, port))
    run(nginx, "-t", "-p", str(folder), "-c", file)
    return [nginx, "-p", str(folder), "-c", file]


@asynccontextmanager
async def proxied(folder: Path, upstream: str, proxy: str = "nginx") -> AsyncIterator[int]:
    """A real proxy in front of `upstream` (``host:port``), which keeps ``/metrics`` to itself; its port."""
    port = free_port()
    command = started_by(proxy, folder, upstream, port)
    process = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
    try:
        await listening(port, process)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int, process: trio.Process) -> None:
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
async def both(folder: Path, proxy: str) -> AsyncIterator[tuple[HubProcess, int]]:
    """A hub that has the site's name, and the port of the proxy in front of it."""
    async with (
        hub_process(folder, f"server_names={HOST}") as hub,
        proxied(folder, hub.authority, proxy) as port,
    ):
        yield hub, port


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_websocket_through_a_proxy_hears_what_is_published(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (hub, port), await WsClient.dial(port) as client:
        host = f"{HOST}:{port}"
        await client.raw(request_head("/ws/updates?project_id=p", [("Origin", f"http://{host}")], host=host))
        answer = await client.answer()
        assert answer.status == 101, answer
        await hub.post("p", node("p", "n1"))
        with trio.fail_after(PATIENCE):
            heard = json.loads((await client.recv()).data)
        assert (heard["project_id"], heard["data"]["node_id"]) == ("p", "n1")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_stream_of_events_through_a_proxy_is_not_held_back(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (hub, port), await WsClient.dial(port) as client:
        await client.raw(f"GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        heard = await until(client.stream, b"data: ", b"")
        assert heard.startswith(b"HTTP/1.1 200 "), heard
        await hub.post("p", node("p", "n1"))
        await until(client.stream, b'"n1"', heard)


def upgrade_to(protocol: str, port: int, path: str = "/healthz") -> bytes:
    asks = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{asks}Upgrade: {protocol}\r\n\r\n".encode()


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("protocol", ["h2c", "H2C", "websocket, h2c", "anything"])
async def test_no_upgrade_but_a_websockets_makes_a_tunnel_past_the_rules_of_a_proxy(
    tmp_path: Path, proxy: str, protocol: str
) -> None:
    async with both(tmp_path, proxy) as (_, port), await WsClient.dial(port) as client:
        await client.raw(upgrade_to(protocol, port))
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "healthy"})
        await client.raw(f"GET /metrics HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        assert (await client.answer()).status == 403


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(("protocol", "passed"), [("h2c", None), ("WebSocket", "websocket"), (None, None)])
async def test_a_proxy_asks_its_upstream_for_websockets_only(
    tmp_path: Path, proxy: str, protocol: str | None, passed: str | None
) -> None:
    """Whatever stands behind it: the upstream here writes down what it is asked."""
    heads: list[bytes] = []

    async def upstream(stream: trio.SocketStream) -> None:
        async with stream:
            heads.append(await until(stream, b"\r\n\r\n", b""))
            await stream.send_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, upstream, listeners)
        address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with proxied(tmp_path, address, proxy) as port, await WsClient.dial(port) as client:
            plain = f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
            await client.raw(upgrade_to(protocol, port) if protocol else plain)
            assert (await client.answer()).status == 204
        nursery.cancel_scope.cancel()
    asked = [line.lower() for line in heads[0].decode().splitlines() if line.lower().startswith("upgrade:")]
    assert asked == ([f"upgrade: {passed}"] if passed else [])


async def until(stream: ClientStream, wanted: bytes, heard: bytes) -> bytes:
    with trio.fail_after(PATIENCE):
        while wanted not in heard:
            more = await stream.receive_some()
            assert more, heard
            heard += more
    return heard


def test_the_image_is_made_of_files_that_there_are_and_settings_that_there_are() -> None:
    from tasktree_rt.cli.settings_sources import OPTIONS, PREFIX

    image, compose = (DEPLOY / "Dockerfile").read_text(), (DEPLOY / "compose.yaml").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", image, re.MULTILINE)
    sources = [name for line in copied for name in line.split()]
    assert len(sources) > 6
    for name in sources:
        assert (DEPLOY.parent / name).exists(), name
    known = {PREFIX + option.path.replace(".", "_").upper() for option in OPTIONS}
    for text in (image, compose):
        named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", text)) - {f"{PREFIX}NO_UI"}
        assert named
        assert named <= known
