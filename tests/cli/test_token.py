"""The command ``tasktree-rt token``: what it mints the hub accepts, and no key is shown."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from tasktree_rt.cli.main import tasktree_rt

SECRET = "a secret of at least thirty-two bytes"
ENV = {"TASKTREE_RT_AUTH_SECRET": SECRET}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(*arguments: str, given: str = "", **env: str) -> Result:
    result = CliRunner().invoke(tasktree_rt, ["token", *arguments], input=given, env={**ENV, **env})
    assert SECRET not in result.output
    return result


def test_a_minted_token_is_explained_with_what_it_grants(folder: Path) -> None:
    minted = ran("mint", "ada", "--watch", "*", "--push", "build-*", "--push", "p", "--expires", "15m")
    assert minted.exit_code == 0, minted.output
    lines = ran("explain", given=minted.output).output.splitlines()
    assert lines[:2] == ["valid", "subject: ada"]
    assert {"watch: *", "history: *", "push: build-*, p", "answer: nothing", "admin: no"} <= set(lines)
    claims = jwt.decode(minted.output.strip(), SECRET, ["HS256"])
    assert claims["exp"] - claims["iat"] == 900
    assert len(claims["jti"]) == 16
    assert any(line.startswith("accepted until: 20") for line in lines)


@pytest.mark.parametrize(("given", "lives"), [("1h30m", 5_400), ("90", 90), ("1.5m", 90), ("2d", 172_800)])
def test_a_tokens_time_is_written_as_in_every_command(folder: Path, given: str, lives: int) -> None:
    claims = jwt.decode(ran("mint", "ada", "--expires", given).output.strip(), SECRET, ["HS256"])
    assert claims["exp"] - claims["iat"] == lives


def test_a_token_is_minted_as_the_settings_want_it(folder: Path) -> None:
    named = json.dumps([{"kid": "new", "secret": "n" * 40}, {"kid": "old", "secret": "o" * 40}])
    env = {
        "TASKTREE_RT_AUTH_SECRET": "",
        "TASKTREE_RT_AUTH_SECRETS": named,
        "TASKTREE_RT_AUTH_ISSUER": "me",
        "TASKTREE_RT_AUTH_AUDIENCE": "hub",
        "TASKTREE_RT_AUTH_CLAIM": "app.tasktree",
        "TASKTREE_RT_AUTH_CLAIM_NAMES": '{"watch": "read"}',
    }
    for kid in ("new", "old"):
        minted = ran("mint", "ada", "--watch", "p", "--kid", kid, **env).output.strip()
        assert jwt.get_unverified_header(minted)["kid"] == kid
        claims = jwt.decode(minted, kid[0] * 40, ["HS256"], audience="hub", issuer="me")
        assert claims["app"] == {"tasktree": {"read": ["p"]}}
        assert "watch: p" in ran("explain", given=minted, **env).output.splitlines()
    assert jwt.get_unverified_header(ran("mint", "ada", **env).output.strip())["kid"] == "new"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["mint", "ada", "--expires", "soon"],
            "--expires soon: expected a time like 30s, 15m, 1h30m or 7d, at least 1s",
        ),
        (
            ["mint", "ada", "--expires", "500ms"],
            "--expires 500ms: expected a time like 30s, 15m, 1h30m or 7d",
        ),
        (["mint", "ada", "--expires", "60d"], "--expires 60d: expected at most 2592000s (auth.max_lifetime)"),
        (["mint", "ada", "--watch", "a*b"], "--watch[0]: expected a project id"),
        (["mint", "ada", "--kid", "x"], "--kid x: no such secret; named secrets: none"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, arguments: list[str], told: str) -> None:
    result = ran(*arguments)
    assert result.exit_code != 0
    assert told in str(getattr(result.exception, "message", result.exception)) + result.output


def test_a_token_that_is_not_valid_says_why_and_exits_with_1(folder: Path) -> None:
    other = jwt.encode({"sub": "ada", "exp": 1}, SECRET, "HS256")
    for shown, told in ((other, "expired"), ("nonsense", "not valid"), ("", "a token is needed")):
        result = ran("explain", given=shown)
        assert result.exit_code == 1
        assert result.output.startswith("not valid: ")
        assert told in result.output


def test_without_a_secret_nothing_is_minted(folder: Path) -> None:
    result = ran("mint", "ada", TASKTREE_RT_AUTH_SECRET="")
    assert "auth.secret: expected a secret here" in result.output
