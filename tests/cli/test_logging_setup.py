import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.settings import Logging

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_json_lines_have_event_level_and_time(stream: io.StringIO) -> None:
    configure_logging(Logging(format="json"), stream)
    structlog.get_logger("x").info("opened", connection="c1")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["connection"]) == ("opened", "info", "c1")
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    configure_logging(Logging(level="warning"), stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/ws/updates?token=hunter2&project_id=p"},
        {"url": "ws://host/ws/orchestrator?producer_id=x&token=hunter2"},
        {"query_string": b"token=hunter2"},
        {"headers": {"Authorization": "Bearer hunter2"}},
        {"headers": ["authorization: bearer hunter2"]},
        {"why": "refused token=hunter2"},
        {"token": "hunter2"},
        {"secret": "hunter2"},
        {"why": f"cannot decode {JWT}"},
        {"error": ValueError("GET /x?token=hunter2")},
    ],
)
def test_no_line_carries_a_token_or_a_query_string(
    stream: io.StringIO, style: str, fields: dict[str, object]
) -> None:
    configure_logging(Logging(format=style), stream)
    structlog.get_logger().info("told", **fields)
    logging.getLogger("library").warning("told %s", fields)
    assert stream.getvalue().count("told") == 2
    assert "hunter2" not in stream.getvalue()
    assert JWT not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_unexpected_error_is_written_with_its_cause_and_without_its_secrets(
    stream: io.StringIO, style: str
) -> None:
    configure_logging(Logging(format=style), stream)
    try:
        try:
            raise KeyError("/ws?token=hunter2")
        except KeyError as cause:
            raise ValueError("outer") from cause
    except ValueError:
        structlog.get_logger().exception("fault")
    text = stream.getvalue()
    assert "ValueError" in text
    assert "KeyError" in text
    assert "direct cause" in text
    assert "hunter2" not in text


def test_other_libraries_speak_through_it_from_warnings_up(stream: io.StringIO) -> None:
    configure_logging(Logging(format="json"), stream)
    logging.getLogger("hypercorn").info("quiet")
    logging.getLogger("hypercorn").error("loud")
    assert json.loads(stream.getvalue())["event"] == "loud"
