"""What became of the spans or the log records of a request."""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import define, field

RETRIED: Final = frozenset(
    {"rate_limited", "overloaded", "store_unavailable", "draining", "access_unavailable"}
)
"""Codes after which the exporter sends the whole request again."""


@define
class Outcome:
    """Members that are stored, and those that are not, by error code.

    Attributes:
        message: the first reason.
    """

    taken: int = 0
    refused: Counter[str] = field(factory=Counter)
    message: str = ""

    def refuse(self, code: str, message: str, number: int = 1) -> None:
        """Count members that are not stored."""
        self.refused[code] += number
        self.message = self.message or message

    @property
    def rejected(self) -> int:
        """How many are not stored."""
        return self.refused.total()
