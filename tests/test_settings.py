from typing import Any

import attrs
import pytest

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import (
    Auth,
    AutoGpt,
    Delivery,
    Drain,
    Keep,
    Limits,
    Logging,
    Redis,
    Settings,
    UnfitSetting,
    is_loopback,
    parse_bind,
)

LONG_SECRET = "s" * 32


def test_the_defaults_are_valid() -> None:
    assert Settings().limits.max_message_size * 2 <= Settings().delivery.outbox_bytes


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Settings().bind = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "name", "value", "told"),
    [
        (Limits, "max_nodes", 0, "expected a whole number of at least 1, got 0"),
        (Limits, "max_nodes", "5", 'expected a whole number of at least 1, got "5"'),
        (Limits, "max_nodes", 5.0, "expected a whole number of at least 1, got 5.0"),
        (Limits, "max_nodes", True, "expected a whole number of at least 1, got true"),
        (Limits, "max_nodes", 2**53 + 1, "expected a whole number of at least 1"),
        (Limits, "max_message_size", 1023, "expected a whole number of at least 1024"),
        (Limits, "handshake_timeout", 0, "expected a number above 0, got 0"),
        (Limits, "handshake_timeout", float("nan"), "expected a number above 0, got nan"),
        (Limits, "handshake_timeout", float("inf"), "expected a number above 0, got inf"),
        (Delivery, "outbox_messages", 15, "expected a whole number of at least 16"),
        (Keep, "project_ttl", -1, "expected a number of at least 0, got -1"),
        (Drain, "timeout", "10", 'expected a number above 0, got "10"'),
        (Logging, "level", "INFO", 'expected "debug" or "info" or "warning" or "error", got "INFO"'),
        (Settings, "insecure", 1, "expected true or false, got 1"),
        (Settings, "lifecycle", "strict", 'expected "observe" or "enforce"'),
        (Settings, "store", "postgres:x", 'expected "sqlite:PATH", "memory:", "redis://HOST:PORT/DB"'),
        (Settings, "store", "redis://", 'expected "sqlite:PATH", "memory:", "redis://HOST:PORT/DB"'),
        (Settings, "store", "redis+sentinel://h:1", 'expected "sqlite:PATH", "memory:", "redis://'),
        (Settings, "store", "rediss://:x@h:1/0", "expected no password; set redis.password instead"),
        (Settings, "store", "redis+sentinel://u:x@h:1,i:2/s", "expected no password"),
        (Redis, "prefix", "a b", "expected at most 64 letters, digits and . _ -"),
        (Redis, "replicas", -1, "expected a whole number of at least 0"),
        (AutoGpt, "redis_url", "http://x", 'expected "redis://HOST:PORT/DB", "rediss://HOST:PORT/DB"'),
        (AutoGpt, "redis_url", "redis://", 'expected "redis://HOST:PORT/DB", "rediss://HOST:PORT/DB"'),
        (AutoGpt, "redis_url", "redis://:x@h:1", "expected no password; set autogpt.redis_password instead"),
        (AutoGpt, "redis_password", 5, "expected a string, got something else"),
        (AutoGpt, "mirror", "perhaps", 'expected "auto" or "on" or "off", got "perhaps"'),
        (AutoGpt, "api_url", "http://", 'expected "https://HOST/PATH", got "http://"'),
        (AutoGpt, "api_url", "redis://x", 'expected "https://HOST/PATH", got "redis://x"'),
        (AutoGpt, "api_url", "http://x/?a=b", 'expected "https://HOST/PATH"'),
        (AutoGpt, "inherit_window", -1, "expected a number of at least 0, got -1"),
        (AutoGpt, "jwks", "ftp://x/y", 'expected "https://HOST/PATH" or the path of a file'),
        (AutoGpt, "jwks", "https://", 'expected "https://HOST/PATH" or the path of a file'),
        (AutoGpt, "public_key", 5, "expected a string, got 5"),
        (AutoGpt, "max_event_size", 5, "expected a whole number of at least 1024, got 5"),
        (Settings, "store", "sqlite:", 'expected "sqlite:PATH"'),
        (Settings, "store", "sqlite:a\0b", 'expected "sqlite:PATH"'),
        (Settings, "limits", 5, "expected Limits"),
    ],
)
def test_a_value_out_of_bounds_or_of_the_wrong_type_is_refused_by_name(
    kind: type, name: str, value: object, told: str
) -> None:
    with pytest.raises(UnfitSetting) as refused:
        kind(**{name: value})
    assert str(refused.value).startswith(f"{name}: {told}")
    assert refused.value.fields == (name,)


