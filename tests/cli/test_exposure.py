"""What ``tasktree-rt serve`` warns of at its start: real files, real processes, real users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.certificates import Authority
from tests.cli.forking import start
from tests.cli.processes import CODE, PATIENCE, environment

SECRET: Final = "a secret of at least thirty-two bytes, for tests"
_CAPS: Final = "+dac_read_search,+dac_override"
ANOTHER: Final = (
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    f"--inh-caps={_CAPS}",
    f"--ambient-caps={_CAPS}",
)
"""Run a command as another user, which may read this Python wherever it is."""


def started(
    folder: Path, text: str = "", *, mode: int = 0o600, before: Sequence[str] = (), **variables: str
) -> list[dict[str, Any]]:
    """The warnings of a hub with this settings file, from its start to its first connection."""
    file = folder / "tasktree-rt.toml"
    file.write_text(f"[tasktree-rt]\nbind = '127.0.0.1:0'\nstore = 'memory:'\n{text}\n")
    file.chmod(mode)
    arguments = ["serve", "--log-format", "json"]
    given = {**environment(folder), **variables}
    if before:
        line, error = _as_another(folder, [*before, sys.executable, "-c", CODE, *arguments], given)
    else:
        line, error = _forked(folder, arguments, given)
    assert "listening" in line, error
    assert SECRET not in error
    lines = [json.loads(one) for one in error.splitlines() if one.startswith("{")]
    return [one for one in lines if one["level"] == "warning"]


def of(found: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [one for one in found if one["event"] == event]


def _as_another(folder: Path, command: Sequence[str], env: Mapping[str, str]) -> tuple[str, str]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, cwd=folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        _, error = process.communicate(timeout=PATIENCE)
    return line, error


def _forked(folder: Path, arguments: Sequence[str], env: Mapping[str, str]) -> tuple[str, str]:
    log = folder / "stderr"
    reading, writing = os.pipe()
    with open(reading) as output:
        with log.open("wb") as errors, open(writing, "wb") as ours:
            process = start(CODE, *arguments, stdout=ours, stderr=errors, cwd=folder, env=env)
        line = output.readline()
        process.terminate()
        process.wait_blocking(PATIENCE)
    return line, log.read_text()


READ = "others can read the settings file"
SECRET_FILE = "others can read a secret"
SECRETS = f"[tasktree-rt.auth]\nsecret = '{SECRET}'"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_settings_file_with_a_secret_that_others_may_read_is_told_with_its_keys(
    tmp_path: Path, mode: int
) -> None:
    (warning,) = of(started(tmp_path, SECRETS, mode=mode), READ)
    assert warning["mode"] == f"{mode:04o}"
    assert warning["secrets"] == ["auth.secret"]
    assert warning["remedy"] == f"chmod 600 {tmp_path}/tasktree-rt.toml"


def test_a_settings_file_for_its_owner_only_or_without_secrets_is_not_told(tmp_path: Path) -> None:
    assert of(started(tmp_path, SECRETS, mode=0o600), READ) == []
    assert of(started(tmp_path, "insecure = true", mode=0o644), READ) == []


def test_a_secret_of_the_environment_makes_no_file_secret(tmp_path: Path) -> None:
    assert of(started(tmp_path, mode=0o644, TASKTREE_RT_AUTH_SECRET=SECRET), READ) == []


def test_files_with_a_secret_each_are_told_by_the_setting_that_names_them(tmp_path: Path) -> None:
    for name, mode in (("one", 0o644), ("two", 0o600), ("three", 0o440)):
        (tmp_path / name).write_text(SECRET)
        (tmp_path / name).chmod(mode)
    entries = ", ".join(f"{{kid = '{name}', file = '{tmp_path}/{name}'}}" for name in ("two", "three"))
    text = f"[tasktree-rt.auth]\nsecret_file = '{tmp_path}/one'\nsecrets = [{entries}]"
    found = of(started(tmp_path, text), SECRET_FILE)
    assert [(one["setting"], one["file"], one["mode"]) for one in found] == [
        ("auth.secret_file", f"{tmp_path}/one", "0644"),
        ("auth.secrets", f"{tmp_path}/three", "0440"),
    ]


def test_the_private_key_of_tls_is_a_secret_too(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue()
    pair.key.chmod(0o644)
    found = of(
        started(tmp_path, f"[tasktree-rt.tls]\ncertfile = '{pair.cert}'\nkeyfile = '{pair.key}'"), SECRET_FILE
    )
    assert [(one["setting"], one["mode"]) for one in found] == [("tls.keyfile", "0644")]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run as root and as another user")
def test_running_as_root_is_told_and_as_another_user_it_is_not(tmp_path: Path) -> None:
    (warning,) = of(started(tmp_path), "running as root")
    assert "a user of its own" in warning["remedy"]
    assert started(tmp_path, before=ANOTHER) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run as another user")
def test_a_folder_of_settings_that_this_user_may_not_search_is_one_line(tmp_path: Path) -> None:
    """As after `sudo -u`, where HOME is still another user's: the file there could have a secret."""
    unsearchable = tmp_path / "home"
    unsearchable.mkdir(mode=0o700)
    code = "import os; from tasktree_rt.cli.main import main; main(); "
    inner = f"import os, platformdirs, typed_settings, tasktree_rt.cli.serve; os.setuid(65534); {code}"
    given = {**environment(tmp_path), "XDG_CONFIG_HOME": str(unsearchable)}
    command = [sys.executable, "-c", inner, "serve", "--store", "memory:"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=given, cwd="/", timeout=PATIENCE
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert (
        f"{unsearchable}/tasktree-rt/tasktree-rt.toml: Permission denied; name a settings file" in done.stderr
    )
