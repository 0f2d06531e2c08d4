"""The options about a command's token: which of them counts, and the file that is read again."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import trio
from click.testing import CliRunner

from tasktree_rt.cli.access import access, access_options
from tasktree_rt.cli.running import Failed
from tests.cli.processes import command
from tests.client.lifetimes import LASTS, Lifetimes, hub_of, renewed
from tests.web.realhub import node_update

SECRET = "hunter2"


def shown(*arguments: str, **env: str) -> str:
    """The token that a command would use, or its error."""

    @click.command()
    @access_options
    def show() -> None:
        try:
            token = access()["token"]
        except Failed as error:
            click.echo(f"failed: {error.format_message()}")
        else:
            click.echo((token() if callable(token) else token) or "")

    result = CliRunner().invoke(show, arguments, env={f"TASKTREE_RT_{name}": env[name] for name in env})
    assert result.exception is None, result.exception
    return result.output.strip()


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("of-the-file\n")
    return str(tmp_path / "token")


def test_flags_count_before_variables_and_the_token_before_the_file(file: str) -> None:
    assert shown() == ""
    assert shown(TOKEN="", TOKEN_FILE="") == ""
    assert shown(TOKEN="t") == "t"
    assert shown(TOKEN_FILE=file) == "of-the-file"
    assert shown(TOKEN="t", TOKEN_FILE=file) == "t"
    assert shown("--token-file", file, TOKEN="t") == "of-the-file"
    assert shown("--token", "u", TOKEN="t", TOKEN_FILE=file) == "u"


def test_what_cannot_be_used_is_said_without_the_token(file: str, tmp_path: Path) -> None:
    assert shown("--token", "t", "--token-file", file).startswith("failed: --token: expected no --token-file")
    for wrong in (f"{SECRET} two", f"{SECRET}é"):
        assert shown("--token", wrong) == "failed: --token: expected a string of visible ASCII characters"
        Path(file).write_text(wrong, encoding="utf-8")
        found = shown("--token-file", file)
        assert "ASCII" in found
        assert SECRET not in found
    Path(file).write_text(" \n")
    assert shown("--token-file", file) == f"failed: --token-file: no token: {file}: the file is empty"
    missing = str(tmp_path / "missing")
    assert shown("--token-file", missing).endswith(f"{missing}: No such file or directory")


@pytest.mark.parametrize("warning", [LASTS / 2, 0.0])
async def test_a_command_goes_on_with_the_token_that_replaces_the_first(
    tmp_path: Path, warning: float
) -> None:
    tokens, file = Lifetimes(), tmp_path / "token"
    async with hub_of(tokens, warning=warning) as running:
        file.write_text(tokens.token())
        watching = ("watch", "p", "--json", "--hub", running.url, "--token-file", str(file))
        async with command(tmp_path, *watching, "--since", ":0") as watch:
            await running.publish("p", node_update("first"))
            await watch.line("first")
            tokens.past += LASTS - 1
            file.write_text(tokens.token())
            tokens.pass_time(0.0 if warning else 2.0)
            await renewed(running, 1)
            await running.publish("p", node_update("second"))
            await watch.line("second")
            with trio.fail_after(60):
                while len(running.hub.connections) != 1:
                    await trio.testing.wait_all_tasks_blocked(0.001)