@pytest.mark.parametrize(
    ("mirror", "secret", "mirrors"),
    [
        ("auto", "", True),
        ("auto", LONG_SECRET, False),
        (True, LONG_SECRET, True),
        ("on", LONG_SECRET, True),
        ("false", "", False),
        ("off", "", False),
    ],
)
def test_executions_are_mirrored_by_default_only_without_authentication(
    mirror: Any, secret: str, mirrors: bool
) -> None:
    assert Settings(autogpt=AutoGpt(mirror=mirror), auth=Auth(secret=secret)).mirrors_autogpt == mirrors


@pytest.mark.parametrize(
    "url", ["", "redis://h", "rediss://user@h:6379/1", "redis://[::1]:1/0", "unix:///run/r"]
)
def test_an_address_of_redis_is_taken(url: str) -> None:
    assert AutoGpt(redis_url=url).redis_url == url


@pytest.mark.parametrize(("name", "value"), [("project_ttl", 0), ("max_age", 1)])
def test_a_whole_number_is_a_number_too(name: str, value: int) -> None:
    assert getattr(Keep(**{name: value}), name) == value


def test_an_outbox_smaller_than_two_messages_is_refused() -> None:
    Settings(limits=Limits(max_message_size=1024), delivery=Delivery(outbox_bytes=2048))
    with pytest.raises(
        UnfitSetting, match=r"at least twice limits\.max_message_size \(1025\), got 2048"
    ) as refused:
        Settings(limits=Limits(max_message_size=1025), delivery=Delivery(outbox_bytes=2048))
    assert refused.value.fields == ("delivery.outbox_bytes", "limits.max_message_size")


@pytest.mark.parametrize("bind", ["0.0.0.0:8000", "[::]:8000", "192.168.1.5:80", "hub.example.org:443"])
def test_an_address_others_can_reach_needs_authentication_or_the_word_insecure(bind: str) -> None:
    with pytest.raises(UnfitSetting, match="can be reached from other machines"):
        Settings(bind=bind)
    Settings(bind=bind, insecure=True)
    Settings(bind=bind, auth=Auth(secret=LONG_SECRET))


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:0", "127.8.8.8:1", "[::1]:8000", "localhost:65535", "unix:/run/hub.sock"]
)
def test_an_address_of_this_machine_alone_needs_none(bind: str) -> None:
    assert Settings(bind=bind).bind == bind


@pytest.mark.parametrize(
    "bind",
    [
        "",
        "8000",
        ":8000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "::1:80",
        "[x]:1",
        "http://localhost:80",
        "a b:80",
        "127.0.0.1:8\N{ARABIC-INDIC DIGIT ZERO}",
        "unix:",
        "localhost :80",
    ],
)
def test_what_is_no_address_is_refused(bind: str) -> None:
    with pytest.raises(UnfitSetting) as refused:
        Settings(bind=bind, insecure=True)
    assert refused.value.fields == ("bind",)


def test_an_address_is_taken_apart() -> None:
    assert parse_bind("[::1]:80") == ("::1", 80)
    assert parse_bind("hub:0") == ("hub", 0)


def test_a_name_that_only_begins_like_loopback_is_not_believed() -> None:
    assert not is_loopback("localhost.evil.example")
    assert not is_loopback("127.0.0.1.evil.example")


def test_names_and_origins_compare_without_case() -> None:
    settings = Settings(server_names=("Hub.Example.ORG",), cors_origins=["HTTPS://Board.example"])
    assert settings.server_names == ("hub.example.org",)
    assert settings.cors_origins == ("https://board.example",)


@pytest.mark.parametrize(
    "good", ["https://a.example", "http://localhost:3000", "http://[::1]:80", "tauri://localhost"]
)
def test_an_origin_is_a_scheme_a_host_and_perhaps_a_port(good: str) -> None:
    assert Settings(cors_origins=(good,)).cors_origins == (good,)


