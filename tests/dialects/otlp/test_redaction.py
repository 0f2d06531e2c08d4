"""Secrets are hidden before anything is cut, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.dialects.otlp.redaction import HIDDEN, Redaction

REDACTION = Redaction()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLWhlcmU"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "sk-proj-abcdefghij0123456789": "sk-proj",
    "ghp_abcdefghijklmnopqrstuvwxyz0123": "ghp_",
    "xoxb-1234567890-abcdef": "xoxb",
    "AKIAIOSFODNN7EXAMPLE": "AKIA",
    JWT: "eyJ",
    PEM: "MIIabc",
    "Authorization: Bearer abcdefgh12345678": "abcdefgh",
    "postgres://user:hunter2hunter2@db/x": "hunter2",
    '{"api_key": "verysecretvalue"}': "verysecret",
    '{\\"password\\": \\"verysecretvalue\\"}': "verysecret",
    "https://x/?token=verysecretvalue&a=1": "verysecret",
}


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_hidden_wherever_it_stands(text: str) -> None:
    for around in (text, f"before {text} behind", f"a\n{text}\nb"):
        shown = REDACTION.text(around)
        assert SECRETS[text] not in shown
        assert HIDDEN in shown


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "http.request.header.authorization",
        "api_key",
        "x-api-key",
        "apiKey",
        "password",
        "db.password",
        "client_secret",
        "cookie",
        "set-cookie",
        "access_token",
        "accessToken",
        "refresh_token",
        "credential",
        "private_key",
        "token",
        "auth.token",
    ],
)
def test_a_name_tells_of_a_secret(name: str) -> None:
    assert REDACTION.names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "llm.token_count.prompt",
        "gen_ai.usage.input_tokens",
        "gen_ai.token.type",
        "max_tokens",
        "token_count",
        "keyboard",
        "tokenizer",
        "secretary.name",
    ],
)
def test_a_name_with_such_a_word_tells_of_none(name: str) -> None:
    assert not REDACTION.names_secret(name)


@given(
    st.sampled_from(sorted(SECRETS)), st.integers(0, 3_000), st.integers(10, 1_500), st.integers(0, 20_000)
)
def test_a_secret_is_hidden_where_the_cut_goes_through_it(
    text: str, before: int, most: int, behind: int
) -> None:
    shown = REDACTION.cut("x" * before + " " + text + " " + "y" * behind, most)
    assert SECRETS[text] not in shown
    assert len(shown) <= most


@given(st.text(max_size=300))
def test_a_text_without_secrets_is_left_as_it_is(text: str) -> None:
    if HIDDEN not in REDACTION.text(text):
        assert REDACTION.cut(text, 300) == text


def test_own_patterns_hide_too() -> None:
    assert Redaction([r"emp-\d{4,8}"]).text("for emp-12345") == f"for {HIDDEN}"


@pytest.mark.parametrize("part", ["eyJ-", "sk-", "bearer ", "://a:", "secret=", "-----BEGIN ", "api_key"])
def test_no_text_takes_for_ever(part: str) -> None:
    assert REDACTION.text(part * 8_000)
