"""The hub's own log: structlog on standard error, for people or as JSON, without secrets.

Lines of other libraries (the standard `logging`) go the same way. Query strings, bearer tokens, JSON Web
Tokens and the secrets of API keys are cut out of every line before it is written, tracebacks included.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tasktree_rt.cli.plain_lines import PlainLines, as_json, for_people
from tasktree_rt.settings import Logging

HIDDEN: Final = "…"
_SECRET_KEYS: Final = frozenset(
    {"authorization", "cookie", "jwt", "password", "query_string", "secret", "token"}
)
_CUTS: Final = (
    (re.compile(r"(?<=[^\s?])\?[^\s\"'<>]*=[^\s\"'<>]*"), "?" + HIDDEN),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(token|secret|password)([\"']?\s*[=:]\s*b?[\"']?)[^\s\"'&,]+"), rf"\1\2{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"\b(ttk_[0-9a-f]{16})_\w+"), rf"\1_{HIDDEN}"),
)


def configure_logging(settings: Logging, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error) as `settings` say. May be repeated."""
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    stamp, render = structlog.processors.TimeStamper(fmt="iso", utc=True), _renderer(settings, stream)
    head: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
    ]
    tail: list[Processor] = [structlog.processors.format_exc_info, without_secrets, render]
    processors = [*head, *tail]
    if not stream.isatty():
        write = as_json if settings.format == "json" else for_people(render)
        processors = [PlainLines(processors, stamp, write, _SECRET_KEYS)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _take_over_logging(level, stream, head, tail)


def without_secrets(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Cut the secrets out of a log line."""
    return {key: HIDDEN if key.lower() in _SECRET_KEYS else _cut(value) for key, value in line.items()}


def _cut(value: Any) -> Any:  # noqa: ANN401 - a log line carries anything
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        for pattern, instead in _CUTS:
            value = pattern.sub(instead, value)
    elif isinstance(value, MutableMapping):
        value = without_secrets(None, "", value)
    elif isinstance(value, (list, tuple)):
        value = [_cut(one) for one in value]
    elif isinstance(value, BaseException):
        value = _cut(repr(value))
    return value


def _renderer(settings: Logging, stream: TextIO) -> Processor:
    if settings.format == "json":
        return structlog.processors.JSONRenderer(default=str)
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _take_over_logging(level: int, stream: TextIO, head: list[Processor], tail: list[Processor]) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=head,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Lines of level info of other libraries are left out.
    root.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