@pytest.mark.parametrize(
    "bad",
    [
        "*",
        "null",
        "",
        "a.example",
        "https://a.example/",
        "https://a.example/x",
        "https://*.example",
        "https://u@a.example",
        "https://a.example?x",
        "https://a.example\n",
    ],
)
def test_anything_else_is_no_origin(bad: str) -> None:
    with pytest.raises(UnfitSetting, match="expected an origin without a path"):
        Settings(cors_origins=(bad,))


@pytest.mark.parametrize("bad", ["*", "", "http://a", "a/b", "a b", "-a", "a:port", "a.example\r\nX: y"])
def test_what_is_no_host_is_no_server_name(bad: str) -> None:
    with pytest.raises(UnfitSetting, match="expected a host name"):
        Settings(server_names=(bad,))


def test_one_string_is_no_array_of_strings() -> None:
    with pytest.raises(UnfitSetting, match="expected an array of strings"):
        Settings(server_names="hub")


@pytest.mark.parametrize("secret", ["hunter2", 12345, b"hunter2" * 9])
def test_a_refused_secret_is_not_shown(secret: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        Auth(secret=secret)
    assert "hunter2" not in str(refused.value)
    assert "12345" not in str(refused.value)


def test_a_secret_is_measured_in_bytes_and_never_in_the_repr() -> None:
    assert Auth(secret="é" * 16).on
    assert "é" not in repr(Settings(auth=Auth(secret="é" * 16)))
    with pytest.raises(UnfitSetting, match="at least 32 bytes, got 31"):
        Auth(secret="s" * 31)


PUBLIC = "https://id.example/keys"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"jwks": PUBLIC}, "auth.issuer: expected a value with auth.jwks"),
        ({"jwks": PUBLIC, "issuer": "x"}, "auth.audience: expected a value with auth.jwks"),
        ({"jwks": "https://ann:hunter2@id.example/keys"}, "jwks: expected a URL without a password"),
        ({"roles": {"a": {}}}, "auth.roles_claim: expected a claim's name with auth.roles"),
        ({"roles": {"a": {"watch": 5}}}, "roles: roles.a.watch: expected an array"),
        ({"claim_names": {"look": "x"}}, "claim_names: expected a table of names by watch"),
        ({"claim_names": {"watch": "push"}}, "claim_names: expected a different name for each verb"),
        ({"secrets": [{"kid": "a"}]}, "secrets[0]: expected a table with kid and secret, or kid and file"),
        (
            {"secrets": [{"kid": "a", "secret": "hunter2"}]},
            "secrets[0]: expected at least 32 bytes in secret",
        ),
        ({"secrets": [{"kid": "a", "file": "x"}] * 2}, "secrets: expected a different kid in each table"),
        ({"secrets": "hunter2"}, "secrets: expected an array of at most 64 tables"),
        ({"public_keys": "x"}, "public_keys: expected an array of at most 64 paths"),
        ({"leeway": 301.0}, "leeway: expected a number of at least 0 and at most 300"),
    ],
)
def test_keys_and_claims_that_do_not_fit_are_refused_without_a_secret(settings: Any, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Auth(**settings)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_each_kind_of_key_turns_authentication_on() -> None:
    assert not Auth().on
    for one in (
        Auth(secret=LONG_SECRET),
        Auth(secret_file="x"),
        Auth(secrets=({"kid": "a", "file": "x"},)),
        Auth(public_keys=("x",)),
        Auth(jwks=PUBLIC, issuer="i", audience="a"),
    ):
        assert one.on


def test_a_secret_that_autogpts_platform_shares_needs_an_audience_or_an_issuer() -> None:
    autogpt = AutoGpt(redis_url="redis://localhost")
    with pytest.raises(SettingsError, match=r"auth\.audience: expected a value: AutoGPT's platform signs"):
        Settings(auth=Auth(secret=LONG_SECRET), autogpt=autogpt)
    Settings(auth=Auth(secret=LONG_SECRET, audience="hub"), autogpt=autogpt)
    keys = AutoGpt(redis_url="redis://localhost", public_key="key.pem")
    Settings(auth=Auth(secret=LONG_SECRET), autogpt=keys)
