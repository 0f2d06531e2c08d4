"""What the feeds of all tools share: lines come in, nodes begin and end, what people read goes out."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

Json = dict[str, Any]
MAX_LINE: Final = 4 * 1024 * 1024
"""Characters of a line of JSON; a longer one is passed on unread."""


class Feed(Protocol):
    """Reads one tool's output. Never raises, whatever a line holds."""

    def line(self, line: str) -> str:
        """Take a line with its end, return what to print of it: an unknown line as it is."""

    def end(self) -> bool:
        """Take the end of the output; return whether all of it went well."""


def json_object(line: str) -> Json | None:
    """Return a line's JSON object; None where it is none."""
    if not line.lstrip().startswith("{") or len(line) > MAX_LINE:
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def text(found: Json, name: str) -> str:
    """Return a field that should be a text; "" where it is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def objects(found: Json, name: str) -> list[Json]:
    """Return a field that should be a list of objects."""
    value = found.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
