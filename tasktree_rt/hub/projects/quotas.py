"""Count what each subject keeps in the hub, and limit it.

It counts projects, users' logs, snapshots, open prompts and commands, and what AIECS' programs have under
way. A subject is a token's ``sub``, or without one an address (`core.access.Grants.owner`). One
alone can never take all the room that there is. What the hub makes by itself has no owner: for it
only the bounds over all hold.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.errors import Refused
from tasktree_rt.settings import Limits

PROJECT: Final = "project"
USER_LOG: Final = "user's log"
SNAPSHOT: Final = "snapshot"
OPEN: Final = "open prompt or command"
UNDER_WAY: Final = "message or task under way"
MAX_UNDER_WAY: Final = 10_000
"""Messages that ask to be acknowledged, and tasks at work, at once."""
POOLS: Final = frozenset({SNAPSHOT, OPEN, UNDER_WAY})
"""Kinds of which a subject may keep at most half of the limit over all."""
PASSING: Final = frozenset({OPEN, UNDER_WAY})
"""Kinds that end by themselves: a refused request may succeed later."""


@frozen
class _Most:
    """A bound over all, and the setting that it comes from."""

    count: int
    setting: str


class Quotas:
    """See the module's docstring. What is checked and then added must not yield to the loop in between."""

    def __init__(self, limits: Limits) -> None:
        self._each = limits.max_per_subject
        self._most = {
            PROJECT: _Most(limits.max_projects, "limits.max_projects"),
            USER_LOG: _Most(limits.max_user_logs, "limits.max_user_logs"),
            SNAPSHOT: _Most(limits.max_snapshots, "limits.max_snapshots"),
            OPEN: _Most(limits.max_open, "limits.max_open"),
            UNDER_WAY: _Most(MAX_UNDER_WAY, "fixed"),
        }
        self._all = dict.fromkeys(self._most, 0)
        self._of: dict[str, dict[str, int]] = {}

    def total(self, kind: str) -> int:
        """Return the count of a kind over all subjects."""
        return self._all[kind]

    def of(self, owner: str, kind: str | None = None) -> int:
        """Return what a subject keeps, in all or of a kind."""
        held = self._of.get(owner, {})
        return sum(held.values()) if kind is None else held.get(kind, 0)

    def add(self, owner: str, kind: str, count: int = 1) -> None:
        """Count `count` more for `owner`."""
        self._all[kind] += count
        held = self._of.setdefault(owner, {})
        held[kind] = held.get(kind, 0) + count

    def drop(self, owner: str, kind: str) -> None:
        """Count one less for `owner`."""
        held = self._of.get(owner, {})
        if not held.get(kind):
            return
        self._all[kind] -= 1
        held[kind] -= 1
        if not held[kind]:
            del held[kind]
            if not held:
                del self._of[owner]

    def check(self, owner: str, *kinds: str, field: str | None = None) -> None:
        """Refuse one more of each of `kinds` for which there is no room.

        Raises:
            Refused: ``project_full`` or ``subject_full``; ``rate_limited`` where waiting helps.
        """
        for kind in kinds:
            most = self._most[kind]
            if self._all[kind] + kinds.count(kind) > most.count:
                raise _refused(
                    kind, f"the hub already holds {_several(most.count, kind)}", most.setting, field
                )
            half = max(1, most.count // 2)
            if owner and kind in POOLS and self.of(owner, kind) + kinds.count(kind) > half:
                said = f"you already hold {_several(half, kind)}, half of what there may be"
                raise _refused(kind, said, most.setting, field, code="subject_full")
        if owner and kinds and self.of(owner) + len(kinds) > self._each:
            said = (
                f"you already hold {self._each} projects, users' logs, snapshots, open prompts and commands"
            )
            raise Refused(f"{said} (limits.max_per_subject)", code="subject_full", field=field)


def _several(count: int, kind: str) -> str:
    return f"{count} {kind}s"


def _refused(kind: str, said: str, setting: str, field: str | None, *, code: str = "project_full") -> Refused:
    message = said if setting == "fixed" else f"{said} ({setting})"
    if kind in PASSING:
        return Refused(message, code="rate_limited", retry_after=1.0, field=field)
    return Refused(message, code=code, field=field)
