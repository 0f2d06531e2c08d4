"""The list of projects, read from the table ``life``. Every function takes a connection and blocks."""

from __future__ import annotations

import sqlite3

from tasktree_rt.brokers.base import Summary


def projects(connection: sqlite3.Connection, after: str, limit: int) -> list[Summary]:
    """Read the projects after an id, in order."""
    rows = connection.execute(
        "SELECT project, epoch, head, state, nodes, received, about FROM life "
        "WHERE project > ? AND project NOT GLOB '@*' ORDER BY project LIMIT ?",
        (after, limit),
    )
    return [Summary(*row) for row in rows]


def uncovered(connection: sqlite3.Connection, before: int, limit: int) -> list[str]:
    """Read the projects whose newest event is older than `before` and not in a checkpoint."""
    rows = connection.execute(
        "SELECT project FROM life WHERE received < ? AND covered < head LIMIT ?", (before, limit)
    )
    return [row[0] for row in rows]


def count_projects(connection: sqlite3.Connection) -> int:
    """Count the projects that have a log."""
    count: int = connection.execute("SELECT count(*) FROM life WHERE project NOT GLOB '@*'").fetchone()[0]
    return count


def owned(connection: sqlite3.Connection) -> dict[tuple[str, bool], int]:
    """Count the logs of each owner: of users (True), of projects (False)."""
    rows = connection.execute("SELECT owner, project GLOB '@*' AS user, count(*) FROM life GROUP BY 1, 2")
    return {(owner, bool(user)): count for owner, user, count in rows}


def stored_bytes(connection: sqlite3.Connection) -> dict[str, int]:
    """Sum up the bytes of the events of each owner's logs."""
    return dict(connection.execute("SELECT owner, sum(bytes) FROM life GROUP BY owner").fetchall())
