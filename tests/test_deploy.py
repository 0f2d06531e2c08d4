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
from tests.server.peers import node
from tests.server.process import HubProcess, hub_process
from tests.wsclient import WsClient, request_head

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
SITE: Final = (DEPLOY / "nginx" / "tasktree-rt.conf").read_text()
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


def configured(folder: Path, hub: HubProcess, port: int) -> Path:
    """A whole nginx around the site, which is as it is delivered but for the addresses."""
    site = SITE.replace("127.0.0.1:8000", hub.authority).replace("listen 80;", f"listen 127.0.0.1:{port};")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    )
    return file


@asynccontextmanager
async def proxied(folder: Path, hub: HubProcess) -> AsyncIterator[int]:
    """A real nginx in front of the hub; its port."""
    nginx = tool("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    file = str(configured(folder, hub, port))
    run(nginx, "-t", "-p", str(folder), "-c", file)
    process = await trio.lowlevel.open_process([nginx, "-p", str(folder), "-c", file])
    try:
        await listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int) -> None:
    with trio.fail_after(PATIENCE):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(0.02)
            else:
                return


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[HubProcess, int]]:
    """A hub that has the site's name, and the port of the nginx in front of it."""
    async with hub_process(folder, f"server_names={HOST}") as hub, proxied(folder, hub) as port:
        yield hub, port


async def test_a_websocket_through_nginx_hears_what_is_published(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, port), await WsClient.dial(port) as client:
        await client.raw(request_head("/ws/updates?project_id=p", [("Origin", f"http://{HOST}")], host=HOST))
        answer = await client.answer()
        assert answer.status == 101, answer
        await hub.post("p", node("p", "n1"))
        with trio.fail_after(PATIENCE):
            heard = json.loads((await client.recv()).data)
        assert (heard["project_id"], heard["data"]["node_id"]) == ("p", "n1")


async def test_a_stream_of_events_through_nginx_is_not_held_back(tmp_path: Path) -> None:
    async with both(tmp_path) as (hub, port), await WsClient.dial(port) as client:
        await client.raw(f"GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        heard = await until(client.stream, b"data: ", b"")
        assert heard.startswith(b"HTTP/1.1 200 "), heard
        await hub.post("p", node("p", "n1"))
        await until(client.stream, b'"n1"', heard)


async def until(stream: trio.SocketStream, wanted: bytes, heard: bytes) -> bytes:
    with trio.fail_after(PATIENCE):
        while wanted not in heard:
            more = await stream.receive_some()
            assert more, heard
            heard += more
    return heard


def test_the_image_is_made_of_files_that_there_are_and_settings_that_there_are() -> None:
    from tasktree_rt.cli.sources import OPTIONS, PREFIX

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
