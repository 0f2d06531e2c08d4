"""From which positions a watcher begins."""

from __future__ import annotations

from collections.abc import Mapping

from tasktree_rt.core.log import Position
from tasktree_rt.core.topics import WILDCARD

Since = Position | str | Mapping[str, Position | str] | None


def read_since(since: Since) -> Position | dict[str, Position] | None:
    """Positions as the user may give them.

    Raises:
        InvalidInput: ``invalid_position``.
    """
    if isinstance(since, Mapping):
        return {name: at if isinstance(at, Position) else Position.parse(at) for name, at in since.items()}
    return Position.parse(since) if isinstance(since, str) else since


def starts(topics: list[str], since: Since) -> list[tuple[str, Position | dict[str, Position] | None]]:
    """Pair each of `topics` with the position, or for ``*`` the positions, to begin from.

    Raises:
        ValueError: one position for several topics.
        InvalidInput: ``invalid_position``.
    """
    positions = read_since(since)
    if isinstance(positions, Position):
        if len(topics) != 1 or topics == [WILDCARD]:
            raise ValueError("one position for several projects: give an object of project id to position")
        return [(topics[0], positions)]
    if positions is None:
        return [(one, None) for one in topics]
    others = {one: at for one, at in positions.items() if one not in topics}
    return [(one, others if one == WILDCARD else positions.get(one)) for one in topics]
