"""Who may watch, push and administer which projects."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.core.topics import user_of


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
        answer, command: the projects whose prompts it may answer, and whose orchestrators it may command.
        admin: whether it may see connections and statistics and delete projects, and act for any user.
        expires: Unix time in seconds after which the grants are void, or None.
    """

    subject: str
    watch: Scope = NOTHING
    push: Scope = NOTHING
    answer: Scope = NOTHING
    command: Scope = NOTHING
    admin: bool = False
    expires: float | None = None

    def is_user(self, user: str) -> bool:
        """Whether it may read what is for `user`, and answer for them."""
        return self.admin or (self.subject == user and user != "")

    def sees(self, topic: str) -> bool:
        """Whether it may watch a project, or a user's topic."""
        user = user_of(topic)
        return self.watch.covers(topic) if user is None else self.is_user(user)

    def calls(self, user: str) -> bool:
        """Whether it may put something into the log of `user`."""
        return self.push.everything or self.is_user(user)


OPEN: Final = Grants("", EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING, admin=True)
"""What everybody may do where authentication is off."""
