"""Lines of plain values are written as structlog's processors would write them."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as some

from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.settings import Logging

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
OPENED = {"event": "opened", "connection": "0af3", "dialect": "tasktree.v1", "address": "127.0.0.1"}
CLOSED = OPENED | {"event": "closed", "code": 1001, "by": "peer", "seconds": 0.031, "bytes": 0, "sheds": 2}
TRICKY = (
    "",
    "a b",
    "a=b",
    'a"b',
    "a\\b",
    "a\nb",
    "é",
    "::1",
    "fe80::1%eth0",
    "token:x",
    "secret=x",
    "bearer x",
    "/ws?token=x",
    "?",
    "a?b=c",
    JWT,
    f"x.{JWT}",
    "ttk_0123456789abcdef_hidden",
    "a/ttk_0123456789abcdef_hidden",
    "dead:beef",
    "token",
    "eyJ",
    "12:34",
)
words = some.sampled_from(TRICKY) | some.text(max_size=12) | some.from_regex(r"[A-Za-z0-9_./@:-]{1,20}")
numbers = some.integers() | some.floats() | some.booleans() | some.none()
values = words | numbers | some.binary(max_size=4) | some.lists(words, max_size=2)
keys = some.sampled_from(
    ["connection", "dialect", "address", "code", "bytes", "token", "secret", "Secret", "jwt", "cookie", "a-b"]
) | some.from_regex(r"[a-z_A-Zé\" ]{1,8}", fullmatch=True)
lines = some.dictionaries(keys, values, max_size=6)
methods = some.sampled_from(["debug", "info", "warning", "error", "critical", "warn"])
Pair = tuple[Any, Callable[[str, dict[str, Any]], str]]


@pytest.fixture(params=["console", "json"], scope="module")
def pair(request: pytest.FixtureRequest) -> Pair:
    """The one processor that is configured, and what structlog's own render without it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(Logging(format=request.param), io.StringIO())
    (plain,) = structlog.get_config()["processors"]
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()

    def reference(method: str, line: dict[str, Any]) -> str:
        found: Any = line
        for processor in plain._processors:
            found = processor(None, method, found)
        assert isinstance(found, str)
        return found

    return plain, reference


def timeless(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "T", text)


@given(line=lines, event=words, method=methods)
def test_a_line_is_the_same_as_through_structlogs_processors(
    pair: Pair, line: dict[str, Any], event: str, method: str
) -> None:
    plain, reference = pair
    line = {**line, "event": event}
    assert timeless(plain(None, method, dict(line))) == timeless(reference(method, dict(line)))


@pytest.mark.parametrize(
    "line", [OPENED, CLOSED, CLOSED | {"address": "2001:db8::1", "subject": "ada@example"}]
)
def test_the_lines_of_a_connection_take_no_processor(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, line: dict[str, Any]
) -> None:
    plain, reference = pair
    expected = timeless(reference("info", dict(line)))
    monkeypatch.setattr(plain, "_processors", [lambda *_: pytest.fail("a processor")])
    assert timeless(plain(None, "info", dict(line))) == expected


def test_values_bound_to_the_task_are_in_the_line(pair: Pair) -> None:
    plain, _ = pair
    with structlog.contextvars.bound_contextvars(request="r1"):
        assert "r1" in plain(None, "info", dict(OPENED))


def test_lines_for_a_terminal_take_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    configure_logging(Logging(), stream)
    structlog.get_logger().info("opened", connection="c1")
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    assert "\x1b[" in stream.getvalue()
