"""One thing that `doctor` looked at."""

from __future__ import annotations

from typing import Final

from attrs import frozen

OK: Final = "ok"
HINT: Final = "hint"
"""A hub works, but perhaps not as wanted."""
PROBLEM: Final = "problem"
"""A hub does not start, or cannot keep what it promises."""


@frozen
class Finding:
    """What was looked at, what it is like, and what to do.

    Attributes:
        level: `OK`, `HINT` or `PROBLEM`.
        remedy: what to do; empty for `OK`.
    """

    level: str
    subject: str
    text: str
    remedy: str = ""
