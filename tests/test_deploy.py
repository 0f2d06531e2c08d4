"""The files of deploy/: what they name exists, and the tools they are for take them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests.proxies import DEPLOY, run, tool
from tests.server.process import HubProcess, hub_process

NAMES: Final = re.compile(r"\btasktree_[a-z_]+")


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
    site.write_text((DEPLOY / "caddy" / "Caddyfile").read_text().replace("/var/log/caddy", str(tmp_path)))
    command = (tool("caddy"), "validate", "--adapter", "caddyfile", "--config", str(site))
    run("env", f"HOME={tmp_path}", f"XDG_DATA_HOME={tmp_path}", f"XDG_CONFIG_HOME={tmp_path}", *command)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "tasktree-rt.service").read_text()
    unit = tmp_path / "tasktree-rt.service"
    unit.write_text(text.replace("/opt/tasktree-rt/bin/tasktree-rt", "/bin/true"))
    said = run(tool("systemd-analyze"), "verify", "--man=no", str(unit))
    assert "tasktree-rt.service" not in said, said


def test_the_image_is_made_of_files_that_there_are_and_settings_that_there_are() -> None:
    from tasktree_rt.cli.setting_options import OPTIONS
    from tasktree_rt.cli.settings_sources import PREFIX

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


def test_the_image_runs_without_root_and_has_nothing_that_builds() -> None:
    """A builder is not everywhere; what the last stage does is plain enough to read."""
    stages = re.split(r"(?m)^FROM ", (DEPLOY / "Dockerfile").read_text())
    last = stages[-1]
    assert len(stages) == 4
    assert re.search(r"(?m)^USER (\d+):(\d+)$", last) is not None
    assert re.findall(r"(?m)^(RUN|ADD|SHELL)\b", last) == []
    assert re.search(r"(?m)^HEALTHCHECK .*\n +CMD \[", last) is not None
    for line in re.findall(r"(?m)^(?:CMD|ENTRYPOINT) (.*)$", last):
        assert isinstance(json.loads(line), list)
    assert re.findall(r"(?m)^VOLUME (.*)$", last) == ["/data"]
    assert "--constraint constraints.txt" in stages[2]


def test_the_containers_file_system_is_read_only_and_it_has_no_rights() -> None:
    hub = (DEPLOY / "compose.yaml").read_text().partition("  redis:")[0]
    for line in ("read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"', 'volumes: ["hub:/data"]'):
        assert line in hub
