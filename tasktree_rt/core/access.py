"""Who may watch, push and administer which projects."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Scope:
    """A set of projects: all of them, or those named, where ``name*`` means every id with that prefix."""

    patterns: tuple[str, ...] = ()

    def covers(self, project_id: str) -> bool:
        """Whether `project_id` is in the set."""
        return any(
            project_id.startswith(pattern[:-1]) if pattern.endswith("*") else project_id == pattern
            for pattern in self.patterns
        )

    @property
    def everything(self) -> bool:
        """Whether every project is in the set, those to come included."""
        return "*" in self.patterns


EVERYTHING: Final = Scope(("*",))
NOTHING: Final = Scope(())


@frozen
class Grants:
    """What one authenticated caller may do.

    Attributes:
        subject: who it is; part of every idempotency key.
        watch, push: the projects it may read and write.
        admin: whether it may see connections and statistics and delete projects.
        expires: Unix time in seconds after which the grants are void, or None.
    """

    subject: str
    watch: Scope = NOTHING
    push: Scope = NOTHING
    admin: bool = False
    expires: float | None = None


OPEN: Final = Grants("", EVERYTHING, EVERYTHING, admin=True)
"""What everybody may do where authentication is off."""
