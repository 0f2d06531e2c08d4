import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tasktree_rt import __version__
from tasktree_rt.cli.main import COMMANDS, main, tasktree_rt
from tasktree_rt.cli.running import CRASHED, UNUSABLE, Failed, give_up
from tasktree_rt.cli.setting_options import BY_PATH
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.errors import SettingsError, StoreUnusable


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return CliRunner()


def ran(runner: CliRunner, *arguments: str, env: dict[str, str] | None = None) -> Result:
    return runner.invoke(tasktree_rt, arguments, env=env)


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_every_command_has_help_with_an_example(invoke: CliRunner, name: str | None) -> None:
    result = ran(invoke, *filter(None, [name]), "--help")
    assert result.exit_code == 0
    assert re.search(r"Examples?:", result.output)
    assert f"tasktree-rt {name or ''}".strip() in result.output


def test_the_version_is_told(invoke: CliRunner) -> None:
    assert ran(invoke, "--version").output == f"tasktree-rt, version {__version__}\n"


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("tasktree_rt.cli.main", {"trio", "tasktree_rt.settings"}),
        ("tasktree_rt.cli.serve", {"coredis", "httpx", "tasktree_rt.client"}),
        ("tasktree_rt.cli.push", {"coredis", "quart", "tasktree_rt.hub"}),
    ],
)
def test_a_command_imports_nothing_large_that_it_does_without(module: str, unneeded: set[str]) -> None:
    code = f"import {module}, sys; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert unneeded.isdisjoint(imported.split())


def test_an_unknown_command_is_exit_code_2(invoke: CliRunner) -> None:
    result = ran(invoke, "swerve")
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_settings_shows_values_and_where_they_came_from(invoke: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "tasktree-rt.toml").write_text("[tasktree-rt.keep]\nmax_events = 7\n")
    result = ran(invoke, "settings", "--set", "drain.timeout=3", env={"TASKTREE_RT_DOCS": "no"})
    lines = result.output.splitlines()
    assert f"keep.max_events = 7  # {tmp_path / 'tasktree-rt.toml'}" in lines
    assert "drain.timeout = 3.0  # --set drain.timeout" in lines
    assert "docs = false  # TASKTREE_RT_DOCS" in lines
    assert 'bind = "127.0.0.1:8000"  # default' in lines
    assert len(lines) == len(BY_PATH)


def test_settings_as_json_has_them_all(invoke: CliRunner) -> None:
    shown = json.loads(ran(invoke, "settings", "--json", "--bind", "127.0.0.1:9").output)
    assert set(shown) == set(BY_PATH)
    assert shown["bind"] == {"value": "127.0.0.1:9", "origin": "--bind"}
    assert shown["server_names"] == {"value": [], "origin": "default"}


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_settings_never_shows_the_secret(invoke: CliRunner, more: list[str]) -> None:
    secret = "correct horse battery staple and more"
    result = ran(invoke, "settings", *more, env={"TASKTREE_RT_AUTH_SECRET": secret})
    assert result.exit_code == 0
    assert "horse" not in result.output
    assert "********" in result.output
    assert "TASKTREE_RT_AUTH_SECRET" in result.output


def test_a_wrong_setting_is_one_line(invoke: CliRunner) -> None:
    result = ran(invoke, "settings", env={"TASKTREE_RT_NONSENSE": "1"})
    assert (result.exit_code, result.output) == (2, "tasktree-rt: TASKTREE_RT_NONSENSE: unknown variable\n")


def test_the_file_may_be_named_in_the_environment(invoke: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[tasktree-rt]\nmetrics = false\n")
    result = ran(invoke, "settings", env={"TASKTREE_RT_CONFIG": str(tmp_path / "other.toml")})
    assert f"metrics = false  # {tmp_path / 'other.toml'}" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["push", "not ok", "-"], "PROJECT: expected 1-128 characters"),
        (
            ["push", "p", "-", "--hub", "nowhere"],
            "--hub nowhere: expected an address like http://127.0.0.1:8000",
        ),
        (["watch", "p", "--since", "x"], "--since: expected"),
        (["demo", "--project", "not ok"], "PROJECT: expected 1-128 characters"),
    ],
)
def test_wrong_arguments_are_one_line(invoke: CliRunner, arguments: list[str], told: str) -> None:
    result = ran(invoke, *arguments)
    assert result.exit_code == 2
    assert result.output.startswith(f"tasktree-rt: {told}")
    assert result.output.count("\n") == 1


def test_a_known_fault_ends_a_command_with_one_line_however_deep_it_is() -> None:
    deep = ExceptionGroup("", [ExceptionGroup("", [StoreUnusable("x.db is\nforeign")])])
    with pytest.raises(Failed, match=r"x\.db is") as failed:
        give_up(deep)
    assert failed.value.exit_code == UNUSABLE


def test_a_fault_of_our_own_beside_it_is_never_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        give_up(ExceptionGroup("", [SettingsError("x"), KeyError("ours")]))
    assert left.value.code == CRASHED


def test_an_interrupt_is_an_interrupt() -> None:
    with pytest.raises(click.Abort):
        give_up(BaseExceptionGroup("", [KeyboardInterrupt()]))


def test_what_an_interruption_broke_off_is_no_error_of_its_own() -> None:
    with pytest.raises(click.Abort):
        give_up(BaseExceptionGroup("", [ConnectionEnded("closed here"), KeyboardInterrupt()]))
    with pytest.raises(Failed, match="two lines are lost"):
        give_up(BaseExceptionGroup("", [KeyboardInterrupt(), Failed("two lines are lost")]))


def test_the_script_exits_with_the_commands_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tasktree-rt", "settings", "--set", "nonsense"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert (
        capsys.readouterr().err
        == "tasktree-rt: --set nonsense: expected SETTING=VALUE, as in limits.max_nodes=5000\n"
    )
