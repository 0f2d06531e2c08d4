"""Make foreign text printable."""

from __future__ import annotations


def printable(text: str, most: int = 500) -> str:
    """Return `text` in one line without control characters and lone surrogates, at most `most` characters."""
    clean = "".join(map(_printable, text[: most + 1]))
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _printable(char: str) -> str:
    return char if char.isprintable() else " " if char.isspace() else "�"
