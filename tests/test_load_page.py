"""docs/load-testing.md against the code, and the k6 script's syntax."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tasktree_rt.load.languages.base import METHODS
from tasktree_rt.load.plan import DIALECTS, NAMES, plan_fields, read_plan
from tasktree_rt.load.ready_plans import READY
from tasktree_rt.load.tally import LATENCIES
from tasktree_rt.load.thresholds import read_threshold

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "load-testing.md").read_text(encoding="utf-8")


def test_the_table_of_plans_has_every_field_once() -> None:
    table = PAGE.partition("| field | default | means |")[2].partition("\n\n")[0]
    named = [
        name
        for row in table.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    ]
    assert sorted(named) == sorted(NAMES)


def test_the_plan_of_the_page_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "mine.toml"
    file.write_text(block)
    assert read_plan(*plan_fields(str(file))).watchers == 500


def test_every_condition_of_the_page_can_be_read() -> None:
    conditions = re.findall(r'--fail-if "([^"]+)"', PAGE)
    assert len(conditions) >= 4
    for one in conditions:
        read_threshold(one)


def test_the_page_names_every_latency_dialect_and_ready_plan() -> None:
    for name in (*LATENCIES, *DIALECTS, *READY):
        assert f"`{name}`" in PAGE, name
    assert METHODS["position"] in PAGE


def test_the_k6_script_is_valid_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    script = tmp_path / "script.mjs"
    script.write_bytes((ROOT / "examples" / "k6_tasktree.js").read_bytes())
    subprocess.run([node, "--check", str(script)], check=True)
