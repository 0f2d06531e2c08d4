"""What a broken promise is."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise is broken. `rule` names it."""

    def __init__(self, rule: str, told: str) -> None:
        super().__init__(f"{rule}: {told}")
        self.rule = rule
