from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typed_settings.cls_utils import deep_options

from tasktree_rt.cli import settings_file
from tasktree_rt.cli.setting_options import BY_PATH, OPTIONS, is_secret
from tasktree_rt.cli.settings_sources import Flag, Loaded, assignment, load
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings

Load = Callable[..., Loaded]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    file = tmp_path / "tasktree-rt.toml"

    def do(
        text: str | bytes = "", environ: dict[str, str] | None = None, flags: tuple[Flag, ...] = ()
    ) -> Loaded:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(flags, config=file, environ=environ or {})

    return do


def refusal(load_text: Load, *args: object, **kwargs: object) -> str:
    with pytest.raises(SettingsError) as refused:
        load_text(*args, **kwargs)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_the_names_of_aiecs_own_variables_are_understood_and_the_hubs_own_win(load_text: Load) -> None:
    given = {
        "WEBSOCKET_HOST": "::1",
        "WEBSOCKET_PORT": "8765",
        "WEBSOCKET_MAX_CONNECTIONS": "7",
        "WEBSOCKET_PING_INTERVAL": "20",
        "WEBSOCKET_PING_TIMEOUT": "5",
        "WEBSOCKET_CALLBACK_TIMEOUT": "60",
    }
    found = load_text(environ=given).settings.aiecs
    assert (found.host, found.port, found.max_connections) == ("::1", 8765, 7)
    assert (found.ping_interval, found.ping_timeout, found.callback_timeout) == (20.0, 5.0, 60.0)
    own = {"TASKTREE_RT_AIECS_PORT": "9000"}
    assert load_text(environ={**given, **own}).settings.aiecs.port == 9000
    assert "WEBSOCKET_PORT" in refusal(load_text, environ={"WEBSOCKET_PORT": "many"})


def test_without_any_source_everything_is_default(load_text: Load) -> None:
    loaded = load_text()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(BY_PATH)


def test_flags_win_over_the_environment_and_that_over_the_file(load_text: Load, tmp_path: Path) -> None:
    text = (
        '[tasktree-rt]\nbind = "127.0.0.1:1"\ndocs = false\n'
        "[tasktree-rt.limits]\nmax_nodes = 1\nmax_projects = 1\n"
    )
    environ = {"TASKTREE_RT_LIMITS_MAX_NODES": "2", "TASKTREE_RT_BIND": "127.0.0.1:2"}
    loaded = load_text(text, environ, (Flag("--bind", "bind", "127.0.0.1:3"),))
    assert (loaded.settings.bind, loaded.origins["bind"]) == ("127.0.0.1:3", "--bind")
    assert loaded.settings.limits.max_nodes == 2
    assert loaded.origins["limits.max_nodes"] == "TASKTREE_RT_LIMITS_MAX_NODES"
    assert (loaded.settings.docs, loaded.settings.limits.max_projects) == (False, 1)
    assert (
        loaded.origins["docs"] == loaded.origins["limits.max_projects"] == str(tmp_path / "tasktree-rt.toml")
    )
    assert loaded.origins["metrics"] == "default"


