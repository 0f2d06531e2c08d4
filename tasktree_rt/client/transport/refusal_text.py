"""The text of a refusal that is not in JSON: the server's own, before it reads a request."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 200


def plain_text(body: bytes) -> str:
    """Return a response's body if it is one short line of plain text, else the empty string."""
    try:
        text = body[: _LONGEST + 1].decode().strip()
    except UnicodeDecodeError:
        return ""
    good = len(body) <= _LONGEST and text.isprintable() and not text.startswith(("<", "{"))
    return text if good else ""
