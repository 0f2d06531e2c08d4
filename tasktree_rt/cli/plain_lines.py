"""Render log lines of plain values without structlog's processors, to the same text.

A hub writes two lines for each connection, and the processors take twenty times as long for one as the write
to the file. Most of that is the search for secrets. A line with only numbers, and words that cannot be or
contain a secret, needs none of it. Every other line, and every line for a terminal, takes all processors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, Final

from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

_LEVELS: Final = ("debug", "info", "warning", "error")
_WORD: Final = re.compile(r"(?!.*(?:eyJ|ttk_))[A-Za-z0-9_./@-]*|[0-9A-Fa-f:.]+")
"""A string that is written as it is in either format, and in which nothing is cut: no space, quote or mark
that separates, no start of a JSON Web Token or of an API key; or an IPv6 address."""
_KEY: Final = re.compile(r"[a-z_]{1,40}")
_TAKEN: Final = frozenset(
    {"event", "exc_info", "exception", "level", "logger", "logger_name", "stack", "stack_info", "timestamp"}
)
_NUMBERS: Final = frozenset({int, float, bool, type(None)})
_MOMENT: Final = "\0"

Write = Callable[[str, str, EventDict], str]
"""Writes a line from its level, its moment, and its values with the event."""


class PlainLines:
    """A processor: the first and only one, in front of `processors`, which the last one renders.

    Args:
        stamp: the processor that adds the timestamp.
        secret: names of values that are never written.
    """

    def __init__(
        self, processors: Sequence[Processor], stamp: Processor, write: Write, secret: Collection[str]
    ) -> None:
        self._processors = processors
        self._stamp = stamp
        self._write = write
        self._usable = lru_cache(1024)(
            lambda key: bool(_KEY.fullmatch(key)) and key not in _TAKEN and key not in secret
        )

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> Any:  # noqa: ANN401
        """Render a line."""
        if method in _LEVELS and not merge_contextvars(logger, method, {}) and self._is_plain(line):
            moment = self._stamp(logger, method, {})["timestamp"]  # type: ignore[index, call-overload]
            return self._write(method, moment, line)
        found: Any = line
        for processor in self._processors:
            found = processor(logger, method, found)
        return found

    def _is_plain(self, line: EventDict) -> bool:
        event = line.get("event")
        if type(event) is not str or not event or not _WORD.fullmatch(event):
            return False
        usable = self._usable
        for key, value in line.items():
            kind = type(value)
            if kind is str:
                if not _WORD.fullmatch(value):
                    return False
            elif kind not in _NUMBERS:
                return False
            if not usable(key) and key != "event":
                return False
        return True


def as_json(level: str, moment: str, line: EventDict) -> str:
    """Write a plain line as structlog's `JSONRenderer` does."""
    parts = [
        f'"{key}": "{value}", ' if type(value) is str else f'"{key}": {json.dumps(value)}, '
        for key, value in line.items()
    ]
    return f'{{{"".join(parts)}"level": "{level}", "timestamp": "{moment}"}}'


def for_people(render: Processor) -> Write:
    """Return what writes a plain line as `render` does, a `ConsoleRenderer` without colours."""
    heads = {}
    for level in _LEVELS:
        whole = render(None, level, {"event": "x", "level": level, "timestamp": _MOMENT})
        assert isinstance(whole, str)
        heads[level] = whole.removeprefix(_MOMENT).removesuffix("x")

    def write(level: str, moment: str, line: EventDict) -> str:
        event = line.pop("event")
        parts = [
            f" {key}={value}" if type(value) is str else f" {key}={value!r}"
            for key, value in sorted(line.items())
        ]
        return f"{moment}{heads[level]}{event}{''.join(parts)}"

    return write
