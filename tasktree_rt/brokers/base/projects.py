"""What a store knows of all its logs without reading them."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen


@frozen
class Summary:
    """One row of the list of projects; `received` is the newest event's time in microseconds.

    `about` is that of the newest `Append`, opaque; b"" if it had none. The hub sets `damaged`.
    """

    project_id: str
    epoch: str
    seq: int
    state: str | None
    nodes: int
    received: int
    about: bytes = b""
    damaged: bool = False


class Projects(Protocol):
    """The list of projects; `Log.append` updates it."""

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Return projects with a log, by id, after an id. Users' logs are not among them."""

    async def count_projects(self) -> int:
        """Count the projects with a log."""

    async def owned(self) -> dict[tuple[str, bool], int]:
        """Count the logs of each owner: those of users (True) and of projects (False)."""

    async def stored_bytes(self) -> dict[str, int]:
        """Sum up `Life.bytes` of all logs of each owner."""

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Return at most `limit` projects whose newest event was received before `before` (microseconds) and
        has no checkpoint at or after it: `Broker.trim` can delete nothing there until the hub saves one.
        """