def test_of_two_flags_for_one_setting_the_later_wins(load_text: Load) -> None:
    flags = (assignment("limits.max_nodes=5"), assignment("limits.max_nodes=6"))
    assert load_text(flags=flags).settings.limits.max_nodes == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tasktree_rt]\nbind = 'x'", "tasktree_rt: unknown; settings stand in the section [tasktree-rt]"),
        ("[tasktree-rt]\n[other]", "other: unknown; settings stand in the section [tasktree-rt]"),
        ("bind = '127.0.0.1:1'", "bind: unknown; settings stand in the section [tasktree-rt]"),
        ("tasktree-rt = 5", "tasktree-rt: expected a section, got 5"),
        ("[[tasktree-rt]]", "tasktree-rt: expected a section, got "),
        ("[tasktree-rt]\nbnd = 5", "tasktree-rt.bnd: unknown setting; did you mean bind?"),
        (
            "[tasktree-rt]\ncors-origins = []",
            "tasktree-rt.cors-origins: unknown setting; did you mean cors_origins?",
        ),
        ("[tasktree-rt.limit]\nmax_nodes = 5", "tasktree-rt.limit: unknown setting; did you mean limits?"),
        (
            "[tasktree-rt.limits]\nmax_node = 5",
            "tasktree-rt.limits.max_node: unknown setting; did you mean max_nodes?",
        ),
        ("[tasktree-rt]\nlimits = 5", "tasktree-rt.limits: expected a section, got 5"),
        ("[tasktree-rt.bind]\nx = 5", "tasktree-rt.bind: expected a string"),
        (
            "[tasktree-rt.limits]\nmax_nodes = '5'",
            'tasktree-rt.limits.max_nodes: expected a whole number of at least 1, got "5"',
        ),
        (
            "[tasktree-rt.drain]\ntimeout = nan",
            "tasktree-rt.drain.timeout: expected a number above 0, got nan",
        ),
        (
            "[tasktree-rt]\nserver_names = 'a'",
            'tasktree-rt.server_names: expected an array of strings, got "a"',
        ),
        ("[tasktree-rt]\nserver_names = [5]", "tasktree-rt.server_names: expected a host name"),
        ("[tasktree-rt.delivery]\noutbox_bytes = 4096", "delivery.outbox_bytes: expected at least twice"),
        (
            "[tasktree-rt.limits]\nmax_message_size = 9000000",
            "delivery.outbox_bytes: expected at least twice",
        ),
        ("[tasktree-rt]\nbind = '0.0.0.0:1'", 'bind: "0.0.0.0:1" can be reached from other machines'),
        ("x = [", "Invalid value"),
        (b"\xff", "'utf-8' codec can't decode"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_file_and_key(
    load_text: Load, tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert refusal(load_text, text).startswith(f"{tmp_path / 'tasktree-rt.toml'}: {told}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TASKTREE_RT_LIMITS_MAX_NODES", "5x", 'expected a whole number of at least 1, got "5x"'),
        ("TASKTREE_RT_LIMITS_MAX_NODES", "", 'expected a whole number of at least 1, got ""'),
        ("TASKTREE_RT_DRAIN_TIMEOUT", "inf", "expected a number above 0, got inf"),
        ("TASKTREE_RT_INSECURE", "maybe", 'expected true or false, got "maybe"'),
        (
            "TASKTREE_RT_CORS_ORIGINS",
            "http://a,b",
            'expected an origin without a path, as in https://board.example.org, got "b"',
        ),
        ("TASKTREE_RT_LIMIT_MAX_NODES", "5", "unknown variable; did you mean TASKTREE_RT_LIMITS_MAX_NODES?"),
        ("TASKTREE_RT_", "5", "unknown variable"),
        ("TASKTREE_RT_BIND", "0.0.0.0:1", 'bind: "0.0.0.0:1" can be reached from other machines'),
        ("TASKTREE_RT_AUTH_SECRET", "hunter2", "expected at least 32 bytes, got 7"),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_with_the_variable(
    load_text: Load, name: str, value: str, told: str
) -> None:
    text = refusal(load_text, environ={name: value})
    assert text.startswith(f"{name}: {told}")
    assert "hunter2" not in text


def test_the_environment_speaks_for_every_kind_of_setting(load_text: Load) -> None:
    environ = {
        "TASKTREE_RT_INSECURE": "Yes",
        "TASKTREE_RT_METRICS": "0",
        "TASKTREE_RT_DRAIN_WINDOW": "2.5",
        "TASKTREE_RT_LIMITS_MAX_UNACKED": "1_000",
        "TASKTREE_RT_SERVER_NAMES": "a.example, B.example:80,",
        "TASKTREE_RT_AUTH_SECRET": "s" * 40,
        "OTHER": "x",
        "TASKTREE_RT_TOKEN": "for the client",
        "TASKTREE_RT_SPOOL": "/of/a/backend",
    }
    settings = load_text(environ=environ).settings
    assert (settings.insecure, settings.metrics) == (True, False)
    assert (settings.drain.window, settings.limits.max_unacked) == (2.5, 1000)
    assert settings.server_names == ("a.example", "b.example:80")
    assert settings.auth.secret == "s" * 40


def test_the_settings_are_those_that_typed_settings_finds() -> None:
    wanted = [replace(one, metadata={}) for one in deep_options(Settings)]
    assert list(OPTIONS) == wanted


def test_no_two_settings_share_a_variable() -> None:
    assert len({option.path.replace(".", "_").upper() for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits.max_nodes", "--set limits.max_nodes: expected SETTING=VALUE"),
        ("limits.max_node=5", "--set limits.max_node: unknown setting; did you mean limits.max_nodes?"),
        ("limits.max_nodes=x", '--set limits.max_nodes: expected a whole number of at least 1, got "x"'),
        (
            "auth.secret=hunter2",
            "--set auth.secret: a secret; give it in the file or as TASKTREE_RT_AUTH_SECRET",
        ),
    ],
)
def test_what_is_wrong_in_an_assignment_is_told_with_it(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        assignment(text)
    assert str(refused.value).startswith(told)
    assert "hunter2" not in str(refused.value)


def test_the_address_and_the_word_insecure_may_come_from_different_sources(load_text: Load) -> None:
    loaded = load_text("[tasktree-rt]\nbind = '0.0.0.0:1'", {"TASKTREE_RT_INSECURE": "true"})
    assert loaded.settings.insecure


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: no such file"):
        load(config=tmp_path / "none.toml", environ={})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"[Ii]s a directory"):
        load(config=tmp_path, environ={})


def test_the_current_folders_file_comes_before_the_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, port in ((here, 1), (there, 2)):
        folder.mkdir()
        (folder / "tasktree-rt.toml").write_text(f"[tasktree-rt]\nbind = '127.0.0.1:{port}'")
    monkeypatch.chdir(here)
    monkeypatch.setattr(settings_file, "user_config_path", lambda name: there)
    assert load(environ={}).settings.bind == "127.0.0.1:1"
    (here / "tasktree-rt.toml").unlink()
    assert load(environ={}).settings.bind == "127.0.0.1:2"
    (there / "tasktree-rt.toml").unlink()
    assert load(environ={}).file is None


def test_a_stores_path_in_a_file_is_relative_to_that_file(load_text: Load, tmp_path: Path) -> None:
    assert (
        load_text("[tasktree-rt]\nstore = 'sqlite:x/hub.db'").settings.store == f"sqlite:{tmp_path}/x/hub.db"
    )
    assert load_text("[tasktree-rt]\nstore = 'sqlite:/x/hub.db'").settings.store == "sqlite:/x/hub.db"
    assert load_text("[tasktree-rt]\nstore = 'sqlite:~/hub.db'").settings.store == "sqlite:~/hub.db"
    assert load_text("[tasktree-rt]\nstore = 'memory:'").settings.store == "memory:"
    assert load_text(environ={"TASKTREE_RT_STORE": "sqlite:hub.db"}).settings.store == "sqlite:hub.db"


def test_a_file_of_secrets_in_a_file_is_relative_to_that_file(load_text: Load, tmp_path: Path) -> None:
    found = load_text("[tasktree-rt.auth]\nsecret_file = 'secrets'").settings.auth
    assert found.secret_file == f"{tmp_path}/secrets"


def test_every_path_of_keys_in_a_file_is_relative_to_that_file(load_text: Load, tmp_path: Path) -> None:
    found = load_text(
        "[tasktree-rt.auth]\n"
        "public_keys = ['a.pem', '/b.pem', '~/c.pem']\n"
        "jwks = 'keys.json'\nissuer = 'i'\naudience = 'a'\n"
        f"secrets = [{{kid = 'f', file = 's'}}, {{kid = 's', secret = '{'x' * 40}'}}]"
    ).settings.auth
    assert found.public_keys == (f"{tmp_path}/a.pem", "/b.pem", "~/c.pem")
    assert found.jwks == f"{tmp_path}/keys.json"
    assert [one.get("file") for one in found.secrets] == [f"{tmp_path}/s", None]
    url = "https://keys.example.org/jwks"
    text = f"[tasktree-rt.auth]\njwks = '{url}'\nissuer = 'i'\naudience = 'a'"
    assert load_text(text).settings.auth.jwks == url
    environ = {"TASKTREE_RT_AUTH_PUBLIC_KEYS": "a.pem"}
    assert load_text(environ=environ).settings.auth.public_keys == ("a.pem",)


@pytest.mark.parametrize("given", ["public_keys = [5]", "jwks = 5", "secrets = [5]", "public_keys = [[]]"])
def test_keys_that_are_no_paths_are_refused_by_their_names(load_text: Load, given: str) -> None:
    with pytest.raises(SettingsError, match=f"auth.{given.partition(' ')[0]}"):
        load_text(f"[tasktree-rt.auth]\n{given}")


def test_only_the_secrets_are_secret() -> None:
    assert [path for path in BY_PATH if is_secret(path)] == [
        "autogpt.redis_password",
        "redis.password",
        "auth.secret",
        "auth.secrets",
        "auth.hook_secret",
        "auth.subscription_secret",
    ]
