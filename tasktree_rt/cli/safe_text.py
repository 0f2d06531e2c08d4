"""Foreign text made fit to be shown."""

from __future__ import annotations


def printable(text: str, most: int = 500) -> str:
    """`text` in one line without control characters and lone surrogates, at most so long."""
    clean = "".join(map(_printable, text[: most + 1]))
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _printable(char: str) -> str:
    return char if char.isprintable() else " " if char.isspace() else "�"
