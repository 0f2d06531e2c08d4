"""``tasktree-rt`` alone, ``init`` and ``check-config``, as processes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tasktree_rt.cli.greeting import greeting
from tasktree_rt.cli.init import meanings, settings_text
from tasktree_rt.cli.main import COMMANDS
from tasktree_rt.cli.setting_options import BY_PATH
from tests.cli.processes import PATIENCE, environment, finished


def named(text: str) -> list[str]:
    return re.findall(r"^  tasktree-rt (\S+)", text, re.MULTILINE)


async def test_the_bare_command_greets_with_three_commands_that_exist(tmp_path: Path) -> None:
    code, output, error = await finished(tmp_path)
    assert (code, error) == (0, "")
    assert len(named(output)) == 3
    assert set(named(output)) <= set(COMMANDS)
    assert "tasktree-rt --help" in output


def test_the_module_greets_as_the_command_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasktree_rt"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    assert done.stdout == greeting(hub=True) + "\n"


def test_without_the_hub_the_greeting_names_commands_that_need_none() -> None:
    text = greeting(hub=False)
    assert named(text) == ["watch", "push", "ask"]
    assert "pip install '.[hub]'" in text


async def test_init_writes_a_file_that_changes_nothing_and_keeps_what_exists(tmp_path: Path) -> None:
    file = tmp_path / "tasktree-rt.toml"
    code, output, _ = await finished(tmp_path, "init")
    assert (code, output) == (
        0,
        "tasktree-rt: wrote tasktree-rt.toml; next: tasktree-rt check-config tasktree-rt.toml\n",
    )
    assert file.stat().st_mode & 0o777 == 0o600
    code, output, _ = await finished(tmp_path, "check-config", "tasktree-rt.toml")
    assert (code, output) == (
        0,
        f"tasktree-rt: tasktree-rt.toml: valid; it sets 0 of {len(BY_PATH)} settings\n",
    )
    file.write_text("mine")
    code, _, error = await finished(tmp_path, "init")
    assert (code, error) == (
        2,
        "tasktree-rt: tasktree-rt.toml: exists already; it was not changed\n",
    )
    assert file.read_text() == "mine"


async def test_init_says_why_it_cannot_write(tmp_path: Path) -> None:
    code, _, error = await finished(tmp_path, "init", "nowhere/x.toml")
    assert (code, error) == (2, "tasktree-rt: nowhere/x.toml: No such file or directory\n")


async def test_every_setting_stands_in_the_file_with_its_default(tmp_path: Path) -> None:
    text = re.sub(r"^#(\w+ = )", r"\1", settings_text(), flags=re.MULTILINE)
    found = tomllib.loads(text)["tasktree-rt"]
    paths = {
        f"{name}.{inner}" if isinstance(value, dict) and f"{name}.{inner}" in BY_PATH else name
        for name, value in found.items()
        for inner in (value if isinstance(value, dict) and value else [""])
    }
    assert paths == set(BY_PATH)
    file = tmp_path / "all.toml"
    file.write_text(text)
    code, output, error = await finished(tmp_path, "check-config", "all.toml")
    assert (code, error) == (0, "")
    assert f"sets {len(BY_PATH)} of {len(BY_PATH)}" in output


def test_every_setting_has_a_meaning() -> None:
    found = meanings()
    assert found.keys() == BY_PATH.keys()
    assert [path for path, meaning in found.items() if not meaning] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tasktree-rt.limits]\nmax_nodes = 0\n", "tasktree-rt.limits.max_nodes: expected a whole number"),
        ("[tasktree-rt]\nbimd = 'x'\n", "tasktree-rt.bimd: unknown setting; did you mean bind?"),
        ("[tasktree-rt]\nbind = '0.0.0.0:1'\n", 'bind: "0.0.0.0:1" can be reached from other machines'),
        ("bind = 1 = 2", "line 1"),
    ],
)
async def test_check_config_names_the_file_and_the_field(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    code, output, error = await finished(tmp_path, "check-config", "bad.toml")
    assert (code, output) == (2, "")
    assert error.startswith("tasktree-rt: bad.toml")
    assert told in error
    assert error.count("\n") == 1
